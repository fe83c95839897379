"""Quantization: numbers of fewer bits, where the hardware computes with them faster."""

from __future__ import annotations

from trimwatt.technique.quantize.static_int8 import StaticInt8

__all__ = ["StaticInt8"]
