"""Inside the child: an artifact that may come from elsewhere, opened and asked under limits."""

from __future__ import annotations

import contextlib
import csv
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimwatt._child import reason
from trimwatt.errors import InputError, TrimwattError

if TYPE_CHECKING:
    from trimwatt.runtime.deployed import Deployed
    from trimwatt.workload import Rows

_CHUNK = 1000
# what an interpreter with a framework maps beyond what it uses
_MAPPED_BYTES = 2**29


def serve(artifact: str, data: str, trust: bool | str | None, most_bytes: int) -> Callable[[str], Any]:
    """Answer "check" with what is to be said of the artifact, having opened nothing, then "answers" with the CSV."""
    _limit_memory(most_bytes)
    from trimwatt.runtime import deployed

    # the folder of a study is taken as its artifact
    folder = Path(artifact)
    inner = folder / "artifact"
    where = inner if (inner / deployed.MANIFEST).is_file() else folder
    opened: list[Deployed] = []

    def check() -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            opened.append(deployed.load(where, trust))
        return [str(warning.message) for warning in caught if warning.category is UserWarning]

    def ask() -> str:
        from trimwatt import input

        model = opened[0]
        return answers(model, input.rows_for_prediction(data, model.manifest["input"]))

    def handle(message: str) -> Any:
        try:
            return check() if message == "check" else ask()
        except (TrimwattError, MemoryError):
            raise
        except Exception as error:  # what a hostile manifest, file or model makes any layer raise
            raise InputError(f"{where} cannot answer {data}: {reason(error)}") from error

    return handle


def _limit_memory(most_bytes: int) -> None:
    """An allocation far beyond the limit fails at once, where the system can do so; the parent watches what is used."""
    with contextlib.suppress(ImportError, AttributeError, ValueError, OSError):
        import resource

        most = most_bytes + _MAPPED_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def answers(model: Deployed, rows: Rows) -> str:
    """The CSV of what `model` answers to `rows`, asked in parts so that memory stays flat."""
    from trimwatt import tasks
    from trimwatt.workload import count, take

    file, task = io.StringIO(), tasks.get(model.manifest["task"])
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(task.header(model.manifest["classes"]))
    for start in range(0, count(rows), _CHUNK):
        part = take(rows, slice(start, start + _CHUNK))
        labels = model.predict(part).tolist()
        scores = labels if task.target == "value" else model.probabilities(part).tolist()
        writer.writerows(task.cells(labels, scores))
    return file.getvalue()
