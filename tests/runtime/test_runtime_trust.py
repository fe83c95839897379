"""Who made an artifact: by this user's key, by a pinned digest, or on the user's own word."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from trimwatt import runtime as runtimes
from trimwatt.errors import InputError
from trimwatt.runtime import deployed, signature
from trimwatt.technique._base import apply
from trimwatt.technique.classical import Linear
from trimwatt.testing import samples


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "trimwatt" / "key"


def deliver(folder: Path, runtime: str = "sklearn") -> Path:
    work = apply(Linear(), samples.digits(rows=200))
    made = folder.with_name(folder.name + "-made")
    made.mkdir(parents=True)
    from trimwatt import input

    return deployed.write(
        folder, runtimes.get(runtime).export(work, made), task=work.task.name, metric="accuracy",
        classes=work.rows.classes, input=input.describe(work.rows), recipe=[], figures={}, scenario=work.scenario,
    )  # fmt: skip


ROWS = np.zeros((2, 64))


def test_the_key_is_written_with_the_first_artifact_that_needs_it(key: Path, tmp_path: Path) -> None:
    deliver(tmp_path / "data", "onnxruntime")
    assert not key.exists() and "hmac" not in json.loads((tmp_path / "data" / "manifest.json").read_text())
    folder = deliver(tmp_path / "objects")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and len(key.read_bytes()) == 32
    assert [path.name for path in key.parent.iterdir()] == ["key"]
    before = key.read_bytes()
    deliver(tmp_path / "more")
    assert key.read_bytes() == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert deployed.load(folder).predict(ROWS).shape == (2,)


def test_importing_writes_no_key(tmp_path: Path) -> None:
    code = "import trimwatt, trimwatt.runtime.deployed, trimwatt.runtime.sklearn, trimwatt.commands"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "XDG_STATE_HOME": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_what_was_made_elsewhere_is_refused_unless_it_is_trusted(key: Path, tmp_path: Path) -> None:
    folder = deliver(tmp_path / "objects")
    key.unlink()
    with pytest.raises(InputError, match=r"not made here by you.*can run code; add --trust sha256") as refused:
        deployed.load(folder)
    assert "\n" not in str(refused.value)
    with pytest.warns(UserWarning, match=r"model\.skops .*can run code as you.*--trust sha256:[0-9a-f]{64}"):
        model = deployed.load(folder, trust=True)
    assert model.predict(ROWS).shape == (2,)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert deployed.load(folder, trust=model.digest).predict(ROWS).shape == (2,)
    with pytest.raises(InputError, match="not the pinned one"):
        deployed.load(folder, trust="sha256:" + "0" * 64)
    with pytest.raises(InputError, match="64 hexadecimal digits, or True, got 'yes'"):
        deployed.load(folder, trust="yes")
    # onnx is data, wherever it came from
    assert deployed.load(deliver(tmp_path / "data", "onnxruntime")).predict(ROWS).shape == (2,)


def test_a_manifest_that_was_changed_is_from_elsewhere(key: Path, tmp_path: Path) -> None:
    folder = deliver(tmp_path / "objects")
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    # another order and layout is the same manifest
    path.write_text(json.dumps(dict(reversed(list(manifest.items()))), indent=None))
    deployed.load(folder)
    for changed in ({**manifest, "metric": "f1"}, {**manifest, "hmac": "0" * 64}, {**manifest, "hmac": 7}):
        path.write_text(json.dumps(changed))
        with pytest.raises(InputError, match="not made here"):
            deployed.load(folder)


def test_a_key_that_others_can_reach_is_none(key: Path, tmp_path: Path) -> None:
    folder = deliver(tmp_path / "objects")
    for spoil in (lambda: key.chmod(0o644), lambda: key.write_bytes(b"short"), lambda: link(key)):
        saved = key.read_bytes()
        spoil()
        with pytest.raises(InputError, match="not made here"):
            deployed.load(folder)
        assert signature.sign({"a": 1}) is None
        key.unlink()
        key.write_bytes(saved)
        key.chmod(0o600)
        deployed.load(folder)


def link(path: Path) -> None:
    other = path.with_name("other")
    path.rename(other)
    path.symlink_to(other)


def test_a_key_may_be_named_for_a_team(key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    team = tmp_path / "secret"
    monkeypatch.setenv("TRIMWATT_KEY", str(team))
    folder = deliver(tmp_path / "objects")
    assert len(team.read_bytes()) == 32 and not key.exists()
    # as a secret is handed to a container: a link to a file that the group may read
    (tmp_path / "mounted").symlink_to(team)
    team.chmod(0o440)
    monkeypatch.setenv("TRIMWATT_KEY", str(tmp_path / "mounted"))
    deployed.load(folder)
    monkeypatch.delenv("TRIMWATT_KEY")
    with pytest.raises(InputError, match="not made here"):
        deployed.load(folder)


def test_without_a_place_for_the_key_artifacts_are_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    folder = deliver(tmp_path / "objects")
    assert "hmac" not in json.loads((folder / "manifest.json").read_text())
    with pytest.raises(InputError, match="not made here"):
        deployed.load(folder)
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", classmethod(_no_home))
    assert signature.key_path() is None and signature.sign({}) is None


def _no_home(_: type[Path]) -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_two_processes_that_start_at_once_keep_one_key(key: Path) -> None:
    code = "from trimwatt.runtime import signature; print(signature.sign({'a': 1}))"
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {run.communicate()[0] for run in runs}
    assert len(said) == 1 and said == {f"{signature.sign({'a': 1})}\n"}


def test_an_artifact_asks_for_no_more_threads_than_there_are(tmp_path: Path) -> None:
    folder = deliver(tmp_path / "data", "onnxruntime")
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "scenario": {**manifest["scenario"], "threads": 100_000}}))
    model = deployed.load(folder).open()
    options = model._session._session.get_session_options()  # type: ignore[union-attr]
    assert options.intra_op_num_threads == len(os.sched_getaffinity(0))


def test_every_runtime_says_whether_it_can_run_code() -> None:
    known = {name: runtimes.needs_trust(name) for name in ("onnxruntime", "openvino", "sklearn", "torch", "torch-bf16")}
    assert known == {"onnxruntime": False, "openvino": False, "sklearn": True, "torch": True, "torch-bf16": True}
