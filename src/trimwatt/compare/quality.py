"""Quality with its interval, and whether a candidate meets the floor: bootstraps over the rows.

Without `folds` the models at hand are graded, on rows that neither has seen. With `folds` it is their recipes: each row
was answered by a model fitted without it, and any two of those models share most of their rows, so that n rows tell
less than n independent ones. Nadeau and Bengio (Machine Learning 52, 2003) correct the variance of a mean over judged
rows from s2 / n to s2 (1 / n + 1 / fitted). The same is had for every metric by drawing that many fewer rows in each
resample: n / (1 + n / fitted). Scores of two models share no scale, so a metric of ranks (auc) compares the rows of
each fold among themselves; over all rows together it would be the lower, the more the scales differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from trimwatt.compare.statistics import Array, percentiles
from trimwatt.errors import InputError
from trimwatt.metric import Metric
from trimwatt.trial import FloorTest, Quality

_DRAWS = 1000
# a metric of the user's may be slow, and cannot take weights
_CUSTOM_DRAWS = 200


@dataclass(frozen=True)
class FloorGrade:
    """How sure it is that the floor is met.

    margin: the half-width, in the metric's own unit, that these rows resolve (one-sided 95 %): a candidate closer to
    the floor than this can be neither proven nor disproven. discordance: share of rows on which candidate and baseline
    decide differently, None without a baseline or where values are predicted.
    """

    grade: FloorTest
    margin: float
    rows: int
    discordance: float | None

    def __str__(self) -> str:
        apart = "" if self.discordance is None else f" at {self.discordance:.1%} discordance"
        return f"{self.grade.replace('_', ' ')}: {self.rows} rows{apart} resolve {self.margin:.2g}"


@dataclass(frozen=True, eq=False)
class Folds:
    """How rows were judged by cross-fitting.

    number: (n,) the fold in which each judged row was held out; rows of folds that were not judged are not among them.
    fitted: on how many rows a fold's model was fitted; the fewest, where folds differ.
    """

    number: Array
    fitted: int

    def __post_init__(self) -> None:
        if self.fitted < 1:
            raise ValueError(f"fitted must be an integer >= 1, got {self.fitted}")

    def worth(self, rows: int) -> int:
        """As how many independent rows `rows` judged ones count."""
        return max(1, round(rows * self.fitted / (rows + self.fitted)))


def estimate(metric: Metric, truth: Array, prediction: Array, seed: int = 0, folds: Folds | None = None) -> Quality:
    """The metric's value on these rows with its bootstrap 95 % interval.

    prediction: as `metric.reads` says: class codes (n,), probabilities (n, k) or values (n,). One imagined row that is
    wrong is added for the lower bound, and one that is right for the upper, so that 50 rows without an error are not
    taken for proof that there is none; on errors among few rows this is close to Clopper and Pearson's interval.
    folds: where the answers are out of fold; the interval is then the recipe's.
    """
    value = observed(metric, truth, prediction, folds)
    bounds = []
    for favourable in _sides(metric):
        rows = _grouped(metric, *_imagined(metric, truth, prediction, prediction, favourable), folds)
        value_of = _value(metric, rows, rows.candidate)
        bounds.append(percentiles(np.array([value_of(draw) for draw in _draws(rows, seed)])))
    ends = [b for pair in bounds for b in pair] + [value]
    return Quality(metric.name, value, min(ends), max(ends), len(truth), metric.greater_is_better)


def observed(metric: Metric, truth: Array, prediction: Array, folds: Folds | None = None) -> float:
    """The metric's value on these rows; of ranks, within each fold."""
    rows = _Rows(truth, prediction, prediction, np.ones(len(truth)), metric.custom, folds)
    return _value(metric, rows, prediction)(rows.once)


