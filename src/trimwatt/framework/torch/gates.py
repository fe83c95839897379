"""What may go to zero while a module is trained (weights, channels, inputs), and the pull that takes it there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from trimwatt.framework.torch.groups import Group, Part
from trimwatt.framework.torch.masks import layers

if TYPE_CHECKING:
    import torch
    from torch import nn

UNTIL = 0.7
Settle = Callable[["torch.Tensor", float], "torch.Tensor"]


class Units(Protocol):
    """Parts of a module's weights, each of which goes or stays as one."""

    def worth(self, module: nn.Module) -> torch.Tensor:
        """Size (u,) of each unit, from 0, so that sizes can be compared."""
        ...

    def scale_(self, module: nn.Module, factors: torch.Tensor) -> None:
        """Multiply each unit's weights by its factor (u,), in place."""
        ...


class Weights:
    """Each weight of convolutions and dense layers by itself."""

    def worth(self, module: nn.Module) -> torch.Tensor:
        import torch

        return torch.cat([weight.detach().abs().flatten() for weight in layers(module).values()])

    def scale_(self, module: nn.Module, factors: torch.Tensor) -> None:
        import torch

        with torch.no_grad():
            weights = list(layers(module).values())
            for weight, part in zip(weights, factors.split([w.numel() for w in weights]), strict=True):
                weight.mul_(part.view_as(weight))


class Channels:
    """The channels of groups, one after another: the rows that make each and the columns that take it.

    module: as training starts. The worth of a channel is in units of its group's mean then: what is small in one layer
    is usual in another, and normalization makes the scale of a layer mean nothing.
    """

    def __init__(self, found: Sequence[Group], module: nn.Module) -> None:
        self.groups = tuple(found)
        means = [float(_norms(module, group.parts, group.channels).mean()) for group in found]
        self._units = [mean if mean > 0 else 1.0 for mean in means]

    def worth(self, module: nn.Module) -> torch.Tensor:
        import torch

        both = zip(self.groups, self._units, strict=True)
        return torch.cat([_norms(module, group.parts, group.channels) / unit for group, unit in both])

    def scale_(self, module: nn.Module, factors: torch.Tensor) -> None:
        for group, part in zip(self.groups, self.split(factors), strict=True):
            scale_(module, group.parts, part)

    def split(self, values: torch.Tensor) -> list[torch.Tensor]:
        """Values (u,) of all channels by group."""
        return list(values.split([group.channels for group in self.groups]))


def axis(layer: nn.Module, part: Part) -> int:
    """The axis of a layer's weight along which a part's places lie."""
    from torch import nn

    turned = isinstance(layer, nn.modules.conv._ConvTransposeNd)
    return 0 if part.through or (part.side == "out") != turned else 1


def _norms(module: nn.Module, parts: Sequence[Part], channels: int) -> torch.Tensor:
    import torch

    total, size = torch.zeros(channels), torch.zeros(channels)
    for part in parts:
        layer = module.get_submodule(part.layer)
        weight: torch.Tensor = layer.weight.detach()  # type: ignore[assignment,operator]
        each = weight.movedim(axis(layer, part), 0).flatten(1)[list(part.places)]
        index = torch.tensor(part.channels)
        total.index_add_(0, index, each.square().sum(1).float())
        size.index_add_(0, index, torch.full((len(index),), float(each.shape[1])))
    return (total / size.clamp_min(1)).sqrt()


def scale_(module: nn.Module, parts: Sequence[Part], factors: torch.Tensor) -> None:
    """Multiply what `parts` hold of each channel, maker's bias included, by its factor (channels,), in place."""
    import torch

    with torch.no_grad():
        for part in parts:
            layer = module.get_submodule(part.layer)
            weight: torch.Tensor = layer.weight  # type: ignore[assignment]
            along = spread(part, factors, weight.shape[axis(layer, part)]).to(weight.dtype)
            weight.mul_(along.reshape([-1 if k == axis(layer, part) else 1 for k in range(weight.ndim)]))
            if part.side == "out" and layer.bias is not None:
                layer.bias.mul_(along)  # type: ignore[operator]


