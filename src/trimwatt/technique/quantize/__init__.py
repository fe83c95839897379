"""Quantization: numbers of fewer bits, where the hardware computes with them faster."""

from __future__ import annotations

from trimwatt.technique.quantize.dynamic_int8 import DynamicInt8
from trimwatt.technique.quantize.equalise import Equalise
from trimwatt.technique.quantize.mixed_int8 import MixedInt8
from trimwatt.technique.quantize.qat import Qat
from trimwatt.technique.quantize.static_int8 import StaticInt8
from trimwatt.technique.quantize.weight_only import WeightOnly

__all__ = ["DynamicInt8", "Equalise", "MixedInt8", "Qat", "StaticInt8", "WeightOnly"]
