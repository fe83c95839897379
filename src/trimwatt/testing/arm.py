"""What every arm of a comparison must do. Inherit `ArmContract`, give a fixture `arm`, and pytest runs it all."""

from __future__ import annotations

import os

import pytest

from trimwatt.compare import affinity
from trimwatt.compare._base import Arm
from trimwatt.compare.pairing import size_block


class ArmContract:
    """Facts that hold for any arm; the fixture `arm` is all that an implementer gives."""

    @pytest.fixture
    def arm(self) -> Arm:
        raise TypeError("an arm's test says which arm it is: override the fixture arm")

    def test_it_has_a_name(self, arm: Arm) -> None:
        assert arm.name

    @pytest.mark.parametrize("count", [1, 2, 17])
    def test_it_answers_as_many_requests_as_asked(self, arm: Arm, count: int) -> None:
        block = arm.run(count)
        assert block.requests == count
        assert block.cpu_s >= 0
        assert block.wall_s > 0

    def test_more_requests_take_more(self, arm: Arm) -> None:
        count = max(20, size_block(arm, 0.01))
        few, many = arm.run(count), arm.run(10 * count)
        assert few.cpu_s < many.cpu_s

    def test_it_measures_no_energy_itself(self, arm: Arm) -> None:
        block = arm.run(1)
        assert (block.energy, block.gross) == (None, None)

    def test_it_goes_where_it_is_sent_or_says_that_it_cannot(self, arm: Arm) -> None:
        cores = affinity.available()
        assert arm.pin(frozenset({min(cores)})) in (True, False)
        assert arm.run(1).requests == 1
        arm.pin(cores)
        affinity.pin(os.getpid(), cores)
        assert affinity.available() == cores
