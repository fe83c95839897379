"""Standard output and error that outlive their reader: `| head` may leave, a disk may be full, work goes on."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

# what a pipe or a socket says whose reader has left
_LEFT = (errno.EPIPE, errno.ECONNRESET)


class Stream:
    """A text stream that stops at the first text it cannot deliver. lost: why, unless its reader simply left."""

    def __init__(self, inner: TextIO) -> None:
        self._inner, self._open = inner, True
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        """Write `text`, with escapes for letters that the stream's encoding lacks; never fails."""
        if self._open:
            try:
                self._inner.write(text)
            except UnicodeEncodeError:
                encoding = self._inner.encoding or "ascii"
                self.write(text.encode(encoding, "backslashreplace").decode(encoding))
            except OSError as error:
                self._stop(error)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write one after the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand over what was written; never fails."""
        if self._open:
            try:
                self._inner.flush()
            except OSError as error:
                self._stop(error)

    def _stop(self, error: OSError) -> None:
        self._open = False
        if error.errno not in _LEFT:
            self.lost = error
        # the interpreter writes what is left in the buffer at its end, and would complain about it
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._inner.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@contextlib.contextmanager
def standing() -> Iterator[Stream]:
    """Put such streams in the place of stdout and stderr; yields stdout's."""
    _fill_closed()
    before = sys.stdout, sys.stderr
    out, err = (Stream(stream if stream is not None else _nowhere()) for stream in before)
    sys.stdout, sys.stderr = out, err  # type: ignore[assignment]
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def _fill_closed() -> None:
    """Where a standard stream is closed (`>&-`), open nothing in its place: else the next file would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
