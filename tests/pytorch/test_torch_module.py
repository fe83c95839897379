"""Modules as users give them: taken in, asked, sized, exported, kept in files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import torch as framework
from trimwatt.framework.torch import script
from trimwatt.framework.torch.run import evaluated
from trimwatt.runtime.torch import TorchRuntime
from trimwatt.technique._base import apply
from trimwatt.technique.architecture import SmallCnn, SmallResNet, TorchMlp
from trimwatt.testing.samples import digits, incomes, people
from trimwatt.workload import Decide, Workload, take


class On(nn.Module):
    """A dense network on flattened rows with something at its end; scaling inside."""

    def __init__(self, last: nn.Module, outputs: int, features: int = 64) -> None:
        super().__init__()
        self.dense = nn.Linear(features, outputs)
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.dense(x.float().flatten(1) / 16))  # type: ignore[no-any-return]


class Do(nn.Module):
    """A function as a module."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)  # type: ignore[operator, no-any-return]


def taken(model: object, outputs: str = "logits") -> Workload:
    return framework.adopt(replace(digits(), model=model, form="torch", outputs=outputs))  # type: ignore[arg-type]


def two_classes() -> Workload:
    base = digits()
    parts = [replace(part, y=part.y % 2) for part in (base.rows.train, base.rows.val, base.rows.test)]
    return replace(base, data=replace(base.rows, train=parts[0], val=parts[1], test=parts[2], classes=("even", "odd")))


@pytest.mark.parametrize(
    ("last", "outputs", "found"),
    [
        (nn.Identity(), 10, "logits"),
        (nn.Softmax(1), 10, "probabilities"),
        (nn.Sequential(nn.LogSoftmax(1), Do(torch.exp)), 10, "probabilities"),
        (nn.LogSoftmax(1), 10, "logits"),
        (nn.Sigmoid(), 1, "probabilities"),
        (nn.Sequential(nn.Sigmoid(), nn.Flatten(0)), 1, "probabilities"),
        (nn.Flatten(0), 1, "logits"),
    ],
)
def test_what_a_module_answers_with_is_seen(last: nn.Module, outputs: int, found: str) -> None:
    base = digits() if outputs == 10 else two_classes()
    adopted = framework.adopt(replace(base, model=On(last, outputs), form="torch"))
    assert adopted.outputs == found
    scores = framework.scores(adopted, base.rows.val.x)
    assert scores.shape == (len(base.rows.val), len(base.rows.classes or ()))
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-5)


