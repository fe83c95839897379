"""Whole studies on real data: what they leave behind, what survives a kill, what bad input does."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from studying import optimize

from trimwatt.errors import InputError
from trimwatt.store import open_store
from trimwatt.study.engine import Engine

pytest.importorskip("sklearn")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A study by the command line, killed when it had 1, 3 and 5 trials, then resumed to its end with nobody watching.

    kills: what the database held after each. stopped: a copy of the folder after the last. took: what the system says
    that the last run took.
    """
    folder = tmp_path_factory.mktemp("study") / "out"
    kills = [_killed(digits, folder, trials) for trials in (1, 3, 5)]
    stopped = shutil.copytree(folder, folder.with_name("stopped"))
    started = time.monotonic()
    read, write = os.pipe()
    os.close(read)
    last = subprocess.Popen(_command(digits, folder, "--resume"), stdout=write, stderr=write)
    os.close(write)
    # the system's account of this child and of all that it waited for
    _, status, used = os.wait4(last.pid, 0)
    last.returncode = os.waitstatus_to_exitcode(status)
    took = {"cpu_s": used.ru_utime + used.ru_stime, "duration_s": time.monotonic() - started}
    assert last.returncode == 0
    made = {"folder": folder, "stopped": stopped, "took": took, "kills": kills}
    return {**made, **json.loads((folder / "study.json").read_text())}


def _command(data: Path, folder: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "trimwatt", "optimize", str(data), "--baseline", "forest", "--techniques",
        "runtime,classical", "--budget", "10trials", "-o", str(folder), *more,
    ]  # fmt: skip


