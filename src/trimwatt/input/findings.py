"""What would leave nothing to judge by."""

from __future__ import annotations

from trimwatt.errors import InputError
from trimwatt.input.split import LEAST_JUDGED
from trimwatt.workload import Data


def check_judgeable(data: Data) -> None:
    """Raises InputError where validation or test rows cannot tell models apart."""
    for name, split in (("val", data.val), ("test", data.test)):
        if len(split) < LEAST_JUDGED:
            raise InputError(
                f"{name} holds {len(split)} rows, {LEAST_JUDGED} are the least to judge by; give more rows"
            )
    data.task.check(data)