def test_values_are_values() -> None:
    rows = digits().rows
    values = replace(rows, classes=None)
    adopted = framework.adopt(Workload(values, "regression", model=On(nn.Flatten(0), 1), form="torch"))
    assert adopted.outputs == "values" and framework.scores(adopted, rows.val.x).shape == (len(rows.val),)
    with pytest.raises(InputError, match="one value a row"):
        framework.adopt(Workload(values, "regression", model=On(nn.Identity(), 2), form="torch"))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("not a module", r"torch\.nn\.Module, got str"),
        (On(nn.Identity(), 7), "gives 7 columns, data have 10 classes.*--classes FILE"),
        (On(nn.Identity(), 10, features=9), r"float64 \(n, 64\).*inside the model, or return a Workload with prepare"),
        (nn.Linear(64, 10), r"float64 \(n, 64\)"),
        (On(Do(lambda x: (x, x)), 10), "answers with tuple"),
        (On(Do(lambda x: x.mean()), 10), "one row each"),
        (On(Do(lambda x: x * float("nan")), 10), "NaN or infinity"),
        (On(Do(lambda x: x[:, :, None]), 10), "one column a class"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(model: object, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        taken(model)
    assert "\n" not in str(refused.value)


def test_a_bare_squeeze_is_found_before_it_hurts() -> None:
    with pytest.raises(InputError, match=r"squeeze\(1\)"):
        framework.adopt(replace(two_classes(), model=On(Do(torch.squeeze), 1), form="torch"))


def test_named_columns_and_text_need_preprocessing() -> None:
    with pytest.raises(InputError, match="4 named columns"):
        framework.adopt(replace(people(), model=On(nn.Identity(), 2), form="torch"))
    base = digits()
    text = replace(base.rows, train=replace(base.rows.train, x=np.array([["a"]] * len(base.rows.train), dtype=object)))
    with pytest.raises(InputError, match="takes numbers"):
        framework.adopt(replace(base, data=text, model=On(nn.Identity(), 10), form="torch"))


def test_the_users_module_is_left_alone() -> None:
    model = On(nn.Dropout(), 10)
    adopted = taken(model)
    assert model.training and adopted.model is not model and not adopted.model.training
    untouched = replace(adopted, model=model)
    np.testing.assert_array_equal(
        framework.scores(untouched, digits().rows.val.x), framework.scores(adopted, digits().rows.val.x)
    )
    assert model.training and evaluated(adopted.model) is adopted.model


def test_rows_that_cannot_be_written_to_are_taken() -> None:
    adopted = taken(On(nn.Identity(), 10))
    rows = digits().rows.val.x.copy()  # type: ignore[union-attr]
    rows.setflags(write=False)
    assert framework.scores(adopted, rows).shape[1] == 10


def test_sizes_of_a_dense_network_are_arithmetic() -> None:
    start = apply(TorchMlp((32,)), digits())
    assert framework.parameters(start) == 64 * 32 + 32 + 32 * 10 + 10
    assert framework.macs(start) == 64 * 32 + 32 * 10


def test_sizes_of_a_convolution_are_arithmetic() -> None:
    start = replace(apply(SmallCnn(), digits("image")), model=nn.Conv2d(1, 4, 3, padding=1).eval())
    assert framework.macs(start) == 8 * 8 * 4 * 9


@pytest.mark.parametrize("start", [SmallResNet(8), SmallCnn(8), TorchMlp((8,))])
def test_onnx_answers_as_the_module_for_any_number_of_rows(start: object) -> None:
    workload = apply(start, digits("image"))  # type: ignore[arg-type]
    data = framework.to_onnx(workload)
    model = onnx.load_from_string(data)
    (entry,) = model.graph.input
    assert entry.name == "prepared" and len(model.graph.output) == 1
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for n in (1, 3, 17):
        rows = take(workload.rows.val.x, slice(0, n))
        raw = session.run(None, {"prepared": workload.prepare.transform(rows)})[0]  # type: ignore[union-attr]
        np.testing.assert_allclose(workload.probabilities(raw), framework.scores(workload, rows), atol=1e-5)


def test_onnx_takes_rows_as_stored() -> None:
    base = digits()
    rows = replace(base.rows.train, x=base.rows.train.x.astype(np.uint8))  # type: ignore[union-attr]
    adopted = framework.adopt(
        replace(base, data=replace(base.rows, train=rows), model=On(nn.Identity(), 10), form="torch")
    )
    entry = onnx.load_from_string(framework.to_onnx(adopted)).graph.input[0]
    assert entry.name == "x" and entry.type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_what_cannot_be_traced_is_captured() -> None:
    def normed(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.rms_norm(x, (10,)) + torch.sinc(x)

    adopted = taken(On(Do(normed), 10))
    data = framework.to_onnx(adopted)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    rows = digits().rows.val.x[:5]  # type: ignore[index]
    raw = session.run(None, {session.get_inputs()[0].name: rows})[0]
    np.testing.assert_allclose(adopted.probabilities(raw), framework.scores(adopted, rows), atol=1e-5)


def test_what_neither_exporter_knows_fails_the_trial() -> None:
    with pytest.raises(TrialFailed, match="does not export to ONNX"):
        framework.to_onnx(taken(On(Do(lambda x: torch.special.zeta(x.abs() + 2, x.abs() + 1)), 10)))


def counted(x: torch.Tensor) -> torch.Tensor:
    """Answers by how many rows are asked: tracing takes the number for a constant."""
    return x + float(len(x)) * torch.arange(10)


def test_what_tracing_gets_wrong_is_kept_as_weights(tmp_path: Path) -> None:
    runtime = TorchRuntime()
    workload = replace(taken(On(Do(counted), 10)), decide=Decide(tuple(range(10))))
    artifact = runtime.export(workload, tmp_path)
    assert artifact.files == ("weights.safetensors",)
    assert runtime.open(artifact, workload.scenario).scores(digits().rows.val.x[:4]).shape == (4, 10)  # type: ignore[index]
    with pytest.raises(InputError, match="weights only"):
        runtime.open(replace(artifact, live=None), workload.scenario)


def test_a_program_that_reaches_files_is_not_run(tmp_path: Path) -> None:
    class Reads(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.from_file("somewhere", False, 1)

    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(Reads()), str(tmp_path / "model.pt"))
    with pytest.raises(InputError, match=r"torch\.from_file, which no exported network does"):
        script.load((tmp_path / "model.pt").read_bytes(), "model.pt")


def test_a_file_of_another_run_is_not_unpickled(tmp_path: Path) -> None:
    workload = apply(TorchMlp((8,)), digits())
    artifact = TorchRuntime().export(workload, tmp_path)
    (tmp_path / "live.bin").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(Exception, match="not what this run wrote"):
        TorchRuntime().open(artifact, workload.scenario)


def test_the_durable_rule_is_plain_json(tmp_path: Path) -> None:
    workload = apply(TorchMlp((8,)), people())
    workload = replace(workload, decide=Decide((np.str_("no"), np.str_("yes")), 0.4, 1))
    artifact = TorchRuntime().export(workload, tmp_path)
    assert artifact.files == ("model.pt", "rule.json", "prepare.onnx")
    assert json.loads((tmp_path / "rule.json").read_text())["decide"] == [["no", "yes"], 0.4, 1]


def test_only_torch_modules_are_run() -> None:
    with pytest.raises(TrialFailed, match="runs PyTorch modules"):
        TorchRuntime().export(incomes(), Path("nowhere"))


@pytest.mark.parametrize("start", [SmallCnn(), SmallResNet()])
def test_networks_for_images_refuse_tables(start: object) -> None:
    with pytest.raises(InputError, match="mlp-torch"):
        apply(start, digits())  # type: ignore[arg-type]


def test_larger_images_meet_a_stem_that_shrinks_them() -> None:
    from trimwatt.framework.torch.residual import ResNet

    for side, halvings in ((32, 0), (64, 1), (128, 2)):
        model = ResNet(3, 5, 8, 1, halvings).eval()
        stem = nn.Sequential(*list(model)[: 2 + max(0, halvings - 1)])
        with torch.no_grad():
            assert model(torch.zeros(2, 3, side, side)).shape == (2, 5)
            assert stem(torch.zeros(1, 3, side, side)).shape == (1, 8, 32, 32)


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of examples, importable as from the root of the repository."""
    root = Path(__file__).parents[2]
    monkeypatch.syspath_prepend(root)
    return root / "examples"


@pytest.mark.slow
def test_the_pretrained_network_is_as_good_as_published_data_say(shared_data: Path, examples: Path) -> None:
    import io
    import zipfile

    from examples.resnet20 import build
    from PIL import Image

    with zipfile.ZipFile(shared_data / "cifar10_jpeg_dev.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("test/") and name.endswith(".jpg"))
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names])
    labels = sorted({name.split("/")[1] for name in names})
    truth = np.array([labels.index(name.split("/")[1]) for name in names])
    with torch.inference_mode():
        found = torch.cat([build()(part) for part in torch.from_numpy(pixels).split(250)]).argmax(1).numpy()
    assert np.mean(found == truth) == pytest.approx(0.8035, abs=1e-3)


def test_the_example_starts_the_same_each_time(examples: Path) -> None:
    from examples.small_cnn import build

    one, two = (build().model.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
