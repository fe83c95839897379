"""Channels that stand or fall together, found and removed by torch-pruning: the one place that knows that package."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trimwatt.errors import TrialFailed, first_line
from trimwatt.framework.torch.copying import copied
from trimwatt.framework.torch.heads import heads

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Part:
    """A convolution or dense layer that makes ("out") or takes ("in") a group's channels.

    places: its rows or columns, for each of which `channels` says the group's channel; a dense layer behind a picture
    has many columns for one channel. through: whether it passes the channels on one by one (depthwise).
    """

    layer: str
    side: str
    places: tuple[int, ...]
    channels: tuple[int, ...]
    through: bool = False


@dataclass(frozen=True, eq=False)
class Group:
    """Channels 0..channels-1 that can only be removed from all `parts` at once; named after the layer it starts at."""

    layer: str
    channels: int
    parts: tuple[Part, ...]
    found: Any = field(repr=False)

    def of(self, side: str) -> list[Part]:
        """The parts of one side, depthwise layers left out."""
        return [part for part in self.parts if part.side == side and not part.through]


Score = Callable[[Group], "torch.Tensor | None"]
Kept = Callable[[str, int], int]


def groups(model: nn.Module, rows: torch.Tensor, scope: str) -> list[Group]:
    """All groups of a module in evaluation mode that `shrunk` could prune by `scope`, in the module's order."""
    return _found(_own(model), rows, scope)[1]


def shrunk(model: nn.Module, rows: torch.Tensor, scope: str, score: Score, kept: Kept) -> nn.Module:
    """A copy of the module, in evaluation mode, with the least important channels gone.

    rows: a few rows as the module takes them. scope: "inner" or "all" (see `technique.prune.channels`). score: of each
    channel of a group, None to leave the group alone. kept(layer, channels): how many channels of a layer stay. The
    layers that give the answer keep theirs. Raises TrialFailed where nothing is removed or what is left does not run.
    """

    def gone(group: Group) -> Sequence[int]:
        return lowest(group, score, group.channels - kept(group.layer, group.channels))

    return without(model, rows, scope, gone)


def lowest(group: Group, score: Score, number: int) -> list[int]:
    """The `number` channels of a group that score least; none where the group has no score."""
    value = score(group) if number > 0 else None
    return [] if value is None else [int(i) for i in value.argsort(stable=True)[:number]]


def without(model: nn.Module, rows: torch.Tensor, scope: str, gone: Callable[[Group], Sequence[int]]) -> nn.Module:
    """A copy of the module, in evaluation mode, without the channels that `gone` names of each group; see `shrunk`."""
    import torch

    module = _own(model)
    learns = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    with torch.no_grad():
        before = module(rows).shape
    graph, found = _found(module, rows, scope)
    # all are chosen before any is removed: a group's places behind a concatenation move when its neighbour shrinks
    try:
        picked = [(group, list(gone(group))) for group in found]
        for group, chosen in picked:
            if chosen:
                root, how = group.found[0].dep.target.module, group.found[0].dep.handler
                graph.get_pruning_group(root, how, chosen).prune()
    except IndexError as error:
        # so end strided slices of channels, as in ShuffleNet's shortcuts
        raise TrialFailed(f"channels cannot be followed through this network by scope {scope!r}: {error}") from error
    if not any(chosen for _, chosen in picked):
        raise TrialFailed(f"no channel can be removed: no layer has channels to spare by scope {scope!r}")
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(learns.get(name, True))
    _check(module, rows, before)
    return module


def by_weight(importance: str) -> Score:
    """Scores by weights alone: "l1" or "l2" norms over all layers of a group, or "bn", the normalization's scale."""
    import torch_pruning

    kinds = torch_pruning.importance
    if importance == "bn":
        score = kinds.BNScaleImportance()
    else:
        score = kinds.MagnitudeImportance(p={"l1": 1, "l2": 2}[importance])
    return lambda group: score(group.found)


def _own(model: nn.Module) -> nn.Module:
    module = copied(model).eval()
    module.requires_grad_(True)  # the graph of dependencies is read from gradients
    return module


def _found(module: nn.Module, rows: torch.Tensor, scope: str) -> tuple[Any, list[Group]]:
    import torch_pruning
    from torch import nn

    names = {layer: name for name, layer in module.named_modules()}
    columns = int(module(rows[:1]).numel())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = torch_pruning.DependencyGraph().build_dependency(module, example_inputs=rows)
        layers = [nn.modules.conv._ConvNd, nn.Linear]
        found = list(graph.get_all_groups(ignored_layers=heads(module, rows, columns), root_module_types=layers))
    place = {name: k for k, name in enumerate(names.values())}
    made = [_group(graph, one, names) for one in found if _prunable(graph, one, scope)]
    return graph, sorted(made, key=lambda group: place.get(group.layer, 0))


def _group(graph: Any, found: Any, names: dict[Any, str]) -> Group:
    root = found[0].dep.target.module
    parts = tuple(_part(item, names) for item in found if _is_layer(item.dep.target.module))
    return Group(names.get(root, "?"), graph.get_out_channels(root), parts, found)


def _part(item: Any, names: dict[Any, str]) -> Part:
    layer, handler = item.dep.target.module, item.dep.handler
    side = "in" if handler.__name__ == "prune_in_channels" else "out"
    through = getattr(layer, "groups", 1) > 1
    return Part(names.get(layer, "?"), side, tuple(item.idxs), tuple(item.root_idxs), through)


def _is_layer(layer: Any) -> bool:
    from torch import nn

    return isinstance(layer, (nn.modules.conv._ConvNd, nn.Linear))


def _prunable(graph: Any, group: Any, scope: str) -> bool:
    """Whether a group may be pruned: none that is taken channel by channel, and inner ones if only those are asked.

    Convolutions in true groups and strided slices of channels, as in ShuffleNet, would need other channels gone.
    """
    makers = 0
    for dependency, _ in group:
        layer = dependency.target.module
        if _skips(dependency.target.grad_fn):
            return False
        if not _is_layer(layer):
            continue
        parts = getattr(layer, "groups", 1)
        if 1 < parts < getattr(layer, "out_channels", parts):
            return False
        # a depthwise convolution passes channels on and makes none
        makers += parts == 1 and graph.is_out_channel_pruning_fn(dependency.handler)
    return scope == "all" or makers == 1


def _skips(function: Any) -> bool:
    """Whether a recorded function slices channels with a step."""
    return getattr(function, "_saved_dim", 0) == 1 and getattr(function, "_saved_step", 1) > 1


def _check(module: nn.Module, rows: torch.Tensor, before: torch.Size) -> None:
    import torch

    try:
        with torch.no_grad():
            after = module(rows).shape
    except (RuntimeError, ValueError, IndexError) as error:
        raise TrialFailed(f"the network does not run without its channels: {first_line(error)}") from error
    if after != before:
        raise TrialFailed(f"without its channels the network answers with shape {tuple(after)}, not {tuple(before)}")
