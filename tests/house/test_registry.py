"""Registries: our own members from the folder, strangers' by their entry points, and none of them ends the program."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trimwatt._registry import Registry, nearest
from trimwatt.errors import InputError
from trimwatt.technique import Technique, groups, registry
from trimwatt.technique._base import fault

PLUGINS = {
    "good": "good_plugin:Good",
    "broken": "broken_plugin:Anything",
    "thawed": "good_plugin:Thawed",
    "forest": "good_plugin:Forest",
    "number": "good_plugin:NUMBER",
    "nowhere": "no_such_module:Thing",
    "aimless": "good_plugin:Aimless",
    "asking": "good_plugin:Asking",
}
GOOD = """
from dataclasses import dataclass
from typing import ClassVar
from trimwatt.technique import Technique, applies_to

NUMBER = 3

@dataclass(frozen=True)
class Good(Technique):
    name: ClassVar[str] = "good"
    family: ClassVar[str] = "feature selection"
    reference: ClassVar[str] = "our own, for this test"

@dataclass
class Thawed:
    name = "thawed"

@dataclass(frozen=True)
class Forest(Good):
    name: ClassVar[str] = "forest"

@dataclass(frozen=True)
class Aimless(Good):
    name: ClassVar[str] = "aimless"

@dataclass(frozen=True)
class Asking(Good):
    name: ClassVar[str] = "asking"
    share: float

applies_to(Asking, "onnx")(lambda technique, workload: workload)
applies_to(Good, "onnx")(lambda technique, workload: workload)
applies_to(Forest, "onnx")(lambda technique, workload: workload)
"""


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Technique]:
    """The registry where a package with these plugins is installed."""
    registry()  # the one of this process is read before the package is there
    (tmp_path / "good_plugin.py").write_text(GOOD)
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('no luck\\nat all')\n")
    about = tmp_path / "strangers-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in PLUGINS.items()]
    (about / "entry_points.txt").write_text("\n".join(["[trimwatt.techniques]", *lines]) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("good_plugin", "broken_plugin"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return Registry("technique", "trimwatt.technique", "trimwatt.techniques", Technique, fault)


def test_a_plugin_is_known_like_our_own(known: Registry[Technique]) -> None:
    assert known.get("good").__module__ == "good_plugin" and known.get("good").group == "plugin"
    assert set(known.known.members) == {*registry(), "good"}


def test_what_breaks_the_contract_is_left_out_and_named(known: Registry[Technique]) -> None:
    why = {refused.name: refused.why for refused in known.known.refused}
    assert set(why) == set(PLUGINS) - {"good"}
    assert why["broken"] == "RuntimeError: no luck"
    assert why["nowhere"].startswith("ModuleNotFoundError")
    assert why["thawed"] == why["number"] == "it is no Technique"
    assert why["forest"].startswith("'forest' is already the name of trimwatt.technique.classical.forest.Forest")
    assert "applies_to" in why["aimless"]
    assert why["asking"] == "its parameter 'share' has no default"
    assert all(refused.package == "strangers" for refused in known.known.refused)


def test_an_unknown_name_is_told_with_the_nearest_and_why_a_plugin_of_that_name_is_left_out(
    known: Registry[Technique],
) -> None:
    with pytest.raises(InputError, match="technique 'goood' is unknown; did you mean good"):
        known.get("goood")
    with pytest.raises(InputError, match="the technique 'broken' of strangers is left out: RuntimeError: no luck"):
        known.get("broken")


def test_every_technique_of_ours_keeps_the_contract_and_says_its_group() -> None:
    for kind in registry().values():
        assert fault(kind) == "" and kind.group != "plugin" and kind()
    assert {"prune", "quantize", "classical", "architecture"} <= set(groups())


def test_names_that_resemble_nothing_are_answered_with_all() -> None:
    assert nearest("zzz", ["b", "a"]) == "known are a, b" and nearest("x", []) == "known are none"
