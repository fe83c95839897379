from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.energy import Energy, Reading
from trimwatt.errors import InputError
from trimwatt.integrations import codecarbon
from trimwatt.integrations._codecarbon_columns import COLUMNS

HEADER_3 = ",".join(COLUMNS)
# as CodeCarbon 3.3.2 wrote it: two snapshots of one run, then another run tracked as a process with a PUE
MACHINE = (
    "2026-11-21T05:09:05,codecarbon,14f04bd8,5b0fa12a,{s},8.1e-11,4.5e-09,0.8,0.0,20.0,8.5e-11,0.0,1.36e-09,{kwh},"
    "0.0,France,FRA,,,,Linux-6.18,3.11.7,3.3.2,2,Intel(R) Xeon(R) @ 2.10GHz,0,,,,23.58,machine,0,0,0,0,N,1.0,0.0"
)
PROCESS = (
    "2026-11-21T05:09:07,mine,fc7ca355,5b0fa12a,10.0,3.8e-04,9.0e-09,16.5,30.0,15.0,0.0015,0.003,0.0015,0.006,0.0,"
    "France,FRA,,,,Linux-6.18,3.11.7,3.3.2,2,Intel(R) Xeon(R),1,1 x NVIDIA,,,23.58,process,0,0,0,0,N,1.5,0.0"
)
# release 2.0 had 29 columns, without experiment, version, utilisation and PUE
HEADER_2 = (
    "timestamp,project_name,run_id,duration,emissions,emissions_rate,cpu_power,gpu_power,ram_power,cpu_energy,"
    "gpu_energy,ram_energy,energy_consumed,country_name,country_iso_code,region,cloud_provider,cloud_region,os,"
    "python_version,cpu_count,cpu_model,gpu_count,gpu_model,longitude,latitude,ram_total_size,tracking_mode,on_cloud"
)
ROW_2 = (
    "2022-11-26T10:32:27,codecarbon,cc2e23fa,0.87,4.1e-07,0.00047,7.5,0.0,1.43,1.8e-06,0,3.4e-07,2.16e-06,Spain,ESP,"
    "catalonia,,,Linux-5.15.0,3.10.6,4,AMD Ryzen 5 3500U,,,2.2586,41.9272,3.83,machine,N"
)
# release 1.2 had no parts
FILE_1 = (
    "timestamp,experiment_id,project_name,duration,emissions,energy_consumed,country_name,country_iso_code,region,"
    "on_cloud,cloud_provider,cloud_region\n2021-04-01T10:00:00,e,old,5.0,0.001,0.002,France,FRA,,N,,\n"
)


def written(folder: Path, *lines: str) -> Path:
    path = folder / "emissions.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_kilowatt_hours_become_joules_and_kilograms_grams(tmp_path: Path) -> None:
    (run,) = codecarbon.runs(written(tmp_path, HEADER_2, ROW_2))
    assert run.reading.energy is not None
    assert run.reading.energy.joules == pytest.approx(2.16e-6 * 3.6e6)
    assert run.grams_co2e == pytest.approx(4.1e-4)
    assert (run.project, run.started, run.reading.duration_s) == ("codecarbon", "2022-11-26T10:32:27", 0.87)
    assert run.reading.domains["cpu"].joules == pytest.approx(6.48)
    assert run.reading.domains["dram"].joules == pytest.approx(1.224)


def test_all_of_it_is_an_estimate_with_a_wide_interval(tmp_path: Path) -> None:
    (reading,) = codecarbon.read(written(tmp_path, HEADER_2, ROW_2))
    for energy in (reading.energy, *reading.domains.values()):
        assert energy is not None
        assert energy.origin == "estimated"
        # the plug's figure, by the published 0.68 to 0.80, lies inside
        assert energy.low < energy.joules / 0.80 < energy.joules / 0.68 < energy.high
    assert reading.coverage == 0
    assert "does not say whether it measured or guessed" in reading.warnings[0]


