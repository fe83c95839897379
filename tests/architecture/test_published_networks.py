"""Networks as published: exact sizes, the weights at hand, what small pictures and a budget change."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from trimwatt.errors import TrialFailed
from trimwatt.framework.torch import efficientnet as e
from trimwatt.framework.torch.convolutions import Resize, resized, rounded, strides
from trimwatt.framework.torch.efficientnet import EfficientNet, Scale, compound, size, under
from trimwatt.framework.torch.mobilenet import MobileNetV1, MobileNetV2
from trimwatt.framework.torch.mobilenet_v3 import MobileNetV3
from trimwatt.framework.torch.resnets import CifarResNet, ImageResNet
from trimwatt.framework.torch.shufflenet import Backbone, ShuffleNetV2
from trimwatt.framework.torch.squeezenet import SqueezeNet

# parameters for 1000 classes, as torchvision's table of models gives them; v1 from timm's, CIFAR from the paper's 0.27,
# 0.46, 0.85 and 1.7 million and the counts of the public checkpoints with shortcuts of option A
COUNTS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "mobilenet-v1": (MobileNetV1, 4_231_976),
    "mobilenet-v2": (MobileNetV2, 3_504_872),
    "mobilenet-v3-large": (lambda: MobileNetV3("large"), 5_483_032),
    "mobilenet-v3-small": (lambda: MobileNetV3("small"), 2_542_856),
    "squeezenet-1.1": (SqueezeNet, 1_235_496),
    "shufflenet-v2-0.5": (lambda: ShuffleNetV2(width=0.5), 1_366_792),
    "shufflenet-v2-1.0": (ShuffleNetV2, 2_278_604),
    "shufflenet-v2-1.5": (lambda: ShuffleNetV2(width=1.5), 3_503_624),
    "shufflenet-v2-2.0": (lambda: ShuffleNetV2(width=2.0), 7_393_996),
    "resnet-18": (lambda: ImageResNet(18), 11_689_512),
    "resnet-34": (lambda: ImageResNet(34), 21_797_672),
    "resnet-20": (lambda: CifarResNet(20), 269_722),
    "resnet-32": (lambda: CifarResNet(32), 464_154),
    "resnet-56": (lambda: CifarResNet(56), 853_018),
}
EFFICIENT = {"b0": 5_288_548, "b1": 7_794_184, "b2": 9_109_994, "b3": 12_233_232, "b4": 19_341_616, "b7": 66_347_960}
# multiply-accumulates in millions for 224 pixels: the papers' own tables
MACS = {
    "mobilenet-v1": 569, "mobilenet-v2": 300, "mobilenet-v3-large": 219, "mobilenet-v3-small": 57,
    "shufflenet-v2-1.0": 146, "shufflenet-v2-0.5": 41, "resnet-18": 1814, "resnet-34": 3664,
}  # fmt: skip


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def macs(network: nn.Module, side: int = 224) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.empty(1, 3, side, side))
    return int(counter.get_total_flops()) // 2


@pytest.mark.parametrize("name", COUNTS)
def test_sizes_are_those_published(name: str) -> None:
    make, expected = COUNTS[name]
    with torch.device("meta"):
        network = make()
    assert parameters(network) == expected
    if name in MACS:
        assert macs(network) / 1e6 == pytest.approx(MACS[name], rel=0.03)


@pytest.mark.parametrize("version", EFFICIENT)
def test_efficientnets_have_the_published_sizes(version: str) -> None:
    with torch.device("meta"):
        assert parameters(EfficientNet(e.PUBLISHED[version])) == EFFICIENT[version]


def test_the_public_resnet20_answers_as_its_other_definition(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    resnet20 = importlib.import_module("examples.resnet20")

    path = shared_data / "models" / "resnet20-12fca82f.th"
    saved = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    network = CifarResNet(20).eval()
    network.load_state_dict({name.removeprefix("module."): value for name, value in saved.items()})
    pixels = torch.randint(0, 256, (8, 32, 32, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    reference = resnet20.build()
    x = pixels.permute(0, 3, 1, 2).float() * reference.scale + reference.shift  # type: ignore[operator]
    with torch.no_grad():
        torch.testing.assert_close(network(x), reference(pixels), rtol=1e-4, atol=1e-5)


def test_the_public_shufflenet_weights_load(shared_data: Path) -> None:
    path = shared_data / "models" / "shufflenetv2_fastestdet_backbone.pth"
    weights, network = torch.load(path, map_location="cpu", weights_only=True), Backbone(3, (48, 96, 192))
    network.load_state_dict(weights, strict=True)
    torch.testing.assert_close(dict(network.state_dict()), dict(weights))


def test_the_public_shufflenet_answers_as_its_onnx_file(shared_data: Path) -> None:
    """The published detector's first 55 convolutions, normalization folded into them, in the order they run."""
    onnx, session = importlib.import_module("onnx"), importlib.import_module("onnxruntime").InferenceSession
    model = onnx.load(shared_data / "models" / "FastestDet.onnx")
    values = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    folded = [tuple(node.input[1:]) for node in model.graph.node if node.op_type == "Conv"]
    network, ran = Backbone(3, (48, 96, 192)).eval(), []
    names = {layer: name for name, layer in network.named_modules()}
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda layer, _, __: ran.append(layer))
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
        for layer, (weight, bias) in zip(list(ran), folded[: len(ran)], strict=True):
            parent, _, number = names[layer].rpartition(".")
            norm = network.get_submodule(f"{parent}.{int(number) + 1}")
            layer.weight.copy_(torch.tensor(values[weight]))
            norm.running_var.fill_(1 - norm.eps)
            norm.bias.copy_(torch.tensor(values[bias]))
        image = np.random.default_rng(0).random((1, 3, 352, 352), dtype=np.float32)
        made = network(torch.from_numpy(image)).numpy()
    last = [node.output[0] for node in model.graph.node if node.op_type == "Concat"][15]
    model.graph.output.append(onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, None))
    (expected,) = session(model.SerializeToString()).run([last], {model.graph.input[0].name: image})
    np.testing.assert_allclose(made, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_networks_of_others_are_taken_as_modules(package: str) -> None:
    """Where one is installed: as large as the network of that name here; torchvision's weights fit and answer alike."""
    try:
        found = importlib.import_module(package)
    except (ImportError, RuntimeError):
        pytest.skip(f"{package} is not installed, or not beside this PyTorch")
    make = found.models.mobilenet_v2 if package == "torchvision" else (lambda: found.create_model("mobilenetv2_100"))
    theirs = make().eval()
    assert parameters(theirs) == COUNTS["mobilenet-v2"][1]
    if package == "torchvision":
        ours = MobileNetV2().eval()
        ours.load_state_dict(theirs.state_dict())
        with torch.no_grad():
            x = torch.randn(2, 3, 64, 64)
            torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


@given(st.floats(1, 5000))
def test_rounded_widths_are_multiples_never_far_below(channels: float) -> None:
    got = rounded(channels)
    assert got % 8 == 0 and got >= 8 and got >= 0.9 * channels
    assert got <= max(8, channels + 8)


@given(st.integers(4, 400))
def test_pictures_are_halved_to_about_four_pixels_but_never_more_than_published(side: int) -> None:
    found = strides(side)
    assert len(found) == 5 and found == sorted(found)
    left = side / 2 ** found.count(2)
    assert 2.8 <= left <= 5.7 or (side > 180 and found == [2] * 5)


def _all(side: int) -> list[nn.Module]:
    common = {"channels": 1, "outputs": 3, "side": side}
    return [
        MobileNetV1(width=0.25, **common), MobileNetV2(width=0.25, **common), MobileNetV3("small", width=0.5, **common),
        MobileNetV3("large", width=0.25, **common), SqueezeNet(width=0.25, **common), ShuffleNetV2(width=0.5, **common),
        ImageResNet(18, width=0.125, **common), CifarResNet(20, width=0.5, **common),
        EfficientNet(Scale(0.5, 0.25, side), 1, 3),
    ]  # fmt: skip


@pytest.mark.parametrize("side", [8, 28, 64])
def test_small_pictures_are_answered_with_all_their_pixels(side: int) -> None:
    """Most pixels reach the answer: nothing is strided past or left out of the last picture."""
    for network in _all(side):
        network.eval()
        x = torch.rand(2, 1, side, side, requires_grad=True)
        answer = network(x)
        assert answer.shape == (2, 3)
        answer.sum().backward()
        assert x.grad is not None and float((x.grad != 0).float().mean()) > 0.7, type(network).__name__


def test_smaller_pictures_by_averages_or_between_pixels() -> None:
    x = torch.arange(36.0).reshape(1, 1, 6, 6)
    torch.testing.assert_close(Resize((6, 6), (3, 3))(x)[0, 0, 0], torch.tensor([3.5, 5.5, 7.5]))
    assert Resize((6, 6), (4, 4))(x).shape == (1, 1, 4, 4)
    assert resized(nn.Identity(), (40, 20), 10)(torch.zeros(1, 1, 40, 20)).shape == (1, 1, 20, 10)
    kept = nn.Identity()
    assert resized(kept, (28, 28), 28) is kept


def test_one_step_of_the_compound_coefficient_doubles_the_work() -> None:
    """Alpha times beta squared times gamma squared is about 2, which is what the coefficient means."""
    assert pytest.approx(2, rel=0.05) == e.ALPHA * e.BETA**2 * e.GAMMA**2
    grown = Scale(e.ALPHA**4, e.BETA**4, round(224 * e.GAMMA**4))
    work = [size(scale, 3, 1000)[0] for scale in (e.PUBLISHED["b0"], grown)]
    assert work[1] / work[0] == pytest.approx(2**4, rel=0.25)
    assert compound(0, 32) == Scale(1.0, 1.0, 32, stored=32)
    assert compound(2, 32).side == 32 and compound(-2, 32).side < 32


@settings(max_examples=3)
@given(st.floats(-10, 3), st.sampled_from([8, 28, 33, 64]))
def test_a_size_told_in_advance_is_that_of_the_network(phi: float, side: int) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    scale = compound(phi, side)
    with torch.device("meta"), torch.no_grad():
        network = EfficientNet(scale, 1, 3).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 1, scale.side, scale.side))
    assert size(scale, 1, 3) == (counter.get_total_flops() // 2, parameters(network))


@given(st.sampled_from(["macs", "parameters"]), st.floats(0.02, 0.5))
def test_the_largest_scale_under_a_budget(what: str, share: float) -> None:
    which = ("macs", "parameters").index(what)
    budget = int(size(compound(0, 32), 3, 10)[which] * share)
    found = under(budget, what, 32, 3, 10)
    got = size(found, 3, 10)[which]
    assert budget / 2 < got <= budget


def test_a_budget_below_the_smallest_network_fails_the_trial() -> None:
    with pytest.raises(TrialFailed, match="no EfficientNet of 10 parameters for 32 pixels; the smallest has"):
        under(10, "parameters", 32, 3, 10)
