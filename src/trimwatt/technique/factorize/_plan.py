"""What all factorizations share: how the rank is chosen, and what becomes of layers that are left."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique._base import Technique

RANKS = ("energy", "bayes", "budget")
_HALVINGS = 60


@dataclass(frozen=True)
class Factorizing(Technique):
    """Replace layers by chains of smaller ones.

    rank: how it is chosen: by the "energy" kept (squared singular values), by variational "bayes" (what stands out of
    noise; knows no knob) or by "budget". keep: with "energy" the least share of it, with "budget" the most share of
    the factored layers' cost. cost: "macs" or "parameters". heads: factor the layers that give the answer too.
    """

    family: ClassVar[str] = "low rank"
    shrinks: ClassVar[frozenset[str]] = frozenset({"parameters", "macs", "bytes"})

    rank: str = "energy"
    keep: float = 0.9
    cost: str = "macs"
    heads: bool = False

    def __post_init__(self) -> None:
        for name, known in (("rank", RANKS), ("cost", ("macs", "parameters"))):
            if getattr(self, name) not in known:
                raise InputError(f"{name} is {', '.join(known)}, got {getattr(self, name)!r}")
        if not 0 < self.keep < 1:
            hint = f"; did you mean {self.keep / 100:g}?" if 1 < self.keep < 100 else ""
            raise InputError(f"keep is a share in (0, 1), got {self.keep:g}{hint}")


@dataclass(frozen=True)
class Option:
    """A layer at some ranks, () for as it is: the share of its energy that is lost, and what it costs."""

    ranks: tuple[int, ...]
    lost: float
    macs: int
    parameters: int

    def cheaper(self, whole: Option) -> bool:
        """Whether it shrinks the layer, in every respect."""
        return self.macs < whole.macs and self.parameters < whole.parameters


@dataclass(frozen=True)
class Choice:
    """What a layer may become. options: `whole` not among them. bayes: the ranks that variational Bayes finds."""

    name: str
    whole: Option
    options: tuple[Option, ...]
    bayes: tuple[int, ...]


def choose(technique: Factorizing, choices: Sequence[Choice]) -> dict[str, tuple[int, ...]]:
    """Ranks by layer; a layer that factoring would not shrink has none."""
    if technique.rank == "budget":
        found = _within(technique, choices)
    else:
        found = {choice.name: _alone(technique, choice) for choice in choices}
    return {name: option.ranks for name, option in found.items() if option is not None and option.ranks}


def _alone(technique: Factorizing, choice: Choice) -> Option | None:
    if technique.rank == "bayes":
        # no signal at all is a reason to leave a layer alone, not to empty it
        fit = [option for option in choice.options if option.ranks == choice.bayes and min(option.ranks) > 0]
    else:
        fit = [option for option in choice.options if option.lost <= 1 - technique.keep + 1e-12]
    best = min(fit, key=lambda option: _cost(technique, option), default=None)
    return best if best is not None and best.cheaper(choice.whole) else None


def _cost(technique: Factorizing, option: Option) -> int:
    return int(getattr(option, technique.cost))


def _within(technique: Factorizing, choices: Sequence[Choice]) -> dict[str, Option | None]:
    """The least energy lost, summed over layers, within the budget: one price of cost for all, found by halving."""
    most = technique.keep * sum(_cost(technique, choice.whole) for choice in choices)
    tables = {c.name: [c.whole, *(o for o in c.options if o.cheaper(c.whole))] for c in choices}
    best: dict[str, Option] = {}
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        price = (low + high) / 2
        found = {name: _priced(technique, table, price) for name, table in tables.items()}
        if sum(_cost(technique, option) for option in found.values()) <= most:
            best, high = found, price
        else:
            low = price
    if not best:
        raise TrialFailed(f"no ranks bring the layers to {technique.keep:g} of their {technique.cost}; ask for more")
    return dict(best)


def _priced(technique: Factorizing, table: list[Option], price: float) -> Option:
    return min(table, key=lambda option: option.lost + price * _cost(technique, option))


def tell(technique: Factorizing, factored: Sequence[str], left: dict[str, str]) -> None:
    """Log the layers that were left, and why; raises TrialFailed where all were."""
    told = "; ".join(f"{name}: {why}" for name, why in left.items()) or "there are none of its kind"
    if not factored:
        raise TrialFailed(f"{technique.name} found no layer that it would shrink: {told[:400]}")
    if left:
        logging.getLogger("trimwatt").info("%s left %d layers as they are: %s", technique.name, len(left), told)
