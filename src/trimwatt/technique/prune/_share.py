"""A share to remove, in numbers: what is allowed, and how many are left."""

from __future__ import annotations

import math

from trimwatt.errors import InputError, TrialFailed


def check(share: float, name: str = "share") -> None:
    """Raises InputError unless `share` is in (0, 1)."""
    if not 0 < share < 1:
        hint = f"; did you mean {share / 100:g}?" if 1 < share < 100 else ""
        raise InputError(f"{name} is in (0, 1), got {share:g}{hint}")


def check_round_to(round_to: int, what: str) -> None:
    """Raises InputError unless `round_to` is a whole number from 1."""
    if round_to < 1:
        raise InputError(f"round_to is a number of {what} from 1, got {round_to}")


def one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raises InputError unless `value` is one of `known`."""
    if value not in known:
        raise InputError(f"{name} is {' or '.join(known)}, got {value!r}")


def kept(share: float, number: int, round_to: int, layer: str, what: str) -> int:
    """How many of `number` stay: a multiple of round_to; raises TrialFailed for none at all."""
    exact = number * (1 - share)
    if exact < 0.5:
        most = 1 - 1 / number
        raise TrialFailed(f"share {share:g} leaves none of {layer}'s {number} {what}; ask at most {most:.2g}")
    return min(number, max(round_to, math.floor(exact / round_to + 0.5) * round_to))
