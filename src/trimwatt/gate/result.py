"""What the gate found: a line for each limit, with its interval, and the exit code they add up to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SCHEMA = "trimwatt/check/1"
Status = Literal["pass", "fail", "inconclusive"]
What = Literal["energy", "latency", "size", "quality"]


@dataclass(frozen=True)
class Finding:
    """One limit and whether it holds.

    against: "budget", a revision, or "baseline". value, low, high: of what `unit` says ("ratio", "J", "s", "B" or a
    metric's name); low and high are None where no interval is known. limit: what may not be passed. basis: of an
    energy, what was compared: "dynamic_energy" or "cpu_seconds".
    """

    what: What
    against: str
    status: Status
    value: float
    low: float | None
    high: float | None
    limit: float
    unit: str
    basis: str = ""
    note: str = ""


@dataclass(frozen=True)
class Checked:
    """One check: its findings, what one request took, and what a reader must know.

    comparison: the paired comparison with the other commit, as its JSON without raw blocks.
    """

    name: str
    request: str
    findings: tuple[Finding, ...]
    sample: dict[str, Any] = field(default_factory=dict)
    comparison: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        found = {finding.status for finding in self.findings}
        return "fail" if "fail" in found else "inconclusive" if "inconclusive" in found else "pass"

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "status": self.status}


@dataclass(frozen=True)
class Outcome:
    """All checks. against: the revision or baseline compared with, None for budgets alone."""

    checks: tuple[Checked, ...]
    against: str | None
    host: dict[str, Any]
    strict: bool = False

    @property
    def status(self) -> Status:
        found = {check.status for check in self.checks}
        return "fail" if "fail" in found else "inconclusive" if "inconclusive" in found else "pass"

    @property
    def exit_code(self) -> int:
        """0; 1 where a limit is broken; 4 where one is not settled, under strict."""
        if self.status == "fail":
            return 1
        return 4 if self.status == "inconclusive" and self.strict else 0

    def to_dict(self) -> dict[str, Any]:
        """The JSON of schema trimwatt/check/1."""
        return {
            "schema": SCHEMA, "status": self.status, "exit_code": self.exit_code, "strict": self.strict,
            "against": self.against, "host": self.host, "checks": [check.to_dict() for check in self.checks],
        }  # fmt: skip