def test_the_first_release_without_parts_is_read(tmp_path: Path) -> None:
    path = tmp_path / "emissions.csv"
    path.write_text(FILE_1)
    (reading,) = codecarbon.read(path)
    assert reading.energy is not None
    assert reading.energy.joules == pytest.approx(7200)
    assert reading.domains == {}


def test_snapshots_of_one_run_count_once(tmp_path: Path) -> None:
    rows = [MACHINE.format(s=s, kwh=kwh) for s, kwh in ((1.0, 1e-3), (2.0, 2e-3))]
    (reading,) = codecarbon.read(written(tmp_path, HEADER_3, *rows))
    assert reading.energy is not None
    assert (reading.energy.joules, reading.duration_s) == (pytest.approx(7200), 2.0)
    assert any("2 snapshots of one run" in note for note in reading.warnings)


def test_a_run_that_begins_anew_under_its_name_is_another(tmp_path: Path) -> None:
    rows = [MACHINE.format(s=s, kwh=kwh) for s, kwh in ((2.0, 2e-3), (1.0, 1e-3))]
    readings = codecarbon.read(written(tmp_path, HEADER_3, *rows))
    assert [r.duration_s for r in readings] == [2.0, 1.0]


def test_a_process_is_no_machine_and_the_pue_is_taken_out(tmp_path: Path) -> None:
    (run,) = codecarbon.runs(written(tmp_path, HEADER_3, PROCESS))
    assert run.reading.energy is None
    assert run.reading.process is not None
    assert run.reading.process.joules == pytest.approx(0.004 * 3.6e6)
    assert run.reading.domains["gpu"].joules == pytest.approx(7200)
    assert any("PUE of 1.5" in note for note in run.reading.warnings)
    assert any("tracked as a process" in note for note in run.reading.warnings)


def test_a_gpu_without_a_counter_is_unknown_and_not_zero(tmp_path: Path) -> None:
    row = MACHINE.format(s=1, kwh=1e-3).replace("2.10GHz,0,", "2.10GHz,1,")
    (reading,) = codecarbon.read(written(tmp_path, HEADER_3, row))
    assert "gpu" not in reading.domains
    assert any("GPU counted and no energy of it" in note for note in reading.warnings)


def test_cpu_seconds_are_unknown_and_the_json_says_null(tmp_path: Path) -> None:
    (reading,) = codecarbon.read(written(tmp_path, HEADER_2, ROW_2))
    assert math.isnan(reading.cpu_s)
    assert json.loads(json.dumps(reading.to_dict(), allow_nan=False))["cpu_s"] is None


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([""], "lacks timestamp, project_name, duration, energy_consumed"),
        (["a,b", "1,2"], "columns energy_consumed and emissions"),
        ([HEADER_2.replace("energy_consumed", "energy_wh"), ROW_2], "lacks energy_consumed"),
        ([HEADER_2, ROW_2.replace("catalonia,", "")], "line 2 has 28 values for 29 columns"),
        ([HEADER_2, ROW_2.replace("2.16e-06", "2 mWh")], "energy_consumed is '2 mWh', not a number"),
        ([HEADER_2, ROW_2.replace("2.16e-06", "-1")], "energy_consumed is '-1'"),
        ([HEADER_2, ROW_2.replace("2.16e-06", "inf")], "energy_consumed is 'inf'"),
        ([HEADER_2, ROW_2.replace(",0.87,", ",soon,")], "duration is 'soon'"),
        ([HEADER_2, ROW_2.replace("2.16e-06", "1e308")], "energy_consumed is '1e308', not a number from 0 to 1e"),
        ([HEADER_2, ROW_2.replace(",0.87,", ",1e300,")], "duration is '1e300', not a number"),
        ([HEADER_2, "x" * 200_000], "is no CSV file"),
    ],
)
def test_what_is_something_else_is_refused_in_one_line(tmp_path: Path, lines: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        codecarbon.read(written(tmp_path, *lines))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no"):
        codecarbon.read(tmp_path / "none.csv")
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="cannot be read"):
        codecarbon.read(tmp_path / "x.csv")


