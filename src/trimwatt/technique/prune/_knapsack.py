"""The best choice of one option each under a budget: a knapsack whose states are kept only while they may still win."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

STATES = 20_000


class Option(NamedTuple):
    """One width of a group: what it costs and what it is worth."""

    width: int
    cost: float
    worth: float


class _State(NamedTuple):
    cost: float
    worth: float
    picks: tuple[int, ...]


def best(choices: Sequence[Sequence[Option]], budget: float) -> list[Option] | None:
    """One option of each choice, worth the most together at a cost of at most `budget`; None where even the cheapest
    cost more.

    Exact as long as no more than STATES combinations may still win; beyond, states of nearly equal cost are merged to
    the one worth most, so that what is found keeps the budget but may fall short of the best by a little.
    """
    # the cheapest that the choices still to come can cost: what leaves less than that is lost already
    least = [min(option.cost for option in options) for options in choices]
    states = [_State(0.0, 0.0, ())]
    for number, options in enumerate(choices):
        after = sum(least[number + 1 :])
        grown = [
            _State(state.cost + option.cost, state.worth + option.worth, (*state.picks, pick))
            for state in states
            for pick, option in enumerate(options)
        ]
        states = _undominated([state for state in grown if state.cost + after <= budget * (1 + 1e-12)])
        if not states:
            return None
        if len(states) > STATES:
            states = _merged(states)
    picks = max(states, key=lambda state: (state.worth, -state.cost)).picks
    return [options[pick] for options, pick in zip(choices, picks, strict=True)]


def _undominated(states: list[_State]) -> list[_State]:
    """States by rising cost, each worth more than all that cost less."""
    kept: list[_State] = []
    for state in sorted(states, key=lambda state: (state.cost, -state.worth)):
        if not kept or state.worth > kept[-1].worth:
            kept.append(state)
    return kept


def _merged(states: list[_State]) -> list[_State]:
    """The cheapest state, and of each stretch of cost the one worth most."""
    low, high = states[0].cost, states[-1].cost
    stretch = (high - low) / (STATES / 2) or 1.0
    by_stretch = {int((state.cost - low) / stretch): state for state in states}
    return _undominated([states[0], *by_stretch.values()])


def widths(
    choices: Mapping[str, Sequence[Option]], total: Callable[[Mapping[str, int]], float], budget: float
) -> dict[str, int] | None:
    """The width of each group, worth the most among those whose true `total` keeps the budget.

    An option's cost holds while all other groups are at full width. Where layers stand between two groups, narrowing
    both saves less than the two savings together; then the knapsack is asked for less until the true total keeps the
    budget, and what is left over is spent on the group worth most. None where nothing keeps it.
    """
    narrow = {name: min(options, key=lambda o: o.cost).width for name, options in choices.items()}
    if total(narrow) > budget * (1 + 1e-9):
        return None
    asked, lowest = budget, sum(min(option.cost for option in options) for options in choices.values())
    full = total({name: max(option.width for option in options) for name, options in choices.items()})
    apart = full - sum(max(options, key=lambda o: o.width).cost for options in choices.values())
    chosen = narrow
    for _ in range(40):
        found = best(list(choices.values()), max(asked - apart, lowest))
        picked = narrow if found is None else dict(zip(choices, (option.width for option in found), strict=True))
        over = total(picked) - budget
        if over <= 1e-9 * budget:
            chosen = picked
            break
        asked -= max(over, 0.005 * budget)
    return _filled(chosen, choices, total, budget)


def _filled(
    chosen: dict[str, int],
    choices: Mapping[str, Sequence[Option]],
    total: Callable[[Mapping[str, int]], float],
    budget: float,
) -> dict[str, int]:
    """Widen group after group, that which gains the most first, as long as the budget is kept."""
    while True:
        worth = {name: {option.width: option.worth for option in options} for name, options in choices.items()}
        gains = [
            (worth[name][option.width] - worth[name][chosen[name]], name, option.width)
            for name, options in choices.items()
            for option in options
        ]
        fitting = (
            (name, width)
            for gain, name, width in sorted(gains, reverse=True)
            if gain > 0 and total({**chosen, name: width}) <= budget * (1 + 1e-9)
        )
        step = next(fitting, None)
        if step is None:
            return chosen
        chosen = {**chosen, step[0]: step[1]}