def _kept(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Trials and ledger entries in the database of a study, which may be running."""
    if not (folder / "study.db").exists():
        return [], []
    with contextlib.closing(open_store(folder)) as store:
        return store.trials(), store.ledger()


def _killed(digits: Path, folder: Path, trials: int) -> dict[str, Any]:
    """Let the study run until its database holds so many trials, and kill it."""
    more = ("--resume",) if folder.exists() else ()
    process = subprocess.Popen(_command(digits, folder, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(_kept(folder)[0]) < trials and process.poll() is None:
        time.sleep(0.05)
    offspring = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(offspring, timeout=300)
    found, entries = _kept(folder)
    return {"trials": found, "ledger": entries, "offspring": len(offspring), "alive": len(alive)}


def test_the_study_names_what_it_found(study: dict[str, Any]) -> None:
    trials = {trial["id"]: trial for trial in study["trials"]}
    assert study["schema"] == "trimwatt/study/1"
    baseline, chosen = trials[study["baseline"]], trials[study["recommended"]]
    assert baseline["runtime"] == "sklearn" and baseline["ratio_to_baseline"]["value"] == 1
    assert chosen["ratio_to_baseline"]["high"] < 1 and chosen["ratio_to_baseline"]["pairs"] >= 20
    assert baseline["test_quality"]["rows"] == chosen["test_quality"]["rows"] == study["data"]["rows"]["test"]
    reference = trials[study["reference"]]
    assert study["floor"]["value"] == pytest.approx(reference["quality"]["value"] - 0.01)
    assert reference["test_quality"]["rows"] == baseline["test_quality"]["rows"]
    whole = study["validation"]["rows"]
    judged = [t for t in trials.values() if t["meets_floor"] and t["quality"]["rows"] == whole]
    assert all(t["quality"]["value"] >= study["floor"]["value"] for t in judged)
    assert study["validation"]["folds"] == 5 and whole == study["data"]["rows"]["train"] + study["data"]["rows"]["val"]
    assert len({trial["family"] for trial in study["trials"] if trial["status"] == "done"}) >= 4


def test_every_joule_has_an_interval_an_origin_and_a_stage(study: dict[str, Any]) -> None:
    stages = {entry["stage"] for entry in study["ledger"]}
    assert {"train", "evaluate", "measure", "export"} <= stages
    for entry in study["ledger"]:
        assert entry["low"] <= entry["joules"] <= entry["high"] and entry["origin"] in (
            "measured",
            "estimated",
            "mixed",
        )
    assert study["total"]["joules"] == pytest.approx(sum(entry["joules"] for entry in study["ledger"]))


def test_the_ledger_holds_all_that_the_command_used(study: dict[str, Any]) -> None:
    """Within 2 %, a tick for each process, and what the last entry says it may be wrong by: all of itself."""
    before = study["kills"][-1]["ledger"]
    entries, ticks_s = study["ledger"][len(before) :], 0.01 * (4 * len(study["trials"]) + 10)
    last = entries[-1]
    assert last["stage"] == "report" and "estimated" in last["step"]
    for name, whole_s in study["took"].items():
        assert abs(sum(entry[name] for entry in entries) - whole_s) <= 0.02 * whole_s + ticks_s + last[name]
    assert study["duration_s"] == pytest.approx(sum(entry["duration_s"] for entry in entries))
    assert {"prepare", "evaluate", "measure", "report"} <= {entry["stage"] for entry in entries}


def test_the_ledger_keeps_what_the_killed_runs_used(study: dict[str, Any]) -> None:
    """Each run begins with what came before its meter; nothing of what an earlier run had kept is lost or changed."""
    kept: list[dict[str, Any]] = []
    for kill in study["kills"]:
        assert kill["ledger"][: len(kept)] == kept and len(kill["ledger"]) > len(kept)
        # what was committed with the last trial reaches up to that trial's end
        assert {entry["trial"] for entry in kill["ledger"]} >= {trial["id"] for trial in kill["trials"]}
        kept = kill["ledger"]
    assert study["ledger"][: len(kept)] == kept
    assert sum(entry["step"] == "start" for entry in study["ledger"]) == 1 + len(study["kills"])


def test_the_report_tells_the_final_figures(study: dict[str, Any]) -> None:
    page = (study["folder"] / "report.html").read_text()
    embedded = json.loads(page.partition('type="application/json"')[2].partition(">")[2].partition("</script")[0])
    assert embedded["total"] == study["total"] and embedded["ledger"] == study["ledger"]
    assert embedded["verdict"] == study["verdict"]


def test_pay_back_is_cost_over_saving(study: dict[str, Any]) -> None:
    trials = {trial["id"]: trial for trial in study["trials"]}
    before, after = (trials[study[name]]["energy_per_prediction"]["joules"] for name in ("baseline", "recommended"))
    cost = trials[study["recommended"]]["cost"]["joules"]
    assert study["payback"]["own_predictions"] == pytest.approx(cost / (before - after))
    assert study["payback"]["study_predictions"] == pytest.approx(study["total"]["joules"] / (before - after))


def test_the_artifact_answers_in_plain_onnxruntime(study: dict[str, Any], digits: Path) -> None:
    import onnxruntime

    from trimwatt.runtime import deployed

    folder = study["folder"] / "artifact"
    x = np.load(digits)["x"][:200]
    options = onnxruntime.SessionOptions()
    # as many as the study's scenario: more would add up the trees of a forest in another order
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    label, probability = session.run(["prediction", "probability"], {"x": x})
    ours = deployed.load(folder)
    assert np.array_equal(ours.predict(x), label)
    assert np.array_equal(ours.probabilities(x), probability)
    assert np.mean(label == np.load(digits)["y"][:200]) > 0.9


def test_nothing_of_the_run_is_left_in_the_folder(study: dict[str, Any]) -> None:
    assert not (study["folder"] / "work").exists()
    assert not list(study["folder"].rglob("live.bin"))


def test_a_budget_that_does_not_cover_the_baseline_writes_nothing(digits: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with pytest.raises(InputError, match="does not even cover the baseline"):
        optimize(data=digits, baseline="forest", budget="0.5s", output=folder)
    assert not folder.exists()


@pytest.mark.usefixtures("known_costs")
def test_the_best_so_far_is_kept_when_the_budget_ends(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "unspent_s", lambda engine: 600.0 if len(engine.trials) < 3 else 0.0)
    done = optimize(data=digits, baseline="forest", techniques="runtime,classical", output=tmp_path / "out").summary
    assert [trial["name"] for trial in done["trials"][:2]] == ["forest @ sklearn", "forest"]
    assert len(done["trials"]) == 3 and {trial["status"] for trial in done["trials"]} == {"done"}
    assert done["recommended"] is not None and len(done["untried"]) > 3
    assert any("no time was left for direct finals" in warning for warning in done["warnings"])


def test_kill_at_three_moments_then_resume_repeats_nothing(study: dict[str, Any]) -> None:
    seen: dict[str, str] = {}
    for kill, wanted in zip(study["kills"], (1, 3, 5), strict=True):
        assert kill["offspring"] and not kill["alive"]
        kept = {trial["key"]: trial["finished"] for trial in kill["trials"]}
        assert len(kept) >= wanted and seen.items() <= kept.items()
        seen = kept
    finished = {trial["key"]: trial["finished"] for trial in study["trials"]}
    assert seen.items() <= finished.items() and len(finished) == len(study["trials"])


def test_the_report_of_a_stopped_study_says_what_was_done_and_what_was_not(study: dict[str, Any]) -> None:
    """In every format; what the killed run left behind is gone."""
    folder, kept = study["stopped"], len(study["kills"][-1]["trials"])
    for format in ("json", "csv", "md", "html"):
        words = [sys.executable, "-m", "trimwatt", "report", str(folder), "--format", format]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("trimwatt: This study was stopped. Done: ") and done.stderr.count("\n") == 1
        assert "Not done: " in done.stderr and "confirmation on the test rows" in done.stderr
        if format == "json":
            assert len(json.loads(done.stdout)) == kept
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "digits" in page and "accuracy at least" in page and "This study was stopped." in page
    assert not (folder / "work").exists() and not list(folder.rglob("live.bin"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_study_that_is_told_to_end_says_what_it_kept_and_leaves_nothing_behind(digits: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for wanted, number in ((1, signal.SIGTERM), (2, signal.SIGHUP)):
        more = ("--resume",) if folder.exists() else ()
        # as under a usual shell, also where the runner ignores some of them
        usual = "import os, signal, sys\nfor n in (1, 15): signal.signal(n, signal.SIG_DFL)\nos.umask(0o022)\n"
        words = [sys.executable, "-c", f"{usual}os.execv(sys.argv[1], sys.argv[1:])", *_command(digits, folder, *more)]
        with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
            assert process.stderr is not None
            said: list[str] = []
            while sum(map(_tells_of_a_trial, said)) < wanted:
                said.append(process.stderr.readline())
                assert said[-1], said
            left, mode = psutil.Process(process.pid).children(recursive=True), (folder / "work").stat().st_mode
            process.send_signal(number)
            last = process.stderr.read().splitlines()[-1]
        assert process.returncode == 130
        kept = len(_kept(folder)[0])
        assert kept >= wanted
        assert last.startswith(f"trimwatt: interrupted, {kept} finished candidate") and "--resume goes on" in last
        assert mode & 0o777 == 0o700
        assert not (folder / "work").exists() and not list(folder.rglob("live.bin"))
        assert not psutil.wait_procs(left, timeout=300)[1]
        assert {path.name for path in folder.iterdir()} == {"study.db", "trials"}


def _tells_of_a_trial(line: str) -> bool:
    return line.lstrip()[:1] in ("\u2713", "\u2717", "\u2013")


@pytest.mark.usefixtures("known_costs")
def test_a_study_goes_on_with_a_stricter_choice(digits: Path, study: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(study["folder"], folder)
    with contextlib.closing(open_store(folder)) as store:
        store.set("test rows asked for", ["t99"])
    done = optimize(
        data=digits,
        baseline="forest",
        techniques="runtime,classical",
        budget="10trials",
        output=folder,
        resume=True,
        strict=True,
    )
    again = json.loads((done.folder / "study.json").read_text())
    trials = {trial["id"]: trial for trial in again["trials"]}
    assert trials[again["recommended"]]["floor_test"] == "proven"
    finished = {trial["id"]: trial["finished"] for trial in study["trials"] if trial["status"] == "done"}
    assert finished.items() <= {name: trial["finished"] for name, trial in trials.items()}.items()
    assert any("asked before, for t99" in warning for warning in again["warnings"])
    assert not any("asked before" in warning for warning in study["warnings"])


def test_a_study_is_resumed_only_as_it_was_started(digits: Path, study: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="started with other options"):
        optimize(
            data=digits,
            baseline="forest",
            techniques="runtime,classical",
            max_drop=0.05,
            output=study["folder"],
            resume=True,
        )
    assert os.path.exists(study["folder"] / "study.json")
