"""The flow of a study: what is tried, measured, chosen and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimwatt.study.study import Study

__all__ = ["demo", "optimize"]


def optimize(model: Any = None, **options: Any) -> Study:
    """See `trimwatt.study.study.optimize`, which is imported with the frameworks only now."""
    from trimwatt.study.study import optimize as run

    return run(model, **options)


def demo(progress: Any = None, **changes: Any) -> Study:
    """The study of `trimwatt.study.digits`, with `changes` to its options."""
    from trimwatt.study.digits import options

    return optimize(**{**options(), **changes}, progress=progress)
