"""Classical models: rivals of networks in their own right. Each ignores what came before it but the data."""

from __future__ import annotations

from trimwatt.technique.classical.boosted import Boosted
from trimwatt.technique.classical.fit import Fit
from trimwatt.technique.classical.forest import ExtraTrees, Forest
from trimwatt.technique.classical.linear import Linear
from trimwatt.technique.classical.mlp import Mlp
from trimwatt.technique.classical.neighbours import Neighbours
from trimwatt.technique.classical.tree import Tree

__all__ = ["Boosted", "ExtraTrees", "Fit", "Forest", "Linear", "Mlp", "Neighbours", "Tree"]
