"""Fewer inputs: columns and pixels that a model need not read."""

from trimwatt.technique.inputs.columns import SelectColumns
from trimwatt.technique.inputs.downsample import Downsample

__all__ = ["Downsample", "SelectColumns"]
