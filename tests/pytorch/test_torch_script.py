"""A TorchScript file is looked at before torch reads it: what a network does not need is refused, and nothing runs."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from trimwatt.errors import InputError  # noqa: E402
from trimwatt.framework.torch import script  # noqa: E402


def saved(program: Any) -> bytes:
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(program) if isinstance(program, nn.Module) else program, data)
    return data.getvalue()


def traced(module: nn.Module, *shape: int) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return saved(torch.jit.freeze(torch.jit.trace(module.eval(), (torch.rand(*shape),), check_trace=False)))


class OnOpening(nn.Module):
    """Overwrites a file as soon as it is opened."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(1)

    @torch.jit.export
    def __getstate__(self):  # type: ignore[no-untyped-def]
        return (self.path, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]):  # type: ignore[no-untyped-def]
        self.path = state[0]
        self.training = state[1]
        torch.from_file(state[0], True, 20, dtype=torch.uint8).fill_(88)


class Inner(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file("somewhere", False, 1)


class Forked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        future = torch.jit.fork(self.inner, x)
        return torch.jit.wait(future)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")

    @torch.jit.interface
    class Answers(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[empty-body]
            pass


class Behind(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part: Any = Inner()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.part.forward(x)


# the compiler needs the type itself rather than its name
Behind.__annotations__ = {"part": Answers}


class TwoMethods(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def more(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_file("somewhere", False, 1)


class Prints(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("hello")
        return x


def test_what_runs_as_it_is_opened_is_refused_before(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious contents of the user\n")
    data = saved(OnOpening(str(victim)))
    with pytest.raises(InputError, match=r"uses the method __.etstate__, which no exported network does"):
        script.load(data, "model.pt")
    assert victim.read_text() == "precious contents of the user\n"


@pytest.mark.parametrize("module", [Inner, Forked, Behind, TwoMethods, Prints])
def test_what_no_network_needs_is_refused(module: Callable[[], nn.Module]) -> None:
    with pytest.raises(InputError, match="which no exported network does, so nothing of it was run"):
        script.load(saved(module()), "model.pt")


NETWORKS = {
    "gru": (lambda: Sequence(nn.GRU(6, 5, batch_first=True)), (2, 4, 6)),
    "lstm": (lambda: Sequence(nn.LSTM(6, 5, batch_first=True, bidirectional=True)), (2, 4, 6)),
    "attention": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 4, 8)),
    "pictures": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding="same"), nn.BatchNorm2d(4), nn.GELU(), nn.AdaptiveMaxPool2d(2),
                              nn.Flatten(), nn.Dropout(), nn.Linear(16, 3), nn.Hardswish(), nn.Softmax(1)),
        (2, 1, 8, 8),
    ),
    "norms": (lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.SiLU(), nn.InstanceNorm1d(4), nn.PReLU()), (2, 4, 8)),
    "resized": (lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.ZeroPad2d(1), nn.AvgPool2d(2)), (2, 1, 4, 4)),
}  # fmt: skip


class Sequence(nn.Module):
    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.part(x)[0][:, -1]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_open_and_answer_as_before(name: str) -> None:
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    module = make().eval()
    rows = torch.rand(*shape)
    with torch.inference_mode():
        opened = script.load(traced(module, *shape), "model.pt")
        torch.testing.assert_close(opened(rows), module(rows))


def test_a_quantized_network_of_compiled_classes_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 2)), {nn.Linear})
    with pytest.raises(InputError, match="which no exported network does"):
        script.load(traced(module, 2, 4), "model.pt")


def packed(data: bytes, change: Callable[[str, bytes], bytes], more: dict[str, bytes] | None = None) -> bytes:
    """The same archive with each file changed, and more files behind."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        for name, content in (more or {}).items():
            new.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"= torch.linear", b"= ops.prim.PythonOp"),
        (b"= torch.linear", b"= torch.from_file"),
        (b"class Linear(Module)", b"class Linear(NamedTuple)"),
        (b"class Linear(Module)", b"class Linear(Interface)"),
        (b"def forward", b"def __setstate__"),
        (b"  def forward", b"  import os\n  def forward"),
        (b"input: Tensor", b"input: __torch__.torch.classes.quantized.LinearPackedParamsBase"),
        (b"  __buffers__ = []", b"  __buffers__ = torch.from_file('a', True, 9)"),
        (b"_rebuild_tensor_v2", b"_rebuild_something_9"),
        (b"= torch.linear", b"= (lambda: x)() + torch.linear"),
    ],
)
def test_source_and_pickles_that_were_changed_are_refused(old: bytes, new: bytes) -> None:
    data = traced(nn.Linear(3, 2), 2, 3)
    same = packed(data, lambda _, content: content)
    assert script.load(same, "model.pt")(torch.zeros(1, 3)).shape == (1, 2)
    changed = packed(data, lambda _, content: content.replace(old, new))
    assert changed != same
    with pytest.raises(InputError, match="which no exported network does"):
        script.load(changed, "model.pt")


@pytest.mark.parametrize("name", ["archive/code/__torch__.py", "archive/bytecode.pkl", "other/version", "archive/../x"])
def test_files_that_stand_twice_or_that_nothing_writes_are_refused(name: str) -> None:
    data = traced(nn.Linear(3, 2), 2, 3)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = next((n for n in archive.namelist() if n.endswith(".py")), name) if name.endswith(".py") else name
    with pytest.raises(InputError, match="which no exported network does"):
        script.load(packed(data, lambda _, content: content, {name: b"class X(Module):\n  pass\n"}), "model.pt")
