"""The one class of options: it checks itself, and signatures, help and resuming are made from its fields."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

import trimwatt as tw
from trimwatt.errors import InputError, OptionError, flag
from trimwatt.scenario import Request, Scenario
from trimwatt.study.option import Option, describe
from trimwatt.study.options import Options
from trimwatt.study.signature import takes
from trimwatt.units import Budget
from trimwatt.workload import Outputs

NAMES = {field.name: field for field in describe(Options)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class More(Options):
    """One that may be given again, as an addition would declare it."""

    recipes: Annotated[Sequence[str], Option("The search", "Recipes beside those of the `techniques`.")] = ()


def test_optimize_has_a_parameter_for_each_option_and_two_more() -> None:
    shown = inspect.signature(tw.optimize).parameters
    assert list(shown) == ["model", "data", *NAMES]
    for name, field in NAMES.items():
        taken = shown[name]
        assert (taken.kind, taken.default, taken.annotation) == (taken.KEYWORD_ONLY, field.default, field.type)
        assert f"    {name}: " in str(tw.optimize.__doc__)
    assert shown["model"].kind is shown["model"].POSITIONAL_OR_KEYWORD and shown["model"].default is None
    assert shown["data"].kind is shown["data"].KEYWORD_ONLY and shown["data"].default is inspect.Parameter.empty
    assert [name for name, field in NAMES.items() if not field.option.panel] == ["progress"]


def test_a_field_that_is_added_is_a_parameter_with_its_help() -> None:
    @takes(More)
    def ask(**options: Any) -> None:
        """Ask."""

    assert inspect.signature(ask).parameters["recipes"].annotation == Sequence[str]
    assert "    recipes: Recipes beside those of the techniques." in str(ask.__doc__)
    assert More(recipes=["a", "b"]).recipes == ("a", "b")
    assert More(recipes="a + b").recipes == ("a + b",)
    assert More().identity(Scenario())["recipes"] == ()


def test_a_field_without_a_word_is_refused() -> None:
    @dataclasses.dataclass(frozen=True)
    class Silent:
        seed: int = 0

    with pytest.raises(TypeError, match="the field seed is declared as Annotated"):
        describe(Silent)


def test_help_names_only_options_that_exist() -> None:
    named = set()
    for field in NAMES.values():
        for text in (field.option.help, field.option.more):
            OptionError(text).spell(lambda name: named.add(name) or name)
    assert {"max_drop", "floor"} <= named <= {*NAMES, "model", "data"}


def test_choices_are_those_of_what_they_set() -> None:
    assert NAMES["request"].allowed == typing.get_args(Request)
    assert NAMES["outputs"].allowed == typing.get_args(Outputs)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": 0.5}, "seed must be an integer, got 0.5"),
        ({"seed": True}, "seed must be an integer, got True"),
        ({"max_drop": "0.01"}, "max_drop must be a number, got '0.01'"),
        ({"floor": np.ones(9)}, r"floor must be a number, got array\("),
        ({"strict": "yes"}, "strict must be True or False, got 'yes'"),
        ({"budget": 60}, r"budget must be a string \(TIME\|ENERGY\|TRIALS\), got 60"),
        ({"budget": "a lot"}, "write it like 20min, 10kJ, 5Wh or 40trials"),
        ({"max_latency": "5"}, "max_latency: '5' is not time with a unit; write it like 5ms"),
        ({"max_size": ["1MB"]}, r"max_size must be a string or a number \(SIZE\), got \['1MB'\]"),
        ({"max_size": "0MB"}, "max_size must be a finite number above 0, got '0MB'"),
        ({"max_memory": float("nan")}, "max_memory must be a finite number above 0, got nan"),
        ({"output": 3}, r"output must be a string or a path \(FOLDER\), got 3"),
        ({"val_from": "thin {air}"}, "val_from is one of train, test, got 'thin {air}'"),
        ({"request": ["array"]}, r"request is one of array, dict, frame, got \['array'\]"),
        ({"threads": 0}, "threads must be an integer >= 1, got 0"),
        ({"resume": True, "force": True}, "resume goes on with a study and force throws it away"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        Options(**given)
    assert "\n" not in str(refused.value)


def test_the_command_line_spells_options_in_errors_as_flags() -> None:
    with pytest.raises(OptionError) as refused:
        Options(strict=True, bold=True)
    assert refused.value.spell(flag).startswith("--strict takes only what is proven, --bold what is not")
    assert OptionError("`max_drop` is {!r}", "`seed` {0}").spell(flag) == "--max-drop is '`seed` {0}'"
    assert OptionError('`classes` is {"0": "name"}').spell(flag) == '--classes is {"0": "name"}'


def test_an_argument_that_is_no_option_is_no_surprise() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_dorp'; did you mean 'max_drop'"):
        tw.optimize(data="absent.csv", max_dorp=0.1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'zzz'; it takes target"):
        tw.optimize(data="absent.csv", zzz=0.1)  # type: ignore[call-arg]


def test_texts_come_to_si_units_and_plain_numbers_are_in_them() -> None:
    asked = Options(max_latency="5ms", max_size=1200, max_memory="64MB", budget="10 kJ")
    assert dataclasses.astuple(asked.limits) == (0.005, 1200, 64e6)
    assert asked.allowance == Budget(1e4, "J")
    kept = Options(seed=np.int64(3), max_drop=np.float32(0.5), output=Path("out"))
    assert (type(kept.seed), kept.seed, type(kept.max_drop), kept.output) == (int, 3, float, Path("out"))


ASKED: dict[str, Any] = {
    "max_drop": 0.02, "floor": 0.9, "max_latency": "5ms", "baseline": "forest", "techniques": "runtime", "seed": 1,
    "reference": "baseline",
}  # fmt: skip


def test_what_must_be_equal_for_a_study_to_go_on() -> None:
    """As every version kept it: what is kept in a study's database is compared with this."""
    scenario = Scenario(2, 1, "dict")
    assert Options(**ASKED).identity(scenario) == {
        "max_drop": 0.02, "floor": 0.9, "baseline": "forest", "techniques": "runtime", "seed": 1,
        "reference": "baseline", "scenario": {"batch_size": 2, "threads": 1, "request": "dict"},
        "limits": {"latency_s": 0.005, "size_bytes": None, "memory_bytes": None},
    }  # fmt: skip
    respelled = Options(**{**ASKED, "max_latency": 0.005})
    assert respelled.identity(scenario) == Options(**ASKED).identity(scenario)
    assert Options(baseline=("a", "recipe")).identity(scenario)["baseline"] is None


def test_options_say_whether_they_decide_what_a_study_does() -> None:
    asked: dict[str, list[str]] = {}
    for name, field in NAMES.items():
        asked.setdefault(field.option.resumed, []).append(name)
    assert asked["free"] == ["strict", "bold", "budget", "recipes", "refit"]
    assert asked["call"] == ["output", "resume", "force", "progress"]
    same = Options(**ASKED).identity(Scenario())
    free: dict[str, Any] = {"strict": True, "budget": "1h", "refit": "all", "output": "there", "resume": True}
    assert Options(**ASKED, **free).identity(Scenario()) == same
