"""Watts a hardware thread of server processors, from published SPECpower_ssj2008 results.

Computed by benchmarks/derive_cpu_table.py from results published 2017 to 2026 (credit: SPEC), of parts of at least 24
cores a chip: few-core edge parts draw several times more a thread. Watts are the whole server's, at the wall.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

SOURCE = "SPECpower_ssj2008 results 2017-2026"


@dataclass(frozen=True)
class Coefficients:
    """idle_w and max_w a hardware thread, each with its 2.5 to 97.5 % range over `n` results.

    gb_per_thread: memory whose draw is inside these watts (median). pattern: of the brand string. years: when the first
    and the last of its results were published.
    """

    label: str
    pattern: str
    idle_w: float
    idle_range: tuple[float, float]
    max_w: float
    max_range: tuple[float, float]
    gb_per_thread: float
    n: int
    years: tuple[int, int] = (2017, 2026)


@dataclass(frozen=True)
class Processor:
    """What the system tells of its processor; family, model and stepping as in cpuid, None where it does not."""

    brand: str = ""
    vendor: str = ""
    family: int | None = None
    model: int | None = None
    stepping: int | None = None


# when the first and the last of a row's results were published
_YEARS = {
    "AMD EPYC Zen 1 (7xx1)": (2018, 2019),
    "AMD EPYC Zen 2 (7xx2)": (2019, 2020),
    "AMD EPYC Zen 3 (7xx3)": (2021, 2022),
    "AMD EPYC Zen 4 (9xx4)": (2022, 2024),
    "AMD EPYC Zen 4c small (8xx4)": (2023, 2024),
    "AMD EPYC Zen 5 (9xx5)": (2024, 2026),
    "Intel Xeon Skylake": (2017, 2019),
    "Intel Xeon Cascade Lake": (2019, 2021),
    "Intel Xeon Cooper Lake": (2020, 2021),
    "Intel Xeon Ice Lake": (2021, 2023),
    "Intel Xeon Sapphire Rapids": (2023, 2025),
    "Intel Xeon Emerald Rapids": (2024, 2025),
    "Intel Xeon Granite Rapids": (2025, 2026),
    "Intel Xeon Sierra Forest": (2024, 2025),
    "Ampere Altra": (2022, 2024),
    "AMD EPYC 7742": (2019, 2020),
    "AMD EPYC 7763": (2021, 2022),
    "AMD EPYC 9654": (2022, 2024),
    "AMD EPYC 9754": (2023, 2024),
    "AMD EPYC 9845": (2024, 2026),
    "AMD EPYC 9965": (2024, 2025),
    "Intel Xeon 8180": (2017, 2019),
    "Intel Xeon 8280": (2019, 2020),
    "Intel Xeon 8380": (2021, 2022),
    "Intel Xeon 8480+": (2023, 2024),
    "Intel Xeon 8490H": (2023, 2025),
    "Intel Xeon 8592+": (2024, 2025),
    "Intel Xeon 6787P": (2025, 2026),
    "Intel Xeon 6780E": (2024, 2025),
}


def _row(label: str, pattern: str, *v: float) -> Coefficients:
    years = _YEARS.get(label, (2017, 2026))
    return Coefficients(label, pattern, v[0], (v[1], v[2]), v[3], (v[4], v[5]), v[6], int(v[7]), years)


# the cloud parts named by letters (9R14, 8488C ...) are taken to be like the retail part beside them: not confirmed
PARTS = (
    _row("AMD EPYC 7742", r"EPYC 7(742|R32|V12|B12)", 0.444, 0.311, 0.711, 1.696, 1.485, 1.988, 1.00, 24),
    _row("AMD EPYC 7763", r"EPYC 7(763|R13|V13|B13)", 0.435, 0.301, 0.605, 1.954, 1.590, 2.310, 1.00, 20),
    _row("AMD EPYC 9654", r"EPYC 9(654|R14|V74|B14)", 0.343, 0.302, 0.396, 1.879, 1.646, 2.160, 1.00, 20),
    _row("AMD EPYC 9754", r"EPYC 9754", 0.243, 0.205, 0.295, 1.358, 1.164, 1.669, 0.75, 30),
    _row("AMD EPYC 9845", r"EPYC 9845", 0.212, 0.178, 0.255, 1.192, 1.100, 1.402, 0.60, 26),
    _row("AMD EPYC 9965", r"EPYC 9965", 0.196, 0.169, 0.223, 1.110, 1.042, 1.222, 0.50, 7),
    _row("Intel Xeon 8180", r"8180", 0.536, 0.346, 0.816, 4.172, 3.480, 4.525, 1.71, 53),
    _row("Intel Xeon 8280", r"8280", 0.604, 0.410, 0.943, 4.040, 3.448, 4.465, 1.71, 57),
    _row("Intel Xeon 8380", r"8380(?!H)", 0.856, 0.672, 1.092, 3.935, 3.297, 4.189, 1.60, 30),
    _row("Intel Xeon 8480+", r"8480(\+|C)|8481C|8488C", 0.868, 0.656, 1.310, 3.701, 2.682, 4.755, 1.14, 17),
    _row("Intel Xeon 8490H", r"8490H", 0.845, 0.617, 1.335, 3.807, 2.919, 4.598, 1.07, 32),
    _row("Intel Xeon 8592+", r"8592\+", 0.774, 0.528, 1.003, 3.184, 2.362, 3.982, 1.00, 26),
    _row("Intel Xeon 6787P", r"6787P", 0.610, 0.384, 0.956, 2.686, 1.787, 3.523, 1.49, 21),
    _row("Intel Xeon 6780E", r"6780E", 0.682, 0.329, 1.087, 2.492, 1.067, 3.108, 1.78, 19),
)
FAMILIES = (
    _row("AMD EPYC Zen 1 (7xx1)", r"EPYC 7\w\w1", 0.735, 0.611, 0.932, 2.354, 2.123, 2.742, 1.00, 9),
    _row("AMD EPYC Zen 2 (7xx2)", r"EPYC 7\w\w2", 0.474, 0.295, 0.779, 1.693, 1.486, 1.985, 1.00, 36),
    _row("AMD EPYC Zen 3 (7xx3)", r"EPYC 7\w\w3", 0.456, 0.303, 0.716, 1.957, 1.591, 2.303, 1.00, 28),
    _row("AMD EPYC Zen 4 (9xx4)", r"EPYC 9\w\w4", 0.283, 0.206, 0.386, 1.567, 1.173, 2.148, 0.88, 50),
    _row("AMD EPYC Zen 4c small (8xx4)", r"EPYC 8\w\w4", 0.637, 0.258, 1.427, 1.989, 1.122, 3.370, 0.88, 18),
    _row("AMD EPYC Zen 5 (9xx5)", r"EPYC 9\w\w5", 0.235, 0.175, 0.382, 1.323, 1.042, 1.995, 0.60, 41),
    _row(
        "Intel Xeon Skylake",
        r"(Platinum|Gold|Silver|Bronze) \d1\d\d",
        0.542,
        0.351,
        0.825,
        3.959,
        3.130,
        4.507,
        1.71,
        74,
    ),
    _row(
        "Intel Xeon Cascade Lake",
        r"(Platinum|Gold|Silver|Bronze) \d2\d\d",
        0.632,
        0.416,
        1.273,
        3.936,
        2.966,
        4.660,
        1.71,
        71,
    ),
    _row("Intel Xeon Cooper Lake", r"Platinum 83\d\dHL?\b", 0.822, 0.410, 1.149, 4.455, 3.307, 5.138, 2.57, 8),
    _row("Intel Xeon Ice Lake", r"(Platinum|Gold|Silver) \d3\d\d", 1.020, 0.688, 1.831, 4.145, 3.160, 5.300, 1.60, 43),
    _row(
        "Intel Xeon Sapphire Rapids",
        r"(Platinum|Gold|Silver|Bronze) \d4\d\d",
        1.064,
        0.629,
        2.490,
        4.064,
        2.706,
        6.153,
        2.00,
        67,
    ),
    _row(
        "Intel Xeon Emerald Rapids",
        r"(Platinum|Gold|Silver|Bronze) \d5\d\d",
        0.820,
        0.530,
        1.202,
        3.511,
        2.406,
        6.762,
        1.00,
        33,
    ),
    _row("Intel Xeon Granite Rapids", r"6[79]\d\dP", 0.584, 0.287, 0.877, 2.522, 1.210, 3.395, 1.12, 30),
    _row("Intel Xeon Sierra Forest", r"67\d\dE", 0.691, 0.329, 1.098, 2.492, 1.071, 3.106, 1.78, 20),
    _row("Ampere Altra", r"Altra|Neoverse-N1", 0.735, 0.560, 1.117, 1.706, 1.112, 2.073, 1.00, 7),
)
# every group together: what a processor that nobody knows may be
UNKNOWN = _row("unknown processor", "", 0.639, 0.205, 1.611, 3.023, 1.117, 4.98, 1.067, 535.0)

# (vendor, family, models, steppings or None) for virtual machines whose brand string hides the part
_CPUID: dict[str, tuple[str, int, Collection[int], Collection[int] | None]] = {
    "AMD EPYC Zen 1 (7xx1)": ("AuthenticAMD", 23, range(0, 16), None),
    "AMD EPYC Zen 2 (7xx2)": ("AuthenticAMD", 23, range(48, 64), None),
    "AMD EPYC Zen 3 (7xx3)": ("AuthenticAMD", 25, range(0, 16), None),
    "AMD EPYC Zen 4 (9xx4)": ("AuthenticAMD", 25, (*range(16, 32), *range(160, 176)), None),
    "AMD EPYC Zen 5 (9xx5)": ("AuthenticAMD", 26, range(0, 32), None),
    "Intel Xeon Skylake": ("GenuineIntel", 6, (85,), range(0, 5)),
    "Intel Xeon Cascade Lake": ("GenuineIntel", 6, (85,), range(5, 10)),
    "Intel Xeon Cooper Lake": ("GenuineIntel", 6, (85,), range(10, 16)),
    "Intel Xeon Ice Lake": ("GenuineIntel", 6, (106, 108), None),
    "Intel Xeon Sapphire Rapids": ("GenuineIntel", 6, (143,), None),
    "Intel Xeon Emerald Rapids": ("GenuineIntel", 6, (207,), None),
    "Intel Xeon Granite Rapids": ("GenuineIntel", 6, (173, 174), None),
    "Intel Xeon Sierra Forest": ("GenuineIntel", 6, (175,), None),
    "Ampere Altra": ("ARM", 8, (0xD0C,), None),
}


def part(processor: Processor) -> Coefficients | None:
    """The very part, by its brand string."""
    return next((row for row in PARTS if re.search(row.pattern, processor.brand)), None)


def family(processor: Processor) -> Coefficients | None:
    """The generation, by brand string, or by cpuid where that says nothing."""
    named = next((row for row in FAMILIES if re.search(row.pattern, processor.brand)), None)
    return named or next((row for row in FAMILIES if _matches(row.label, processor)), None)


def _matches(label: str, p: Processor) -> bool:
    if label not in _CPUID:
        return False
    vendor, family_number, models, steppings = _CPUID[label]
    stepping_fits = steppings is None or p.stepping in steppings
    return p.vendor == vendor and p.family == family_number and p.model in models and stepping_fits
