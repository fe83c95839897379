"""Measures artifacts as they would be deployed: quality, then energy against the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trimwatt.compare import finals, pairing, quality
from trimwatt.compare.arms import Limits, SessionArm
from trimwatt.compare.comparer import basis_of, prepare, screen, self_test
from trimwatt.compare.finals import Finals
from trimwatt.compare.plan import Plan
from trimwatt.compare.quality import Folds
from trimwatt.compare.result import Comparison, SelfTest, Side
from trimwatt.energy import Energy
from trimwatt.errors import TrialFailed
from trimwatt.meter._base import Meter
from trimwatt.runtime._base import Artifact
from trimwatt.study.reference import Reference
from trimwatt.trial import FloorTest, Quality
from trimwatt.workload import Array, Split, Workload

_REQUEST_ROWS = 512


@dataclass(frozen=True)
class Floor:
    """The least acceptable quality: the reference's less `max_drop`, or `absolute`."""

    max_drop: float
    absolute: float | None

    @property
    def kind(self) -> str:
        return "absolute" if self.absolute is not None else "max_drop"


@dataclass(frozen=True)
class Judged:
    """Quality on some rows and how it stands to the floor there.

    withheld: the floor would be proven, or met by the estimate, if all rows were independent of the training rows.
    independent: whether it is met by the estimate on those that are; None where too few are.
    """

    quality: Quality
    floor: float
    floor_test: FloorTest
    margin: float
    meets: bool
    withheld: bool = False
    independent: bool | None = True


@dataclass(frozen=True)
class Alone:
    """An arm's own figures a prediction, compared with nothing. basis: what its ratios will divide."""

    cpu_s: float
    energy: Energy | None
    basis: str


def _withhold(judged: Judged, independent: bool | None) -> Judged:
    """At most not disproven, for want of rows that no model may have seen."""
    if judged.floor_test != "proven":
        return replace(judged, independent=independent)
    return replace(judged, floor_test="not_disproven", withheld=True, independent=independent)


