"""Measured seconds of each layer at several widths, as data: taken by `profile.layers`, spent by `prune-budget`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trimwatt.errors import InputError

Row = tuple[str, int, int, float]


@dataclass(frozen=True)
class LayerCosts:
    """CPU seconds a request of the layers that can be pruned, on the host they were measured on.

    rows: (layer, inputs, outputs, seconds), on a grid of inputs and outputs for each layer. rest_s: what the whole
    network takes besides them. batch_size, threads: of the scenario. precision: "float32" or "int8".
    """

    rows: tuple[Row, ...]
    rest_s: float
    batch_size: int = 1
    threads: int = 1
    precision: str = "float32"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `LayerCosts.from_dict` is the way back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> LayerCosts:
        """The costs that `to_dict` wrote, through JSON or not."""
        rows = tuple((str(n), int(i), int(o), float(s)) for n, i, o, s in told["rows"])
        return cls(**{**told, "rows": rows})

    def tables(self) -> dict[str, Table]:
        """One table a layer."""
        return tables(self.rows)


@dataclass(frozen=True, eq=False)
class Table:
    """Seconds (inputs, outputs) of one layer; `inputs` and `outputs` are the sorted widths measured."""

    inputs: Sequence[int]
    outputs: Sequence[int]
    seconds: Any

    def at(self, inputs: int, outputs: int) -> float:
        """Seconds at these widths, between the measured ones by straight lines, beyond them as at the nearest."""
        by_output = [float(np.interp(inputs, self.inputs, column)) for column in self.seconds.T]
        return float(np.interp(outputs, self.outputs, by_output))

    @property
    def widest(self) -> float:
        """Seconds at full width."""
        return float(self.seconds[-1, -1])


def tables(rows: Sequence[Row]) -> dict[str, Table]:
    """One table a layer; raises InputError where a width was left out or a number is no time."""
    found: dict[str, dict[tuple[int, int], float]] = {}
    for layer, inputs, outputs, seconds in rows:
        if not (np.isfinite(seconds) and seconds >= 0):
            raise InputError(f"costs give layer {layer} {seconds} seconds; measure them anew")
        found.setdefault(layer, {})[inputs, outputs] = seconds
    return {layer: _table(layer, cells) for layer, cells in found.items()}


def _table(layer: str, cells: dict[tuple[int, int], float]) -> Table:
    inputs, outputs = (sorted({cell[axis] for cell in cells}) for axis in (0, 1))
    if len(cells) != len(inputs) * len(outputs):
        raise InputError(
            f"costs of layer {layer} are no grid: {len(cells)} of {len(inputs)} x {len(outputs)} widths are given"
        )
    return Table(inputs, outputs, np.array([[cells[i, o] for o in outputs] for i in inputs]))
