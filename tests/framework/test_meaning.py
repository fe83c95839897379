"""Logits or probabilities: by evidence on rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trimwatt.errors import InputError
from trimwatt.framework import meaning
from trimwatt.framework.meaning import find_outputs, read_columns, stretch_rows
from trimwatt.testing import samples
from trimwatt.workload import Data, Decide, Split, Told, Workload

_RNG = np.random.default_rng(0)
_SCORE = _RNG.normal(size=1000) * 3
_CODES = (_SCORE + _RNG.normal(size=1000) > 0).astype(np.int64)


def _sigmoid(values: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(values, -80, 80)))


def _read(column: Any, far: Any = None, codes: Any = _CODES) -> str:
    scores = np.asarray(column).reshape(len(column), -1)
    return read_columns(scores, codes, lambda: scores[:0] if far is None else np.asarray(far))


@pytest.mark.parametrize("rare", [0.0, 4.0, -4.0])
def test_one_column_that_keeps_to_0_and_1_is_judged_by_the_labels(rare: float) -> None:
    codes = (_SCORE + _RNG.normal(size=1000) > rare).astype(np.int64)
    probability = _sigmoid(_SCORE - rare).clip(0.06, 0.94)
    assert _read(probability, codes=codes) == "probabilities"
    narrow = 0.3 + 0.2 * codes
    with pytest.raises(InputError, match="would name one class for every row; say --outputs"):
        _read(narrow, codes=np.ones(1000, dtype=np.int64))


def test_one_column_that_leaves_0_to_1_is_a_logit_here_or_far_away() -> None:
    assert _read(_SCORE) == "logits"
    assert _read(0.5 + 0.01 * _SCORE, far=[[-3.0], [9.0]]) == "logits"
    assert _read(0.5 + 0.01 * _SCORE, far=[[0.0], [1.0]]) == "probabilities"
    with pytest.raises(InputError, match=r"between 0\.2 and 9 and is never negative"):
        _read(0.5 + 0.01 * _SCORE, far=[[0.2], [9.0]])
    assert _read(-1 - _sigmoid(_SCORE)) == "logits"


def test_columns_that_add_up_to_one_are_probabilities_and_sigmoids_each_are_too() -> None:
    one = _sigmoid(_SCORE)
    assert _read(np.stack([1 - one, one], axis=1).astype(np.float16)) == "probabilities"
    assert _read(np.stack([_sigmoid(-2 * _SCORE), one], axis=1)) == "probabilities"
    assert _read(np.stack([-_SCORE, _SCORE], axis=1)) == "logits"


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (np.full(1000, 0.5), "what the model answers with cannot be told.*--outputs logits or --outputs probabilities"),
        (0.5 * _sigmoid(-_SCORE) + 0.25, "its one column lies between 0.25 and 0.75 .*--outputs logits"),
        (100 * _sigmoid(_SCORE), "between .* and .* is never negative"),
        (_CODES + 0.1 * _SCORE / 3, "fits the labels from 0.5 on"),
    ],
)
def test_what_rows_cannot_tell_is_asked(column: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        _read(column, codes=np.where(np.arange(1000) % 2, 1, 0) if np.ptp(column) == 0 else _CODES)
    assert "\n" not in str(refused.value)


def test_rows_far_away_keep_to_codes_that_there_are() -> None:
    codes = np.arange(200).reshape(100, 2) % 7
    for part in stretch_rows(codes):
        assert isinstance(part, np.ndarray) and part.dtype == codes.dtype and part.min() >= 0 and part.max() <= 6
    wide = stretch_rows({"a": np.ones(90, dtype=np.float32), "b": np.array(["x"] * 90, dtype=object)})
    assert [sorted(part) for part in wide if isinstance(part, dict)] == [["a", "b"]] * 6


def _work() -> Workload:
    split = Split(_SCORE[:, None].astype(np.float32), _CODES)
    return Workload(Data(split, split, split, classes=("no", "yes")), decide=Decide(("no", "yes")))


def test_only_a_slow_model_is_judged_on_fewer_rows_and_that_is_said() -> None:
    work = samples.digits(rows=300)
    assert meaning.note_fewer(work, 0.01) is work
    fewer = meaning.note_fewer(work, 0.1)
    assert fewer.rows.warnings[-1].startswith(
        "the model takes 0.1 s per row: what its answers mean was judged on up to 64"
    )
    assert len(meaning.choose_rows(work.rows, 0.1)[1]) == 64
    assert len(meaning.choose_rows(work.rows, 0.01)[1]) > 64


def test_what_is_told_is_taken_and_checked() -> None:
    work, raw = _work(), _sigmoid(_SCORE)[:, None]

    def find(told: Told, scores: Any = raw) -> str:
        return find_outputs(work, scores, _CODES, work.rows.train.x, lambda rows: _sigmoid(np.asarray(rows)), told)

    assert (find(Told("logits")), find(Told("probabilities")), find(Told())) == ("logits", *["probabilities"] * 2)
    with pytest.raises(InputError, match="said to be probabilities, and on the data's rows they lie between -"):
        find(Told("probabilities"), _SCORE[:, None])
    with pytest.raises(InputError, match="outputs 'values' is for regression, and the task is classification"):
        find(Told("values"))


def test_a_softmax_over_the_rows_of_a_batch_is_named() -> None:
    work = _work()

    def ask(rows: Any) -> Any:
        raised = np.exp(np.concatenate([-rows, rows], axis=1))
        return raised / raised.sum(axis=0)

    with pytest.raises(InputError, match=r"over the rows of a batch.*dim=1"):
        find_outputs(work, ask(work.rows.train.x), _CODES, work.rows.train.x, ask, Told())
