"""Run a command and keep what came out, with what is needed to judge it. See README.md beside this file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "numpy", "scipy", "scikit-learn", "pandas", "onnx", "onnxruntime", "skl2onnx",
    "torch", "torch-pruning", "SQLAlchemy",
)  # fmt: skip
TAIL_LINES = 80


def host() -> dict[str, Any]:
    """The machine, without its name."""
    return {
        "cpu": cpu_model(), "cores": os.cpu_count(), "usable_cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(), "packages": versions(),
    }  # fmt: skip


def cpu_model() -> str:
    """The processor's name as the system tells it."""
    match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return match[1] if match else platform.machine()


def versions(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of the installed packages that a figure may depend on."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def revision() -> dict[str, Any]:
    """The commit, and whether source files differ from it."""
    commit = _git("rev-parse", "HEAD")
    return {"commit": commit or None, "changed": bool(_git("status", "--porcelain", "--", "src", "pyproject.toml"))}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)  # noqa: S607
    return done.stdout.strip() if done.returncode == 0 else ""


def tidy(text: str) -> str:
    """`text` without the machine's own paths and name: relative to the repository, or ~ for home."""
    short = {str(ROOT): ".", str(ROOT.parent): "..", str(Path.home()): "~", tempfile.gettempdir(): "TMP"}
    for path in sorted(short, key=len, reverse=True):
        if len(path) > 1:
            text = re.sub(rf"(?<![\w.~-]){re.escape(path)}(?![\w-])", short[path], text)
    name = platform.node()
    return re.sub(rf"\b{re.escape(name)}\b", "host", text) if len(name) > 3 else text


class Memory(threading.Thread):
    """Samples what a process and its descendants hold, each shared page counted in shares, once a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_bytes, self.done = pid, 0, threading.Event()

    def run(self) -> None:
        """Until `done`."""
        while not self.done.wait(1.0):
            self.peak_bytes = max(self.peak_bytes, self.now())

    def now(self) -> int:
        """Bytes at this moment; a process that ends while it is looked at counts nothing."""
        held = 0
        try:
            top = psutil.Process(self.pid)
            processes = [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return 0
        for process in processes:
            try:
                held += process.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
                continue
        return held


def run(command: list[str], cwd: Path) -> dict[str, Any]:
    """Run `command`, show its output as it comes, and say what it took."""
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    lines: list[str] = []
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as process:  # fmt: skip
        memory = Memory(process.pid)
        memory.start()
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines = [*lines[-TAIL_LINES + 1 :], line.rstrip("\n")]
    memory.done.set()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "exit_code": process.returncode, "wall_s": round(time.monotonic() - start, 2),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_pss_bytes": memory.peak_bytes or None,
        "output_tail": [tidy(line) for line in lines],
    }  # fmt: skip


def study(folder: Path) -> dict[str, Any]:
    """Verdict, candidates and pay-back of the study in `folder`."""
    found = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    names = (
        "id", "name", "family", "runtime", "status", "reason", "meets_floor", "floor_test", "quality", "test_quality",
        "cpu_s_per_prediction", "energy_per_prediction", "ratio_to_baseline", "latency_s", "size_bytes",
    )  # fmt: skip
    trials = [{name: trial.get(name) for name in names} for trial in found["trials"]]
    kept = ("verdict", "metric", "scenario", "floor", "baseline", "recommended", "payback", "warnings")
    return {**{name: found.get(name) for name in kept}, "trials": trials}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, usage="%(prog)s NAME [--study FOLDER] [--cwd FOLDER] -- COMMAND"
    )
    parser.add_argument("name", help="of the record: results/NAME.json")
    parser.add_argument("--study", type=Path, help="folder of the study that the command leaves")
    parser.add_argument("--cwd", type=Path, default=Path(), help="where to run the command")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="after --")
    asked = parser.parse_args()
    command = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
    if not command or not re.fullmatch(r"[\w.-]+", asked.name):
        parser.error("a name of letters, digits, dots and dashes is wanted, and a command after --")
    record: dict[str, Any] = {
        "name": asked.name, "command": tidy(shlex.join(command)),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision(), "host": host(), "result": run(command, asked.cwd),
    }  # fmt: skip
    if asked.study and (asked.study / "study.json").is_file():
        record["study"] = study(asked.study)
    text = tidy(json.dumps(record, indent=2, ensure_ascii=False)) + "\n"
    target = ROOT / "benchmarks" / "results" / f"{asked.name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    print(f"recorded in {target.relative_to(ROOT)}", file=sys.stderr)
    return int(record["result"]["exit_code"])


if __name__ == "__main__":
    sys.exit(main())
