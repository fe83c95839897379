"""The magics, in a real IPython shell, and what a notebook shows of a reading."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from trimwatt.energy import Energy, Reading


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Any]:
    """A shell as a notebook's kernel has one, without history or a profile on disk."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    core = pytest.importorskip("IPython.core.interactiveshell")
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    made = core.InteractiveShell(config=config)
    made.run_cell("%load_ext trimwatt")
    yield made
    made.restore_sys_module_state()


def run(shell: Any, code: str, capsys: pytest.CaptureFixture[str]) -> tuple[Any, str, str]:
    result = shell.run_cell(code)
    out, err = capsys.readouterr()
    return result, out, err


def test_a_cell(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(shell, "%%energy training\nx = sum(range(10**6))\nprint('done')\nx", capsys)
    assert "done" in out and "499999500000" in out
    assert "training\nprocess" in out
    assert shell.user_ns["x"] == 499999500000
    reading = shell.user_ns["_energy"]
    assert isinstance(reading, Reading) and reading.process is not None and reading.cpu_s > 0.005


def test_a_line(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(shell, "data = list(range(10**6))", capsys)
    _, out, _ = run(shell, "%energy sum(data)", capsys)
    assert "499999500000" in out and "process " in out
    assert "of CPU" in out


def test_runs_are_repeated_and_medians_shown(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(shell, "n = 0", capsys)
    _, out, _ = run(shell, "%%energy -r 3 loop\nn += 1", capsys)
    assert shell.user_ns["n"] == 3
    assert "loop (medians of 3 runs)" in out


def test_an_error_is_shown_as_ever_and_what_it_took_too(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(shell, "n = 0", capsys)
    _, out, err = run(shell, "%%energy -r 3\nn += 1\n1 / 0", capsys)
    assert "ZeroDivisionError" in out + err and "process " in out
    assert shell.user_ns["n"] == 1


def test_a_cell_that_awaits(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = run(shell, "%%energy\nimport asyncio\nawait asyncio.sleep(0.05)\ny = 3", capsys)
    assert "process " in out, out + err
    assert shell.user_ns["y"] == 3 and shell.user_ns["_energy"].duration_s >= 0.05


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("%%energy -r 0\n1", "at least 1, got 0"),
        ("%%energy -r many\n1", "invalid int value: 'many'"),
        ("%%energy -r\n1", "expected one argument"),
        ("%%energy --runs 3\n1", "unrecognized arguments"),
        ("%energy", "there is nothing to run"),
    ],
)
def test_a_wrong_line_is_a_usage_error(shell: Any, capsys: pytest.CaptureFixture[str], code: str, message: str) -> None:
    _, out, err = run(shell, code, capsys)
    assert "UsageError" in out + err and message in out + err
    assert "Traceback" not in out + err
    assert "_energy" not in shell.user_ns


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_a_notebook_shows_is_escaped_and_takes_its_colours() -> None:
    energy = Energy(1.04, 0.85, 1.22, "estimated")
    reading = Reading(energy, energy, {}, 2.0, 1.5, 3_000_000, 0.0, ("<script>alert(1)</script> & more",))
    text = reading._repr_html_("<img src=x>")
    page = _Page(text)
    assert set(page.tags) <= {"table", "caption", "tr", "th", "td", "b", "span"}
    assert "1.04 J" in page.text and "850 mJ to 1.22 J" in page.text and "estimated" in page.text
    assert "<script>alert(1)</script> & more" in page.text and "<img src=x>" in page.text
    assert "color" not in text and "background" not in text
    assert "1.04 J" in _Page(energy._repr_html_()).text


def test_what_is_not_known_is_not_shown_as_zero() -> None:
    page = _Page(Reading(None, None, {}, 2.0, float("nan"))._repr_html_())
    assert "process" not in page.text and "nan" not in page.text and "2.00 s" in page.text
