"""trimwatt beside other meters: what each costs, and what it reads where the truth is known. See README.md beside this.

    python benchmarks/meter.py --envs FOLDER [--idle 60] [--repeat 5]

Each tool is installed into an environment of its own below FOLDER (kept for the next time), never into this one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import _meter_tree
import _record

HERE = Path(__file__).parent
# eco2ai cannot stop with pandas 3, and imports what setuptools 81 dropped
TOOLS = {
    "trimwatt": [str(_record.ROOT)],
    "codecarbon": ["codecarbon==3.3.2"],
    "zeus": ["zeus==0.16.0"],
    "carbontracker": ["carbontracker==2.4.7"],
    "eco2ai": ["eco2ai==0.3.12", "pandas<3", "setuptools<81"],
    "pyjoules": ["pyJoules==0.5.1"],
}


def environment(folder: Path, tool: str) -> tuple[Path, dict[str, Any]]:
    """The tool's Python, and the size and number of what came with it."""
    home = folder / tool
    python = home / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-q", "--no-input"]
    if not (home / "base.json").is_file():
        venv.create(home, with_pip=True, clear=True)
        (home / "base.json").write_text(json.dumps({"bytes": _bytes(home), "packages": len(_listed(pip))}))
    before = json.loads((home / "base.json").read_text())
    constraints = ["-c", str(_torch_alone(folder))]
    again = ["--force-reinstall", "--no-deps"] if tool == "trimwatt" and len(_listed(pip)) > 3 else []
    subprocess.run([*pip, "install", *again, *constraints, *TOOLS[tool]], check=True)
    size = {"disk_bytes": _bytes(home) - before["bytes"], "packages": len(_listed(pip)) - before["packages"]}
    return python, {
        **size,
        "dependencies": size["packages"] - 1,
        "installed": TOOLS[tool] if tool != "trimwatt" else ".",
    }


def _torch_alone(folder: Path) -> Path:
    """The line of constraints.txt that pins torch: a tool's other versions are its own business."""
    lines = (_record.ROOT / "constraints.txt").read_text().splitlines()
    file = folder / "torch.txt"
    file.write_text("\n".join(line for line in lines if line.startswith("torch==")) + "\n")
    return file


def _listed(pip: list[str]) -> list[Any]:
    done = subprocess.run(
        [p for p in [*pip, "list", "--format", "json"] if p != "-q"], capture_output=True, text=True, check=True
    )
    return list(json.loads(done.stdout))


def _bytes(folder: Path) -> int:
    return sum(p.lstat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


def ask(command: list[str], work: Path, timeout_s: float = 240) -> dict[str, Any]:
    """The last line of JSON that a command prints, or why there is none."""
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=timeout_s)
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))
    except (subprocess.TimeoutExpired, IndexError, ValueError) as error:
        return {"failed": f"{type(error).__name__}: {str(error)[:200]}"}


def cost(python: Path, tool: str, work: Path, repeat: int, idle_s: float) -> dict[str, Any]:
    """Import, start and stop (medians), and CPU seconds an idle minute."""
    driver = [str(python), str(HERE / "_meter_tools.py"), tool]
    # the first import compiles; it is not what a user pays each day
    ask([*driver, "import"], work)
    imports = [ask([*driver, "import"], work) for _ in range(repeat)]
    blocks = [ask([*driver, "cost"], work) for _ in range(repeat)]
    idle = ask([*driver, "idle", str(idle_s)], work)
    found: dict[str, Any] = _medians(imports) | _medians(blocks)
    if "failed" in idle:
        return {**found, "idle": idle}
    return {**found, "cpu_s_per_idle_minute": idle["cpu_s"] * 60 / idle["duration_s"], "idle": idle}


def _medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    failed = [run for run in runs if "failed" in run]
    if failed:
        return failed[0]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def truth(python: Path, tool: str, work: Path) -> dict[str, Any]:
    """What it reads over what was drawn, row by row of facts on real counters."""
    rows = {}
    for name, (_, package_w, dram_w, _) in _meter_tree.ROWS.items():
        tree = ["unshare", "-m", sys.executable, str(HERE / "_meter_tree.py"), name, "--"]
        read = ask([*tree, str(python), str(HERE / "_meter_tools.py"), tool, "read"], work)
        if read.get("joules") is not None:
            watts = package_w + (dram_w if "dram" in read["covers"] else 0.0)
            # a tool that starts late or stops late reads more than the block: that is its reading of it
            read["over_truth"] = read["joules"] / (watts * read["duration_s"])
        rows[name] = read
        print(f"  {name}: {read.get('over_truth', read.get('failed', 'no reading'))}", file=sys.stderr)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=Path, required=True, help="folder of the environments, kept between runs")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds to idle; scaled to a minute where shorter")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--tools", default=",".join(TOOLS), help="some of them, separated by commas")
    parser.add_argument("--note", default="", help="kept in the record, such as: other programs ran")
    asked = parser.parse_args()
    envs = asked.envs.resolve()
    envs.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as work:
        for tool in asked.tools.split(","):
            print(tool, file=sys.stderr)
            python, size = environment(envs, tool)
            spent = cost(python, tool, Path(work), asked.repeat, asked.idle)
            result[tool] = {**size, **spent, "truth": truth(python, tool, Path(work))}
    record = {
        "name": "meter", "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(),
        "host": _record.host(), "idle_s": asked.idle, "repeat": asked.repeat, "note": asked.note, "result": result,
    }  # fmt: skip
    target = _record.ROOT / "benchmarks" / "results" / "meter.json"
    target.write_text(_record.tidy(json.dumps(record, indent=2, ensure_ascii=False)) + "\n", encoding="utf-8")
    print(f"recorded in {target.relative_to(_record.ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
