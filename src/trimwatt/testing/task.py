"""What every task must do. Inherit `TaskContract`, give `task`, `given` and `workload`; pytest runs it all."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trimwatt import tasks
from trimwatt.errors import InputError
from trimwatt.input import target as targets
from trimwatt.tasks import CoreOutput, RawTarget, Task
from trimwatt.technique import registry
from trimwatt.workload import Array, Workload


def core_model(width: int) -> bytes:
    """An ONNX model that gives its input `x` (n, width) as it is."""
    from onnx import TensorProto, helper

    entries = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name in ("x", "scores")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["scores"])], "core", entries[:1], entries[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def _shuffled(rows: int) -> Array:
    return np.random.default_rng(0).permutation(rows)


class TaskContract:
    """The checks that every task passes.

    Give three fixtures: `task`, an instance; `given`, the target of some hundred rows as a user has it, an array that
    is of this task by its look; `workload`, with `given` encoded as the target of its training rows (`Split.y`), the
    task's first metric and the task's decision, and no model.
    """

    @pytest.fixture
    def raw(self, workload: Workload) -> Array:
        """What a model might give for the training rows: (n, width), most of them near the truth."""
        raise NotImplementedError("give `raw`, answers of a model in the form of task.outputs[0]")

    @pytest.fixture
    def target(self, given: Array) -> RawTarget:
        return targets.read({"all": given}, "target")

    def test_is_found_by_its_name_and_equal_to_itself(self, task: Task) -> None:
        assert tasks.get(task.name) == task and task.name in tasks.names()
        assert pickle.loads(pickle.dumps(task)) == task and hash(task) == hash(tasks.get(task.name))  # noqa: S301 - our own

    def test_says_what_it_is(self, task: Task) -> None:
        assert task.target in ("class", "value", "labels")
        assert set(task.outputs) <= {"logits", "probabilities", "values"} and task.outputs
        assert len(set(task.metrics)) == len(task.metrics) > 0

    def test_is_chosen_by_the_look_of_its_target(self, task: Task, target: RawTarget) -> None:
        every = {name: known.likeness(target) for name, known in tasks.registry().items()}
        assert all(0 <= likeness <= 1 for likeness in every.values())
        assert tasks.choose(target) == task, every

    def test_encodes_numbers_that_it_knows_again(self, task: Task, target: RawTarget) -> None:
        for asked in (True, False):
            parts, classes = task.encode(target, asked)
            assert list(parts) == ["all"] and len(parts["all"]) == len(target.whole)
            assert parts["all"].dtype.kind in "biuf" and np.isfinite(parts["all"]).all()
            assert tasks.of_target(parts["all"], classes) == task
            json.dumps(classes)

    def test_refuses_a_target_of_one_value(self, task: Task, given: Array) -> None:
        constant = targets.read({"all": np.repeat(given[:1], len(given), axis=0)}, "the aim")
        with pytest.raises(InputError, match="the aim"):
            task.encode(constant, asked=True)

    def test_strata_are_codes(self, task: Task, workload: Workload) -> None:
        codes = task.strata(workload.rows.train.y)
        assert codes is None or (codes.shape == (len(workload.rows.train),) and codes.dtype.kind in "iu")
        assert codes is None or codes.min() >= 0

    def test_every_metric_is_best_at_the_truth(self, task: Task, workload: Workload, raw: Array) -> None:
        y = workload.rows.train.y
        for name in task.metrics:
            metric = task.metric(name, y, task.positive(y, workload.rows.classes, None))
            judged = replace(workload, metric=metric)
            read = self._read(task, judged, raw)
            value, shuffled = metric(y, read), metric(y, read[_shuffled(len(y))])
            assert metric.name == name
            assert value > shuffled if metric.greater_is_better else value < shuffled

    def test_scores_are_one_for_each_row(self, task: Task, workload: Workload, raw: Array) -> None:
        for outputs in task.outputs:
            said = replace(workload, outputs=outputs)
            scores = task.scores(said, raw if outputs == workload.outputs else task.scores(workload, raw))
            assert len(scores) == len(raw) and np.isfinite(scores).all()
            np.testing.assert_allclose(scores, task.scores(workload, raw), atol=1e-6)

    def test_an_export_is_held_to_its_source(self, task: Task, workload: Workload, raw: Array) -> None:
        scores = task.scores(workload, raw)
        broken = scores.copy()
        broken[0] = np.nan
        assert task.scale(scores) > 0
        assert task.disagreement(scores, scores) is None
        for other in (scores[_shuffled(len(scores))], scores[:-1], broken):
            assert task.disagreement(scores, other)

    def test_the_deployed_model_answers_as_its_scores_say(self, task: Task, workload: Workload, raw: Array) -> None:
        pytest.importorskip("onnx")
        runtime = pytest.importorskip("onnxruntime")
        from trimwatt.framework import onnx

        core = np.asarray(raw, np.float32).reshape(len(raw), -1)
        data = replace(workload.rows, train=replace(workload.rows.train, x=core))
        joined = onnx.join(replace(workload, data=data, model=core_model(core.shape[1]), form="onnx"))
        prediction, *others = runtime.InferenceSession(joined).run(None, {"x": core})
        scores = task.scores(workload, raw)
        np.testing.assert_allclose(others[0] if others else prediction, scores, rtol=1e-5, atol=1e-5)
        wanted = scores if workload.decide is None else workload.decide.labels(scores)
        assert prediction.shape == wanted.shape
        assert others or workload.decide is None
        if workload.decide is not None:
            assert np.mean(np.asarray(prediction, wanted.dtype) == wanted) > 0.99

    def test_the_loss_is_least_near_the_truth(self, task: Task, workload: Workload, raw: Array) -> None:
        torch = pytest.importorskip("torch")
        y = workload.rows.train.y
        loss = task.loss(workload, y, from_scratch=False, smoothing=0.0)
        answer, targets_ = torch.from_numpy(np.asarray(raw, np.float32)), loss.targets(y)
        assert len(targets_) == len(y)
        near, far = loss(answer, targets_), loss(answer[_shuffled(len(y))], targets_)
        assert 0 <= float(near) < float(far)
        assert float(loss.without_smoothing()(answer, targets_)) == pytest.approx(float(near))

    def test_its_baselines_are_techniques(self, task: Task) -> None:
        for kind in ("table", "image"):
            recipes = task.baselines(kind)
            assert recipes and all(name in registry() for recipe in recipes for name in recipe)
            assert any(not any(registry()[name].gives == "torch" for name in recipe) for recipe in recipes)

    def test_a_file_of_predictions_has_a_cell_for_each_column(self, task: Task, workload: Workload, raw: Array) -> None:
        scores = task.scores(workload, raw)
        labels: Any = scores if workload.decide is None else workload.decide.labels(scores)
        header = task.header(workload.rows.classes)
        rows = [list(row) for row in task.cells(labels.tolist(), scores.tolist())]
        assert header[0].startswith("prediction") and len(set(header)) == len(header)
        assert len(rows) == len(raw) and {len(row) for row in rows} == {len(header)}

    def test_a_network_made_for_it_has_the_width_that_the_tail_takes(self, task: Task, workload: Workload) -> None:
        from trimwatt.framework._graph import Graph

        width = task.width(workload.rows)
        assert width >= 1
        outputs = task.onnx_tail(Graph("tail"), CoreOutput("given", width, 2, False), workload)
        assert tuple(name for name, _, _ in outputs) == task.answers
        assert task.answers[0] == "prediction" and len(task.answers) <= 2

    @staticmethod
    def _read(task: Task, workload: Workload, raw: Array) -> Array:
        """What the metric reads of a model's own answers."""
        scores = task.scores(workload, raw)
        decide = workload.decide
        return task.read(workload, lambda: scores if decide is None else decide.labels(scores), lambda: scores)
