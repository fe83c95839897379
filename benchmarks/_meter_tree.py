"""Shows a powercap tree whose truth is known, in a mount namespace of its own, and runs a command that reads it there.

    unshare -m python _meter_tree.py ROW -- COMMAND

The tools run unmodified: they find the tree where the kernel would show it. Needs root.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

INTEL, DRAM, AMD = 262143328850, 65712999613, 65532610987
Zone = tuple[str, str, Callable[[float], float], int, int]


def flat(watts: float) -> Callable[[float], float]:
    return lambda _: watts


def wraps(watts: float, after_s: float) -> list[Zone]:
    return [("0", "package-0", flat(watts), INTEL, INTEL - round(watts * after_s * 1e6))]


# name: seconds of the window, true watts of packages, of DRAM, zones
ROWS: dict[str, tuple[float, float, float, list[Zone]]] = {
    "two sockets with DRAM": (6, 90, 9, [
        ("0", "package-0", flat(50), INTEL, 240422366267), ("0:0", "dram", flat(5), DRAM, 7),
        ("1", "package-1", flat(40), INTEL, 124599532281), ("1:0", "dram", flat(4), DRAM, 9),
    ]),
    "laptop: package inside psys": (6, 20, 0, [
        ("0", "package-0", flat(20), INTEL, 5_000_000), ("0:0", "core", flat(12), INTEL, 1),
        ("0:1", "uncore", flat(3), INTEL, 2), ("1", "psys", flat(35), INTEL, 3),
    ]),
    "100 W and 0 W, 2 s period": (8, 50, 0, [
        ("0", "package-0", lambda t: 100.0 if int(t) % 2 == 0 else 0.0, INTEL, 4)
    ]),
    "two dies": (6, 55, 0, [
        ("0", "package-0-die-0", flat(30), AMD, 777), ("1", "package-0-die-1", flat(25), AMD, 99)
    ]),
    "first window of 50 ms": (0.05, 50, 0, [("0", "package-0", flat(50), INTEL, 1)]),
    # a tool needs up to 4 s to start: the counter wraps in each of these windows all the same
    "wrap in the window, 50 W": (12, 50, 0, wraps(50, 9)),
    "wrap in the window, 350 W": (12, 350, 0, wraps(350, 9)),
}  # fmt: skip


def build(row: str) -> dict[str, int]:
    """The tree below /sys, as the kernel lays it out; open files of the counters."""
    for folder in ("/sys/class", "/sys/devices/virtual"):
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)  # noqa: S607
    control = Path("/sys/devices/virtual/powercap/intel-rapl")
    links = Path("/sys/class/powercap")
    links.mkdir(parents=True)
    control.mkdir(parents=True)
    (links / "intel-rapl").symlink_to(control)
    (control / "subsystem").symlink_to(links)
    opened = {}
    for key, name, _, most, _ in ROWS[row][3]:
        parts = key.split(":")
        folder = control.joinpath(*(f"intel-rapl:{':'.join(parts[: n + 1])}" for n in range(len(parts))))
        folder.mkdir()
        for file, text in (("name", name), ("enabled", "1"), ("max_energy_range_uj", str(most)), ("uevent", "")):
            (folder / file).write_text(text + "\n")
        (folder / "subsystem").symlink_to(links)
        (links / f"intel-rapl:{key}").symlink_to(folder)
        # a fixed width, written in place: no reader finds it empty
        opened[key] = os.open(folder / "energy_uj", os.O_RDWR | os.O_CREAT, 0o400)
    return opened


def feed(row: str, opened: dict[str, int], done: threading.Event, ready: threading.Event) -> None:
    drawn = dict.fromkeys(opened, 0.0)
    start = last = time.monotonic()
    while not done.is_set():
        now = time.monotonic()
        for key, _, power, most, first in ROWS[row][3]:
            drawn[key] += power(now - start) * (now - last) * 1e6
            os.pwrite(opened[key], f"{(first + int(drawn[key])) % most:015d}\n".encode(), 0)
        last = now
        ready.set()
        time.sleep(0.0005)


def main() -> None:
    row, command = sys.argv[1], sys.argv[3:]
    done, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=feed, args=(row, build(row), done, ready))
    thread.start()
    ready.wait()
    try:
        ran = subprocess.run([*command, str(ROWS[row][0])], capture_output=True, text=True, timeout=90)
    except subprocess.TimeoutExpired:
        ran = subprocess.CompletedProcess(command, -1, "", "it did not end within 90 s")
    finally:
        done.set()
        thread.join()
    lines = ran.stdout.strip().splitlines()
    print(lines[-1] if lines else json.dumps({"failed": ran.stderr.strip()[-200:] or f"ended with {ran.returncode}"}))


if __name__ == "__main__":
    main()
