"""Which families of classical models are still to be searched, and what becomes of what a search found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from trimwatt.metric import Metric
from trimwatt.recipe import Recipe
from trimwatt.study.candidate import Candidate
from trimwatt.technique import Technique
from trimwatt.technique.classical.tuning import FAMILIES
from trimwatt.trial import Trial

# what parameters do not make up for: by so much, in the metric's unit or as a share of an error, the usual ones differ
_FAR = 0.2


class Families:
    """The families left, the one whose usual settings did best first; cheaper models of those searched."""

    def __init__(self, metric: Metric | None, searched: bool = True) -> None:
        self._metric = metric
        self._open = list(FAMILIES) if searched else []
        self._awaited: set[tuple[Recipe, str]] = set()
        self._quality: dict[str, float] = {}
        self._cheaper: dict[Technique, tuple[Technique, ...]] = {}

    @property
    def left(self) -> list[str]:
        """Families to search yet, best first, unknown ones last, without those that are far behind."""
        known = sorted(self._quality.values(), reverse=self._metric is None or self._metric.greater_is_better)
        order = {quality: place for place, quality in enumerate(known)}
        near = [
            name for name in self._open if name not in self._quality or self._is_near(self._quality[name], known[0])
        ]
        return sorted(near, key=lambda name: order[self._quality[name]] if name in self._quality else len(known))

    def _is_near(self, quality: float, best: float) -> bool:
        return self._metric is None or self._metric.meets(quality, self._metric.floor(best, _FAR))

    def wait_for(self, candidates: Iterable[Candidate]) -> None:
        """Search only when these have been tried: what they show tells where to search first."""
        self._awaited |= {candidate.served for candidate in candidates}

    def is_due(self, queue: Sequence[Candidate]) -> bool:
        """Whether the next thing to do is a search."""
        return bool(self.left) and bool(self._awaited) and not any(c.served in self._awaited for c in queue)

    def learn(self, trial: Trial, candidate: Candidate) -> None:
        """Remember how good a family's model is with the settings it comes with."""
        step = _only_model(candidate)
        if step is not None and trial.quality is not None and step == type(step)():
            self._quality.setdefault(step.name, trial.quality.value)

    def pop_most_promising(self) -> str:
        """Take the family to search next."""
        family = self.left[0]
        self._open.remove(family)
        return family

    def keep(self, techniques: Sequence[Technique]) -> None:
        """Remember the cheaper models beside the strongest, the first, until that has been judged."""
        if techniques:
            self._cheaper[techniques[0]] = tuple(techniques[1:])

    def cheaper(self, candidate: Candidate) -> tuple[Technique, ...] | None:
        """The cheaper models beside this one, once; None where it is not the strongest model of a search."""
        step = _only_model(candidate)
        return None if step is None else self._cheaper.pop(step, None)


def _only_model(candidate: Candidate) -> Any:
    """The classical model that a candidate is, where it is nothing else."""
    steps = candidate.without("threshold")
    return steps[0] if len(steps) == 1 and steps[0].group == "classical" else None
