"""SIGTERM and SIGHUP end our work as Ctrl-C does, and none of the three cuts the tidying short."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_ENDING = ("SIGTERM", "SIGHUP")
_HELD_BACK = ("SIGINT", *_ENDING)
Handler = Callable[[int, FrameType | None], Any]


@contextlib.contextmanager
def as_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block for SIGTERM and SIGHUP too.

    A signal that is ignored (`nohup`) or that a handler of the user's awaits is left as it is.
    """
    with _handled(_ENDING, _interrupt, only_default=True):
        yield


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let the block end before Ctrl-C, SIGTERM or SIGHUP take effect; the first that came is then raised again."""
    came: list[int] = []
    with _handled(_HELD_BACK, lambda number, _: came.append(number), only_default=False):
        yield
    if came:
        signal.raise_signal(came[0])


@contextlib.contextmanager
def _handled(names: tuple[str, ...], handler: Handler, *, only_default: bool) -> Iterator[None]:
    """Handle these signals in the block; only the main thread may, so elsewhere nothing changes."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
            known = signal.getsignal(number)
            if known is signal.SIG_DFL or (callable(known) and not only_default):
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, known)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)
