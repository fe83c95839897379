"""One candidate and all that was found out about it; the JSON of study.json's trials."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from trimwatt.energy import Energy

Status = Literal["done", "failed", "skipped", "stopped"]
Stage = Literal["prepare", "train", "compress", "export", "evaluate", "measure", "report"]
FloorTest = Literal["proven", "not_disproven", "failed"]


@dataclass(frozen=True)
class Quality:
    """A metric's value with its 95 % interval over `rows` rows."""

    metric: str
    value: float
    low: float
    high: float
    rows: int
    greater_is_better: bool


@dataclass(frozen=True)
class Ratio:
    """Candidate over baseline, from randomised pairs; below 1 saves.

    verdict: less | more | tied | inconclusive. basis: what was divided, "dynamic_energy" or "cpu_seconds".
    gross: the same with the idle share by wall time included: {"value", "low", "high"}.
    """

    value: float
    low: float
    high: float
    pairs: int
    verdict: str
    basis: str
    gross: dict[str, float] | None = None


@dataclass(frozen=True)
class Trial:
    """A row of the study. Absent figures are None, never 0.

    on_front: not dominated, that is beaten on both cost and quality by another candidate, in 95 % of resamples of rows
    and ratios; dominated: in which share of them it was. rank: by cost, {"value", "low", "high"}, 1 is the cheapest.
    quality: on validation rows, or out of fold; train_quality: on a sample of the rows that it has learned from.
    floor_margin: what the validation rows can resolve, in the metric's unit. withheld: it would be proven to meet the
    floor, or meet it by its estimate, if no judged row were tied to training rows. cost: energy of its own steps and
    its ancestors', the teacher's included. latency_s: {"p50", "p95"} in seconds. started, finished: ISO 8601 in UTC.
    key: content address of recipe, runtime, scenario and seed.
    """

    id: str
    name: str
    family: str
    recipe: list[dict[str, Any]]
    runtime: str
    key: str
    status: Status = "done"
    reason: str | None = None
    started: str | None = None
    finished: str | None = None
    meets_floor: bool = False
    floor_test: FloorTest | None = None
    floor_margin: float | None = None
    withheld: bool = False
    on_front: bool = False
    dominated: float | None = None
    rank: dict[str, int] | None = None
    quality: Quality | None = None
    train_quality: Quality | None = None
    test_quality: Quality | None = None
    energy_per_prediction: Energy | None = None
    cpu_s_per_prediction: float | None = None
    ratio_to_baseline: Ratio | None = None
    latency_s: dict[str, float] | None = None
    size_bytes: int | None = None
    peak_rss_bytes: int | None = None
    parameters: int | None = None
    macs: int | None = None
    cost: Energy | None = None
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Trial:
        nested: dict[str, type[Any]] = {
            "quality": Quality, "train_quality": Quality, "test_quality": Quality, "ratio_to_baseline": Ratio,
            "energy_per_prediction": Energy, "cost": Energy,
        }  # fmt: skip
        values = {k: nested[k](**v) if k in nested and v is not None else v for k, v in data.items()}
        return cls(**values)


@dataclass(frozen=True)
class LedgerEntry:
    """Energy booked to a stage; `trial` is the first trial that needed it, None for the study as a whole.

    duration_s: wall seconds, which add up over the entries of a study. overlap_s: wall seconds for which it went on
    beside other entries; they are in those entries' `duration_s` and not in its own.
    """

    stage: Stage
    trial: str | None
    energy: Energy
    cpu_s: float
    duration_s: float
    step: str | None = None
    overlap_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "stage": self.stage, "trial": self.trial, **self.energy.to_dict(),
            "cpu_s": self.cpu_s, "duration_s": self.duration_s, "step": self.step, "overlap_s": self.overlap_s,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LedgerEntry:
        return cls(
            data["stage"],
            data["trial"],
            Energy.from_dict(data),
            data["cpu_s"],
            data["duration_s"],
            data.get("step"),
            data.get("overlap_s", 0.0),
        )
