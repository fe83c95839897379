"""`optimize` as Python calls it. Loads nothing before it is called, so that all it needs is in the study's books."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from trimwatt.study.option import Option
from trimwatt.study.options import Options
from trimwatt.study.signature import check_names, takes
from trimwatt.study.start import Start

if TYPE_CHECKING:
    from trimwatt._api import Study


@dataclass(frozen=True, kw_only=True)
class _Call(Options):
    """What a call of `optimize` takes: a model and data beside the options."""

    model: Annotated[
        Any,
        Option(
            "",
            "A PyTorch module, a scikit-learn estimator or pipeline, the path of an ONNX file, "
            '"package.module:callable" or a Workload; None where there are only data.',
        ),
    ] = field(default=None, kw_only=False)
    data: Annotated[Any, Option("", "A path, a dict of arrays, or (train, val, test), each (x, y).")]


@takes(_Call)
def optimize(model: Any = None, *, data: Any, **options: Any) -> Study:
    """Find the model that does the job for the least energy.

    The study's folder gets study.json, report.html and artifact/. Returns a `trimwatt.Study`. Raises InputError, having
    written nothing, for what cannot be used.
    """
    start = Start.now()
    check_names(Options, options, "optimize")
    asked = Options(**options)
    from trimwatt._api import run

    return run(model, data, asked, start)
