"""trimwatt predict: ask a delivered model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimwatt._printable import visible
from trimwatt.commands import _output

if TYPE_CHECKING:
    from trimwatt.runtime.deployed import Deployed
    from trimwatt.workload import Rows

_CHUNK = 1000


def predict(
    artifact: Annotated[Path, typer.Argument(help="The artifact folder of a study.", show_default=False)],
    data: Annotated[
        str,
        typer.Argument(help="Rows: a table with the columns of training, an .npz with the key x, or images.",
                       show_default=False),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; stdout unless given.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file given with -o.")] = False,
) -> None:  # fmt: skip
    """Predict with a delivered model, as CSV: prediction and, for classifiers, probability:<class>."""
    target = _output.free(output, force) if output else None
    from trimwatt import input
    from trimwatt.runtime import deployed

    # the folder of a study is taken as its artifact
    inner = artifact / "artifact"
    model = deployed.load(inner if (inner / deployed.MANIFEST).is_file() else artifact)
    text = answers(model, input.rows_for_prediction(data, model.manifest["input"]))
    if target is None:
        _output.write(text)
        return
    from trimwatt.report import put

    _output.write(f"{visible(put(target, text))}\n")


def answers(model: Deployed, rows: Rows) -> str:
    """The CSV of what `model` answers to `rows`, asked in parts so that memory stays flat."""
    import csv
    import io

    from trimwatt.workload import count, take

    file, classes = io.StringIO(), model.manifest["classes"]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["prediction", *(f"probability:{label}" for label in classes or ())])
    for start in range(0, count(rows), _CHUNK):
        part = take(rows, slice(start, start + _CHUNK))
        labels = model.predict(part).tolist()
        scores = model.probabilities(part).tolist() if classes else [[]] * len(labels)
        writer.writerows([label, *(f"{p:.6g}" for p in row)] for label, row in zip(labels, scores, strict=True))
    return file.getvalue()
