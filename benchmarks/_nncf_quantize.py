"""NNCF's post-training quantization at its defaults, in the environment that NNCF is installed in.

python _nncf_quantize.py onnx|openvino MODEL.onnx ROWS.npz TARGET: ROWS hold calibration rows by input name; TARGET is
the .onnx file or the .xml of OpenVINO's form that is written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata

import nncf
import numpy as np


def feeds(path: str) -> list[dict[str, np.ndarray]]:
    """One request of one row each."""
    with np.load(path) as rows:
        names = rows.files
        columns = [rows[name] for name in names]
    return [{name: column[n : n + 1] for name, column in zip(names, columns, strict=True)} for n in _range(columns)]


def _range(columns: list[np.ndarray]) -> Iterator[int]:
    return iter(range(len(columns[0])))


def main(backend: str, source: str, rows: str, target: str) -> None:
    dataset = nncf.Dataset(feeds(rows))
    if backend == "onnx":
        import onnx

        onnx.save(nncf.quantize(onnx.load(source), dataset), target)
    else:
        import openvino

        openvino.save_model(nncf.quantize(openvino.Core().read_model(source), dataset), target, compress_to_fp16=False)
    print(f"nncf {metadata.version('nncf')}")


if __name__ == "__main__":
    main(*sys.argv[1:])
