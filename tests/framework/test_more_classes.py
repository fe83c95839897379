"""A given classifier that knows more classes than the data hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from trimwatt import metric
from trimwatt.compare import quality
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import adopt, join, open_session, scores
from trimwatt.input import read_classes
from trimwatt.technique._base import apply
from trimwatt.technique.classical import Linear
from trimwatt.technique.distill import DistillTree
from trimwatt.technique.threshold import Threshold
from trimwatt.workload import Data, Decide, Split, Told, Workload

_RNG = np.random.default_rng(1)
_W = _RNG.normal(size=(8, 20)).astype(np.float32)
_ALL = _RNG.normal(size=(5000, 8)).astype(np.float32)
_OWN = (_ALL @ _W).argmax(1)
_NAMES = tuple(f"kind {i:02d}" for i in range(20))


def _model(*more: Any, **metadata: str) -> bytes:
    outputs = [helper.make_tensor_value_info("scores", 1, ["n", 20])]
    outputs += [helper.make_tensor_value_info("label", 7, ["n"])] if more else []
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "w"], ["scores"]), *more], "g",
        [helper.make_tensor_value_info("rows", 1, ["n", 8])], outputs, [numpy_helper.from_array(_W, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata)
    return bytes(model.SerializeToString())


def _work(labels: Any, keep: tuple[int, ...] = (3, 7, 11), model: bytes | None = None, noise: float = 0.1) -> Workload:
    """Rows of the classes `keep` alone, some of them labelled wrongly, so that other classes are answered too."""
    own = np.where(_RNG.random(len(_OWN)) < noise, _RNG.choice(keep, len(_OWN)), _OWN)
    rows = np.flatnonzero(np.isin(own, keep))
    classes = tuple(labels[i] for i in keep)
    split = Split(_ALL[rows], np.searchsorted(keep, own[rows]))
    data = Data(split, split, split, classes=classes)
    return Workload(data, metric=metric.get("accuracy"), model=model or _model(), decide=Decide(classes))


def _check(adopted: Workload, labels: Any) -> None:
    x = adopted.rows.val.x
    own = [labels[i] for i in (np.asarray(x) @ _W).argmax(1)]
    assert adopted.decide is not None and set(own) - set(adopted.rows.classes or ())
    assert adopted.decide.labels(scores(adopted, x)).tolist() == own
    prediction, probability = open_session(join(adopted)).run(["prediction", "probability"], {"x": x})
    assert prediction.tolist() == own and probability.shape == (len(own), 20)
    np.testing.assert_allclose(probability, scores(adopted, x), atol=1e-5)


def test_whole_number_labels_are_indices_of_outputs() -> None:
    _check(adopt(_work(range(20))), range(20))


def test_names_are_told_or_stand_in_the_file() -> None:
    _check(adopt(_work(_NAMES), Told(classes=_NAMES)), _NAMES)
    for text in (str(dict(enumerate(_NAMES))), "\n".join(_NAMES)):
        _check(adopt(_work(_NAMES, model=_model(names=text))), _NAMES)
    with pytest.raises(InputError, match=r"gives 20 columns, data have 3 classes \('kind 03'.*--classes FILE"):
        adopt(_work(_NAMES))


def test_labels_beside_the_scores_say_which_index_is_which() -> None:
    beside = helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0)
    _check(adopt(_work(range(20), model=_model(beside))), range(20))


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("alone", [False, True])
def test_labels_that_overlap_are_names_unless_the_rows_say_codes(first: int, alone: bool) -> None:
    """The model answers 0, 1 and 2; from column 1 on these are the codes of the data's classes 1, 2 and 3."""
    columns = numpy_helper.from_array(_W[:, first : first + 3], "w")
    nodes = [
        helper.make_node("MatMul", ["rows", "w"], ["logits"]), helper.make_node("Softmax", ["logits"], ["shares"]),
        helper.make_node("ArgMax", ["shares"], ["label"], axis=1, keepdims=0),
    ]  # fmt: skip
    outputs = [helper.make_tensor_value_info("label", 7, ["n"])]
    outputs += [] if alone else [helper.make_tensor_value_info("shares", 1, ["n", 3])]
    given = [helper.make_tensor_value_info("rows", 1, ["n", 8])]
    graph = helper.make_graph(nodes, "g", given, outputs, [columns])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    own = (_ALL @ _W[:, :4]).argmax(1)
    rows = _ALL[own > 0]
    split = Split(rows, own[own > 0] - 1)
    data = Data(split, split, split, classes=(1, 2, 3))
    adopted = adopt(Workload(data, metric=metric.get("accuracy"), model=model.SerializeToString()))
    said = (rows @ _W[:, first : first + 3]).argmax(1) + first
    assert adopted.decide is not None
    assert adopted.decide.labels(scores(adopted, rows)).tolist() == said.tolist()


