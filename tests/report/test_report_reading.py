"""A reading for people."""

from __future__ import annotations

from trimwatt.carbon import intensity
from trimwatt.energy import Energy, Reading
from trimwatt.meter.runs import spread
from trimwatt.report import reading as page


def _reading(**changes: object) -> Reading:
    energy = Energy(148e-3, 138e-3, 157e-3, "mixed")
    given = {"energy": energy, "process": energy, "domains": {}, "duration_s": 252.0, "cpu_s": 3.5, "coverage": 0.5}
    return Reading(**{**given, **changes})  # type: ignore[arg-type]


def test_it_fits_80_columns_and_tells_interval_and_origin() -> None:
    reading = _reading(peak_rss_bytes=45_200_000, warnings=("a long warning " * 20,))
    runs = {**spread([0.148, 0.138, 0.157]).to_dict(), "warmup": 2}
    text = page.text(reading, intensity.grams(reading.process), runs)
    assert max(map(len, text.splitlines())) <= 80
    plain = " ".join(text.split())
    for part in (
        "process 148 mJ [138 mJ to 157 mJ] mixed", "4 min 12 s, 3.50 s of CPU, 45.2 MB of memory",
        "50% of what draws power was measured; `trimwatt doctor`", "the grid is not known", "23.3 to 1306 g a kWh",
        "3, from 138 mJ to 157 mJ", "(75%)", "2 to warm up not counted",
    ):  # fmt: skip
        assert part in plain


def test_what_is_not_known_is_said_and_not_zero() -> None:
    text = page.text(_reading(energy=None, process=None), intensity.grams(None))
    assert "process   not known" in text and "carbon" not in text and "memory" not in text


def test_a_full_measurement_needs_no_hint() -> None:
    assert "doctor" not in page.text(_reading(coverage=1.0))


def test_a_known_grid_gives_grams() -> None:
    known = intensity.Intensity("FR", 44.0, 40.0, 50.0, "2024", "a source", "a licence")
    assert "1.81 µg of CO2e [1.53 µg to 2.18 µg] (FR: 40 to 50 g a kWh, 2024)" in " ".join(
        page.text(_reading(), intensity.grams(_reading().process, known)).split()
    )
    assert page.exit_codes([0, 0]) is None
