"""Each callback in a real training of its framework, in a process of its own: frameworks warn when imported."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPORT = """
import json
names = list(callback.energy.readings)
rows = callback.energy.to_rows()
print("\\n" + json.dumps({"names": names, "rows": rows, "faults": callback.energy.faults, **extra}))
"""
# a sensor of known power: what a phase books is 50 W for as long as it lasts
KNOWN = """
import time
from trimwatt.meter.fake import FakeMeter

class Now:
    now_s = property(lambda self: time.monotonic())

SENSOR = FakeMeter(Now(), {"package-0": 50.0})
"""
# a sensor that cannot even begin: the training has to end as it would without
LOST = "\ncallback = EnergyCallback(sensor=object())\n"


def told(code: str, folder: Path, module: str, **environment: str) -> dict[str, Any]:
    """What the script's `callback` and `extra` say in the end."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    script = KNOWN + code + REPORT
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def holds_together(run: dict[str, Any], *names: str) -> None:
    """The phases that were expected, every figure with its interval, and no part above the whole."""
    assert run["faults"] == []
    assert run["names"] == list(names)
    for row in run["rows"]:
        assert row["low"] <= row["joules"] <= row["high"]
        assert 0 < row["joules"] <= 50.01 * row["duration_s"]
        assert row["origin"] in ("measured", "estimated", "mixed")
        assert row["of"] in ("process", "machine")
    seconds = {name: row["duration_s"] for name, row in zip(run["names"], run["rows"], strict=True)}
    if "train" in seconds:
        assert sum(s for name, s in seconds.items() if name.startswith("epoch")) <= seconds["train"]


TRANSFORMERS = """
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments
from trimwatt.integrations.huggingface import EnergyCallback

torch.manual_seed(0)
size = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
model = BertForSequenceClassification(BertConfig(vocab_size=64, max_position_embeddings=16, num_labels=2, **size))
rows = [{"input_ids": row, "labels": row.sum() % 2} for row in torch.randint(0, 64, (32, 8))]
callback = EnergyCallback(SENSOR)
seen = []

class Last(TrainerCallback):
    def on_log(self, args, state, control, logs=None, **kwargs):
        seen.append(dict(logs))
"""
TRAIN_BERT = """
arguments = TrainingArguments(
    "out", num_train_epochs=2, per_device_train_batch_size=8, eval_strategy=STRATEGY, eval_steps=2, use_cpu=True,
    logging_strategy="epoch", report_to="none", save_strategy="no", disable_tqdm=True,
)
trainer = Trainer(model, arguments, train_dataset=rows, eval_dataset=rows[:16], callbacks=[callback, Last()])
trainer.train()
extra = {"steps": trainer.state.global_step, "history": trainer.state.log_history, "seen": seen}
"""


@pytest.mark.slow
def test_a_hugging_face_trainer(tmp_path: Path) -> None:
    more = """
trainer.evaluate()
trainer.predict(rows[:8])
import pickle
extra["copy"] = list(pickle.loads(pickle.dumps(callback)).energy.readings)
"""
    run = told(TRANSFORMERS + "STRATEGY = 'epoch'" + TRAIN_BERT + more, tmp_path, "transformers")
    holds_together(run, "epoch 0", "validate 0", "epoch 1", "validate 1", "train", "evaluate", "predict")
    booked = [entry for entry in run["history"] if "energy.source" in entry]
    assert [entry["epoch"] for entry in booked] == [1.0, 2.0]
    assert {"energy/joules", "energy/joules_low", "energy/joules_high"} <= set(booked[0])
    assert sum("energy/joules" in logs for logs in run["seen"]) == 2
    assert run["copy"] == run["names"]


@pytest.mark.slow
def test_a_hugging_face_trainer_that_evaluates_by_steps_and_one_whose_meter_is_broken(tmp_path: Path) -> None:
    more = f"""
first = callback.energy
{LOST}
arguments.eval_strategy = "no"
trainer = Trainer(model, arguments, train_dataset=rows, callbacks=[callback])
trainer.train()
lost, callback = callback.energy, EnergyCallback()
callback.energy = first
extra = {{"steps": trainer.state.global_step, "lost": len(lost.phases), "said": lost.faults}}
"""
    run = told(TRANSFORMERS + "STRATEGY = 'steps'" + TRAIN_BERT + more, tmp_path, "transformers")
    validated = [row["within"] for row in run["rows"] if row["phase"] == "validate"]
    # four steps an epoch, evaluated after each second one
    assert validated == ["epoch"] * 4
    assert run["faults"] == []
    assert (run["steps"], run["lost"]) == (8, 0)
    assert run["said"] and all("is not known" in fault for fault in run["said"])