def test_a_run_without_energy_is_unknown(tmp_path: Path) -> None:
    (reading,) = codecarbon.read(written(tmp_path, HEADER_2, ROW_2.replace("2.16e-06", "")))
    assert reading.energy is None


def measured(joules: float = 3600.0, seconds: float = 60.0) -> Reading:
    package = Energy(0.9 * joules, 0.8 * joules, joules, "measured")
    dram = Energy(0.1 * joules, 0.1 * joules, 0.2 * joules, "measured")
    return Reading(package + dram, package, {"package-0": package, "dram-0": dram}, seconds, 30.0)


def test_what_is_written_has_the_same_columns(tmp_path: Path) -> None:
    path = codecarbon.write([measured()], tmp_path / "emissions.csv", project="p")
    (row,) = csv.DictReader(path.read_text().splitlines())
    assert path.read_text().splitlines()[0] == HEADER_3
    assert len(COLUMNS) == 38
    assert float(row["energy_consumed"]) == pytest.approx(1e-3)
    assert (float(row["cpu_energy"]), float(row["ram_power"])) == pytest.approx((0.9e-3, 6.0))
    assert (row["project_name"], row["tracking_mode"]) == ("p", "machine")
    # what is not known stays empty
    assert (row["emissions"], row["gpu_energy"], row["country_iso_code"], row["gpu_power"]) == ("", "", "", "")


def test_emissions_are_written_where_the_intensity_is_given(tmp_path: Path) -> None:
    path = codecarbon.write([measured()], tmp_path / "emissions.csv", grams_per_kwh=56)
    (row,) = csv.DictReader(path.read_text().splitlines())
    assert float(row["emissions"]) == pytest.approx(56e-6)
    assert float(row["emissions_rate"]) == pytest.approx(56e-6 / 60)


def test_rows_join_a_file_of_the_same_columns(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER_3, PROCESS)
    before = path.read_text()
    codecarbon.write([measured(), measured(7200)], path)
    assert path.read_text().startswith(before)
    runs = codecarbon.runs(path)
    assert [run.project for run in runs] == ["mine", "trimwatt", "trimwatt"]


@pytest.mark.parametrize("lines", [(HEADER_2, ROW_2), ("x,y", "1,2")])
def test_a_file_of_other_columns_is_left_as_it_is(tmp_path: Path, lines: tuple[str, ...]) -> None:
    path = written(tmp_path, *lines)
    before = path.read_text()
    with pytest.raises(InputError, match="other columns than the 38"):
        codecarbon.write([measured()], path)
    assert path.read_text() == before


def test_a_file_that_was_cut_off_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "emissions.csv"
    path.write_text(f"{HEADER_3}\n{PROCESS[:50]}")
    with pytest.raises(InputError, match="in the middle of a line"):
        codecarbon.write([measured()], path)


def test_nothing_is_written_where_one_reading_has_no_energy(tmp_path: Path) -> None:
    path = tmp_path / "emissions.csv"
    with pytest.raises(InputError, match="without energy"):
        codecarbon.write([measured(), Reading(None, None, {}, 1.0, 1.0)], path)
    assert not path.exists()


def test_a_process_is_written_as_one(tmp_path: Path) -> None:
    energy = Energy(10.0, 5.0, 20.0, "estimated")
    path = codecarbon.write([Reading(None, energy, {}, 1.0, 1.0)], tmp_path / "emissions.csv")
    (reading,) = codecarbon.read(path)
    assert reading.energy is None
    assert reading.process is not None and reading.process.joules == pytest.approx(10.0)


@given(joules=st.floats(0, 1e9), seconds=st.floats(0, 1e6))
def test_joules_and_seconds_come_back(tmp_path_factory: pytest.TempPathFactory, joules: float, seconds: float) -> None:
    path = tmp_path_factory.mktemp("round") / "emissions.csv"
    codecarbon.write([measured(joules, seconds)], path)
    (reading,) = codecarbon.read(path)
    assert reading.energy is not None
    assert (reading.energy.joules, reading.duration_s) == pytest.approx((joules, seconds))
