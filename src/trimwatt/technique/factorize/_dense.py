"""A matrix as a product of two thin ones, the best of its rank for its weights or for what it answers to real rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trimwatt.technique.factorize import _bayes
from trimwatt.technique.factorize._plan import Choice, Option
from trimwatt.workload import Array


@dataclass(frozen=True, eq=False)
class Factors:
    """`first` (k, in), `second` (out, k), `strength` (k,) falling: a product cut at r errs by the strengths left out.

    bias (out,) and mean (out,): of the layer and of what it answered, where they are known.
    """

    first: Array
    second: Array
    strength: Array
    bias: Array | None = None
    mean: Array | None = None

    def cut(self, rank: int) -> tuple[Array, Array, Array | None]:
        """(first, second, bias) of this rank; the bias keeps the mean answer as it was."""
        first, second, bias = self.first[:rank], self.second[:, :rank], self.bias
        if bias is not None and self.mean is not None:
            bias = self.mean - second @ (second.T @ (self.mean - bias))
        return first, second, bias


def of_weights(weight: Array, bias: Array | None) -> Factors:
    """By the weights (out, in) alone: Eckart and Young 1936."""
    left, strength, right = np.linalg.svd(weight, full_matrices=False)
    root = np.sqrt(strength)
    return Factors(right * root[:, None], left * root, strength, bias)


def of_answers(weight: Array, bias: Array | None, number: int, total: Array, products: Array) -> Factors:
    """By what the layer answered, its bias in it: their number, sum (out,) and sum of products (out, out).

    The product of a rank that changes those answers least in the square is the layer followed by a projection on the
    principal directions of its answers (around their mean where a bias can make up for it).
    """
    mean = None if bias is None else total / number
    spread = products / number - (0 if mean is None else np.outer(mean, mean))
    values, directions = np.linalg.eigh((spread + spread.T) / 2)
    most = min(weight.shape)
    order = np.argsort(-values)[:most]
    second = directions[:, order]
    return Factors(second.T @ weight, second, np.sqrt(np.maximum(values[order], 0)), bias, mean)


def choice(name: str, weight: Array, factors: Factors, before: int, after: int) -> Choice:
    """What a layer with these factors may become. before: places at which the first part works; after: the second."""
    out, inputs = weight.shape
    energy = factors.strength**2
    lost = 1 - np.cumsum(energy) / max(energy.sum(), 1e-300)
    more = 0 if factors.bias is None else out
    options = tuple(
        Option((r,), float(max(lost[r - 1], 0)), r * (inputs * before + out * after), r * (inputs + out) + more)
        for r in range(1, len(energy) + 1)
    )
    whole = Option((), 0.0, out * inputs * after, out * inputs + more)
    return Choice(name, whole, options, (_bayes.rank(weight),))
