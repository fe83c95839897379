from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trimwatt.meter import attribute, cpu_model, cpu_table, usage
from trimwatt.meter._base import Mark
from trimwatt.meter.cpu_model import CpuModel, build
from trimwatt.meter.cpu_table import Processor

# what virtual machines show instead of the part
XEON = "Intel(R) Xeon(R) Processor @ 2.10GHz"
GENOA = build(Processor("AMD EPYC 9654 96-Core Processor"), 1.0, 2, 2.0)


def test_the_formula_by_hand() -> None:
    # 2 threads for 10 s, 5 CPU s: 1.25 * (0.343 * 2 * 10 + (1.879 - 0.343) * 5) = 18.175 J
    window = Mark(0.0, 0.0, 0.0), Mark(10.0, 5.0, 5.0)
    domains = GENOA.between(*window)
    assert set(domains) == {"cpu"}
    assert domains["cpu"].joules == pytest.approx(18.175)
    # the machine's 5 CPU s are told in ticks of 10 ms, all of which are ours here
    assert domains["cpu"].low == pytest.approx(18.175 * 0.65)
    assert domains["cpu"].high == pytest.approx((18.175 + 1.25 * (1.879 - 0.343) * 2 * 0.01) * 1.45)
    assert domains["cpu"].origin == "estimated"


def test_memory_beyond_what_the_watts_include() -> None:
    # 1 GB a thread is inside: 8 - 2 = 6 GB at 0.24 W for 10 s
    domains = replace(GENOA, memory_gb=8.0).between(Mark(0.0, 0.0, 0.0), Mark(10.0, 0.0, 0.0))
    assert domains["memory"].joules == pytest.approx(14.4)


def test_a_whole_core_draws_more_than_a_thread() -> None:
    core = replace(GENOA, core_factor=1.75)
    assert core.joules_per_cpu_s == pytest.approx(1.75 * GENOA.joules_per_cpu_s)


def test_process_and_rest_make_the_machine() -> None:
    a, b = Mark(0.0, 0.0, 0.0), Mark(10.0, 3.0, 5.0)
    model = replace(GENOA, memory_gb=8.0)
    whole = attribute.machine(model.between(a, b))
    others = attribute.process_share(model, a, b, cpu_s=2.0, threads=0)
    assert whole is not None
    assert attribute.process_share(model, a, b, threads=2).joules + others.joules == pytest.approx(whole.joules)


def test_per_cpu_second() -> None:
    one = attribute.per_cpu_second(GENOA)
    assert one is not None
    assert one.joules == pytest.approx(1.25 * (1.879 - 0.343))
    assert attribute.dynamic(GENOA, Mark(0, 0), Mark(1, 7.0)) == GENOA.dynamic_energy(7.0)


@pytest.mark.parametrize(
    ("processor", "label", "known"),
    [
        (Processor("AMD EPYC 9R14"), "AMD EPYC 9654", "known part"),
        (Processor("Intel(R) Xeon(R) Platinum 8488C"), "Intel Xeon 8480+", "known part"),
        (Processor("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz"), "Intel Xeon Ice Lake", "known family"),
        (Processor("AMD EPYC 9474F 48-Core"), "AMD EPYC Zen 4 (9xx4)", "known family"),
        (Processor("AMD EPYC", "AuthenticAMD", 25, 17, 1), "AMD EPYC Zen 4 (9xx4)", "known family"),
        (Processor("AMD EPYC", "AuthenticAMD", 26, 2, 1), "AMD EPYC Zen 5 (9xx5)", "known family"),
        (Processor(XEON, "GenuineIntel", 6, 207, 2), "Intel Xeon Emerald Rapids", "known family"),
        (Processor(XEON, "GenuineIntel", 6, 85, 3), "Intel Xeon Skylake", "known family"),
        (Processor(XEON, "GenuineIntel", 6, 85, 7), "Intel Xeon Cascade Lake", "known family"),
        (Processor(XEON, "GenuineIntel", 6, 143, 8), "Intel Xeon Sapphire Rapids", "known family"),
        (Processor("Intel(R) Xeon(R) 6787P", "GenuineIntel", 6, 173, 1), "Intel Xeon 6787P", "known part"),
        (Processor("11th Gen Intel(R) Core(TM) i7-1185G7", "GenuineIntel", 6, 140, 1), "unknown processor", "unknown"),
        (Processor("Apple M2"), "unknown processor", "unknown"),
        (Processor(), "unknown processor", "unknown"),
    ],
)  # fmt: skip
def test_recognition(processor: Processor, label: str, known: str) -> None:
    model = build(processor, 1.0, 2, None)
    assert (model.coefficients.label, model.known) == (label, known)
    low, high = {"known part": (0.65, 1.45), "known family": (0.55, 1.9), "unknown": (0.33, 3.0)}[known]
    energy = model.dynamic_energy(1)
    assert (energy.low / energy.joules, energy.high / energy.joules) == pytest.approx((low, high))