def spread(part: Part, factors: torch.Tensor, places: int) -> torch.Tensor:
    """Factors (channels,) of a group at all `places` of one of its layers; 1 where a place is not the group's."""
    import torch

    return torch.ones(places).index_put((torch.tensor(part.places),), factors[list(part.channels)])


class Columns:
    """The columns of one dense layer."""

    def __init__(self, layer: str) -> None:
        self.layer = layer

    def worth(self, module: nn.Module) -> torch.Tensor:
        weight: torch.Tensor = module.get_submodule(self.layer).weight.detach()  # type: ignore[operator,assignment]
        return weight.square().mean(0).sqrt().float()

    def scale_(self, module: nn.Module, factors: torch.Tensor) -> None:
        import torch

        weight: torch.Tensor = module.get_submodule(self.layer).weight  # type: ignore[assignment]
        with torch.no_grad():
            weight.mul_(factors.to(weight.dtype))


def shrinkage(worth: torch.Tensor, threshold: float) -> torch.Tensor:
    """The proximal step of the (group) lasso: by which factor each unit shrinks, 0 where it is below the threshold.

    It solves min_v |v - w|^2 / 2 + threshold |v| for each unit (Parikh and Boyd 2014, section 6.5).
    """
    import torch

    return torch.where(worth > threshold, 1 - threshold / worth.clamp_min(1e-30), 0.0)


class Proximal:
    """Pulls units to zero after each step; those that are not there in time are set to zero, the smallest first.

    strength: of the pull; at 1 a unit of middling size would be worn down by UNTIL of training, did the loss not mind.
    share: of the units at zero by then, rising fast at first. settle(worth, share): which units stay (bool);
    after that the others are held at zero while the rest recovers. steps: of the whole training.
    """

    def __init__(
        self,
        units: Units,
        share: float,
        strength: float,
        steps: int,
        settle: Callable[[torch.Tensor, float], torch.Tensor],
    ) -> None:
        self.units, self.share, self.settle = units, share, settle
        self._pull = strength / max(1.0, UNTIL * steps)
        self._size: float | None = None
        self.kept: torch.Tensor | None = None

    def after_step(self, module: nn.Module, done: float) -> None:
        """A hook of `framework.torch.fit`."""
        if done >= UNTIL:
            self.finish(module)
            return
        worth = self.units.worth(module)
        if self._size is None:
            self._size = float(worth.median())
        in_time = self.settle(worth, self.share * (1 - (1 - done / UNTIL) ** 3))
        self.units.scale_(module, shrinkage(worth, self._pull * self._size) * in_time)

    def finish(self, module: nn.Module) -> torch.Tensor:
        """Hold at zero what does not stay, and say what does, (u,) bool."""
        if self.kept is None:
            self.kept = self.settle(self.units.worth(module), self.share)
        self.units.scale_(module, self.kept.float())
        return self.kept


def largest(worth: torch.Tensor, share: float) -> torch.Tensor:
    """Which units (u,) stay when `share` of them, the smallest, go; at least one stays."""
    import torch

    gone = min(round(share * len(worth)), len(worth) - 1)
    kept = torch.ones(len(worth), dtype=torch.bool)
    kept[worth.argsort(stable=True)[:gone]] = False
    return kept


def widths(worth: Sequence[torch.Tensor], share: float, round_to: int) -> list[torch.Tensor]:
    """Which channels of each group stay when `share` of all goes, the smallest anywhere.

    Each group keeps a multiple of `round_to`, the nearest, and never less than half of its part: no layer is choked.
    """
    import torch

    guarded = []
    for values in worth:
        own = values.clone()
        own[values.argsort(descending=True, stable=True)[: math.ceil((1 - share) / 2 * len(values))]] = math.inf
        guarded.append(own)
    kept = largest(torch.cat(guarded), share).split([len(values) for values in worth])
    chosen = []
    for values, stay in zip(worth, kept, strict=True):
        wanted = max(round_to, round_to * math.floor(int(stay.sum()) / round_to + 0.5))
        gone = len(values) - min(wanted, len(values))
        mask = torch.ones(len(values), dtype=torch.bool)
        mask[values.argsort(stable=True)[:gone]] = False
        chosen.append(mask)
    return chosen
