"""Tasks of other packages: found by entry points, used like our own, left out where they are broken."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimwatt import input as inputs
from trimwatt import tasks
from trimwatt.errors import InputError
from trimwatt.framework import onnx
from trimwatt.runtime import get as runtime
from trimwatt.runtime.verify import verify
from trimwatt.scenario import Scenario
from trimwatt.study import setup
from trimwatt.technique import apply
from trimwatt.technique.classical import Linear
from trimwatt.workload import Data, Split, Workload

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3)).astype(np.float32)
Y = np.round(np.exp(1.5 + X[:, 0])).astype(np.int64)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    tasks.registry.cache_clear()
    yield
    tasks.registry.cache_clear()


def _install(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, source: str, value: str) -> None:
    """A package of its own with one task, as pip would leave it."""
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[trimwatt.tasks]\n{module} = {value}\n")
    monkeypatch.syspath_prepend(str(folder))


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task that docs/extending.md shows, in a package beside ours."""
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    (source,) = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class Counts" in code]
    _install(tmp_path, monkeypatch, "counted", source, "counted:Counts")


@pytest.mark.usefixtures("counts")
def test_a_task_of_another_package_is_used_like_our_own(tmp_path: Path) -> None:
    data, name = inputs.load((X, Y), task="counts")
    assert name == "counts" and data.task == tasks.get("counts") and tasks.names()[-1] == "counts"
    work = setup.workload(None, data, metric_name=None, positive=None, scenario=Scenario(), seed=0, train=False)
    assert work.quality.name == "poisson-deviance"
    assert setup.baseline(work, None).recipe[0].name == "boosted"
    fitted = apply(Linear(target="log"), work)
    assert fitted.task == data.task
    folder = tmp_path / "made"
    folder.mkdir()
    export = runtime("onnxruntime")
    session = export.open(export.export(onnx.lower(fitted), folder), work.scenario)
    assert verify(fitted, session, data.val.x) is None
    read = work.task.read(fitted, lambda: session.predict(data.val.x), lambda: session.scores(data.val.x))
    assert work.quality(data.val.y, read) < work.quality(data.val.y, np.full(len(read), data.train.y.mean()))


@pytest.mark.usefixtures("counts")
def test_its_own_refusals_and_metrics_reach_the_user() -> None:
    with pytest.raises(InputError, match="must hold whole numbers >= 0 for counts"):
        inputs.load((X, Y - 5), task="counts")
    data, _ = inputs.load((X, Y), task="counts")
    with pytest.raises(InputError, match="metric 'r2' does not fit counts; use poisson-deviance, mae, rmse"):
        setup.workload(None, data, metric_name="r2", positive=None, scenario=Scenario(), seed=0, train=False)
    with pytest.raises(InputError, match=r"task is one of auto, .*, regression, counts, got 'count'"):
        inputs.load((X, Y), task="count")


@pytest.mark.parametrize(
    ("source", "value", "reason"),
    [
        ("raise RuntimeError('no\\nluck')", "broken:Odd", "no"),
        ("x = 1", "broken:Odd", "has no attribute 'Odd'"),
        ("class Odd: name = 'odd'", "broken:Odd", "it is no subclass of trimwatt.tasks.Task"),
        ("from trimwatt.tasks import Task\nclass Odd(Task): name = 'odd'", "broken:Odd", "it lacks target, outputs, "),
        (
            "from trimwatt.tasks.regression import Regression\nclass Odd(Regression): name = 'Odd one'",
            "broken:Odd", "its name 'Odd one' is taken, or is not lower-case",
        ),
        ("from trimwatt.tasks.regression import Regression as Odd", "broken:Odd", "its name 'regression' is taken"),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, value: str, reason: str
) -> None:
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    _install(tmp_path, monkeypatch, "broken", source, value)
    with pytest.warns(UserWarning, match=r"the task plugin broken \(broken:Odd\) is left out: ") as caught:
        assert tasks.names() == ("classification", "multilabel", "regression")
    assert reason in str(caught[0].message) and "\n" not in str(caught[0].message)


def test_what_is_unknown_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="task 'weather' is unknown; tasks are classification, multilabel, regression"):
        tasks.get("weather")


def _data(classes: Any = None, **more: Any) -> Data:
    rows = Split(X, (Y > 4).astype(np.int64) if classes else Y.astype(float))
    return Data(rows, rows, rows, classes=classes, **more)


def test_the_task_goes_by_the_data() -> None:
    assert _data().task.name == "regression" and _data((0, 1)).task.name == "classification"
    assert _data((0, 1), task=tasks.get("regression")).task.name == "classification"
    assert Workload(_data(), "classification").task.name == "regression"
    assert Workload(task="regression").task.name == "regression"  # type: ignore[arg-type]
    assert Workload(outputs="values").task.name == "regression" and Workload().task.name == "classification"
    with pytest.raises(InputError, match="shape \\(300, 2\\) is of no task"):
        Data(*[Split(X, np.zeros((300, 2)))] * 3)


@pytest.mark.slow
@pytest.mark.usefixtures("counts")
def test_a_study_of_it_runs_from_the_command_line_to_a_file_of_predictions(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from trimwatt.commands import app

    np.savez(tmp_path / "counts.npz", x=X, y=Y)
    np.savez(tmp_path / "new.npz", x=X[:7])
    run, out = CliRunner(), tmp_path / "study"
    less = ["--techniques", "runtime", "--budget", "2trials", "-o", str(out)]
    done = run.invoke(app, ["optimize", str(tmp_path / "counts.npz"), "--task", "counts", *less])
    assert done.exit_code == 0, done.output
    study = json.loads((out / "study.json").read_text())
    assert (study["task"], study["metric"]) == ("counts", "poisson-deviance")
    done = run.invoke(app, ["predict", str(out), str(tmp_path / "new.npz")])
    assert done.exit_code == 0, done.output
    header, *rows = done.output.strip().splitlines()
    assert header == "prediction" and len(rows) == 7
