"""Which groups of channels set the widths of which layers, and what the network costs when they are narrower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimwatt.errors import TrialFailed
from trimwatt.technique.prune.costs import Table
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from trimwatt.framework.torch.groups import Group
    from trimwatt.framework.torch.shapes import LayerShape


@dataclass(frozen=True)
class Tie:
    """Group `group` of `channels` gives `each` inputs or outputs a channel to a layer's `side`."""

    group: str
    channels: int
    side: str
    each: int


def ties(groups: Sequence[Group], shapes: Mapping[str, LayerShape]) -> dict[str, list[Tie]]:
    """For each layer that runs, the groups that set its widths."""
    found: dict[str, list[Tie]] = {}
    for group in groups:
        for part in group.parts:
            if part.layer in shapes:
                each = len(part.places) // group.channels
                tie = Tie(group.layer, group.channels, part.side, each)
                if tie not in found.setdefault(part.layer, []):
                    found[part.layer].append(tie)
    return found


def widths(shape: LayerShape, tied: Sequence[Tie], left: Mapping[str, int]) -> tuple[int, int]:
    """(inputs, outputs) of a layer when the groups keep `left` channels; one not named keeps all.

    A depthwise convolution has one input for each output, whatever is left.
    """
    size = {"in": shape.inputs, "out": shape.outputs}
    for tie in tied:
        size[tie.side] -= tie.each * (tie.channels - left.get(tie.group, tie.channels))
    return (1, size["out"]) if shape.depthwise else (size["in"], size["out"])


@dataclass(frozen=True, eq=False)
class Ties:
    """The measured layers of a network with the groups that set their widths."""

    shapes: Mapping[str, LayerShape]
    tied: Mapping[str, list[Tie]]
    tables: Mapping[str, Table]
    rest_s: float

    @classmethod
    def of(cls, groups: Sequence[Group], tables: Mapping[str, Table], rest_s: float, workload: Workload) -> Ties:
        """Raises TrialFailed where the tables are of another network."""
        from trimwatt.framework.torch.run import evaluated, example
        from trimwatt.framework.torch.shapes import layer_shapes

        shapes = layer_shapes(evaluated(workload.model), example(workload))
        tied = ties(groups, shapes)
        for layer, table in tables.items():
            here = widths(shapes[layer], (), {}) if layer in shapes else None
            if here != (table.inputs[-1], table.outputs[-1]):
                told = f"{table.inputs[-1]} x {table.outputs[-1]}"
                raise TrialFailed(f"costs are of another network: layer {layer} has widths {here}, costs say {told}")
        return cls(shapes, {layer: tied.get(layer, []) for layer in tables}, tables, rest_s)

    def total(self, left: Mapping[str, int]) -> float:
        """Seconds of the whole network when the groups keep `left` channels."""
        return self.rest_s + sum(self._seconds(layer, left) for layer in self.tables)

    def cost(self, group: str, width: int) -> float:
        """Seconds of the layers tied to a group at a width, all other groups whole."""
        mine = [layer for layer, found in self.tied.items() if any(tie.group == group for tie in found)]
        return sum(self._seconds(layer, {group: width}) for layer in mine)

    def measured(self, group: Group) -> list[int]:
        """Widths of a group at which a layer tied to it was measured, the full one among them."""
        found: set[int] = set()
        for layer, tied in self.tied.items():
            table = self.tables[layer]
            for tie in tied:
                if tie.group == group.layer:
                    sizes = table.outputs if tie.side == "out" else table.inputs
                    gone = [(sizes[-1] - size) / tie.each for size in sizes]
                    found |= {round(tie.channels - g) for g in gone if g == round(g) and g < tie.channels}
        return sorted(found)

    def _seconds(self, layer: str, left: Mapping[str, int]) -> float:
        return self.tables[layer].at(*widths(self.shapes[layer], self.tied[layer], left))