def floor_test(
    metric: Metric, truth: Array, candidate: Array, baseline: Array | None = None, *,
    max_drop: float | None = None, floor: float | None = None, seed: int = 0, folds: Folds | None = None,
) -> FloorGrade:  # fmt: skip
    """Grade a floor by a one-sided 95 % bootstrap bound on the same rows.

    max_drop: relative floor: the baseline may be undercut by this (see `Metric.floor`); candidate and baseline are both
    recomputed in each resample. floor: absolute floor, for the candidate alone. Exactly one of them is given.
    proven: the lower bound clears the floor. failed: the upper bound misses it. not_disproven: neither.
    folds: where the answers of both are out of fold; what is graded then is the recipe, fitted on as many rows as a
    fold's model was. Raises InputError otherwise.
    """
    if (max_drop is None) == (floor is None) or (max_drop is not None and baseline is None):
        raise InputError("a floor is either floor=value or max_drop=value with the baseline's predictions; give one")
    beside = candidate if baseline is None else baseline
    imagined = (_imagined(metric, truth, candidate, beside, favourable) for favourable in _sides(metric))
    looks = [_slack(metric, _grouped(metric, *rows, folds), max_drop, floor, seed) for rows in imagined]
    given = _Rows(truth, candidate, beside, np.ones(len(truth)), metric.custom, folds)
    gap = _gap(metric, given, max_drop, floor)(given.once)
    lower, upper = _quantile(looks[0], 0.05), _quantile(looks[-1], 0.95)
    grade: FloorTest = "proven" if lower >= 0 else "failed" if upper < 0 else "not_disproven"
    return FloorGrade(grade, max(0.0, gap - lower), len(truth), _discordance(metric, candidate, baseline))


def is_better(metric: Metric, truth: Array, a: Array, b: Array, folds: Folds | None = None, seed: int = 0) -> bool:
    """Whether predictions `a` are better than `b` on the same rows, by a paired one-sided 95 % bootstrap bound.

    A tie is not better, and nor is what one imagined row, on which only `b` is right, would undo.
    """
    rows = _grouped(metric, *_imagined(metric, truth, a, b, favourable=False), folds)
    return _quantile(_slack(metric, rows, 0.0, None, seed), 0.05) > 0


def resolvable_margin(
    metric: Metric, truth: Array, candidate: Array, baseline: Array, seed: int = 0, folds: Folds | None = None
) -> float:
    """The half-width (one-sided 95 %), in the metric's own unit, to which these rows tell candidate from baseline."""
    return floor_test(metric, truth, candidate, baseline, max_drop=0.0, seed=seed, folds=folds).margin


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows, each standing for `counts` of those given. by_index: draws are indices of rows, not weights on them."""

    truth: Array
    candidate: Array
    baseline: Array
    counts: Array
    by_index: bool
    folds: Folds | None

    @property
    def once(self) -> Array:
        """The draw that takes each row given once."""
        return np.arange(len(self.truth)) if self.by_index else self.counts


def _grouped(metric: Metric, truth: Array, candidate: Array, baseline: Array, folds: Folds | None = None) -> _Rows:
    """Rows that no metric of labels can tell apart as one: a thousand resamples of 10,000 rows become cheap."""
    if metric.custom or metric.reads != "labels" or truth.ndim == 2:
        return _Rows(truth, candidate, baseline, np.ones(len(truth)), metric.custom, folds)
    cells, counts = np.unique(np.stack([truth, candidate, baseline]), axis=1, return_counts=True)
    return _Rows(cells[0], cells[1], cells[2], counts.astype(np.float64), False, folds)


def _draws(rows: _Rows, seed: int) -> Iterator[Array]:
    """Resamples of the rows given, as weights on `rows`, or as indices of them."""
    rng = np.random.default_rng(seed)
    n = round(float(rows.counts.sum()))
    size = n if rows.folds is None else rows.folds.worth(n)
    for _ in range(_CUSTOM_DRAWS if rows.by_index else _DRAWS):
        if rows.by_index:
            yield rng.integers(0, n, size)
        elif len(rows.counts) < n:
            yield rng.multinomial(size, rows.counts / n).astype(np.float64)
        else:
            yield np.bincount(rng.integers(0, n, size), minlength=n).astype(np.float64)


def _value(metric: Metric, rows: _Rows, prediction: Array) -> Callable[[Array], float]:
    """The metric of `prediction` as a function of a draw."""
    if rows.by_index:
        return lambda draw: metric(rows.truth[draw], prediction[draw])
    return metric.on(rows.truth, prediction, _blocks(metric, rows))


def _blocks(metric: Metric, rows: _Rows) -> Array | None:
    """The folds within which ranks are compared; an imagined row stands in the largest."""
    if rows.folds is None or metric.ranking is None:
        return None
    names, sizes = np.unique(rows.folds.number, return_counts=True)
    more = len(rows.truth) - len(rows.folds.number)
    return np.append(rows.folds.number, np.full(more, names[sizes.argmax()]))


def _gap(metric: Metric, rows: _Rows, max_drop: float | None, floor: float | None) -> Callable[[Array], float]:
    """By how much the candidate clears the floor, in the metric's own unit, as a function of a draw."""
    mine, theirs = (_value(metric, rows, prediction) for prediction in (rows.candidate, rows.baseline))

    def gap(draw: Array) -> float:
        least = floor if max_drop is None else metric.floor(theirs(draw), max_drop)
        if least is None:
            raise InputError("a floor is either floor=value or max_drop=value; give one")
        return mine(draw) - least if metric.greater_is_better else least - mine(draw)

    return gap