LIGHTNING = """
import logging
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
import torch
import lightning.pytorch as pl
from lightning.pytorch.loggers import CSVLogger
from trimwatt.integrations.lightning import EnergyCallback

class Net(pl.LightningModule):
    def __init__(self, fails=False):
        super().__init__()
        self.layer, self.fails = torch.nn.Linear(8, 2), fails
    def training_step(self, batch, index):
        if self.fails:
            raise ValueError("by design")
        return torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])
    def validation_step(self, batch, index):
        self.layer(batch[0])
    test_step = validation_step
    def predict_step(self, batch, index):
        return self.layer(batch[0])
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

torch.manual_seed(0)
rows = torch.utils.data.TensorDataset(torch.randn(64, 8), torch.randint(0, 2, (64,)))
batches = torch.utils.data.DataLoader(rows, batch_size=16)
quiet = dict(accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False)
callback = EnergyCallback(SENSOR)
logger = CSVLogger(".")
"""


@pytest.mark.slow
def test_a_lightning_trainer(tmp_path: Path) -> None:
    code = (
        LIGHTNING
        + """
trainer = pl.Trainer(max_epochs=2, callbacks=[callback], logger=logger, **quiet)
net = Net()
trainer.fit(net, batches, batches)
trainer.test(net, batches, verbose=False)
trainer.predict(net, batches)
failed = EnergyCallback()
try:
    pl.Trainer(max_epochs=1, callbacks=[failed], logger=False, num_sanity_val_steps=0, **quiet).fit(Net(True), batches)
except ValueError:
    pass
lost = EnergyCallback(sensor=object())
trainer = pl.Trainer(max_epochs=2, callbacks=[lost], logger=False, **quiet)
trainer.fit(net, batches)
extra = {
    "csv": open(logger.log_dir + "/metrics.csv").read(), "tags": open(logger.log_dir + "/hparams.yaml").read(),
    "failed": {name: list(reading.warnings) for name, reading in failed.energy.readings.items()},
    "lost": [trainer.current_epoch, len(lost.energy.phases), len(lost.energy.faults) > 0],
}
"""
    )
    run = told(code, tmp_path, "lightning")
    holds_together(run, "sanity check", "validate 0", "epoch 0", "validate 1", "epoch 1", "train", "test", "predict")
    assert {"energy/joules", "energy/joules_low", "energy/joules_high"} <= set(run["csv"].splitlines()[0].split(","))
    assert "energy.source: " in run["tags"]
    assert list(run["failed"]) == ["epoch 0", "train"]
    assert "ended by ValueError" in run["failed"]["train"]
    assert run["lost"] == [2, 0, True]


@pytest.mark.slow
def test_a_keras_model_on_torch(tmp_path: Path) -> None:
    code = """
import keras
import numpy as np
from trimwatt.integrations.keras import EnergyCallback

rng = np.random.default_rng(0)
x = rng.normal(size=(64, 8)).astype("float32")
y = (x[:, 0] > 0).astype("int64")
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
callback = EnergyCallback(SENSOR)
history = model.fit(x, y, epochs=2, validation_data=(x, y), callbacks=[callback], verbose=0).history
model.evaluate(x, y, callbacks=[callback], verbose=0)
model.predict(x, callbacks=[callback], verbose=0)
lost = EnergyCallback(sensor=object())
after = model.fit(x, y, epochs=2, callbacks=[lost], verbose=0).history

class Stops(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        raise ValueError("by design")

try:
    model.fit(x, y, callbacks=[callback, Stops()], verbose=0)
except ValueError:
    pass
left = len(callback.energy._open)
model.fit(x, y, callbacks=[callback], verbose=0)
again = list(callback.energy.readings)[-4:]
broken_off = callback.energy.readings["train (2)"].warnings
callback.energy.phases = callback.energy.phases[:7]
extra = {"history": sorted(history), "after": [str(v[1]) for k, v in after.items() if "energy" in k],
         "epochs": len(history["loss"]), "left": left,
         "again": again, "broken_off": broken_off, "said": len(lost.energy.faults)}
"""
    run = told(code, tmp_path, "keras", KERAS_BACKEND="torch")
    holds_together(run, "validate 0", "epoch 0", "validate 1", "epoch 1", "train", "validate", "predict")
    assert run["history"] == ["energy/joules", "energy/joules_high", "energy/joules_low", "loss", "val_loss"]
    assert (run["after"], run["epochs"]) == (["nan", "nan", "nan"], 2)
    assert run["said"] > 0
    # what the fit that failed left open ends when the next one begins, and says so
    assert run["left"] == 2
    assert run["again"] == ["epoch 0 (2)", "train (2)", "epoch 0 (3)", "train (3)"]
    assert any("broken off" in note for note in run["broken_off"])


