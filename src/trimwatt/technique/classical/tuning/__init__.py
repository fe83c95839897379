"""Short searches for good parameters of classical models, on training rows alone.

Each family is tried with settings that are good on many tables, on few rows and folds first; what is best is judged on
all of them, then one parameter is changed at a time. What comes out are ordinary techniques with explicit parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trimwatt.errors import InputError
from trimwatt.technique._base import Technique
from trimwatt.technique.classical.tuning import boosted, others
from trimwatt.technique.classical.tuning._clock import Clock
from trimwatt.technique.classical.tuning._inner import Inner, part
from trimwatt.technique.classical.tuning._judge import Judged, smaller
from trimwatt.workload import Workload

__all__ = ["FAMILIES", "Found", "tune"]

# each gives what it judged, the strongest first
_SEARCHES: dict[str, Callable[[Inner, Clock], list[Judged]]] = {
    "linear": others.linear, "boosted": boosted.search, "forest": others.forests, "neighbours": others.neighbours,
    "mlp": others.networks,
}  # fmt: skip
# each by the name of the technique that stands for it
FAMILIES = tuple(_SEARCHES)
_SMALLER = 4


@dataclass(frozen=True)
class Found:
    """What a search came to: the strongest technique first, then cheaper ones of its family that lose a little.

    tried: models that were judged. left_out: those that there was no time for. note: why nothing was found.
    """

    techniques: tuple[Technique, ...] = ()
    tried: int = 0
    left_out: int = 0
    note: str = ""


def tune(family: str, workload: Workload, limit_s: float, max_drop: float = 0.01) -> Found:
    """Search one family for `limit_s` seconds at most.

    Nothing is searched where a model decides several labels. max_drop: what a smaller model may lose, in the metric's
    own unit (a share of it for errors), as in a study.
    """
    if workload.task.target == "labels":
        return Found()
    clock = Clock(limit_s)
    try:
        inner = part(workload)
    except InputError as error:
        return Found(note=str(error))
    found = _SEARCHES[family](inner, clock)
    if not found:
        return Found(tried=clock.tried, left_out=clock.left_out, note="none of them could be fitted")
    first = found[0]
    leaner = smaller(found, first, _drop(inner.workload, first, max_drop), _SMALLER)
    return Found(tuple(one.technique for one in (first, *leaner)), clock.tried, clock.left_out)


def _drop(workload: Workload, first: Judged, max_drop: float) -> float:
    """Twice of what may be lost, as these rows tell it roughly and the study judges again."""
    return 2 * max_drop * (abs(first.error) if workload.quality.relative else 1.0)
