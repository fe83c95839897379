"""Sessions whose cost is known instead of timed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trimwatt.compare._base import Block
from trimwatt.compare.arms import SessionArm

sys.path.insert(0, str(Path(__file__).parents[1] / "compare"))

from simulated_host import Host


@contextmanager
def known_costs() -> Iterator[None]:
    """Sessions answer for real and take what their files weigh, more in scikit-learn: no clock decides anything.

    A study in this process then chooses the same on any host, loaded or not, and in a fraction of the time.
    """
    host = Host(0, episodes=False, spikes=0.0, sigma=0.003)

    def run(arm: SessionArm, count: int) -> Block:
        artifact = arm._given[1][0]
        cost_s = 1e-5 + 1e-9 * artifact.size_bytes * (20 if artifact.runtime == "sklearn" else 1)
        seconds = count * cost_s * host.factor(0)
        return Block(seconds, seconds, count, load=0.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SessionArm, "run", run)
        patch.setattr(SessionArm, "renew", lambda _: False)
        yield
