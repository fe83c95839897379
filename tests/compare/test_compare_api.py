"""tw.compare on real callables, models, artifacts and commands."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import trimwatt as tw
from trimwatt.compare import parity
from trimwatt.compare.api import planned
from trimwatt.compare.arms import CallableArm, FunctionArm
from trimwatt.compare.command import CommandArm
from trimwatt.compare.finals import Finals
from trimwatt.compare.given import kind_of, named
from trimwatt.compare.result import Comparison
from trimwatt.errors import InputError
from trimwatt.testing.arm import ArmContract

FEW: dict[str, Any] = {"budget": 8, "self_test": False}


def small() -> int:
    return sum(i * i for i in range(2000))


def again() -> int:
    return sum(i * i for i in range(2000))


def large() -> int:
    return sum(i * i for i in range(6000)) * 0 + small()


def two(a: Any, b: Any, **options: Any) -> Comparison:
    found = tw.compare(a, b, **{**FEW, **options})
    assert isinstance(found, Comparison)
    return found


def test_callables_each_in_a_process_of_its_own() -> None:
    found = two(large, small, budget=8, self_test=True)
    assert (found.verdict, found.pinned) == ("more", True)
    assert found.sittings == (1 if found.pairs <= 5 else 2)
    assert found.low > 2
    assert found.self_test is not None and found.self_test.pairs == 8
    assert found.parity == {"checked": True, "what": "what the callables return", "equal": 1.0}
    assert found.model_error is not None and found.model_error.cancels
    # fewer than 20 pairs are said
    assert any("pairs, fewer than 20" in warning for warning in found.warnings)


def test_every_raw_block_is_kept_with_the_machine_beside_it() -> None:
    found = two(small, again)
    rows = list(csv.DictReader(io.StringIO(found.to_csv() or "")))
    counted = [row for row in rows if row["pair"]]
    assert len(counted) == 2 * found.pairs
    assert {row["arm"] for row in counted} == {"small", "again"}
    assert all(float(row["cpu_s"]) > 0 and row["load"] and row["cores"] and row["place"] in "01" for row in counted)
    if sys.platform == "linux":
        assert all(row["steal_s"] for row in counted)
    # warm-up is kept too, and counts nothing
    assert len(rows) > len(counted)
    record = json.loads(json.dumps(found.to_dict()))
    assert record["a"]["blocks"][0].keys() >= {"load", "frequency_hz", "steal_s", "energy", "gross", "cores"}
    assert "blocks" not in found.to_dict(blocks=False)["a"]


def test_what_it_says_is_escaped_in_a_notebook(tmp_path: Path) -> None:
    found = tw.compare({"<b>": small, "new": again}, **FEW)
    page = found._repr_html_()
    assert "<b>" not in page and "&lt;b&gt;" in page
    assert "new" in str(found)
    assert found.to_csv(tmp_path / "raw.csv") is None
    assert (tmp_path / "raw.csv").read_text().startswith("arm,pair,")


def test_a_callable_that_cannot_be_handed_over_runs_here_and_says_so() -> None:
    import threading

    lock = threading.Lock()

    def locked() -> int:
        with lock:
            return small()

    found = two(locked, small)
    assert "could not be handed to a process of its own" in found.warnings[0]
    assert found.sittings == 1


def test_many_arms_have_ranks_and_pairs() -> None:
    found = tw.compare({"one": small, "other": again, "large": large}, budget=5, self_test=False)
    assert isinstance(found, Finals)
    record = json.loads(json.dumps(found.to_dict()))
    assert [arm["name"] for arm in record["arms"]] == ["one", "other", "large"]
    assert len(record["pairs"]) == 3
    assert record["arms"][2]["rank"] == {"value": 3, "low": 3, "high": 3}
    assert all(pair["holm"] >= pair["p"] for pair in record["pairs"])
    assert record["parity"]["checked"]


def _other() -> int:
    return 1


def _wild() -> float:
    return random.random()


def _lazy() -> Iterator[int]:
    yield 1


def _fails() -> None:
    raise ValueError("no such thing")


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (small, _other, "return different results"),
        (_wild, _wild, "from call to call"),
        (_lazy, _lazy, "generator"),
        (_fails, small, "no such thing"),
        (small, 3, "came as int"),
        (["ls"], small, "commands are compared with commands only"),
        (np.linspace, object(), "came as object"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_line(a: Any, b: Any, why: str) -> None:
    with pytest.raises(InputError, match=why) as refused:
        two(a, b)
    assert "\n" not in str(refused.value)


def test_without_parity_different_results_are_compared() -> None:
    assert two(large, _square, parity=False).verdict == "more"


def _square() -> list[int]:
    return [i * i for i in range(2000)]


def test_a_single_arm_or_no_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two arms"):
        tw.compare(small)
    with pytest.raises(InputError, match="at least two"):
        tw.compare([small])
    with pytest.raises(InputError, match="need rows"):
        tw.compare(tmp_path, tmp_path)
    with pytest.raises(InputError, match="is not there"):
        tw.compare(tmp_path / "no", tmp_path / "no", data=np.zeros((3, 2)))


def test_fitted_models_are_asked_with_the_same_rows() -> None:
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    x, y = load_digits(return_X_y=True)
    linear = LogisticRegression(max_iter=20, tol=0.1).fit(x[:200], y[:200])
    forest = RandomForestClassifier(20, random_state=0).fit(x[:200], y[:200])
    found = two(linear, forest, data=x[200:300], parity=False, budget=5)
    with pytest.raises(InputError, match=r"answer 100 rows differently: \d+\.\d% equal"):
        parity.of_predictions(["linear", "forest"], [linear.predict(x[200:300]), forest.predict(x[200:300])])
    assert (found.verdict, found.a.name) == ("less", "LogisticRegression")
    assert found.parity is not None and 0.5 < found.parity["equal"] < 0.999


def test_budgets() -> None:
    assert planned(30, 0.02, 0.02, 1).most_pairs == 30
    assert planned("30s", 0.02, 0.02, 1).most_s == 30
    assert planned("200 J", 0.02, 0.02, 1).most_j == 200
    for budget in (4, "3 apples", "0s"):
        with pytest.raises(InputError):
            planned(budget, 0.02, 0.02, 1)
    with pytest.raises(InputError, match=r"did you mean 0\.02"):
        planned(None, 2.0, 0.02, 1)


def test_names_are_told_apart() -> None:
    assert list(named([small, small, large])) == ["small (1)", "small (2)", "large"]
    assert list(named([["ls", "a b"], ["ls"]])) == ["ls 'a b'", "ls"]
    assert [kind_of(a) for a in (["ls"], small, "folder", Path())] == ["command", "function", "artifact", "artifact"]


def _python(code: str) -> list[str]:
    return [sys.executable, "-S", "-E", "-c", code]


def test_commands_count_their_whole_tree() -> None:
    burn = "sum(i * i for i in range(300000))"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-E', '-c', '{burn}'], check=True)"
    alone, within = CommandArm(_python("pass")).run(2), CommandArm(_python(child)).run(2)
    own = CommandArm(_python(burn)).run(2)
    assert within.cpu_s > own.cpu_s > alone.cpu_s > 0
    assert alone.requests == 2


def test_commands_are_pinned_and_this_process_is_not() -> None:
    import os

    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity here")
    before = os.sched_getaffinity(0)
    core = max(before)
    arm = CommandArm(_python(f"import os, sys; sys.exit(os.sched_getaffinity(0) != {{{core}}})"))
    assert arm.pin(frozenset({core}))
    arm.run(1)
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import sys; print('lost', file=sys.stderr); sys.exit(3)", r"ended with code 3 \(lost\)"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("import time; print(time.perf_counter_ns())", "from run to run"),
    ],
)
def test_a_command_that_fails_or_varies_is_refused(code: str, why: str) -> None:
    arm = CommandArm(_python(code))
    with pytest.raises(InputError, match=why):
        arm.run(2)


def test_a_command_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be started"):
        CommandArm(["no-such-program-here"]).run(1)
    with pytest.raises(InputError, match="list of words"):
        CommandArm([])


def test_commands_are_compared() -> None:
    a, b = (_python(f"print(sum(i * i for i in range({n})) * 0)") for n in (200000, 20000))
    found = two(a, b)
    assert (found.verdict, found.parity and found.parity["checked"]) == ("more", True)
    with pytest.raises(InputError, match="print different results"):
        two(a, _python("print(1)"))
    varying = _python("import random; print(random.random())")
    with pytest.raises(InputError, match="something else from run to run"):
        two(varying, varying)


def test_equal_and_not() -> None:
    a = {"x": [1.0, np.arange(3)], "y": ("t", None)}
    assert parity.same(a, {"x": [1.0 + 1e-9, np.arange(3)], "y": ("t", None)}) is True
    assert parity.same(a, {"x": [1.001, np.arange(3)], "y": ("t", None)}) is False
    assert parity.same(float("nan"), float("nan")) is True
    assert parity.same(np.ones(2), np.ones(3)) is False
    assert parity.same(object(), object()) is None
    assert parity.same([object()], [object(), 1]) is False


def test_results_that_need_care_are_compared() -> None:
    cells = [np.array(["a", None, end], dtype=object) for end in (np.nan, np.nan, 1.0)]
    assert (parity.same(cells[0], cells[1]), parity.same(cells[0], cells[2])) == (True, False)
    eye = scipy.sparse.eye(5).tocsr()
    assert (parity.same(eye, eye * 1.0), parity.same(eye, eye * 1.01)) == (True, False)
    torch = pytest.importorskip("torch")
    weight = torch.ones(3, requires_grad=True)
    assert (parity.same(weight * 2, weight + weight), parity.same(weight * 2, weight)) == (True, False)


def _program() -> int:
    return subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True).returncode


def test_what_a_callable_lets_another_program_do_is_counted() -> None:
    with FunctionArm(_program) as arm:
        blocks = [arm.run(1) for _ in range(2)]
    assert min(block.cpu_s for block in blocks) > 0.02
    assert CallableArm(_program).run(1).cpu_s > 0.02


class TestFunctionArm(ArmContract):
    @pytest.fixture
    def arm(self) -> Iterator[FunctionArm]:
        with FunctionArm(small, name="small") as opened:
            yield opened
