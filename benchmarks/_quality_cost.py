"""What a prediction takes as the contestants of quality.py serve it: pairs in random order, by trimwatt's comparer."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from trimwatt.compare import affinity, comparer
from trimwatt.compare._base import Block
from trimwatt.compare.plan import Plan
from trimwatt.errors import TrialFailed
from trimwatt.meter import pick

SERVER = Path(__file__).with_name("_quality_serve.py")
FORMS = ("frame", "dict", "array", "bare")
PLAN = Plan(least_pairs=20, most_pairs=40, most_s=60, half_width=0.03)


class Refused(Exception):
    """A contestant that does not serve this form; says why."""


@dataclass
class Served:
    """A model that another interpreter serves, as an arm of the comparer."""

    name: str
    interpreter: str
    fold: Path
    run_folder: Path
    form: str

    def __enter__(self) -> Self:
        command = [self.interpreter, str(SERVER), self.name, str(self.fold), str(self.run_folder), self.form]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        told = self._line()
        if "refused" in told:
            self.__exit__()
            raise Refused(told["refused"])
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.communicate()

    def _line(self) -> Any:
        """What it says next; what libraries print besides is passed over."""
        for line in self._child.stdout or ():
            if line.startswith("> "):
                return json.loads(line[2:])
        raise Refused(f"{self.name} ended without an answer")

    def run(self, count: int) -> Block:
        """Answer `count` requests."""
        if self._child.stdin is None:
            raise TrialFailed(f"{self.name} takes no requests")
        self._child.stdin.write(f"{count}\n")
        self._child.stdin.flush()
        cpu_s, wall_s = self._line()
        return Block(cpu_s, wall_s, count)

    def pin(self, cores: frozenset[int]) -> bool:
        """Keep all its threads on `cores`."""
        return affinity.pin(self._child.pid, cores)


def costs(fold: Path, runs: dict[str, Path], interpreters: dict[str, str]) -> dict[str, Any]:
    """{form: {contestant: {cpu_s, ratio trimwatt over it, interval} or {refused}}}, those in `runs`."""
    return {form: _form(form, fold, runs, interpreters) for form in FORMS}


def _form(form: str, fold: Path, runs: dict[str, Path], interpreters: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        try:
            ours = stack.enter_context(_arm("trimwatt", form, fold, runs, sys.executable))
        except (Refused, KeyError) as error:
            return {"trimwatt": {"refused": str(error)}}
        for name in runs:
            if name != "trimwatt":
                found[name] = _against(ours, name, form, fold, runs, interpreters)
        done = [one for one in found.values() if "refused" not in one]
        found["trimwatt"] = {"cpu_s": float(np.median([one.pop("ours_cpu_s") for one in done])) if done else None}
    return found


def _arm(name: str, form: str, fold: Path, runs: dict[str, Path], interpreter: str) -> Served:
    if form == "bare" and name != "trimwatt" and not (runs[name] / "export.onnx").is_file():
        told = json.loads((runs[name] / "info.json").read_text(encoding="utf-8"))["export"]
        raise Refused(told.get("refused", "no export"))
    # an export runs in the ONNX Runtime that runs trimwatt's artifact
    return Served(name, sys.executable if form == "bare" else interpreter, fold, runs[name], form)


def _against(
    ours: Served, name: str, form: str, fold: Path, runs: dict[str, Path], interpreters: dict[str, str]
) -> dict[str, Any]:
    try:
        with _arm(name, form, fold, runs, interpreters[name]) as theirs:
            found = comparer.compare(ours, theirs, np.random.default_rng(0), PLAN, meter=pick.pick())
    except (Refused, TrialFailed) as error:
        return {"refused": str(error)}
    ratio = {"value": found.ratio, "low": found.low, "high": found.high, "pairs": found.pairs, "basis": found.basis}
    return {"cpu_s": found.b.cpu_s, "ours_cpu_s": found.a.cpu_s, "ratio": ratio}
