"""OpenVINO and bfloat16 keep the contract of a runtime, refuse what they cannot run, and deploy."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from trimwatt import runtime as runtimes
from trimwatt.errors import TrialFailed
from trimwatt.framework.onnx import lower
from trimwatt.framework.rows import to_frame
from trimwatt.framework.torch.size import multiplies_bfloat16
from trimwatt.report import cards
from trimwatt.runtime import deployed
from trimwatt.runtime._base import Runtime
from trimwatt.runtime.verify import verify
from trimwatt.scenario import Scenario
from trimwatt.technique import apply
from trimwatt.technique.classical import Forest, Linear, Mlp
from trimwatt.technique.quantize import StaticInt8
from trimwatt.technique.threshold import Threshold
from trimwatt.testing import samples
from trimwatt.testing.runtime import RuntimeContract
from trimwatt.workload import Decide, Workload, take

pytest.importorskip("openvino")
halves = pytest.mark.skipif(not multiplies_bfloat16(), reason="this processor does not compute in bfloat16")


@cache
def fitted(name: str) -> Workload:
    made = {
        "digits": lambda: apply(Mlp(hidden=(16,), epochs=20), samples.digits(rows=400)),
        "images": lambda: apply(Linear(), samples.digits("image", rows=400)),
        "people": lambda: apply(Threshold(), apply(Linear(), samples.people())),
        "frames": lambda: apply(Linear(), samples.people(request="frame")),
        "incomes": lambda: apply(Mlp(hidden=(16,), epochs=20), samples.incomes()),
    }
    return lower(made[name]())


@cache
def network() -> Workload:
    """A small convolutional network in PyTorch."""
    import torch
    from torch import nn

    class Images(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.head = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3, 2), nn.Linear(16, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.second(torch.relu(self.first(x[:, None].float() / 16))))
            out: torch.Tensor = self.head(x.mean((2, 3)))
            return out

    torch.manual_seed(0)
    return replace(samples.digits("image"), model=Images().eval(), form="torch", decide=Decide(tuple(range(10))))


class TestOpenVino(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return runtimes.get("openvino")

    @pytest.fixture(params=["digits", "images", "people", "frames", "incomes"])
    def workload(self, request: pytest.FixtureRequest) -> Workload:
        return fitted(request.param)


@halves
class TestOpenVinoBf16(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return runtimes.get("openvino-bf16")

    @pytest.fixture
    def workload(self) -> Workload:
        return lower(network())


class TestTorchBf16(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return runtimes.get("torch-bf16")

    @pytest.fixture
    def workload(self) -> Workload:
        return network()


@halves
@pytest.mark.parametrize("name", ["openvino-bf16", "torch-bf16"])
def test_bfloat16_is_another_computation_within_its_bound(name: str, tmp_path: Path) -> None:
    work = network() if name == "torch-bf16" else lower(network())
    kind = runtimes.get(name)
    session, rows = kind.open(kind.export(work, tmp_path), Scenario()), work.rows.val.x
    assert verify(work, session, rows) is None
    assert verify(work, session, rows, error_bound=1e-6) is not None


def test_an_int8_model_runs_within_the_bound_of_its_steps(tmp_path: Path) -> None:
    work = apply(StaticInt8(calibration_rows=50), lower(network()))
    kind = runtimes.get("openvino")
    session = kind.open(kind.export(work, tmp_path), Scenario())
    assert verify(work, session, work.rows.val.x) is None
    assert session.error_bound > 1e-3  # type: ignore[attr-defined]


def test_requests_of_any_size_are_answered(tmp_path: Path) -> None:
    work, kind = fitted("digits"), runtimes.get("openvino")
    artifact = kind.export(work, tmp_path)
    session = kind.open(artifact, Scenario(batch_size=8))
    rows = work.rows.val.x
    whole = session.scores(rows)
    for n in (1, 8, 9):
        np.testing.assert_allclose(session.scores(take(rows, slice(0, n))), whole[:n], atol=1e-5)
        assert session.predict(take(rows, slice(0, n))).shape == (n,)


def test_text_classes_come_back_as_text(tmp_path: Path) -> None:
    work, kind = fitted("people"), runtimes.get("openvino")
    artifact = kind.export(work, tmp_path)
    assert set(artifact.files) == {"model.onnx", "labels.json"}
    got = kind.open(artifact, work.scenario).predict(work.rows.val.x)
    plain = runtimes.get("onnxruntime")
    (tmp_path / "plain").mkdir()
    wanted = plain.open(plain.export(work, tmp_path / "plain"), work.scenario).predict(work.rows.val.x)
    assert set(got.tolist()) == {"no", "yes"} and np.mean(got == wanted) >= 0.999


def test_a_deployed_artifact_is_written_loaded_and_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work, kind = fitted("people"), runtimes.get("openvino")
    (tmp_path / "made").mkdir()
    artifact = kind.export(work, tmp_path / "made")
    rows = work.rows.test.x
    assert isinstance(rows, dict)
    kinds = {name: "string" if column.dtype == object else "float32" for name, column in rows.items()}
    columns = [{"name": name, "dtype": kind} for name, kind in kinds.items()]
    folder = deployed.write(
        tmp_path / "artifact", artifact, task="classification", metric="f1", classes=work.rows.classes,
        input={"named": True, "columns": columns}, recipe=[], figures={}, scenario=work.scenario,
    )  # fmt: skip
    opened = deployed.load(folder)
    assert opened.manifest["runtime"] == "openvino" and "openvino" in opened.manifest["versions"]
    assert set(opened.predict(rows).tolist()) <= {"no", "yes"}
    np.testing.assert_allclose(opened.probabilities(rows).sum(axis=1), 1, atol=1e-5)
    (code,) = re.findall(r"```python\n(.*?)```", cards.card({"metric": "f1"}, opened.manifest), re.DOTALL)
    monkeypatch.chdir(folder)
    found: dict[str, np.ndarray] = {}
    exec(compile(code, "card", "exec"), found)  # noqa: S102 - the code that the card tells people to run
    assert found["labels"].tolist() == opened.predict(found["row"]).tolist()


@pytest.mark.parametrize("classes", [tuple(range(10)), tuple("abcdefghij")], ids=["numbers", "text"])
def test_the_card_s_code_gives_the_same_answer_by_openvino_alone(
    classes: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, kind = lower(network()), runtimes.get("openvino")
    work = replace(work, decide=Decide(classes), data=replace(work.rows, classes=classes))
    (tmp_path / "made").mkdir()
    rows = work.rows.test.x
    assert not isinstance(rows, dict)
    folder = deployed.write(
        tmp_path / "artifact", kind.export(work, tmp_path / "made"), task="classification", metric="accuracy",
        classes=classes, input={"named": False, "shape": list(rows.shape[1:]), "dtype": str(rows.dtype)}, recipe=[],
        figures={}, scenario=work.scenario,
    )  # fmt: skip
    opened = deployed.load(folder)
    (code,) = re.findall(r"```python\n(.*?)```", cards.card({"metric": "accuracy"}, opened.manifest), re.DOTALL)
    monkeypatch.chdir(folder)
    found: dict[str, np.ndarray] = {}
    exec(compile(code, "card", "exec"), found)  # noqa: S102 - the code that the card tells people to run
    answer = found["labels" if "labels" in found else "prediction"]
    assert answer.tolist() == opened.predict(found["x"]).tolist()


def _pipeline_of_words() -> Workload:
    """A pipeline of a user's own, which encodes words itself."""
    work = samples.people()
    rows = work.rows.train
    pipeline = make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["work", "town"])), LogisticRegression()
    )
    fitted = pipeline.fit(to_frame(rows.x).fillna({"work": ""}), np.asarray(["no", "yes"])[rows.y])  # type: ignore[arg-type]
    return lower(replace(work, model=fitted, form="sklearn", outputs="probabilities"))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (_pipeline_of_words, "OpenVINO takes no columns of text; use onnxruntime"),
        (lambda: lower(apply(Forest(trees=3), samples.digits())), "OpenVINO"),
    ],
    ids=["text", "trees"],
)
def test_what_it_cannot_run_fails_the_trial(made: object, says: str, tmp_path: Path) -> None:
    with pytest.raises(TrialFailed, match=says) as caught:
        runtimes.get("openvino").export(made(), tmp_path)  # type: ignore[operator]
    assert "\n" not in str(caught.value) and "src/" not in str(caught.value)


def test_nothing_is_reported_to_anyone(tmp_path: Path) -> None:
    kind = runtimes.get("openvino")
    artifact = kind.export(fitted("digits"), tmp_path)
    code = (
        "import sys; from pathlib import Path; from trimwatt import runtime; from trimwatt.scenario import Scenario\n"
        f"a = runtime.Artifact(Path({str(tmp_path)!r}), 'openvino', {artifact.files!r})\n"
        "runtime.get('openvino').open(a, Scenario())\n"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", done.stderr


def test_where_it_is_missing_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trimwatt.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r"pip install 'trimwatt\[openvino\]'"):
        runtimes.get("openvino").export(fitted("digits"), tmp_path)
