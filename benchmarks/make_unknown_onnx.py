"""Make an ONNX file that trimwatt knows nothing about, and its data: a small CNN on scikit-learn's digits.

python benchmarks/make_unknown_onnx.py FOLDER writes FOLDER/model.onnx and FOLDER/digits.npz. Trained and exported by
plain PyTorch, without trimwatt.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn


def main(folder: Path) -> None:
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    images = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    order = np.random.default_rng(0).permutation(len(y))
    train, val, test = np.split(order, [1000, 1400])
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    rows, truth = torch.from_numpy(images[train]), torch.from_numpy(y[train])
    for _ in range(30):
        for part in torch.randperm(len(rows)).split(64):
            loss = nn.functional.cross_entropy(model(rows[part]), truth[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    folder.mkdir(parents=True, exist_ok=True)
    names = {"input_names": ["pixels"], "output_names": ["scores"], "dynamic_axes": {"pixels": {0: "n"}}}
    torch.onnx.export(model.eval(), (rows[:1],), str(folder / "model.onnx"), dynamo=False, **names)
    splits = {"train": train, "val": val, "test": test}
    arrays = {f"{k}_{n}": v[i] for n, i in splits.items() for k, v in (("x", images), ("y", y))}
    np.savez(folder / "digits.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
