"""`optimize` as Python calls it. Loads nothing before it is called, so that all it needs is in the study's books."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimwatt.study.start import Start

if TYPE_CHECKING:
    from trimwatt._api import Study


def optimize(model: Any = None, **options: Any) -> Study:
    """Find the model that does the job for the least energy; see `trimwatt.study.study.optimize` for all options.

    model: a torch module, a scikit-learn estimator or pipeline, the path of an ONNX file, "package.module:callable" or
    a Workload; None where there are only data. data: a path, a dict of arrays, or (train, val, test), each (x, y).
    The study's folder gets study.json, report.html and artifact/. Raises InputError for what cannot be used.
    """
    start = Start.now()
    from trimwatt._api import run

    return run(model, start, **options)
