"""Many ranks, one machine: each joule is booked once."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.energy import Energy, Reading
from trimwatt.errors import InputError
from trimwatt.meter import ranks
from trimwatt.meter.fake import FakePowercap, FakeZone, constant
from trimwatt.meter.ranks import Rank, Share


def _energy(joules: float) -> Energy:
    return Energy(joules, 0.8 * joules, 1.1 * joules, "measured")


def _share(
    number: int, work: float, idle: float = 40.0, cores: frozenset[int] | None = frozenset({0, 1}),
    node: str = "a", local: int | None = None, machine: float = 1000.0, seconds: float = 10.0,
) -> Share:  # fmt: skip
    reading = Reading(
        _energy(machine), _energy(work + idle), {"package-0": _energy(machine)}, seconds, 2.0, 100,
        marginal=_energy(work), idle=_energy(idle),
    )  # fmt: skip
    rank = Rank(number, number if local is None else local, 8, node)
    kept = reading if rank.local == 0 else replace(reading, energy=None, domains={})
    return Share(rank, kept, cores, 2.0 if cores is None else float(len(cores)), 4)


def _joules(energy: Energy | None) -> float:
    assert energy is not None
    return energy.joules


def test_the_machine_once_work_by_rank_and_shared_idle_once() -> None:
    whole = ranks.reduce([_share(i, 50.0) for i in range(8)])
    assert _joules(whole.energy) == 1000
    assert _joules(whole.marginal) == pytest.approx(400)
    assert _joules(whole.process) == pytest.approx(440)
    assert (whole.cpu_s, whole.peak_rss_bytes, whole.duration_s) == (16, 800, 10)
    assert set(whole.domains) == {"package-0"}


def test_ranks_with_cores_of_their_own_add_their_idle() -> None:
    each = [_share(i, 50.0, 20.0, frozenset({i})) for i in range(4)]
    assert _joules(ranks.reduce(each).process) == pytest.approx(4 * 70)
    # no more cores than the machine has, where the system does not tell which
    assert _joules(ranks.reduce([_share(i, 50.0, cores=None) for i in range(8)]).process) == pytest.approx(440)


def test_cores_that_overlap_count_once() -> None:
    # two cores each at 20 J idle a core, one of them in common
    shares = [_share(0, 50.0, cores=frozenset({0, 1})), _share(1, 50.0, cores=frozenset({1, 2}))]
    assert _joules(ranks.reduce(shares).idle) == pytest.approx(60)


def test_only_the_first_rank_of_a_node_keeps_the_machine() -> None:
    reading = _share(0, 50.0).reading
    assert ranks.share(reading, Rank(4, 0, 8, "b")).reading == reading
    other = ranks.share(reading, Rank(5, 1, 8, "b")).reading
    assert (other.energy, other.domains) == (None, {})
    assert (other.process, other.marginal, other.idle) == (reading.process, reading.marginal, reading.idle)


def test_two_nodes() -> None:
    shares = [_share(i, 50.0, node="ab"[i // 4], local=i % 4) for i in range(8)]
    whole = ranks.reduce(shares)
    assert _joules(whole.energy) == 2000
    assert _joules(whole.process) == pytest.approx(480)
    assert set(whole.domains) == {"a:package-0", "b:package-0"}


def test_one_rank_is_as_it_was() -> None:
    one = _share(0, 50.0)
    whole = ranks.reduce([one])
    assert (whole.energy, whole.process, whole.marginal) == (one.reading.energy, one.reading.process, _energy(50.0))


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=8), st.floats(0, 100))
def test_no_more_is_booked_than_the_machine_took(work: list[float], idle: float) -> None:
    whole = ranks.reduce([_share(i, w, idle) for i, w in enumerate(work)])
    assert whole.process is not None
    assert whole.energy is not None
    assert 0 <= whole.process.low <= whole.process.joules <= whole.energy.joules


def test_windows_that_differ_and_unknown_shares_are_said() -> None:
    shares = [_share(0, 5.0), _share(1, 5.0, seconds=14.0)]
    assert "10 to 14 s" in ranks.reduce(shares).warnings[0]
    unknown = replace(shares[1], reading=replace(shares[1].reading, process=None, marginal=None))
    whole = ranks.reduce([shares[0], unknown])
    assert (whole.process, whole.marginal) == (None, None)
    assert _joules(whole.energy) == 1000


@pytest.mark.parametrize(
    ("shares", "says"),
    [
        ([], "no ranks"),
        ([_share(0, 1.0), _share(0, 1.0)], "booked once"),
        ([_share(1, 1.0), _share(2, 1.0)], "got 0 with local rank 0"),
    ],
)
def test_what_cannot_be_reduced(shares: list[Share], says: str) -> None:
    with pytest.raises(InputError, match=says):
        ranks.reduce(shares)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 0, 1)),
        ({"RANK": "9", "LOCAL_RANK": "1", "WORLD_SIZE": "16"}, (9, 1, 16)),
        ({"SLURM_PROCID": "3", "SLURM_LOCALID": "3", "SLURM_NTASKS": "4"}, (3, 3, 4)),
        ({"OMPI_COMM_WORLD_RANK": "5", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_SIZE": "8"}, (5, 1, 8)),
        ({"RANK": "2", "WORLD_SIZE": "4"}, (2, 2, 4)),
    ],
)
def test_launchers(environment: dict[str, str], expected: tuple[int, int, int]) -> None:
    rank = ranks.here(environment)
    assert (rank.number, rank.local, rank.size) == expected


def test_a_launchers_variable_that_is_no_number() -> None:
    with pytest.raises(InputError, match="LOCAL_RANK is the number of a rank, got 'one'"):
        ranks.here({"LOCAL_RANK": "one"})


def test_a_share_travels_as_text() -> None:
    for one in (_share(0, 50.0), _share(3, 50.0, cores=None)):
        assert ranks._share(ranks._text(one)) == one
    assert ranks.gather(_share(0, 1.0).reading) == _share(0, 1.0).reading


# eight ranks forked from one process that has imported torch, as eight imports would take longer than all else
EIGHT = """
import json, os, sys, time
import torch, torch.distributed as dist
import trimwatt as tw
from trimwatt.meter import ranks

