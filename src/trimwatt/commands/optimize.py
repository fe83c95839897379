"""trimwatt optimize: find the model that does the job for the least energy."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from trimwatt import units
from trimwatt.commands import _study
from trimwatt.errors import InputError


def _option(panel: str, help: str, *names: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel)


_given, _held = partial(_option, "What is given"), partial(_option, "What must hold")
_asked, _search = partial(_option, "How it will be asked"), partial(_option, "The search")
_output = partial(_option, "Output")
_SOURCE = typer.Argument(
    metavar="DATA|MODEL",
    show_default=False,
    help="Data: .csv, .tsv, .parquet, .npz, a folder or .zip of class folders of images, or package.module:callable. "
    "With --data: a model, as .onnx or package.module:callable.",
)
_OUTPUTS = "What the MODEL answers with, where rows cannot tell: logits, probabilities or values."
_CLASSES = "File that names the class of each output of the MODEL: one per line, or JSON."
_BASELINE = "What to compare with where no model is given: a technique such as forest or linear."
_REFERENCE = "Whose quality sets the floor: best, the strongest model found, or baseline."
_TECHNIQUES = "all, or some of runtime, inputs, prune, quantize, classical, train, architecture."
_METRIC = "accuracy, f1, auc, mae, rmse, r2, mase or package.module:callable."


def optimize(
    data_or_model: Annotated[str, _SOURCE],
    data: Annotated[str | None, _given("Data for the MODEL given.")] = None,
    target: Annotated[str | None, _given("Column to predict.")] = None,
    split: Annotated[str | None, _given("Column that says train, val or test.")] = None,
    group: Annotated[str | None, _given("Column whose equal values stay in one split.")] = None,
    time: Annotated[str | None, _given("Column to split by: the latest rows test.")] = None,
    val_from: Annotated[str, _given("Where missing validation rows are cut from: train or test.")] = "train",
    task: Annotated[str, _given("auto, classification or regression.")] = "auto",
    outputs: Annotated[str | None, _given(_OUTPUTS)] = None,
    classes: Annotated[Path | None, _given(_CLASSES)] = None,
    train: Annotated[bool, _given("The MODEL comes untrained: train it first.", "--train")] = False,
    metric: Annotated[str | None, _held(_METRIC)] = None,
    positive: Annotated[str | None, _held("Positive class of f1 and auc; the rarer one unless named.")] = None,
    max_drop: Annotated[float, _held("What may be lost against the reference; a share of it for errors.")] = 0.01,
    floor: Annotated[float | None, _held("Least acceptable quality, instead of --max-drop.")] = None,
    strict: Annotated[bool, _held("Take only what is proven to keep the floor.", "--strict")] = False,
    bold: Annotated[bool, _held("Take the cheapest that keeps it by its estimate.", "--bold")] = False,
    max_latency: Annotated[str | None, _held("Longest median answer, like 5ms.")] = None,
    max_size: Annotated[str | None, _held("Largest model, like 1MB.")] = None,
    max_memory: Annotated[str | None, _held("Most memory while serving, like 64MB.")] = None,
    batch_size: Annotated[int, _asked("Rows a request.")] = 1,
    threads: Annotated[int, _asked("Threads of the runtime.")] = 1,
    request: Annotated[str | None, _asked("Form in which rows arrive: array, dict or frame.")] = None,
    budget: Annotated[
        str, _search("Time, energy or trials for the whole search: 20min, 10kJ, 5Wh, 40trials.")
    ] = "10min",
    baseline: Annotated[str | None, _search(_BASELINE)] = None,
    techniques: Annotated[str, _search(_TECHNIQUES)] = "all",
    reference: Annotated[str, _search(_REFERENCE)] = "best",
    refit: Annotated[str, _search("What is handed over is fitted on: train+val, or all, test rows too.")] = "train+val",
    seed: Annotated[int, _search("Of splits, training and pairing.")] = 0,
    output: Annotated[Path | None, _output("Folder; ./trimwatt-<data> unless given.", "-o", "--output")] = None,
    resume: Annotated[bool, _output("Go on with the study in that folder.", "--resume")] = False,
    force: Annotated[bool, _output("Replace what stands in that folder.", "--force")] = False,
    json: Annotated[bool, _output("Print study.json, and only that, on stdout.", "--json")] = False,
) -> None:
    """Find the model that does the job for the least energy, and prove it.

    trimwatt optimize adult.csv --target income --metric f1

    trimwatt optimize model.onnx --data images.zip --max-drop 0.005
    """
    if resume and force:
        raise InputError("--resume goes on with a study and --force throws it away; give one of them")
    model, source = (None, data_or_model) if data is None else (data_or_model, data)
    _hint_model(data_or_model, data)
    units.parse_budget(budget)
    arguments: dict[str, Any] = {
        "model": model, "data": source, "target": target, "split": split, "group": group, "time": time,
        "val_from": _one_of("--val-from", val_from, ("train", "test")), "task": task, "metric": metric,
        "positive": positive, "max_drop": max_drop, "floor": floor,
        "max_latency": max_latency and units.parse_duration(max_latency),
        "max_size": max_size and units.parse_bytes(max_size),
        "max_memory": max_memory and units.parse_bytes(max_memory),
        "budget": budget, "batch_size": batch_size, "threads": threads,
        "request": request and _one_of("--request", request, ("array", "dict", "frame")),
        "baseline": baseline, "techniques": techniques, "seed": seed, "output": output, "resume": resume,
        "force": force, "reference": _one_of("--reference", reference, ("best", "baseline")),
        "refit": _one_of("--refit", refit, ("train+val", "all")), "strict": strict, "bold": bold, "train": train,
        "outputs": outputs and _one_of("--outputs", outputs, ("logits", "probabilities", "values")), "classes": classes,
    }  # fmt: skip
    _study.run("optimize", arguments, as_json=json)


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise InputError(f"{option} is one of {', '.join(allowed)}, got {value!r}")
    return value


def _hint_model(given: str, data: str | None) -> None:
    if data is None and given.lower().endswith((".onnx", ".keras", ".pt", ".pth", ".pkl", ".joblib")):
        raise InputError(f"{given} is a model, which needs rows to be judged on; add --data DATA")