class Bench:
    """Opens artifacts in processes of their own and compares them with the baseline, whose session stays open."""

    def __init__(self, workload: Workload, meter: Meter, floor: Floor, memory_limit_bytes: float) -> None:
        self.workload, self.meter, self.floor = workload, meter, floor
        self.memory_limit_bytes, self.call_s = memory_limit_bytes, 120.0
        self.rng = np.random.default_rng(workload.seed)
        self.plan = Plan(threads=workload.scenario.threads)
        self.baseline: SessionArm | None = None
        self.reference: Reference | None = None
        self.test_of_host: SelfTest | None = None

    def open(self, artifact: Artifact, name: str) -> SessionArm:
        """A session of `artifact`, its requests cut from validation rows."""
        rows = self.workload.rows.val.sample(_REQUEST_ROWS, self.workload.seed).x
        limits = Limits(self.memory_limit_bytes, max(10.0, self.call_s), max(10.0, self.call_s))
        return SessionArm(artifact, self.workload.scenario, rows, limits, name=name)

    def latency(self, arm: SessionArm) -> dict[str, float]:
        """{"p50", "p95"} in seconds, from as many requests as a second holds, 30 to 200."""
        one_s = min(arm.run(1).wall_s for _ in range(3))
        return arm.latency(int(min(200, max(30, 1.0 / max(one_s, 1e-6)))))

    def predictions(self, arm: SessionArm, split: Split) -> Array:
        """What the metric reads, as the artifact answers: class codes, probabilities or values."""
        # where the rest of a request changes an answer, quality is that of requests as they are deployed
        batch = self.workload.scenario.batch_size if self.workload.by_batch else None
        workload = self.workload
        return workload.task.read(workload, lambda: arm.predict(split.x, batch), lambda: arm.scores(split.x, batch))

    def judge(
        self, split: Split, candidate: Array, reference: Array, free: Array | None = None, folds: Folds | None = None
    ) -> Judged:
        """Quality of `candidate` and its stand to the floor that `reference` sets on the same rows.

        free: True for rows that nothing ties to training rows `(n,)`; None where all are. What is proven on all rows
        stands only where it is proven on these alone. folds: in which each row was held out, None for one split.
        """
        judged = self._judge(split, candidate, reference, folds)
        if self.workload.rows.independence.withheld:
            return _withhold(judged, None)
        if free is None or bool(free.all()):
            return judged
        kept = candidate[free]
        # it sets the floor where most rows are free; on the few that leaking rows leave it is graded like any other
        sets_the_floor = candidate is reference and 2 * len(kept) >= len(free)
        again = self._judge(split.take(free), kept, kept if sets_the_floor else reference[free])
        if judged.floor_test == "proven" and again.floor_test != "proven":
            return _withhold(judged, again.meets)
        return replace(judged, withheld=judged.meets and not again.meets, independent=again.meets)

    def _judge(self, split: Split, candidate: Array, reference: Array, folds: Folds | None = None) -> Judged:
        metric, seed, absolute = self.workload.quality, self.workload.seed, self.floor.absolute
        found = quality.estimate(metric, split.y, candidate, seed, folds)
        floor = self.least(split, reference, folds)
        drop = None if absolute is not None else self.floor.max_drop
        graded = quality.floor_test(
            metric, split.y, candidate, reference, max_drop=drop, floor=absolute, seed=seed, folds=folds
        )
        grade = graded.grade
        if absolute is None and candidate is reference:
            # what the floor is relative to cannot miss it
            grade = "proven"
        return Judged(found, floor, grade, graded.margin, metric.meets(found.value, floor) and grade != "failed")

    def least(self, split: Split, reference: Array, folds: Folds | None = None) -> float:
        """The floor that `reference` sets on these rows, or the one that was asked; folds: as in `judge`."""
        metric = self.workload.quality
        if self.floor.absolute is not None:
            return self.floor.absolute
        return metric.floor(quality.observed(metric, split.y, reference, folds), self.floor.max_drop)

    def check_host(self, artifact: Artifact, most_s: float) -> SelfTest:
        """Compare the baseline with itself, opened twice more: what this host cannot tell apart.

        Twice, as two processes of one model can differ lastingly by a percent, from where they lie in memory. Fewer
        pairs than usual where a slow baseline would need more than `most_s` seconds: then less may be claimed.
        """
        one_s = max(self.plan.block_s, min(self._baseline.run(1).wall_s for _ in range(3)))
        pairs = int(min(self.plan.least_pairs, max(6, most_s / (3 * one_s))))
        plan = replace(self.plan, least_pairs=pairs)
        with self.open(artifact, "first twin") as first, self.open(artifact, "second twin") as second:
            twins = [first, second]
            self.test_of_host = self_test(self._baseline, twins, self.rng, plan, meter=self.meter)
        return self.test_of_host

    def alone(self, arm: SessionArm) -> Alone:
        """What `arm` takes a prediction, over as many blocks as a comparison has at least."""
        plan, ready = prepare([arm], self.plan, self.meter)
        rounds = [pairing.draw_round(ready, plan, self.rng, self.meter) for _ in range(plan.least_pairs)]
        side, batch = Side(arm.name, tuple(r.blocks[0] for r in rounds)), self.workload.scenario.batch_size
        energy = side.energy
        return Alone(side.cpu_s / batch, energy.scaled(1 / batch) if energy else None, basis_of(rounds, self.meter))

    def screen(self, arm: SessionArm, most_s: float) -> Comparison:
        """`arm` against the baseline, stopping early where the effect is large."""
        plan = replace(self.plan, most_s=most_s)
        return screen(self._baseline, arm, self.rng, plan, meter=self.meter, self_test=self.test_of_host)

    def finals(self, arms: Sequence[SessionArm], most_s: float) -> Finals:
        """The baseline and `arms` in direct comparison."""
        plan = replace(self.plan, most_s=most_s)
        every = [self._baseline, *arms]
        return finals.finals(every, self.rng, plan, meter=self.meter, self_test=self.test_of_host)

    @property
    def _baseline(self) -> SessionArm:
        if self.baseline is None:
            raise TrialFailed("the baseline is not open")
        return self.baseline

    def close(self) -> None:
        if self.baseline is not None:
            self.baseline.close()