def test_an_answer_beyond_the_data_is_wrong_by_every_metric() -> None:
    base = adopt(_work(range(20)))
    x, y = base.rows.val.x, base.rows.val.y
    found = scores(base, x)
    codes = found.argmax(1)
    own = np.asarray([3, 7, 11])[y] == (np.asarray(x) @ _W).argmax(1)
    assert metric.get("accuracy")(y, codes) == pytest.approx(own.mean()) and own.mean() < 1
    assert metric.get("f1")(y, codes) < metric.get("f1")(y, np.where(own, codes, (y + 1) % 3))
    assert 0.5 < metric.get("auc")(y, found) <= 1
    few = scores_of_a_candidate(base)
    for name, mine, theirs in (("accuracy", few.argmax(1), codes), ("auc", few, found)):
        graded = quality.floor_test(metric.get(name), y, mine, theirs, max_drop=0.01)
        assert graded.rows == len(y)


def scores_of_a_candidate(base: Workload) -> np.ndarray[Any, Any]:
    from trimwatt.framework import sklearn

    made = apply(Linear(), base)
    assert made.answers == base.rows.classes
    return sklearn.scores(made, base.rows.val.x)


def test_candidates_learn_the_classes_of_the_data() -> None:
    base = adopt(_work(range(20)))
    taught = apply(DistillTree(), base)
    assert taught.answers == (3, 7, 11)
    with pytest.raises(TrialFailed, match="or the model, have others"):
        two = adopt(_work(range(20), keep=(3, 7)))
        apply(Threshold(), replace(two, metric=metric.get("f1", positive=1)))


def test_class_lists_come_from_files_and_objects(tmp_path: Any) -> None:
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbfcat\r\ndog\r\nold owl\r\n\r\n")
    assert read_classes(tmp_path / "names.txt", None) == ("cat", "dog", "old owl")
    (tmp_path / "list.json").write_text('["cat", "dog"]')
    (tmp_path / "index.json").write_text('{"1": ["n02", "dog"], "0": ["n01", "cat"]}')
    assert read_classes(str(tmp_path / "list.json"), None) == ("cat", "dog")
    assert read_classes(tmp_path / "index.json", ("cat",)) == ("cat", "n02")
    assert read_classes({0: "a", 1: "b"}, None) == read_classes(np.array(["a", "b"]), None) == ("a", "b")
    for content, said in (("cat", "names 1 outputs"), ("[1.5, 2]", "1.5 for output 0"), ("{", "not valid JSON"),
                          ('{"1": "a"}', "no name for output 0"), ("a\n\nb", "'' for output 1")):  # fmt: skip
        (tmp_path / "bad.txt").write_text(content)
        with pytest.raises(InputError, match=said):
            read_classes(tmp_path / "bad.txt", None)
    with pytest.raises(InputError, match="there is no file or folder"):
        read_classes(tmp_path / "none.txt", None)


def test_metadata_that_fits_no_output_is_left_alone() -> None:
    _check(adopt(_work(range(20), model=_model(names="a, b, c", author="x"))), range(20))
    assert onnx.load_model_from_string(_model(names="a")).metadata_props[0].value == "a"
