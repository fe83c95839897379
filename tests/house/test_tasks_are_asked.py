"""Only a task knows what it is: others ask it, or the type of its target, and know no task or metric by its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "trimwatt"
KNOWS = re.compile(
    r"(rows|data|workload)\.classes is (not )?None"
    r"|[\"'](classification|regression)[\"']"
    r"|(metric|quality)\.name (==|!=|in|not in) [\"'(]"
)


def knowing(source: str) -> list[str]:
    """Lines that know a task or metric by its name, or by whether there are classes."""
    return [line.strip() for line in source.splitlines() if KNOWS.search(line)]


def test_tasks_and_metrics_are_known_by_name_in_tasks_alone() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if "tasks" not in path.parts and path.name != "metric.py"]
    found = {str(path.relative_to(PACKAGE)): lines for path in files if (lines := knowing(path.read_text("utf-8")))}
    # the classes themselves are written there
    found.pop("study/summary.py", None)
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "if data.classes is None:", "x if workload.rows.classes is not None else y", 'if task == "regression":',
        "if workload.task.name != 'classification':", 'Workload(data, "regression")',
        'if metric.name in ("mae", "mase"):', 'return self.quality.name == "f1"',
    ],
)  # fmt: skip
def test_a_line_that_knows_is_seen(line: str) -> None:
    assert knowing(line)
    assert not knowing('if workload.task.target == "value" and told.classes is not None and metric.argmax_is_best:')
