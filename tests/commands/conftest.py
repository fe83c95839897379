"""A real artifact and a study to ask the verbs about."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from handing_over import hand_over

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))


@pytest.fixture(scope="session")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Artifacts of a table with named columns, of arrays, and of a regression; not to be changed."""
    from trimwatt.testing import samples

    folder = tmp_path_factory.mktemp("delivered")
    jobs = {"people": samples.people(), "digits": samples.digits(), "incomes": samples.incomes()}
    return {name: hand_over(job, folder / name) for name, job in jobs.items()}


@pytest.fixture
def copied(delivered: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the artifact of digits that may be spoilt."""
    import shutil

    return Path(shutil.copytree(delivered["digits"], tmp_path / "artifact"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Any]:
    """Run the command line in an empty folder: (exit code, stdout, stderr)."""
    from trimwatt.commands import main

    work = tmp_path / "here"
    work.mkdir()
    monkeypatch.chdir(work)

    def command(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        code = end.value.code
        return code if isinstance(code, int) else 0, out, err

    return command


@pytest.fixture
def heeded() -> Iterator[None]:
    """Children start with the usual Ctrl-C and hang-up, also where the runner has them ignored, as nohup and CI do.

    A shell that starts the runner in the background ignores SIGQUIT as well.
    """
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGQUIT: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
