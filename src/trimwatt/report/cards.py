"""The model card that goes with an artifact: what it is, how well it does, what it takes, how to run it."""

from __future__ import annotations

from typing import Any

from trimwatt import runtime as runtimes
from trimwatt import tasks
from trimwatt.errors import InputError
from trimwatt.report import _study, _text
from trimwatt.rows.packing import KEY

Manifest = dict[str, Any]


def card(study: dict[str, Any], manifest: Manifest) -> str:
    """Markdown for `artifact/README.md`. Text from outside is escaped; code is in fences that it cannot end."""
    trial = _study.recommended(study) or manifest.get("figures") or {}
    parts = [
        _what(study, trial, manifest), _quality(study, trial), _energy(study, trial, manifest), _run(manifest),
        *_trust(study, manifest), _recipe(manifest),
        _limits(study, manifest),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _what(study: dict[str, Any], trial: dict[str, Any], manifest: Manifest) -> str:
    data = study.get("data") or {}
    classes = manifest.get("classes")
    lines = [
        f"# {text(trial.get('name') or 'Model')}", "", text(_study.verdict(study)), "",
        f"- task: {text(manifest['task'])}",
        f"- data: {text(data.get('name') or 'not named')}{_rows(data)}",
        f"- runtime: {text(manifest['runtime'])}",
    ]  # fmt: skip
    if classes:
        lines.append(f"- classes: {text(', '.join(str(label) for label in classes[:20]))}{_more(len(classes) - 20)}")
    lines.append(f"- size: {_text.size(trial.get('size_bytes'))}")
    return "\n".join(lines)


def _rows(data: dict[str, Any]) -> str:
    rows = data.get("rows") or {}
    return ", " + ", ".join(f"{count:,} {name} rows" for name, count in rows.items()) if rows else ""


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _quality(study: dict[str, Any], trial: dict[str, Any]) -> str:
    lines = ["## Quality", ""]
    for where, value in reversed(_study.qualities(study, trial)):
        figure, interval = _text.quality(value)
        lines.append(f"- {text(value['metric'])} {figure} [{interval}] on {value['rows']:,} {where}")
    if study.get("refit") == "all":
        lines.append("- fitted again after confirmation, with the test rows: these figures are of the model before")
    grade = _text.grade(trial)
    lines.append(f"- floor: {text(_study.floor_line(study))}" + (f"; {grade}" if grade else ""))
    return "\n".join(lines)


def _energy(study: dict[str, Any], trial: dict[str, Any], manifest: Manifest) -> str:
    asked = text(_study.asked_line({"scenario": study.get("scenario") or manifest.get("scenario")}) or "how is unknown")
    ratio, interval = _text.ratio(trial.get("ratio_to_baseline"))
    latency = trial.get("latency_s") or {}
    lines = ["## Energy", "", f"- {_text.energy_line(trial.get('energy_per_prediction'))}, a prediction; {asked}"]
    if trial.get("ratio_to_baseline") and trial.get("id") != study.get("baseline"):
        name = text((_study.baseline(study) or {}).get("name") or "the baseline")
        lines.append(f"- {ratio} than {name}, the baseline [{interval}], as {_study.basis(study)}")
    p50, p95 = (_text.seconds(latency.get(name)) for name in ("p50", "p95"))
    lines.append(f"- latency: {p50} median, {p95} at 95 %; {asked}")
    lines += [f"- pays back {text(line)}" for line in _study.payback_lines(study)]
    return "\n".join([*lines, *(f"- {text(line)}" for line in _study.origin_lines(study))])


def _run(manifest: Manifest) -> str:
    lines = ["## Run it", "", "```", "trimwatt predict . DATA -o predictions.csv", "```"]
    model = next((name for name in manifest["files"] if str(name).endswith(".onnx")), None)
    if manifest["runtime"] == "onnxruntime" and model and _is_fed_plainly(manifest, "onnxruntime"):
        lines += ["", "or without trimwatt, by onnxruntime and numpy alone:", "", "```python", *_onnx(model, manifest)]
        lines.append("```")
    elif str(manifest["runtime"]).startswith("openvino") and model and _is_fed_plainly(manifest, "openvino"):
        lines += ["", "or without trimwatt, by openvino and numpy alone:", "", "```python"]
        lines += [*_openvino(model, manifest), "```"]
    else:
        lines += ["", "or from Python:", "", "```python", "import trimwatt as tw", "", 'model = tw.load(".")']
        lines += ["labels = model.predict(rows)", "```"]
    return "\n".join(lines)


def _trust(study: dict[str, Any], manifest: Manifest) -> list[str]:
    """How to open it on another machine, where opening it can run code."""
    digest, runtime = study.get("artifact_digest"), manifest["runtime"]
    if not digest or runtime not in runtimes.names() or not runtimes.needs_trust(runtime):
        return []
    return [
        "Opening these files can run code, so they open for the user who made them, on the machine they were made on. "
        f"Anywhere else pin them: `--trust {text(digest)}`, in Python `tw.load(path, trust=...)`."
    ]


def _is_fed_plainly(manifest: Manifest, runtime: str) -> bool:
    """Whether a few lines of numpy make the model's inputs: dates, and columns as a given model had them, need more."""
    described = manifest["input"]
    if not described.get("named"):
        return True
    if described.get("tensors"):
        return "columns.json" not in manifest["files"]
    return runtime == "onnxruntime" and not described.get("stored")


def _onnx(model: str, manifest: Manifest) -> list[str]:
    described = manifest["input"]
    names = _answers(manifest)
    answer = ", ".join(names) if len(names) > 1 else f"[{names[0]}]"
    start = ["import numpy as np", "import onnxruntime", "", f"session = onnxruntime.InferenceSession({_code(model)})"]
    if described.get("tensors"):
        said = f'session.get_modelmeta().custom_metadata_map["{KEY}"]'
        lines = ["import json", "", *start, *_packed(described, said)]
        return [*lines, f"{answer} = session.run(None, inputs)"]
    if described.get("named"):
        rows = [f"    {_code(c['name'])}: {_column(c['dtype'])}," for c in described["columns"]]
        return [*start, "rows = {", *rows, "}", f"{answer} = session.run(None, rows)"]
    shape = ", ".join(str(side) for side in (1, *described.get("shape", ())))
    rows = [f"x = np.zeros(({shape}), np.{described.get('dtype') or 'float32'})  # your rows, as they were stored"]
    return [*start, *rows, f'{answer} = session.run(None, {{"x": x}})']


def _answers(manifest: Manifest) -> tuple[str, ...]:
    """Names of what the model gives, for Python."""
    try:
        return tasks.get(str(manifest["task"])).answers
    except InputError:  # a task of a package that is not installed here
        return ("prediction", "*others")


def _packed(described: dict[str, Any], said: str) -> list[str]:
    """One row as the model's tensors. said: Python that gives what the model's file says of them."""
    kinds = {c["name"]: c for c in described["columns"]}
    names = dict.fromkeys(name for tensor in described["tensors"] for name in tensor["columns"])
    rows = [f"    {_code(name)}: {_example(kinds.get(name, {}))}," for name in names]
    return [
        f"tensors = json.loads({said})",
        "row = {  # a missing number is np.nan, a missing word is empty",
        *rows,
        "}",
        "inputs = {}",
        "for tensor in tensors:",
        '    words = [column.get("codes") for column in tensor["columns"]]',
        '    cells = [row[column["name"]] for column in tensor["columns"]]',
        "    numbers = [cell if codes is None else codes.get(cell, -1) for cell, codes in zip(cells, words)]",
        '    inputs[tensor["name"]] = np.array([numbers], tensor["dtype"])',
    ]


def _openvino(model: str, manifest: Manifest) -> list[str]:
    described, bits = manifest["input"], "bf16" if manifest["runtime"].endswith("bf16") else "f32"
    settings = f'{{"INFERENCE_PRECISION_HINT": "{bits}", "INFERENCE_NUM_THREADS": {manifest["scenario"]["threads"]}}}'
    labels, packed = "labels.json" in manifest["files"], bool(described.get("tensors"))
    lines = ["import json"] * (labels or packed) + ["from pathlib import Path"] * labels
    lines += [""] * bool(lines) + ["import numpy as np", "import openvino", ""]
    if packed:
        lines += [f"model = openvino.Core().read_model({_code(model)})"]
        lines += [f'compiled = openvino.compile_model(model, "CPU", {settings})']
        lines += _packed(described, f'model.get_rt_info()["framework"]["{KEY}"].value')
        lines.append('prediction = compiled(inputs)["prediction"]')
    else:
        shape = ", ".join(str(side) for side in (1, *described.get("shape", ())))
        lines += [
            f'compiled = openvino.compile_model({_code(model)}, "CPU", {settings})',
            f"x = np.zeros(({shape}), np.{described.get('dtype') or 'float32'})  # your rows, as they were stored",
            'prediction = compiled({"x": x})["prediction"]',
        ]
    if labels:
        lines.append('labels = np.array(json.loads(Path("labels.json").read_text()))[prediction]')
    return lines


def _example(described: dict[str, Any]) -> str:
    is_text = described.get("dtype") == "string" or "text" in described
    return '""' if is_text else "0.0"


def _column(dtype: str) -> str:
    return "np.array([[0.0]], np.float32)" if dtype.startswith("float") else 'np.array([[""]], object)'


def _code(value: Any) -> str:
    """A Python string that ends no fence."""
    return ascii(str(value)).replace("`", "\\x60")


def _recipe(manifest: Manifest) -> str:
    steps = [f"{i}. {text(step.get('technique'))}{_given(step)}" for i, step in enumerate(manifest["recipe"], 1)]
    return "\n".join(["## Recipe", "", *(steps or ["The model as it was given."])])


def _given(step: dict[str, Any]) -> str:
    shown = _text.parameters(step)
    return f" ({text(shown)})" if shown else ""


def _limits(study: dict[str, Any], manifest: Manifest) -> str:
    lines = [
        "## Limits", "",
        "- Quality holds for rows like those of the study; it says nothing of other sources or of later times.",
        "- Energy holds for the host, the threads, and the size and form of requests of the study; others differ.",
    ]  # fmt: skip
    if study.get("confirmed") is False:
        lines.append("- **Not confirmed: on the test rows this model misses the floor.**")
    if _study.withheld(study):
        lines.append("- **Not independently confirmed: rows that judged this model are tied to its training rows.**")
    lines += [f"- {text(warning)}" for warning in study.get("warnings") or []]
    versions = ", ".join(f"{name} {value}" for name, value in (manifest.get("versions") or {}).items())
    return "\n".join(
        [*lines, "", f"Made {text(manifest.get('created') or 'at an unknown time')} with {text(versions)}."]
    )


def text(value: Any) -> str:
    """Text from outside as plain Markdown text: one line, no markup, no HTML."""
    return "".join("\\" + c if c in "\\`*_[]<>|#!" else c for c in _text.plain(value))
