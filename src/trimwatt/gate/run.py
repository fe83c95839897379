"""Run the checks: alone, against another commit side by side, or against a saved baseline."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt.compare.command import CommandArm
from trimwatt.compare.statistics import Interval
from trimwatt.errors import InputError, TrialFailed
from trimwatt.gate import baseline, judge, measure
from trimwatt.gate import tree as trees
from trimwatt.gate.config import Check
from trimwatt.gate.measure import Sample
from trimwatt.gate.result import Checked, Finding, Outcome
from trimwatt.gate.target import Target, open_target
from trimwatt.meter import pick as sensors
from trimwatt.meter._base import Meter
from trimwatt.study import host

Progress = Callable[[str], None]
_NO_SENSOR = "no sensor reads energy here: CPU seconds are compared, and joules are an estimate"


@dataclass(frozen=True)
class Options:
    """How the gate runs. against: a revision. saved: a baseline's content. most_s: seconds a check's pairs may take."""

    against: str | None = None
    saved: dict[str, Any] | None = None
    most_s: float = measure.MOST_S
    most_pairs: int = measure.MOST_PAIRS
    seed: int | None = None
    strict: bool = False
    sensor: Meter | None = None
    progress: Progress = field(default=lambda _: None)


@dataclass(frozen=True)
class Ran:
    """The outcome, and what `--save` would keep."""

    outcome: Outcome
    baseline: dict[str, Any]


def run(checks: Sequence[Check], folder: Path, options: Options | None = None) -> Ran:
    """Run `checks` in `folder`, the project's, and judge them.

    Raises InputError for a check that cannot run here or at the other commit, or a baseline of another host.
    """
    asked = options or Options()
    if asked.against and asked.saved:
        raise InputError("--against and --baseline are two ways to compare; give one")
    here, meter = folder.resolve(), asked.sensor or sensors.pick()
    facts = host.facts(0)
    print_of_host = baseline.fingerprint(facts, f"{meter.name} ({meter.origin})")
    if asked.saved:
        baseline.same_host(asked.saved["host"], print_of_host)
    rng = np.random.default_rng(asked.seed)
    done: list[Checked] = []
    kept: dict[str, Any] = {}
    for check in checks:
        asked.progress(f"{check.name}: running" + (f" beside {asked.against}" if asked.against else ""))
        try:
            checked, kept[check.name] = _one(check, here, asked, meter, rng)
        except TrialFailed as error:
            raise InputError(f"{check.name} cannot be run: {error}") from error
        done.append(checked)
    against = asked.against or ("baseline" if asked.saved else None)
    saved = {
        "schema": baseline.SCHEMA, "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": facts["git"],
        "host": print_of_host, "checks": kept,
    }  # fmt: skip
    return Ran(Outcome(tuple(done), against, print_of_host, asked.strict), saved)


def _one(
    check: Check, here: Path, asked: Options, meter: Meter, rng: np.random.Generator
) -> tuple[Checked, dict[str, Any]]:
    plan = measure.plan_for(check, asked.most_s, asked.most_pairs)
    with ExitStack() as stack:
        new = open_target(check, here, here, check.name, stack)
        if asked.against:
            return _beside(check, here, asked, meter, rng, new, stack)
        sample = measure.alone(new.arm, plan, rng, meter)
        entry = baseline.entry(check, sample, new)
        findings, warnings = _budgets(check, sample, new), _notes(meter)
        if asked.saved:
            findings += _since(check, sample, new, asked.saved)
            warnings += (baseline.LABEL,)
        findings = [judge.uncounted(finding, sample.uncounted) for finding in findings]
        return Checked(check.name, check.request, tuple(findings), sample.to_dict(), None, warnings), entry


def _beside(
    check: Check, here: Path, asked: Options, meter: Meter, rng: np.random.Generator, new: Target, stack: ExitStack
) -> tuple[Checked, dict[str, Any]]:
    against = str(asked.against)
    root = trees.root(here)
    commit = trees.revision(here, against)
    other = stack.enter_context(trees.checked_out(root, commit, _from_root(check, here, root)))
    there = other / here.relative_to(root.resolve())
    if not there.is_dir():
        raise InputError(f"{here.name} is not a folder at {against}; compare with a later commit")
    # the arms in the other tree end before the tree goes
    own = stack.enter_context(ExitStack())
    try:
        old = open_target(check, there, here, f"{check.name} at {against}", own)
    except (InputError, TrialFailed) as error:
        raise InputError(f"{check.name} cannot be run at {against}: {error}") from error
    plan = measure.plan_for(check, asked.most_s, asked.most_pairs)
    result, walls, rounds = measure.paired(new.arm, old.arm, plan, check.tolerance, rng, meter)
    sample = measure.sample([r.blocks[0] for r in rounds], meter, rounds)
    energy = judge.ratio(
        "energy", against, Interval(result.ratio, result.low, result.high), check.tolerance, result.basis,
        f"{result.pairs} pairs; {result.stopped}",
    )  # fmt: skip
    findings = [
        energy,
        *_latency(check, against, walls),
        *_other(check, new, old, against),
        *_budgets(check, sample, new),
    ]
    findings = [judge.uncounted(finding, result.uncounted) for finding in findings]
    warnings = (*_notes(meter), *_printed_differently(new, old, against), *result.warnings)
    if result.waiting:
        warnings += (f"{result.verdict} {energy.basis.replace('_', ' ')}, {result.waiting}",)
    if not result.pinned:
        warnings += ("arms could not be kept on one core, so small differences are less sure",)
    comparison = result.to_dict(blocks=False)
    checked = Checked(check.name, check.request, tuple(findings), sample.to_dict(), comparison, warnings)
    return checked, baseline.entry(check, sample, new)


def _from_root(check: Check, here: Path, root: Path) -> list[str]:
    return [str((here / name).relative_to(root.resolve())) for name in check.share]


def _notes(meter: Meter) -> tuple[str, ...]:
    return () if meter.origin == "measured" else (_NO_SENSOR,)


def _printed_differently(new: Target, old: Target, against: str) -> tuple[str, ...]:
    if not (isinstance(new.arm, CommandArm) and isinstance(old.arm, CommandArm)):
        return ()
    if new.arm.digest() == old.arm.digest():
        return ()
    return (f"it prints something else than at {against}: the two may not do the same work",)


def _latency(check: Check, against: str, walls: Interval) -> list[Finding]:
    """Waiting is held against the other commit only where the check cares for it: it is the noisier of the two."""
    return [judge.ratio("latency", against, walls, check.tolerance)] if check.latency is not None else []


def _other(check: Check, new: Target, old: Target, against: str) -> list[Finding]:
    found: list[Finding | None] = []
    if new.size_bytes is not None and old.size_bytes is not None:
        found.append(judge.size_ratio(new.size_bytes, old.size_bytes, against, check.tolerance))
    if check.quality and new.quality and old.quality:
        found.append(judge.drop(new.quality, old.quality, check.quality, against))
    return [finding for finding in found if finding is not None]


def _budgets(check: Check, sample: Sample, target: Target) -> list[Finding]:
    found: list[Finding | None] = []
    if check.energy is not None:
        if sample.energy is None:
            raise InputError(
                f"{check.name} has an energy budget, but no joules can be told here; see `trimwatt doctor`"
            )
        e = sample.energy
        found.append(judge.budget("energy", Interval(e.joules, e.low, e.high), check.energy, "J", note=e.origin))
    if check.latency is not None:
        found.append(judge.budget("latency", sample.wall, check.latency, "s"))
    if check.size is not None and target.size_bytes is not None:
        found.append(judge.exact_size(target.size_bytes, check.size))
    if check.quality and target.quality:
        found.append(judge.least(target.quality, check.quality))
    return [finding for finding in found if finding is not None]


def _since(check: Check, sample: Sample, target: Target, saved: dict[str, Any]) -> list[Finding]:
    then = baseline.of_check(saved, check, sample.basis)
    ratio = baseline.ratio(sample.spent, then["spent"])
    found = [judge.ratio("energy", "baseline", ratio, check.tolerance, sample.basis, "unpaired")]
    if check.latency is not None:
        walls = baseline.ratio(sample.walls, then["wall_s"])
        found.append(judge.ratio("latency", "baseline", walls, check.tolerance, note="unpaired"))
    old = Target(target.arm, then.get("size_bytes"), baseline.answers(then))
    return [*found, *_other(check, target, old, "baseline")]


def dumps(saved: dict[str, Any]) -> str:
    """A baseline as the text of its file."""
    return json.dumps(saved, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
