"""What the runtimes promise beyond the contract."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from trimwatt import runtime
from trimwatt.errors import InputError, TrialFailed, TrimwattError
from trimwatt.framework.onnx import lower
from trimwatt.runtime.onnxruntime import OnnxRuntime
from trimwatt.runtime.sklearn import SklearnRuntime
from trimwatt.runtime.verify import verify
from trimwatt.scenario import Scenario
from trimwatt.technique._base import apply
from trimwatt.technique.classical import Forest, Linear
from trimwatt.testing import samples
from trimwatt.workload import Workload, take


def test_an_unknown_runtime_names_those_known() -> None:
    assert set(runtime.names()) >= {"onnxruntime", "sklearn", "torch"}
    with pytest.raises(InputError, match=r"runtime 'tvm' is unknown; runtimes are onnxruntime, openvino, .*torch"):
        runtime.get("tvm")


def test_a_plugin_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "stranger-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[trimwatt.runtimes]\nother = trimwatt.runtime.onnxruntime:OnnxRuntime\nsklearn = nowhere:Nothing\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "other" in runtime.names()
    assert isinstance(runtime.get("other"), OnnxRuntime)
    assert isinstance(runtime.get("sklearn"), SklearnRuntime)


def test_plain_onnxruntime_answers_alike(tmp_path: Path) -> None:
    work = apply(Linear(), samples.people())
    artifact = OnnxRuntime().export(work, tmp_path)
    x = work.rows.test.x
    np.savez(tmp_path / "rows.npz", **x, allow_pickle=True)
    ours = OnnxRuntime().open(artifact, work.scenario).predict(x)
    # what the model card says: one tensor of numbers, words as the codes that the file itself names
    code = (
        "import json, sys, numpy as np, onnxruntime as ort\n"
        "rows = np.load(sys.argv[1] + '/rows.npz', allow_pickle=True)\n"
        "session = ort.InferenceSession(sys.argv[1] + '/model.onnx')\n"
        "(tensor,) = json.loads(session.get_modelmeta().custom_metadata_map['trimwatt.inputs'])\n"
        "def number(cell, codes): return cell if codes is None else codes.get(cell, -1)\n"
        "columns = [[number(cell, c.get('codes')) for cell in rows[c['name']]] for c in tensor['columns']]\n"
        "feed = {tensor['name']: np.array(columns, np.float32).T.copy()}\n"
        "print('\\n'.join(session.run(['prediction'], feed)[0]))\n"
        "assert 'trimwatt' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ours.tolist()


def test_threads_wait_without_spinning(tmp_path: Path) -> None:
    artifact = OnnxRuntime().export(apply(Linear(), samples.digits()), tmp_path)
    session: Any = OnnxRuntime().open(artifact, Scenario(threads=2))
    options = session._session.get_session_options()
    assert options.intra_op_num_threads == 2 and options.inter_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert session._session.get_providers() == ["CPUExecutionProvider"]


def test_a_user_forest_gets_the_threads_of_the_scenario(tmp_path: Path) -> None:
    work = apply(Forest(trees=4), samples.digits(rows=300))
    work.model.n_jobs = -1
    try:
        artifact = SklearnRuntime().export(work, tmp_path)
        session: Any = SklearnRuntime().open(artifact, Scenario(threads=1))
        assert session._predictor.estimator.n_jobs == 1
        assert work.model.n_jobs == -1
    finally:
        work.model.n_jobs = 1


def test_a_live_object_that_was_changed_is_refused(tmp_path: Path) -> None:
    artifact = SklearnRuntime().export(apply(Linear(), samples.digits()), tmp_path)
    assert artifact.files == ("model.skops",)
    (tmp_path / "live.bin").write_bytes(b"something else")
    with pytest.raises(TrimwattError, match=r"live\.bin is not what this run wrote"):
        SklearnRuntime().open(artifact, Scenario())


def test_a_model_of_a_logarithm_is_opened_again_from_its_file(tmp_path: Path) -> None:
    base = samples.incomes()
    rows = base.rows
    above = replace(rows, train=replace(rows.train, y=np.abs(rows.train.y)))
    work = apply(Linear(target="log"), replace(base, data=above))
    artifact = SklearnRuntime().export(work, tmp_path)
    assert verify(work, SklearnRuntime().open(replace(artifact, live=None), Scenario()), work.rows.val.x) is None


def test_a_class_of_somebody_elses_is_not_loaded_from_the_file(tmp_path: Path) -> None:
    from stranger_estimator import Odd

    from trimwatt.framework.sklearn import adopt

    work = adopt(replace(samples.digits(rows=200), model=Odd(max_iter=50)))
    artifact = SklearnRuntime().export(work, tmp_path)
    assert verify(work, SklearnRuntime().open(artifact, Scenario()), work.rows.val.x) is None
    with pytest.raises(InputError, match=r"holds stranger_estimator\.Odd, which is not on the list of types"):
        SklearnRuntime().open(replace(artifact, live=None), Scenario())


def test_the_wrong_form_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(TrialFailed, match="got a onnx model"):
        SklearnRuntime().export(lower(apply(Linear(), samples.digits())), tmp_path)


def test_a_vector_machine_decides_by_its_votes_unless_it_breaks_ties(tmp_path: Path) -> None:
    from sklearn.svm import SVC

    from trimwatt.framework.sklearn import adopt

    def why_not(name: str, model: SVC) -> str | None:
        work = adopt(replace(samples.digits(rows=400), model=model))
        session = runtime.get(name).open(runtime.get(name).export(work, tmp_path), work.scenario)
        if name == "sklearn":
            assert session.predict(work.rows.val.x).tolist() == work.model.predict(work.rows.val.x).tolist()
        return verify(work, session, work.rows.val.x)

    assert why_not("sklearn", SVC(kernel="poly")) is None
    reason = why_not("onnxruntime", SVC(kernel="poly")) or ""
    assert "labels are not the model's own in" in reason and "break_ties=True" in reason
    assert [why_not(name, SVC(kernel="poly", break_ties=True)) for name in ("sklearn", "onnxruntime")] == [None, None]


@pytest.fixture(scope="module")
def people() -> Workload:
    return lower(apply(Linear(), samples.people()))


def _broken(work: Workload, tmp_path: Path, change: Any) -> str | None:
    """What verify says of an export that `change` has tampered with."""
    artifact = OnnxRuntime().export(work, tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    change(model)
    onnx.save(model, tmp_path / "model.onnx")
    return verify(work, OnnxRuntime().open(artifact, work.scenario), take(work.rows.val.x, slice(0, 100)))


def _swap_labels(model: Any) -> None:
    (choice,) = [node for node in model.graph.node if node.output[0] == "prediction"]
    choice.input[1], choice.input[2] = choice.input[2], choice.input[1]


def _scale(model: Any) -> None:
    (prepare,) = [n for n in model.graph.node if n.op_type == "Mul"]
    (tensor,) = [t for t in model.graph.initializer if t.name == prepare.input[1]]
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * np.float32(1.5), tensor.name))


def test_verify_finds_labels_that_do_not_follow(people: Workload, tmp_path: Path) -> None:
    reason = _broken(people, tmp_path, _swap_labels)
    assert reason is not None and "labels do not follow from its probabilities: equal 0.00%" in reason


def test_verify_finds_scores_that_differ(people: Workload, tmp_path: Path) -> None:
    reason = _broken(people, tmp_path, _scale)
    assert reason is not None and reason.startswith("the export answers differently")
    assert _broken(people, tmp_path, lambda model: None) is None
