"""Grams of CO2e a kilowatt-hour where the grid is not known: the range of the world's.

No place is guessed. The range is that of annual averages of countries that make at least 1 TWh a year.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trimwatt.energy import Energy

_J_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Intensity:
    """Grams of CO2e a kWh of electricity: `value` between `low` and `high`; value is None where no grid is named.

    signal: average or marginal. scope: lifecycle or direct. countries: how many the range spans.
    """

    zone: str
    value: float | None
    low: float
    high: float
    year: str
    source: str
    licence: str
    signal: str = "average"
    scope: str = "lifecycle"
    countries: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "zone": self.zone, "g_per_kwh": self.value, "low": self.low, "high": self.high, "year": self.year,
            "signal": self.signal, "scope": self.scope, "countries": self.countries, "source": self.source,
            "licence": self.licence,
        }  # fmt: skip


# Bhutan 2022 and Turkmenistan 2022
WORLD = Intensity(
    "unknown", None, 23.3, 1306.0, "2022-2023", "Our World in Data, from Ember and the Energy Institute", "CC BY 4.0",
    countries=157,
)  # fmt: skip


def grams(energy: Energy | None, intensity: Intensity = WORLD) -> dict[str, Any]:
    """The `carbon` of a reading: grams of CO2e of `energy`, null where the grid is unknown while the range is kept.

    The building's overhead (PUE) and what making the machine emitted are not in it.
    """
    known = energy is not None
    value = energy.joules * intensity.value / _J_PER_KWH if energy and intensity.value is not None else None
    return {
        "grams_co2e": value,
        "low": energy.low * intensity.low / _J_PER_KWH if energy and known else None,
        "high": energy.high * intensity.high / _J_PER_KWH if energy and known else None,
        "of": "process",
        "intensity": intensity.to_dict(),
    }
