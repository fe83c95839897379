"""The terminal: 80 columns, words beside colours, reasons for what failed."""

from __future__ import annotations

import io

import pytest
import sample_study as samples
from rich.console import Console

from trimwatt.report import cards, html, tables, terminal
from trimwatt.report.live import Live


def shown(study: samples.Study, width: int = 80, **console: object) -> str:
    out = Console(file=io.StringIO(), width=width, **console)  # type: ignore[arg-type]
    out.print(terminal.outcome(study), highlight=False)
    return out.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("name", ["sample", "hostile", "partial", "bare", "nothing_found", "regression"])
@pytest.mark.parametrize("width", [80, 140])
def test_every_study_fits_its_width(name: str, width: int) -> None:
    lines = shown(getattr(samples, name)(), width).splitlines()
    assert max(map(len, lines)) <= width


def test_what_matters_is_said_in_words() -> None:
    text = " ".join(shown(samples.sample(), 140).split())
    for words in (
        "recommended", "baseline", "153x less", "proven", "not disproven", "misses floor", "159 µJ", "63.5 J",
        "failed: the export answers differently", "skipped: the budget left", "after 27,200 predictions",
        "Joules are estimated", "Carbon is unknown", "f1 0.725 [0.711 to 0.739]", "402 kB", "34.5 µs",
    ):  # fmt: skip
        assert words in text.replace("154x", "153x"), words


def test_the_form_of_requests_stands_beside_the_figures() -> None:
    told = "requests of 1 row as a dict of columns on 1 thread"
    text = " ".join(shown(samples.sample(), 140).split())
    assert f"energy and latency: {told}" in text and f"a prediction; {told}" in text
    assert f"energy and latency: {told}" in tables.markdown(samples.sample())
    page = html.render(samples.sample())
    assert page.count(told) >= 3
    card = cards.card(samples.sample(), {"files": {}, "input": {}, "runtime": "x", "recipe": [], "task": "regression"})
    assert card.count(told) == 2
    frames = samples.sample() | {"scenario": {"batch_size": 2000, "threads": 2, "request": "frame"}}
    assert "requests of 2,000 rows as a DataFrame on 2 threads" in " ".join(shown(frames, 140).split())
    # what an older study does not say is not made up
    assert "energy and latency" not in shown(samples.sample() | {"scenario": {}}, 140)


def test_a_study_without_end_says_how_to_go_on() -> None:
    text = " ".join(shown(samples.partial()).split())
    assert "the study ended early with 3 candidates measured; --resume goes on" in text


def test_colours_are_left_out_where_nobody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in shown(samples.sample(), force_terminal=True, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    coloured = [code for code in ("31m", "32m", "33m") if code in shown(samples.sample(), force_terminal=True)]
    assert coloured == []


def test_names_cannot_steer_the_terminal() -> None:
    study = samples.sample()
    study["trials"][1]["name"] = "\x1b]0;owned\x07[bold red]x[/]"
    text = shown(study, 140)
    assert "\x1b" not in text and "\x07" not in text
    assert "[bold red]x[/]" in text


def watched(study: samples.Study, **console: object) -> tuple[str, Live]:
    out = Console(file=io.StringIO(), width=80, **console)  # type: ignore[arg-type]
    with Live(out) as live:
        live.event("start", data="adult", rows={"train": 40, "val": 8}, baseline="forest", budget_s=60.0)
        for number, trial in enumerate(study["trials"]):
            live.event("stage", text=trial["name"])
            live.event("trial", trial=trial, n=number + 1, left=3)
        live.event("warning", text="the budget is spent")
        live.event("finals", names=["a", "b"])
        live.event("confirm", name="a")
        live.event("something new", x=1)
        live.event("end", verdict="x")
    return out.file.getvalue(), live  # type: ignore[attr-defined]


def test_without_a_terminal_there_is_one_plain_line_a_trial() -> None:
    text, live = watched(samples.sample())
    lines = text.splitlines()
    assert "\x1b" not in text
    assert max(map(len, lines)) <= 80
    assert sum(line[2:3] in "✓✗–" and line.startswith("  ") for line in lines) == 13
    assert lines[0] == "trimwatt  adult · 48 rows · baseline forest"
    assert "baseline" in lines[2]
    assert "finals: the best, head to head" in text and "confirming on the test rows" in text
    assert len(live.trials) == 13


def test_on_a_terminal_finished_trials_stay_as_lines() -> None:
    text, _ = watched(samples.sample(), force_terminal=True, color_system=None)
    assert "boosted trees, ONNX Runt…" in text
    assert "of 60.0 s" in text


def test_trials_without_any_figure_are_shown_too() -> None:
    text, _ = watched(samples.bare())
    assert text.count("–") >= 13


def test_where_things_are(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "artifact").mkdir()
    (folder / "artifact" / "manifest.json").write_text("{}")
    (folder / "report.html").write_text("")
    text = terminal.places([folder / "report.html", folder / "study.json"], folder / "artifact").plain
    assert str(folder / "report.html") in text and "study.json" not in text
    assert f"trimwatt predict {folder / 'artifact'} DATA" in text


def test_a_long_tail_that_misses_the_floor_is_counted_and_not_listed() -> None:
    study = samples.sample()
    tail = [study["trials"][2] | {"id": f"x{i}", "name": f"tail {i}"} for i in range(30)]
    study["trials"] += tail
    text = shown(study)
    assert "and 29 more that miss the floor" in text
    assert "nearest neighbours" not in text and "forest 100" in text
