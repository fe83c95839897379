"""What a recommendation must not exceed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from trimwatt import units
from trimwatt.errors import InputError, OptionError


@dataclass(frozen=True)
class Limits:
    """What a recommendation must not exceed: seconds at the median, bytes on disk, bytes of peak memory."""

    latency_s: float | None = None
    size_bytes: float | None = None
    memory_bytes: float | None = None

    @classmethod
    def read(cls, latency: str | float | None, size: str | float | None, memory: str | float | None) -> Limits:
        """From texts with units, or plain numbers; raises OptionError for what is no limit."""
        return cls(
            _limit("max_latency", latency, units.parse_duration),
            _limit("max_size", size, units.parse_bytes),
            _limit("max_memory", memory, units.parse_bytes),
        )

    def broken(self, latency_s: float | None, size_bytes: int | None, memory_bytes: int | None) -> str | None:
        """Which limit these figures break, or None; a figure that is unknown breaks a limit that is set."""
        pairs = (
            ("latency", latency_s, self.latency_s),
            ("size", size_bytes, self.size_bytes),
            ("memory", memory_bytes, self.memory_bytes),
        )
        broken = [name for name, value, limit in pairs if limit is not None and (value is None or value > limit)]
        return ", ".join(broken) or None


def _limit(name: str, value: str | float | None, parse: Callable[[str], float]) -> float | None:
    """A limit in seconds or bytes; raises OptionError for text without a unit, and for what nothing can keep."""
    try:
        limit = parse(value) if isinstance(value, str) else value
    except InputError as error:
        raise OptionError(f"`{name}`: {{}}", error) from None
    if limit is not None and not 0 < limit < math.inf:
        raise OptionError(f"`{name}` must be a finite number above 0, got {{!r}}; leave it out for no limit", value)
    return limit
