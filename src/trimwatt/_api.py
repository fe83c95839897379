"""The Python face: a study that reports on itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimwatt import report as reports
from trimwatt.errors import InputError
from trimwatt.runtime import deployed
from trimwatt.study import study as studies
from trimwatt.study.start import Start
from trimwatt.trial import Trial

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Recommended:
    """The trial to use, and the model ready to run."""

    trial: Trial
    artifact: deployed.Deployed


class Study(studies.Study):
    """What `optimize` found: `trials`, `recommended`, `verdict`; `report(path)` writes the page."""

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


def run(model: Any, start: Start, **options: Any) -> Study:
    """See `trimwatt._optimize.optimize`; its cost counts from `start` on."""
    done = studies.optimize(model, **options, start=start, pages=reports.prepare)
    return Study(done.folder, done.to_dict(), done.pages)
