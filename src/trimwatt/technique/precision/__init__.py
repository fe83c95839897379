"""Numbers of 16 bits."""

from __future__ import annotations

from trimwatt.technique.precision.half import Half

__all__ = ["Half"]