def test_where_a_cpu_may_be_a_thread_or_a_core_the_part_does_not_help() -> None:
    assert build(Processor("AMD EPYC 9654"), 1.3, 2, None).known == "known family"


def test_the_record_says_it_is_a_guess_and_from_what() -> None:
    (said,) = GENOA.warnings(Mark(0, 0), Mark(1, 0))
    for fact in ("estimated", "AMD EPYC 9654", "20 results", "SPECpower", "core factor 1", "uplift 1.25", "x0.65"):
        assert fact in said


def test_the_machines_ticks_are_in_the_interval() -> None:
    step = GENOA.threads * usage.TICK_S
    # 1 ms of our own, and no tick yet: the others may have used anything that the time allows
    short = GENOA.between(Mark(0.0, 0.0, 0.0), Mark(0.002, 0.001, 0.0))["cpu"]
    most = GENOA.joules_per_cpu_s * GENOA.threads * 0.002 + GENOA.idle_w_per_thread * GENOA.threads * 0.002
    assert short.high == pytest.approx(most * GENOA.factors[1])
    long = GENOA.between(Mark(0.0, 0.0, 0.0), Mark(1000.0, 1.0, 50.0))["cpu"]
    work = GENOA.joules_per_cpu_s * 50
    assert long.high - long.joules * GENOA.factors[1] == pytest.approx(work * GENOA.factors[1] * step / 50)
    assert long.joules * GENOA.factors[0] - long.low == pytest.approx(work * GENOA.factors[0] * step / 50)
    assert GENOA.between(Mark(0, 0, 0.0), Mark(0, 0, 0.0))["cpu"].high == 0


def test_this_machine_is_detected() -> None:
    model = cpu_model.detect()
    assert isinstance(model, CpuModel)
    assert model.threads == usage.machine_threads()


@pytest.mark.parametrize("rows", [cpu_table.PARTS, cpu_table.FAMILIES])
def test_the_table_is_in_order(rows: tuple[cpu_table.Coefficients, ...]) -> None:
    assert len({row.label for row in rows}) == len(rows)
    for row in rows:
        assert row.idle_range[0] <= row.idle_w <= row.idle_range[1] < row.max_w
        assert row.max_range[0] <= row.max_w <= row.max_range[1]
        assert row.n >= 5
        assert 2017 <= row.years[0] <= row.years[1] <= 2026
        assert row.label in cpu_table._YEARS


def test_the_table_is_what_the_results_give(shared_data: Path) -> None:
    with (shared_data / "carbon" / "cpu_specpower_2017_2026.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if re.search("EPYC 9654", r["cpu"])]
    idle = np.mean([float(r["w_idle"]) / float(r["threads"]) for r in rows])
    full = np.mean([float(r["w_100"]) / float(r["threads"]) for r in rows])
    row = cpu_table.part(Processor("AMD EPYC 9654"))
    assert row is not None
    assert row.years == (min(int(r["published"][-4:]) for r in rows), max(int(r["published"][-4:]) for r in rows))
    assert (row.idle_w, row.max_w, row.n) == (pytest.approx(idle, abs=5e-4), pytest.approx(full, abs=5e-4), len(rows))


def test_family_of_the_facts() -> None:
    genoa = cpu_table.family(Processor("", "AuthenticAMD", 25, 160, 0))
    assert genoa is not None
    # facts: Zen 4 9xx4, part unknown: 0.283 / 1.567, n = 50
    assert (genoa.idle_w, genoa.max_w, genoa.n) == (0.283, 1.567, 50)
