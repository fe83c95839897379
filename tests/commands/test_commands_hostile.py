"""A hundred spoilt artifacts and study folders: one line each, nothing outside is touched, no code runs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handing_over import hand_over

from trimwatt._process import Child
from trimwatt.errors import TrialFailed
from trimwatt.testing import samples

Change = Callable[[Path, random.Random], None]
RUNTIMES = ("onnxruntime", "sklearn")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("made")
    made = {name: hand_over(samples.digits(rows=200), folder / name, name) for name in RUNTIMES}
    with contextlib.suppress(ModuleNotFoundError):
        made["torch"] = _torch(folder / "torch")
    return made


def _torch(folder: Path) -> Path:
    from trimwatt import input
    from trimwatt import runtime as runtimes
    from trimwatt.runtime import deployed
    from trimwatt.technique import apply, registry

    work = apply(registry()["mlp-torch"]((4,)), samples.digits(rows=200))
    made = folder.with_name("torch-made")
    made.mkdir()
    return deployed.write(
        folder, runtimes.get("torch").export(work, made), task=work.task, metric="accuracy", classes=work.rows.classes,
        input=input.describe(work.rows), recipe=[], figures={}, scenario=work.scenario,
    )  # fmt: skip


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder of the user's that nothing may touch, beside the artifact."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "victim.txt").write_text("precious contents of the user\n")
    before = _state(folder)
    yield folder
    assert _state(folder) == before
    assert not (tmp_path / "ran").exists()


def _state(folder: Path) -> list[tuple[str, bytes, int]]:
    return [(str(p), p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(folder.rglob("*")) if p.is_file()]


@pytest.fixture(scope="module")
def child() -> Iterator[Callable[[Path, Any], Any]]:
    import sys

    sys.path.insert(0, str(Path(__file__).parent))
    opened = [Child("hostile_handlers:serve")]

    def ask(folder: Path, trust: Any) -> Any:
        try:
            return opened[0].call((str(folder), trust), 60)
        except TrialFailed as error:
            if not _alive(opened[0].pid):
                opened[0].close()
                opened[0] = Child("hostile_handlers:serve")
            return str(error)

    yield ask
    opened[0].close()
    sys.path.remove(str(Path(__file__).parent))


def _alive(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text()))


def write(folder: Path, content: dict[str, Any]) -> None:
    (folder / "manifest.json").write_text(json.dumps(content))


def flip(folder: Path, rng: random.Random) -> None:
    """Bytes of a model file changed, its digest left."""
    spoil(_model(folder, rng), rng)


def flip_and_sign(folder: Path, rng: random.Random) -> None:
    """Bytes of a model file changed, and its digest made right again, as a forger would."""
    path = _model(folder, rng)
    spoil(path, rng)
    relist(folder)


def cut(folder: Path, rng: random.Random) -> None:
    path = _model(folder, rng)
    path.write_bytes(path.read_bytes()[: rng.randrange(200)])
    relist(folder)


def spoil(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 5, 50))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(bytes(data))


def _model(folder: Path, rng: random.Random) -> Path:
    return folder / rng.choice(sorted(manifest(folder)["files"]))


def relist(folder: Path) -> None:
    found = manifest(folder)
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in found["files"]}
    write(folder, {**found, "files": files})


def flip_manifest(folder: Path, rng: random.Random) -> None:
    spoil(folder / "manifest.json", rng)


def remove_field(folder: Path, rng: random.Random) -> None:
    found = manifest(folder)
    place = rng.choice([found, found["input"], found["scenario"]])
    del place[rng.choice(sorted(place))]
    write(folder, found)


def retype_field(folder: Path, rng: random.Random) -> None:
    found = manifest(folder)
    place = rng.choice([found, found["input"], found["scenario"]])
    values = [None, 7, -1, 1e300, "x", [], {}, [[]], {"a": {"b": []}}, True, 2**70, "\x1b[31m", ["a"] * 3]
    place[rng.choice(sorted(place))] = rng.choice(values)
    write(folder, found)


def rename_file(folder: Path, rng: random.Random) -> None:
    found = manifest(folder)
    names = [
        "../home/victim.txt",
        str(folder.parent / "home" / "victim.txt"),
        "a\0b",
        "..",
        ".",
        "",
        "x" * 5000,
        "C:\\x",
    ]
    digest = hashlib.sha256(b"precious contents of the user\n").hexdigest()
    write(folder, {**found, "files": {**found["files"], rng.choice(names): digest}})


def link(folder: Path, rng: random.Random) -> None:
    path = _model(folder, rng)
    path.unlink()
    path.symlink_to(folder.parent / "home" / "victim.txt")
    relist(folder)


def pipe(folder: Path, rng: random.Random) -> None:
    path = _model(folder, rng)
    path.unlink()
    os.mkfifo(path)


def nest(folder: Path, rng: random.Random) -> None:
    text = rng.choice(
        ['{"schema":' + "[" * 100_000, "[" * 100_000, '{"schema":"trimwatt/artifact/1","files":' + "{}" * 9]
    )
    (folder / "manifest.json").write_text(text)


def swap_runtime(folder: Path, rng: random.Random) -> None:
    found = manifest(folder)
    others = sorted({"onnxruntime", "openvino", "sklearn", "torch", "torch-bf16", "os.system"} - {found["runtime"]})
    write(folder, {**found, "runtime": rng.choice(others)})


CHANGES: tuple[Change, ...] = (
    flip, flip_and_sign, cut, flip_manifest, remove_field, retype_field, rename_file, link, pipe, nest, swap_runtime,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_spoilt_artifacts_are_refused_or_answer(
    change: Change, artifacts: dict[str, Path], outside: Path, tmp_path: Path, child: Callable[[Path, Any], Any]
) -> None:
    for seed in range(3):
        for name, made in artifacts.items():
            rng = random.Random(f"{change.__name__} {name} {seed}")
            folder = tmp_path / "artifact"
            shutil.copytree(made, folder)
            change(folder, rng)
            before = _state(outside)
            # also where the user trusts it: then the lists of types and operators hold
            found = child(folder, rng.choice((None, True)))
            assert found == (2,) or (isinstance(found, str) and "\n" not in found and len(found) < 1500), found
            assert _state(outside) == before
            if change in (flip, cut, rename_file, link, pipe, nest):
                assert found != (2,)
            shutil.rmtree(folder)


def test_the_command_line_says_one_line(artifacts: dict[str, Path], outside: Path, tmp_path: Path, run: Any) -> None:
    np.savez("rows.npz", x=np.zeros((2, 64), np.float32))
    for change in (retype_field, flip_and_sign):
        folder = tmp_path / "artifact"
        shutil.copytree(artifacts["sklearn"], folder)
        change(folder, random.Random(3))
        code, out, err = run("predict", folder, "rows.npz")
        assert (code, out) == (2, "") and err.startswith("trimwatt: ") and err.count("\n") == 1, err
        shutil.rmtree(folder)
