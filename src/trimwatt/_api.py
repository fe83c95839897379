"""The Python face: a study that reports on itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimwatt import report as reports
from trimwatt.errors import InputError
from trimwatt.runtime import deployed
from trimwatt.study import study as studies
from trimwatt.study.options import Options
from trimwatt.study.start import Start
from trimwatt.trial import Trial

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Recommended:
    """The trial to use, and the model ready to run."""

    trial: Trial
    artifact: deployed.Deployed


class Study:
    """What `optimize` found: `trials`, `recommended`, `verdict`; `report(path)` writes the page.

    folder: where it lies. summary: what study.json says, which `to_dict()` returns. pages: the files that were written
    for people to read.
    """

    def __init__(self, folder: Path, summary: dict[str, Any], pages: Sequence[Path] = ()) -> None:
        self.folder, self._summary, self.pages = folder, summary, list(pages)

    def to_dict(self) -> dict[str, Any]:
        """The content of study.json."""
        return self._summary

    @property
    def verdict(self) -> str:
        """What was found, in one sentence."""
        return str(self._summary["verdict"])

    @property
    def trials(self) -> list[Trial]:
        """Every candidate that was tried, the baseline first."""
        return [Trial.from_dict(trial) for trial in self._summary["trials"]]

    @property
    def exit_code(self) -> int:
        """What `trimwatt optimize` would have ended with: 0, 1 where nothing was confirmed, 4 under strict."""
        return int(self._summary["exit_code"])

    @cached_property
    def recommended(self) -> Recommended | None:
        """The model to use; None where nothing meets the floor."""
        chosen = next((trial for trial in self.trials if trial.id == self.to_dict()["recommended"]), None)
        return (
            Recommended(chosen, deployed.load(self.folder / "artifact", self.to_dict().get("artifact_digest")))
            if chosen
            else None
        )

    def report(self, path: str | Path) -> Path:
        """Write the report to `path`; raises InputError where it is not an .html file."""
        target = Path(path)
        if target.suffix != ".html":
            raise InputError(f"a report is an .html file, got {target.name!r}")
        return reports.save(self.to_dict(), target)

    def to_pandas(self) -> pandas.DataFrame:
        """One row a trial, nested figures as columns such as quality.value."""
        from trimwatt._imports import require

        table: pandas.DataFrame = require("pandas", "sklearn", "A table of trials").json_normalize(
            self.to_dict()["trials"]
        )
        return table

    def _repr_html_(self) -> str:
        return reports.snippet(self.to_dict())


def run(model: Any, data: Any, options: Options, start: Start) -> Study:
    """See `trimwatt._optimize.optimize`; its cost counts from `start` on."""
    done = studies.optimize(model, data, options, start=start, pages=reports.prepare)
    return Study(done.folder, done.summary, done.pages)