@pytest.mark.slow
def test_keras_without_its_backend_says_what_to_do(tmp_path: Path) -> None:
    if importlib.util.find_spec("keras") is None or importlib.util.find_spec("tensorflow") is not None:
        pytest.skip("keras is not installed, or tensorflow is")
    code = "from trimwatt.integrations.keras import EnergyCallback"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )  # fmt: skip
    assert "keras is asked to run on tensorflow, which is not installed" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_skorch_net(tmp_path: Path) -> None:
    code = """
import pickle
import numpy as np
import torch
from sklearn.base import clone
from skorch import NeuralNetClassifier
from trimwatt.integrations.skorch import EnergyCallback

rng = np.random.default_rng(0)
x = rng.normal(size=(80, 8)).astype("float32")
y = (x[:, 0] > 0).astype("int64")
def net(callback):
    return NeuralNetClassifier(
        torch.nn.Linear, module__in_features=8, module__out_features=2, criterion=torch.nn.CrossEntropyLoss,
        max_epochs=2, callbacks=[("energy", callback)], verbose=0,
    )
callback = EnergyCallback(SENSOR)
fitted = net(callback).fit(x, y)
twin = pickle.loads(pickle.dumps(fitted))
cloned = clone(fitted).fit(x, y)
lost = net(EnergyCallback(sensor=object())).fit(x, y)
extra = {
    "history": fitted.history[:, "energy/joules"], "twin": list(dict(twin.callbacks_)["energy"].energy.readings),
    "cloned": cloned.history[:, "energy/joules_high"], "lost": len(lost.history),
    "nan": str(lost.history[-1, "energy/joules"]),
    "names": [name for name in fitted.get_params() if name.startswith("callbacks__energy")],
}
extra["parameters"] = extra.pop("names")
"""
    run = told(code, tmp_path, "skorch")
    holds_together(run, "validate 0", "epoch 0", "validate 1", "epoch 1", "train")
    assert [row["within"] for row in run["rows"]] == ["epoch", "train", "epoch", "train", None]
    assert len(run["history"]) == len(run["cloned"]) == run["lost"] == 2
    assert run["nan"] == "nan"
    assert run["twin"] == run["names"]
    assert run["parameters"] == ["callbacks__energy", "callbacks__energy__sensor"]


@pytest.mark.slow
def test_a_fastai_learner(tmp_path: Path) -> None:
    """fastai asks for torchvision, which is left out here; docs/integrations.md says how this is run by hand."""
    if importlib.util.find_spec("fastai") is None:
        pytest.skip("fastai is not installed: its callback is not tested here")
    code = """
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from trimwatt.integrations.fastai import EnergyCallback

rows = [(torch.randn(8), torch.tensor(i % 2)) for i in range(64)]
loaders = DataLoaders(DataLoader(rows, bs=16), DataLoader(rows, bs=16))
callback = EnergyCallback(SENSOR)
learner = Learner(loaders, torch.nn.Linear(8, 2), loss_func=torch.nn.CrossEntropyLoss(), cbs=callback)
with learner.no_logging():
    learner.fit(2)
    learner.get_preds()
    learner.validate()
lost = EnergyCallback(sensor=object())
learner.remove_cb(callback)
with learner.no_logging():
    learner.fit(2, cbs=lost)
extra = {"lost": [learner.epoch, len(lost.energy.phases), len(lost.energy.faults) > 0]}
"""
    run = told(code, tmp_path, "fastai")
    holds_together(run, "validate 0", "epoch 0", "validate 1", "epoch 1", "train", "predict", "validate")
    assert run["lost"] == [1, 0, True]