def _slack(metric: Metric, rows: _Rows, max_drop: float | None, floor: float | None, seed: int) -> Array:
    gap = _gap(metric, rows, max_drop, floor)
    return np.array([gap(draw) for draw in _draws(rows, seed)])


def _quantile(draws: Array, share: float) -> float:
    """The quantile of the draws that are defined; NaN of none, which proves and disproves nothing."""
    finite = draws[np.isfinite(draws)]
    return float(np.quantile(finite, share)) if len(finite) else float("nan")


def _sides(metric: Metric) -> tuple[bool, ...]:
    """For which bounds to look: against and in favour; of values no row is imagined, so one look serves both."""
    return (False,) if metric.reads == "values" else (False, True)


def _imagined(
    metric: Metric, truth: Array, candidate: Array, baseline: Array, favourable: bool
) -> tuple[Array, Array, Array]:
    """The rows with one more, of the rarest class, on which only the baseline (or only the candidate) is right."""
    if metric.reads == "values":
        return truth, candidate, baseline
    if truth.ndim == 2:
        return _imagined_labels(truth, candidate, baseline, favourable)
    codes, counts = np.unique(truth, return_counts=True)
    rare = int(codes[counts.argmin()])
    other = int(codes[counts.argmax()]) if len(codes) > 1 and codes[counts.argmax()] != rare else int(codes[-1])
    if other == rare:
        other = rare + 1 if metric.reads == "labels" or rare + 1 < candidate.shape[1] else rare - 1
    mine, theirs = (rare, other) if favourable else (other, rare)
    # a baseline that knows more classes than the data has more columns than a candidate
    ours, beside = (
        np.concatenate([candidate, _sure(mine, candidate)]),
        np.concatenate([baseline, _sure(theirs, baseline)]),
    )
    return np.append(truth, rare), ours, beside


def _imagined_labels(truth: Array, candidate: Array, baseline: Array, favourable: bool) -> tuple[Array, Array, Array]:
    """The same for labels (n, k): a row that has the rarest label, and on which the other is wrong in all."""
    have = truth.sum(axis=0)
    rare = int(np.where(have > 0, have, np.inf).argmin())
    row = truth[truth[:, rare].argmax()][None]
    mine, theirs = (row, 1 - row) if favourable else (1 - row, row)
    return np.concatenate([truth, row]), np.concatenate([candidate, mine]), np.concatenate([baseline, theirs])


def _sure(code: int, like: Array) -> Array:
    """One prediction of `code`, as codes (1,) or as probabilities (1, k)."""
    if like.ndim == 1:
        return np.array([code], dtype=like.dtype)
    row = np.zeros((1, like.shape[1]), dtype=like.dtype)
    row[0, code] = 1
    return row


def _discordance(metric: Metric, candidate: Array, baseline: Array | None) -> float | None:
    if baseline is None or metric.reads == "values":
        return None
    labels = metric.reads == "labels"
    mine, theirs = (p if labels else p.argmax(axis=1) for p in (candidate, baseline))
    return float(np.mean((mine != theirs).reshape(len(mine), -1).any(axis=1)))
