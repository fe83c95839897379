"""Training rows, a few at a time, for ONNX Runtime's calibration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trimwatt.workload import Array


def reader(given: dict[str, Array], chunk: int) -> Any:
    """A CalibrationDataReader of `given` (input name -> rows), in chunks of `chunk` rows."""
    from onnxruntime.quantization import CalibrationDataReader

    rows = len(next(iter(given.values())))
    starts = range(0, rows, chunk)

    class Chunks(CalibrationDataReader):  # type: ignore[misc]
        """Gives each chunk once; ranges let the calibrator forget one chunk's activations before the next."""

        def __init__(self) -> None:
            self._left: Iterator[int] = iter(starts)

        def __len__(self) -> int:
            return len(starts)

        def set_range(self, start_index: int, end_index: int) -> None:
            self._left = iter(starts[start_index:end_index])

        def get_next(self) -> dict[str, Array] | None:
            start = next(self._left, None)
            return None if start is None else {name: array[start : start + chunk] for name, array in given.items()}

    return Chunks()
