"""The books: whatever is called what, the entries add up to what the process tree used."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.energy import Energy
from trimwatt.meter import cpu_model, usage
from trimwatt.meter._base import Mark
from trimwatt.study.ledger import Ledger
from trimwatt.study.start import Start
from trimwatt.study.worker import Usage
from trimwatt.trial import LedgerEntry


class Tree:
    """A process tree whose clocks stand still until they are told otherwise, and the model of this machine on it."""

    name, origin = "tree", "estimated"

    def __init__(self) -> None:
        self.time_s, self.cpu_s = 100.0, 7.0
        self.parts = (cpu_model.detect(),)

    def works(self, cpu_s: float, time_s: float) -> None:
        self.cpu_s += cpu_s
        self.time_s += time_s

    def mark(self) -> Mark:
        return Mark(self.time_s, self.cpu_s, self.cpu_s)

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        return {"cpu": Energy(1.0, 1.0, 1.0, "estimated")}


def _used(stage: str, cpu_s: float, duration_s: float) -> Usage:
    model = cpu_model.detect()
    energy = model.dynamic_energy(cpu_s) + model.idle_energy(duration_s, 1)
    return Usage(stage, stage, energy, cpu_s, duration_s)


def _sums(entries: list[LedgerEntry]) -> tuple[float, float]:
    return sum(e.cpu_s for e in entries), sum(e.duration_s for e in entries)


def _of(ledger: Ledger, step: str) -> tuple[float, float]:
    return _sums([entry for entry in ledger.entries if entry.step == step])


def test_what_came_before_the_meter_is_booked_as_an_estimate() -> None:
    tree = Tree()
    ledger = Ledger(tree, Start(98.5, 5.0))
    (first,) = ledger.take_pending()[:1]
    assert (first.stage, first.cpu_s, first.duration_s, first.energy.origin) == ("prepare", 2.0, 1.5, "estimated")


def test_a_stage_is_booked_less_what_a_worker_reports_and_the_gaps_as_their_own() -> None:
    tree = Tree()
    ledger = Ledger(tree)
    tree.works(1.0, 1.0)
    with ledger.booking("prepare", "t1", "worker process"):
        tree.works(5.0, 4.0)
        ledger.book("t1", [_used("train", 3.0, 2.0), _used("export", 1.0, 1.0)])
    tree.works(0.5, 0.25)
    ledger.take_pending()
    assert _of(ledger, "worker process") == (pytest.approx(1.0), pytest.approx(1.0))
    assert _of(ledger, "train") == (3.0, 2.0)
    assert _of(ledger, "data, model and worker processes") == (pytest.approx(1.5), pytest.approx(1.25))
    assert _sums(ledger.entries) == (pytest.approx(6.5), pytest.approx(5.25))


def test_a_stage_inside_another_is_not_counted_twice() -> None:
    tree = Tree()
    ledger = Ledger(tree)
    with ledger.booking("measure", None, "outer"):
        tree.works(1.0, 1.0)
        with ledger.booking("evaluate", None, "inner"):
            tree.works(2.0, 2.0)
        tree.works(4.0, 4.0)
    assert _of(ledger, "outer") == (5.0, 5.0) and _of(ledger, "inner") == (2.0, 2.0)


def test_what_went_on_beside_other_work_takes_cpu_time_and_no_wall_time() -> None:
    tree = Tree()
    ledger = Ledger(tree)
    tree.works(6.0, 3.0)
    ledger.book_beside("prepare", "server", 4.0, 2.5)
    ledger.take_pending()
    (server,) = [entry for entry in ledger.entries if entry.step == "server"]
    assert (server.cpu_s, server.duration_s, server.overlap_s) == (4.0, 0.0, 2.5)
    assert _sums(ledger.entries) == (pytest.approx(6.0), pytest.approx(3.0))


def test_what_a_worker_reports_beyond_what_was_seen_is_made_good() -> None:
    """The system counts ended processes in ticks; a worker's own clock is finer."""
    tree = Tree()
    ledger = Ledger(tree)
    with ledger.booking("prepare", "t1", "worker"):
        tree.works(0.99, 1.0)
        ledger.book("t1", [_used("train", 1.0, 0.9)])
    tree.works(0.51, 0.5)
    ledger.take_pending()
    assert all(entry.cpu_s >= 0 for entry in ledger.entries)
    assert _sums(ledger.entries)[0] == pytest.approx(1.5)


def test_work_that_ends_in_an_error_is_booked() -> None:
    tree = Tree()
    ledger = Ledger(tree)
    with pytest.raises(ZeroDivisionError), ledger.booking("train", "t1", "broken"):
        tree.works(2.0, 2.0)
        raise ZeroDivisionError
    assert _of(ledger, "broken") == (2.0, 2.0)


