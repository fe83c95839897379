"""Run inside a tool's own environment: start it, stop it, say what it read. Prints one line of JSON.

python _meter_tools.py TOOL import | cost | idle SECONDS | read SECONDS
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODULES = {
    "trimwatt": "trimwatt", "codecarbon": "codecarbon", "zeus": "zeus.monitor",
    "carbontracker": "carbontracker.tracker", "eco2ai": "eco2ai", "pyjoules": "pyJoules.energy_meter",
}  # fmt: skip
Told = tuple[float | None, str]


def trimwatt() -> Callable[[], Told]:
    import trimwatt as tw

    window = tw.meter()
    window.__enter__()

    def stop() -> Told:
        window.__exit__(None, None, None)
        energy = window.reading.energy
        return (energy.joules, f"package+dram {energy.origin}") if energy else (None, "nothing")

    return stop


def codecarbon() -> Callable[[], Told]:
    from codecarbon import OfflineEmissionsTracker

    tracker = OfflineEmissionsTracker(
        country_iso_code="FRA", log_level="critical", save_to_file=False, allow_multiple_runs=True
    )
    tracker.start()

    def stop() -> Told:
        tracker.stop()
        return tracker.final_emissions_data.cpu_energy * 3.6e6, "package"

    return stop


def zeus() -> Callable[[], Told]:
    from zeus.monitor import ZeusMonitor

    monitor = ZeusMonitor(gpu_indices=[])
    monitor.begin_window("w")

    def stop() -> Told:
        found = monitor.end_window("w")
        return (sum(found.cpu_energy.values()) if found.cpu_energy else None), "package"

    return stop


def carbontracker() -> Callable[[], Told]:
    from carbontracker import constants
    from carbontracker.tracker import CarbonTracker

    tracker = CarbonTracker(epochs=1, monitor_epochs=1, update_interval=1, components="cpu", verbose=0)
    tracker.epoch_start()
    # it drops its thread, and with it the figures, at the last epoch
    thread = tracker.tracker

    def stop() -> Told:
        tracker.epoch_end()
        kwh = float(thread.total_energy_per_epoch().sum())
        return kwh * 3.6e6 / constants.PUE_2023, "package+dram"

    return stop


def eco2ai() -> Callable[[], Told]:
    from eco2ai import Tracker

    tracker = Tracker(project_name="p", experiment_description="d", file_name="eco.csv", alpha_2_code="FR")
    tracker.start()

    def stop() -> Told:
        tracker.stop()
        return float(tracker.consumption()) * 3.6e6, "CPU and memory"

    return stop


def pyjoules() -> Callable[[], Told]:
    from pyJoules.device import DeviceFactory
    from pyJoules.energy_meter import EnergyMeter

    meter = EnergyMeter(DeviceFactory.create_devices())
    meter.start(tag="w")

    def stop() -> Told:
        meter.stop()
        energy = meter.get_trace()[0].energy
        return sum(v for k, v in energy.items() if k.startswith("package")) / 1e6, "package"

    return stop


def cpu() -> float:
    """CPU seconds of this process, its helpers alive or waited for included."""
    t = os.times()
    alive = 0.0
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            alive += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return t.user + t.system + t.children_user + t.children_system + alive


def measure(tool: str, task: str, seconds: float) -> dict[str, Any]:
    if task == "import":
        before = time.process_time()
        __import__(MODULES[tool])
        return {"import_cpu_s": time.process_time() - before}
    start: Callable[[], Callable[[], Told]] = globals()[tool]
    if task == "cost":
        __import__(MODULES[tool])
        times = []
        # the first block of a process, and a later one
        for _ in range(2):
            begun = time.perf_counter()
            stop = start()
            started = time.perf_counter()
            time.sleep(0.2)
            ending = time.perf_counter()
            stop()
            times += [started - begun, time.perf_counter() - ending]
        return dict(zip(("first_start_s", "first_stop_s", "start_s", "stop_s"), times, strict=True))
    begun = time.monotonic()
    stop = start()
    from_s, used = time.monotonic(), cpu()
    time.sleep(seconds)
    used = cpu() - used
    # nothing of ours between the end of the window and the tool's own
    duration_s = time.monotonic() - from_s
    joules, covers = stop()
    return {
        "joules": joules, "covers": covers, "duration_s": duration_s, "cpu_s": used,
        "setup_s": from_s - begun, "stopped_s": time.monotonic() - from_s - duration_s,
    }  # fmt: skip


def main() -> None:
    tool, task, *rest = sys.argv[1:]
    quiet = io.StringIO()
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            found = measure(tool, task, float(rest[0]) if rest else 0.0)
    except BaseException as error:  # whatever a tool raises is what it answers
        found = {"failed": f"{type(error).__name__}: {str(error)[:200]}"}
    # helpers that a tool leaves would hold our output open, and its threads this process
    for child in multiprocessing.active_children():
        child.kill()
    sys.__stdout__.write(json.dumps(found) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]
    os._exit(0)


# a tool that spawns helpers imports this file again
if __name__ == "__main__":
    main()
