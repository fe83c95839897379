"""What is going on in a study, while it goes on: a line a trial, and on a terminal one line for what is running."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live as RichLive
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from trimwatt import units
from trimwatt.report import _text

SYMBOLS = {"kept": ("✓", "green"), "below": ("✗", "yellow"), "failed": ("✗", "red"), "skipped": ("–", "dim")}


def symbol(trial: dict[str, Any]) -> tuple[str, str]:
    """A mark and a style for how a trial came out; the words beside it say the same."""
    if trial["status"] != "done":
        return SYMBOLS.get(trial["status"], SYMBOLS["skipped"])
    return SYMBOLS["kept" if trial.get("meets_floor") else "below"]


def line(trial: dict[str, Any], width: int = 80, baseline: bool = False) -> Text:
    """One trial in one line of at most `width` columns; the baseline is called that, as it is compared with nothing."""
    mark, style = symbol(trial)
    name = _fit(trial["name"], width - 55)
    text = Text.assemble(("  " + mark + " ", style), (name, "bold" if trial.get("meets_floor") else ""), "  ")
    if trial["status"] != "done":
        reason = f"{trial['status']}: {trial.get('reason') or 'no reason given'}"
        text.append(_text.plain(reason), style="dim")
        text.truncate(width, overflow="ellipsis")
        return text
    quality = f"{_text.quality(trial.get('quality'))[0]} {_text.half_width(trial.get('quality'))}"
    text.append(f"{quality:<13} {_text.energy(trial.get('energy_per_prediction'))[0]:>8}  ")
    text.append(f"{'baseline' if baseline else _text.ratio(trial.get('ratio_to_baseline'))[0]:<12}")
    if trial.get("quality") and not trial.get("meets_floor"):
        text.append(" misses floor", style="dim")
    text.truncate(width, overflow="ellipsis")
    text.rstrip()
    return text


def _fit(name: str, width: int) -> str:
    name = _text.plain(name)
    return f"{name:<{width}}" if len(name) <= width else name[: width - 1] + "…"


class Live:
    """Renders the events of a study on `console` (stderr by default).

    trials: those told so far. kept: ids of those in the study's database, earlier runs' among them.

    On a terminal, finished trials stay as lines and the running step turns below them; elsewhere, lines only.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._width = min(self._console.width, 120)
        self._began = time.monotonic()
        self._budget_s: float | None = None
        self._stage = "starting"
        self._trials = 0
        self._live: RichLive | None = None
        self._spinner = Spinner("dots")
        self.trials: list[dict[str, Any]] = []
        self.kept: set[str] = set()

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the running line away; what was printed stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def event(self, kind: str, **fields: Any) -> None:
        """Take note of one event; kinds that are not known are passed over."""
        handlers: dict[str, Callable[..., None]] = {
            "start": self._on_start, "opened": self._on_opened, "stage": self._on_stage, "trial": self._on_trial,
            "warning": self._on_warning,
            "finals": self._on_finals, "confirm": self._on_confirm, "end": self._on_end,
        }  # fmt: skip
        if kind in handlers:
            handlers[kind](fields)

    def _print(self, text: Text | str, style: str | None = None) -> None:
        self._console.print(text, style=style, highlight=False, markup=False, no_wrap=True, overflow="ellipsis")

    def _on_start(self, fields: dict[str, Any]) -> None:
        self._budget_s = fields.get("budget_s")
        self._print(_heading(fields))
        gap = " " * max(0, self._width - 55 - 9)
        self._print(f"    candidate{gap}  quality         energy  against baseline", style="dim")
        if self._console.is_terminal:
            self._live = RichLive(
                self, console=self._console, transient=True, refresh_per_second=4, redirect_stdout=False
            )
            self._live.start()

    def _on_opened(self, fields: dict[str, Any]) -> None:
        self.kept.update(fields["kept"])

    def _on_stage(self, fields: dict[str, Any]) -> None:
        self._stage = _text.plain(fields.get("text", ""))

    def _on_trial(self, fields: dict[str, Any]) -> None:
        self._trials += 1
        self.trials.append(fields["trial"])
        self.kept.add(fields["trial"]["id"])
        self._print(line(fields["trial"], self._width, baseline=self._trials == 1))

    def _on_warning(self, fields: dict[str, Any]) -> None:
        text = Text.assemble(("  ! ", "yellow"), _text.plain(fields.get("text", "")))
        self._console.print(text, highlight=False, soft_wrap=not self._console.is_terminal)

    def _on_finals(self, fields: dict[str, Any]) -> None:
        self._announce("finals: the best, head to head")

    def _on_confirm(self, fields: dict[str, Any]) -> None:
        self._announce("confirming on the test rows")

    def _on_end(self, fields: dict[str, Any]) -> None:
        self.close()
        self._print(
            f"  {self._trials} candidate{'s' * (self._trials != 1)} in {units.seconds(self._elapsed)}", style="dim"
        )

    def _announce(self, text: str) -> None:
        self._stage = text
        if not self._console.is_terminal:
            self._print(f"  {text}", style="dim")

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def __rich__(self) -> Table:
        spent = units.seconds(round(self._elapsed))
        clock = f"{spent} of {units.seconds(self._budget_s)}" if self._budget_s else spent
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(width=3, justify="right")
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(justify="right", no_wrap=True)
        grid.add_row(self._spinner, Text(self._stage), Text(clock, style="dim"))
        return grid


def _heading(fields: dict[str, Any]) -> Text:
    rows = fields.get("rows")
    count = sum(rows.values()) if isinstance(rows, dict) else rows
    parts = [str(fields.get("data") or "data")]
    parts += [f"{count:,} rows"] if isinstance(count, int) else []
    parts += [f"baseline {fields['baseline']}"] if fields.get("baseline") else []
    host = fields.get("host")
    cpu = host.get("cpu") if isinstance(host, dict) else host
    parts += [str(cpu)] if cpu else []
    return Text.assemble(("trimwatt  ", "bold"), _text.plain(" · ".join(parts)))