def test_what_was_kept_and_what_is_kept_later_is_all_that_was_used() -> None:
    tree, kept = Tree(), []
    ledger = Ledger(tree)
    ledger.keep = kept.extend
    for _ in range(3):
        with ledger.booking("measure", None, "pairs"):
            tree.works(2.0, 2.0)
        # a study that is killed here has lost nothing of what came before
        assert _sums(kept)[0] == pytest.approx(tree.cpu_s - 7.0)
    later = Ledger(Tree())
    later.resume(kept)
    assert later.duration_s() == 0 and _sums(later.entries) == _sums(kept)


def test_what_is_foreseen_is_the_last_and_has_an_interval_from_nothing_to_twice_of_it() -> None:
    tree = Tree()
    ledger = Ledger(tree)
    tree.works(1.0, 1.0)
    ledger.foresee(0.5, 0.4, "the last write")
    total = ledger.total()
    tree.works(0.5, 0.4)
    last = ledger.entries[-1]
    assert ledger.total() == total and ledger.take_pending()[-1] is last
    assert (last.stage, last.cpu_s, last.duration_s, last.energy.origin) == ("report", 0.5, 0.4, "estimated")
    assert last.energy.low == 0 and last.energy.high > last.energy.joules
    assert _sums(ledger.entries) == (pytest.approx(1.5), pytest.approx(1.4))


_STEPS = st.lists(
    st.tuples(st.sampled_from(["gap", "stage", "keep", "worker"]), st.floats(0, 9), st.floats(0, 9), st.floats(0, 1)),
    max_size=12,
)


@given(_STEPS)
def test_the_entries_add_up_to_the_tree_whatever_happens(steps: list[tuple[str, float, float, float]]) -> None:
    tree = Tree()
    ledger = Ledger(tree, Start(99.0, 6.0))
    for what, cpu_s, time_s, share in steps:
        if what == "gap":
            tree.works(cpu_s, time_s)
        elif what == "keep":
            ledger.take_pending()
        else:
            with ledger.booking("measure", None, what):
                tree.works(cpu_s, time_s)
                ledger.book("t", [_used("train", cpu_s * share, time_s * share)] if what == "worker" else [])
    ledger.take_pending()
    used_s, took_s = _sums(ledger.entries)
    assert (used_s, took_s) == (pytest.approx(tree.cpu_s - 6.0), pytest.approx(tree.time_s - 99.0))
    model, threads = cpu_model.detect(), usage.reserved_threads()
    whole = model.dynamic_energy(used_s) + model.idle_energy(took_s, threads)
    told = ledger.total()
    # a worker of these tests holds one thread, this process perhaps more
    assert told is not None and model.dynamic_energy(used_s).joules <= told.joules * (1 + 1e-9)
    assert told.joules <= whole.joules * (1 + 1e-9)


def test_an_entry_survives_the_trip_through_json() -> None:
    entry = LedgerEntry("report", None, Energy(1.0, 0.0, 2.0, "estimated"), 0.5, 0.4, "x", 0.3)
    assert LedgerEntry.from_dict(entry.to_dict()) == entry
    old = {name: value for name, value in entry.to_dict().items() if name != "overlap_s"}
    assert LedgerEntry.from_dict(old).overlap_s == 0


_BEGINS = """
import time
from trimwatt.study.start import Start
whole, before = Start.of_process(), time.process_time()
sum(range(2_000_000))
now = Start.now()
print(whole.cpu_s, time.monotonic() - whole.time_s, now.cpu_s, before, time.monotonic() - now.time_s)
"""


def test_a_command_begins_with_its_process_and_a_call_with_the_call() -> None:
    done = subprocess.run([sys.executable, "-c", _BEGINS], capture_output=True, text=True, check=True)
    whole_cpu, age_s, now_cpu, before, since_s = map(float, done.stdout.split())
    assert whole_cpu == 0 and now_cpu > before > 0
    # a tick of the system's clock apart, it cannot be younger than the CPU time it used
    assert age_s > before - 0.01 and since_s < age_s


def test_of_optimize_nothing_is_loaded_before_it_is_called() -> None:
    code = "import sys, trimwatt as tw; tw.optimize; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_any_meter_will_do() -> None:
    """A meter that reads nothing leaves the model of CPU time."""

    class Nothing(Tree):
        parts: Any = ()

        def __init__(self) -> None:
            self.time_s, self.cpu_s = 100.0, 7.0

        def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
            return {}

    tree = Nothing()
    ledger = Ledger(tree)
    tree.works(1.0, 1.0)
    assert ledger.total() is not None and ledger.total().origin == "estimated"  # type: ignore[union-attr]
