from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

import trimwatt as tw
from trimwatt.errors import MissingExtra

FRAMEWORKS = ("fastai", "huggingface", "keras", "lightning", "skorch")


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_naming_a_module_loads_no_framework() -> None:
    heavy = {"torch", "transformers", "lightning", "keras", "skorch", "sklearn", "fastai", "pandas"}
    modules = ", ".join(f"tw.integrations.{name}" for name in (*FRAMEWORKS, "sklearn", "codecarbon"))
    assert python(f"import sys, trimwatt as tw; {modules}; print(sorted({heavy!r} & set(sys.modules)))") == "[]"


def test_the_callback_of_scikit_learn_needs_no_import_of_its_own() -> None:
    assert type(tw.integrations.sklearn.EnergyCallback()).__module__ == "trimwatt.integrations.sklearn"


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tw.integrations.nothing
    for name in FRAMEWORKS:
        with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
            _ = getattr(tw.integrations, name).Nothing


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_that_is_missing_is_named_with_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = {"huggingface": "transformers"}.get(name, name)
    # a finder that knows every package but this one, as on a machine without it
    for loaded in [m for m in sys.modules if m.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [f for f in sys.meta_path if "editable" not in repr(f).lower()])
    sys.path_importer_cache.clear()
    module = getattr(tw.integrations, name)
    with pytest.raises(MissingExtra, match=r"run: pip install "):
        _ = module.EnergyCallback


@pytest.mark.skipif(importlib.util.find_spec("skorch") is None, reason="skorch is not installed")
def test_a_callback_is_one_class_found_under_its_name() -> None:
    code = """
import trimwatt as tw, pickle
kind = tw.integrations.skorch.EnergyCallback
assert kind is tw.integrations.skorch.EnergyCallback
assert pickle.loads(pickle.dumps(kind)) is kind
print(kind.__module__, kind.__qualname__, bool(kind.__doc__))
"""
    assert python(code) == "trimwatt.integrations.skorch EnergyCallback True"
