"""Channels that stand or fall together, found and removed by torch-pruning: the one place that knows that package."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trimwatt.errors import TrialFailed
from trimwatt.framework.torch.heads import heads

if TYPE_CHECKING:
    import torch
    from torch import nn

Kept = Callable[[str, int], int]


def shrunk(model: nn.Module, rows: torch.Tensor, scope: str, importance: str, kept: Kept) -> nn.Module:
    """A copy of the module, in evaluation mode, with the least important channels gone.

    rows: a few rows as the module takes them. scope: "inner" or "all"; importance: "l1" or "bn" (see
    `technique.prune.channels`). kept(layer, channels): how many channels of a layer stay. The layers that give the
    answer keep theirs. Raises TrialFailed where nothing is removed or what is left does not run.
    """
    import torch

    module = copy.deepcopy(model).eval()
    learns = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    module.requires_grad_(True)
    with torch.no_grad():
        before = module(rows).shape
    removed = _remove_(module, rows, scope, importance, kept)
    if not removed:
        raise TrialFailed(
            f"no channel can be removed: no layer has channels to spare by scope {scope!r}, {importance!r}"
        )
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(learns.get(name, True))
    _check(module, rows, before)
    return module


def _remove_(module: nn.Module, rows: torch.Tensor, scope: str, importance: str, kept: Kept) -> int:
    import torch_pruning
    from torch import nn

    names = {layer: name for name, layer in module.named_modules()}
    columns = int(module(rows[:1]).numel())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = torch_pruning.DependencyGraph().build_dependency(module, example_inputs=rows)
        layers = [nn.modules.conv._ConvNd, nn.Linear]
        found = list(graph.get_all_groups(ignored_layers=heads(module, rows, columns), root_module_types=layers))
    score = _score(importance)
    removed = 0
    for group in found:
        if not _prunable(graph, group, scope):
            continue
        root, how = group[0].dep.target.module, group[0].dep.handler
        channels = graph.get_out_channels(root)
        gone = channels - kept(names.get(root, "?"), channels)
        value = score(group) if gone else None
        if value is not None:
            graph.get_pruning_group(root, how, value.argsort(stable=True)[:gone].tolist()).prune()
            removed += gone
    return removed


def _score(importance: str) -> Any:
    import torch_pruning

    if importance == "bn":
        return torch_pruning.importance.BNScaleImportance()
    return torch_pruning.importance.MagnitudeImportance(p=1)


def _prunable(graph: Any, group: Any, scope: str) -> bool:
    """Whether a group may be pruned: no convolution in true groups, and inner ones if only those are asked."""
    from torch import nn

    makers = 0
    for dependency, _ in group:
        layer = dependency.target.module
        if not isinstance(layer, (nn.modules.conv._ConvNd, nn.Linear)):
            continue
        parts = getattr(layer, "groups", 1)
        if 1 < parts < getattr(layer, "out_channels", parts):
            return False
        # a depthwise convolution passes channels on and makes none
        makers += parts == 1 and graph.is_out_channel_pruning_fn(dependency.handler)
    return scope == "all" or makers == 1


def _check(module: nn.Module, rows: torch.Tensor, before: torch.Size) -> None:
    import torch

    try:
        with torch.no_grad():
            after = module(rows).shape
    except (RuntimeError, ValueError, IndexError) as error:
        raise TrialFailed(f"the network does not run without its channels: {str(error).splitlines()[0]}") from error
    if after != before:
        raise TrialFailed(f"without its channels the network answers with shape {tuple(after)}, not {tuple(before)}")
