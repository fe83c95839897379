from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from trimwatt.errors import InputError
from trimwatt.integrations import experiment_impact_tracker as tracker


def sample(t: float, watts: float | None = 50.0, gpu: float | None = None, **more: Any) -> dict[str, Any]:
    """One line as the tracker writes it: keys of what the machine has, and nothing of what it has not."""
    told: dict[str, Any] = {"timestamp": 1600000000.0 + t, "cpu_count_adjusted_average_load": [0.1, 0.2, 0.3]}
    if watts is not None:
        told |= {
            "rapl_power_draw_absolute": watts,
            "rapl_estimated_attributable_power_draw": watts / 2,
            "cpu_time_seconds": {"17": {"user": t, "system": 1.0, "children_user": 0.0}},
            "process_ids": [17],
        }
    if gpu is not None:
        told |= {"nvidia_draw_absolute": gpu, "nvidia_estimated_attributable_power_draw": gpu}
    return told | more


def folder(root: Path, *lines: dict[str, Any] | str) -> Path:
    inside = root / "run1" / "impacttracker"
    inside.mkdir(parents=True)
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (inside / "data.json").write_text(text)
    return root / "run1"


def test_power_becomes_energy_over_time(tmp_path: Path) -> None:
    (reading,) = tracker.read(folder(tmp_path, *(sample(t, gpu=100.0) for t in (0, 4, 10))))
    assert reading.energy is not None and reading.process is not None
    assert reading.energy.joules == pytest.approx(1500)
    assert reading.process.joules == pytest.approx(1250)
    assert {name: e.joules for name, e in reading.domains.items()} == pytest.approx({"cpu": 500, "gpu": 1000})
    assert (reading.duration_s, reading.cpu_s) == pytest.approx((10, 11))
    assert reading.energy.origin == "estimated"


def test_power_that_changes_between_samples_widens_the_interval(tmp_path: Path) -> None:
    (reading,) = tracker.read(folder(tmp_path, sample(0, 0.0), sample(2, 100.0), sample(4, 0.0)))
    assert reading.energy is not None
    assert (reading.energy.low, reading.energy.joules, reading.energy.high) == pytest.approx((0, 200, 400))


def test_the_folder_its_inside_and_the_file_are_the_same(tmp_path: Path) -> None:
    root = folder(tmp_path, sample(0), sample(1))
    ways = (root, root / "impacttracker", root / "impacttracker" / "data.json")
    assert len({tracker.run(way).started for way in ways}) == 1
    assert tracker.run(root).started == "2020-09-13T12:26:40+00:00"
    assert tracker.run(root).project == "run1"


def test_a_log_that_was_cut_off_gives_what_is_left_and_says_so(tmp_path: Path) -> None:
    half = json.dumps(sample(9))[:40]
    (reading,) = tracker.read(folder(tmp_path, sample(0), "", "[1]", sample(2), half))
    assert reading.energy is not None
    assert reading.energy.joules == pytest.approx(100)
    assert any("2 of 4 lines are not samples" in note for note in reading.warnings)


def test_samples_that_lack_a_key_or_hold_no_number_are_bridged(tmp_path: Path) -> None:
    broken = sample(2) | {"rapl_power_draw_absolute": None, "rapl_estimated_attributable_power_draw": "n/a"}
    (reading,) = tracker.read(folder(tmp_path, sample(0), broken, sample(4)))
    assert reading.energy is not None
    assert reading.energy.joules == pytest.approx(200)
    assert any("rapl_power_draw_absolute is in 2 of 3 samples" in note for note in reading.warnings)


def test_lines_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    (reading,) = tracker.read(folder(tmp_path, sample(4), sample(0)))
    assert reading.duration_s == pytest.approx(4)


def test_a_machine_with_a_gpu_only_has_no_cpu(tmp_path: Path) -> None:
    (reading,) = tracker.read(folder(tmp_path, sample(0, None, 70.0), sample(1, None, 70.0)))
    assert list(reading.domains) == ["gpu"]
    assert math.isnan(reading.cpu_s)


@pytest.mark.parametrize("lines", [(), (sample(0),), (sample(0, None), sample(1, None)), ("not json",)])
def test_too_little_is_refused(tmp_path: Path, lines: tuple[Any, ...]) -> None:
    with pytest.raises(InputError, match="no two with power"):
        tracker.read(folder(tmp_path, *lines))


@pytest.mark.parametrize("absurd", [1e308, 10**400, -1, True, "50"])
def test_what_no_machine_draws_is_no_power(tmp_path: Path, absurd: Any) -> None:
    strange = sample(2) | {"rapl_power_draw_absolute": absurd}
    (reading,) = tracker.read(folder(tmp_path, sample(0), sample(1), strange, sample(3), "[" * 100_000))
    assert reading.energy is not None and reading.energy.joules == 150
    assert any("1 of 5 lines are not samples" in note for note in reading.warnings)


def test_samples_that_are_years_apart_say_nothing_of_the_time_between(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two samples are 31,536,000 s apart, and nothing says what was drawn") as told:
        tracker.read(folder(tmp_path, sample(0), sample(365 * 86400)))
    assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="no two with power"):
        tracker.read(folder(tmp_path / "late", sample(0), sample(1e15)))


def test_a_folder_that_is_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no impacttracker/data\.json"):
        tracker.read(tmp_path)


def test_the_pickle_beside_it_is_never_opened(tmp_path: Path) -> None:
    root = folder(tmp_path, sample(0), sample(1))
    (root / "impacttracker" / "info.pkl").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    assert tracker.read(root)
    assert not Path("owned").exists()
