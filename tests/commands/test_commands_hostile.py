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
from trimwatt.errors import InputError, TrialFailed
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
        folder, runtimes.get("torch").export(work, made), task=work.task.name, metric="accuracy",
        classes=work.rows.classes, input=input.describe(work.rows), recipe=[], figures={}, scenario=work.scenario,
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


# study folders


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, artifacts: dict[str, Path]) -> Path:
    """A study's folder as `optimize` leaves it: database, study.json, report, a trial's files and an artifact."""
    import sample_study

    from trimwatt.store import open_store

    folder = tmp_path_factory.mktemp("studies") / "study"
    folder.mkdir()
    found = sample_study.sample()
    trials = [{**trial, "id": f"t{n:02d}", "key": f"k{n}"} for n, trial in enumerate(found["trials"][:3])]
    store = open_store(folder)
    store.save_study(
        {"options": {"max_drop": 0.01, "scenario": found["scenario"]}, "metric": ["f1", "classification", 1]}
    )
    store.set("about", {name: found[name] for name in ("schema", "task", "metric", "scenario", "data")})
    for trial in trials:
        store.add_trial(trial, found["ledger"][:1])
        place = folder / "trials" / trial["id"]
        place.mkdir(parents=True)
        shutil.copy(artifacts["onnxruntime"] / "model.onnx", place)
        digest = hashlib.sha256((place / "model.onnx").read_bytes()).hexdigest()
        store.set(f"files:{trial['id']}", {"files": {"model.onnx": digest}, "seal": None})
        np.save(place / "validation.npy", np.zeros(3))
    store.close()
    (folder / "study.json").write_text(json.dumps({**found, "trials": trials}))
    shutil.copytree(artifacts["onnxruntime"], folder / "artifact")
    return folder


def study_json(folder: Path, rng: random.Random) -> None:
    spoil(folder / "study.json", rng)


def study_database(folder: Path, rng: random.Random) -> None:
    spoil(folder / "study.db", rng)
    (folder / "study.json").unlink()


def study_field(folder: Path, rng: random.Random) -> None:
    found = json.loads((folder / "study.json").read_text())
    place = rng.choice([found, rng.choice(found["trials"]), found["data"]])
    name = rng.choice(sorted(place))
    if rng.random() < 0.5:
        del place[name]
    else:
        place[name] = rng.choice([None, 7, 1e308, "x", [], {}, [[]], True, 2**70, "../../home/victim.txt", "\x1b[31m"])
    (folder / "study.json").write_text(json.dumps(found))


def study_nested(folder: Path, rng: random.Random) -> None:
    (folder / "study.json").write_text(
        rng.choice(['{"schema":' + "[" * 200_000, "[" * 200_000 + "]" * 200_000, "null"])
    )


def study_trial(folder: Path, rng: random.Random) -> None:
    """A trial in the database whose id, or a file's name, leads elsewhere."""
    import sqlite3

    (folder / "study.json").unlink()
    with contextlib.closing(sqlite3.connect(folder / "study.db")) as base:
        (row, data) = base.execute("select id, data from trimwatt_trial").fetchall()[rng.randrange(3)]
        trial = {
            **json.loads(data),
            **rng.choice([{"id": "../../home/here"}, {"id": 7}, {"runtime": []}, {"extra": 1}]),
        }
        base.execute("update trimwatt_trial set data = ? where id = ?", (json.dumps(trial), row))
        names = json.dumps({"files": {rng.choice(["../../home/victim.txt", "/etc/passwd"]): "0" * 64}, "seal": None})
        base.execute("update trimwatt_value set value = ? where name = 'files:t01'", (names,))
        base.commit()


def study_link(folder: Path, rng: random.Random) -> None:
    """A link where a study writes: to a file of the user's, or to its folder."""
    home = folder.parent / "home"
    name = rng.choice(
        [
            "study.json",
            "study.json.part",
            "report.html",
            "study.db",
            "trials/t01",
            "trials/t01/validation.npy",
            "artifact",
        ]
    )
    path = folder / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(home if name in ("trials/t01", "artifact") else home / "victim.txt")


STUDY_CHANGES: tuple[Change, ...] = (
    study_json, study_database, study_field, study_nested, study_trial, study_link,
)  # fmt: skip


def resume(folder: Path) -> None:
    """What `--resume` reads of a folder before it makes anything."""
    from trimwatt.store import open_store
    from trimwatt.study import folder as folders
    from trimwatt.study import records

    folders.choose(folder, None, resume=True, force=False)
    with contextlib.closing(open_store(folder)) as store:
        store.study()
        for trial in records.trials(store):
            for name in records.files(store, trial) or ():
                assert (folder / "trials" / trial.id / name).resolve().is_relative_to(folder.resolve())


@pytest.mark.parametrize("change", STUDY_CHANGES, ids=lambda change: change.__name__)
def test_spoilt_study_folders_touch_nothing_outside(
    change: Change, study: Path, outside: Path, tmp_path: Path, run: Any
) -> None:
    for seed in range(5):
        folder = tmp_path / "study"
        shutil.copytree(study, folder)
        change(folder, random.Random(f"{change.__name__} {seed}"))
        before = _state(outside)
        with contextlib.suppress(InputError):
            resume(folder)
        # a page takes a second to draw
        for format in ("html", "csv") if seed == 0 else ("csv",):
            code, _, err = run("report", folder, "--format", format)
            assert code in (0, 2) and "Traceback" not in err, err
            assert code == 0 or (err.startswith("trimwatt: ") and err.count("\n") == 1), err
        assert _state(outside) == before
        shutil.rmtree(folder)
