"""How exact an export must be follows from the bits its session computes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from trimwatt import framework
from trimwatt.runtime.verify import verify
from trimwatt.technique import apply
from trimwatt.technique.classical import Mlp
from trimwatt.testing import samples

pytest.importorskip("sklearn")


@dataclass
class Off:
    """A session that answers as the workload does, but for its first rows, where the first class is another's."""

    workload: Any
    rows: int
    error_bound: float

    def scores(self, rows: Any) -> Any:
        said = np.array(framework.get(self.workload.form).scores(self.workload, rows))
        said[: self.rows] = np.roll(said[: self.rows], 1, axis=1)
        return said

    def predict(self, rows: Any) -> Any:
        return self.workload.decide.labels(self.scores(rows))


@pytest.mark.parametrize(
    ("error_bound", "share", "refused"),
    [(1e-3, 0.0, False), (1e-3, 0.02, True), (5e-2, 0.08, False), (5e-2, 0.2, True)],
)
def test_nine_rows_of_ten_suffice_only_where_bits_are_fewer(error_bound: float, share: float, refused: bool) -> None:
    work = apply(Mlp(hidden=(16,), epochs=20), samples.digits(rows=400))
    rows = work.rows.val.x
    session = Off(work, int(share * len(rows)), error_bound)
    assert (verify(work, session, rows) is not None) == refused  # type: ignore[arg-type]
