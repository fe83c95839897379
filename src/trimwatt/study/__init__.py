"""The flow of a study: what is tried, measured, chosen and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimwatt.study.conclude import Pages
    from trimwatt.study.options import Options
    from trimwatt.study.start import Start
    from trimwatt.study.study import Finished

__all__ = ["optimize"]


def optimize(
    model: Any, data: Any, options: Options, *, start: Start | None = None, pages: Pages | None = None
) -> Finished:
    """See `trimwatt.study.study.optimize`, which is imported with the frameworks only now."""
    from trimwatt.study.study import optimize as run

    return run(model, data, options, start=start, pages=pages)