def run(rank, port):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "8"}
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    dist.barrier()
    with tw.meter() as m:
        # all windows are open before any rank works
        dist.barrier()
        x = torch.ones(200, 200)
        end = time.process_time() + 0.15
        while time.process_time() < end:
            x = x @ x / 200
        dist.all_reduce(x)
    whole = ranks.gather(m.reading)
    assert (whole is None) == (rank != 0)
    alone = m.reading.to_dict()
    with open(os.path.join(sys.argv[2], f"{rank}.json"), "w") as file:
        json.dump([alone, whole and whole.to_dict()], file)
    dist.destroy_process_group()

pids = []
for rank in range(8):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run(rank, sys.argv[1])
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    pids.append(pid)
sys.exit(sum(os.waitpid(pid, 0)[1] != 0 for pid in pids))
"""


def _free_port() -> int:
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_eight_ranks_of_a_real_run_book_each_joule_once(tmp_path: Path) -> None:
    tree = FakePowercap(tmp_path / "sys", [FakeZone("intel-rapl:0", "package-0", constant(50))])
    out = tmp_path / "out"
    out.mkdir()
    environment = {**os.environ, "TRIMWATT_POWERCAP": str(tree.root), "OMP_NUM_THREADS": "1"}
    done, steps_s = threading.Event(), [0.0]

    def flow() -> None:
        last = time.monotonic()
        while not done.wait(0.005):
            now = time.monotonic()
            steps_s.append(now - last)
            # whole and at once, as the kernel's counter moves
            tree.clock.advance(now - last)
            tree._drawn_uj["intel-rapl:0"] += 50 * (now - last) * 1e6
            last = now
            file = tree.energy_file("intel-rapl:0")
            file.with_name("next").write_text(f"{tree.counter('intel-rapl:0')}\n")
            file.with_name("next").replace(file)

    thread = threading.Thread(target=flow)
    thread.start()
    try:
        run = subprocess.run(
            [sys.executable, "-c", EIGHT, str(_free_port()), str(out)],
            env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    finally:
        done.set()
        thread.join()
    assert run.returncode == 0, run.stderr[-2000:]
    alone = [json.loads((out / f"{rank}.json").read_text()) for rank in range(8)]
    whole = alone[0][1]
    joules = whole["energy"]["joules"]
    assert whole["energy"]["origin"] == "measured"
    # to the steps by which the counter moved, which are long where the host is busy
    duration_s = alone[0][0]["duration_s"]
    assert joules == pytest.approx(50 * duration_s, abs=50 * (0.1 * duration_s + 2 * max(steps_s)))
    # each rank by itself sees the whole machine, which eight of them would book eight times
    assert sum(own["energy"]["joules"] for own, _ in alone) > 6 * joules
    assert whole["cpu_s"] == pytest.approx(sum(own["cpu_s"] for own, _ in alone))
    assert whole["cpu_s"] >= 8 * 0.15
    marginal = sum(own["marginal"]["joules"] for own, _ in alone)
    assert whole["marginal"]["joules"] == pytest.approx(min(marginal, joules), rel=1e-6)
    assert marginal <= joules * 1.15
    idle = max(alone, key=lambda pair: pair[0]["duration_s"])[0]["idle"]["joules"]
    assert whole["process"]["joules"] == pytest.approx(min(joules, marginal + idle), rel=0.02)
    assert sum(own["process"]["joules"] for own, _ in alone) > 1.5 * whole["process"]["joules"]
