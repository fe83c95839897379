"""The same levers by other people's tools, from the same workload: its PyTorch module, or its network in ONNX."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from trimwatt import _handoff
from trimwatt.framework.onnx import _edit, lower
from trimwatt.framework.torch.run import evaluated, example
from trimwatt.runtime import torch as eager
from trimwatt.runtime._base import Artifact
from trimwatt.technique import _graph
from trimwatt.workload import Array, Workload

ROWS = 200
Lever = Callable[[Workload], Workload]


def feeds(workload: Workload) -> list[dict[str, Array]]:
    """Calibration rows of a network in ONNX, one by one, by input name: those that static-int8 takes too."""
    inputs = [entry.name for entry in _edit.free_inputs(_edit.load(workload.model))]
    given = _graph.feeds(workload, _graph.sample(workload, ROWS), inputs)
    return [{name: rows[n : n + 1] for name, rows in given.items()} for n in range(ROWS)]


def ort_static(workload: Workload, **options: Any) -> Workload:
    """onnxruntime's quantize_static after its own preparation, with what is left unsaid at its defaults."""
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    core = lower(workload)
    rows: Iterator[dict[str, Array]] = iter(feeds(core))

    class Reader:
        def get_next(self) -> dict[str, Array] | None:
            return next(rows, None)

    def work(source: str, target: str) -> None:
        ready = f"{target}.ready"
        quant_pre_process(source, ready)
        quantize_static(ready, target, Reader(), **options)

    return _by_files(core, work)


def ort_static_advised(workload: Workload) -> Workload:
    """The same with what its documentation advises for processors with VNNI: unsigned activations, per channel."""
    from onnxruntime.quantization import QuantType

    return ort_static(workload, activation_type=QuantType.QUInt8, per_channel=True)


def ort_dynamic(workload: Workload) -> Workload:
    """onnxruntime's quantize_dynamic at its defaults."""
    from onnxruntime.quantization import quantize_dynamic

    return _by_files(lower(workload), lambda source, target: quantize_dynamic(source, target))


def nncf(workload: Workload) -> Workload:
    """NNCF's post-training quantization at its defaults."""
    import nncf as package

    core = lower(workload)
    model = package.quantize(_edit.load(core.model), package.Dataset(feeds(core)), subset_size=ROWS)
    return replace(core, model=model.SerializeToString())


def torch_pruning(workload: Workload, share: float = 0.5) -> Workload:
    """torch-pruning's MagnitudePruner at its defaults, the layer that answers left alone."""
    import torch_pruning as tp
    from torch import nn

    module = copy.deepcopy(evaluated(workload.model))
    last = [part for part in module.modules() if isinstance(part, nn.Linear | nn.Conv2d)][-1]
    pruner = tp.pruner.MagnitudePruner(
        module, example(workload), importance=tp.importance.MagnitudeImportance(p=2), pruning_ratio=share,
        ignored_layers=[last],
    )  # fmt: skip
    pruner.step()
    return replace(workload, model=module)


def tensorly(workload: Workload) -> Workload:
    """Each square convolution through tensorly's partial_tucker, half of its channels either way as ranks."""
    import tensorly as tl
    import torch
    from tensorly.decomposition import partial_tucker
    from torch import nn

    def chain(layer: nn.Conv2d) -> nn.Module:
        kernel = layer.weight.detach().numpy()
        ranks = [max(1, kernel.shape[0] // 2), max(1, kernel.shape[1] // 2)]
        (core, (out, into)), _ = partial_tucker(tl.tensor(kernel), rank=ranks, modes=[0, 1])
        parts = [
            nn.Conv2d(kernel.shape[1], ranks[1], 1, bias=False),
            nn.Conv2d(ranks[1], ranks[0], layer.kernel_size, layer.stride, layer.padding, bias=False),
            nn.Conv2d(ranks[0], kernel.shape[0], 1, bias=layer.bias is not None),
        ]
        for part, weight in zip(parts, (into.T[:, :, None, None], core, out[:, :, None, None]), strict=True):
            part.weight.data = torch.tensor(weight.copy(), dtype=torch.float32)
        if layer.bias is not None:
            parts[2].bias.data = layer.bias.detach().clone()
        return nn.Sequential(*parts)

    module = copy.deepcopy(evaluated(workload.model))
    for name, part in list(module.named_modules()):
        if isinstance(part, nn.Conv2d) and part.kernel_size != (1, 1) and part.groups == 1 and part.in_channels > 3:
            parent = module.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], chain(part))
    return replace(workload, model=module)


def torchao(workload: Workload) -> Workload:
    """torchao's dynamic int8 of dense layers at its defaults; runs in PyTorch only."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    module = copy.deepcopy(evaluated(workload.model))
    quantize_(module, Int8DynamicActivationInt8WeightConfig())
    return replace(workload, model=module)


def live(workload: Workload, folder: Path) -> Artifact:
    """A module for PyTorch as this run alone can open it: torchao's tensors cannot be saved as plain weights."""
    rows = workload.rows
    none = slice(0, 0)
    bare = replace(rows, train=rows.train.take(none), val=rows.val.take(none), test=rows.test.take(none))
    light = replace(workload, model=evaluated(workload.model), data=bare, rebuild=None, trainer=None)
    digest = _handoff.write(eager._Live(light, frozenset()), folder / eager.LIVE)
    return Artifact(folder, "torch", (eager.LIVE,), digest)


def _by_files(core: Workload, work: Callable[[str, str], None]) -> Workload:
    with tempfile.TemporaryDirectory() as folder, _graph.silence():
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(core.model)
        work(str(source), str(target))
        return replace(core, model=target.read_bytes())
