"""The page: whole in itself, closed to the network, and deaf to what names try to say."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sample_study as samples

from trimwatt import report
from trimwatt.report import html

VOID = {"meta", "br", "img", "link", "input", "hr"}
ALL = ["sample", "hostile", "partial", "bare", "nothing_found", "regression"]


class Reader(HTMLParser):
    """Collects elements, checks that they close, and keeps scripts and visible text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open and self.open[-1] == "script" else self.text).append(data)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {name: html.render(getattr(samples, name)()) for name in ALL}


@pytest.mark.parametrize("name", ALL)
def test_every_study_makes_a_well_formed_page(pages: dict[str, str], name: str) -> None:
    reader = Reader(pages[name])
    assert reader.open == []
    assert sum(tag == "h1" for tag, _ in reader.seen) == 1
    assert next(attrs for tag, attrs in reader.seen if tag == "html")["lang"] == "en"


@pytest.mark.parametrize("name", ALL)
def test_a_page_loads_nothing(pages: dict[str, str], name: str) -> None:
    page = pages[name]
    assert not re.search(r"https?://|//[a-z]+\.|url\((?!#)|@import|<link|<img|<iframe|srcset|javascript:", page)
    assert not [
        a for _, attrs in Reader(page).seen for a in attrs if a in ("src", "href", "style") or a.startswith("on")
    ]
    assert len(page.encode()) < 150_000


@pytest.mark.parametrize("name", ALL)
def test_the_policy_allows_this_style_and_nothing_else(pages: dict[str, str], name: str) -> None:
    page = pages[name]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert policy and style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy[1].startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


@pytest.mark.parametrize("name", ALL)
def test_the_study_is_embedded_whole(pages: dict[str, str], name: str) -> None:
    reader = Reader(pages[name])
    assert [attrs.get("type") for tag, attrs in reader.seen if tag == "script"] == ["application/json"]
    assert json.loads("".join(reader.scripts)) == json.loads(json.dumps(getattr(samples, name)()))


def test_names_stay_names(pages: dict[str, str]) -> None:
    page = pages["hostile"]
    assert samples.HOSTILE not in page
    assert page.count("<script") == page.count("</script") == 1
    assert page.count("</style") == page.count("</title") == 1
    text = " ".join(Reader(page).text)
    assert text.count(samples.HOSTILE) > 40


def test_the_page_says_what_matters(pages: dict[str, str]) -> None:
    text = " ".join(" ".join(Reader(pages["sample"]).text).split())
    for words in (
        "Use boosted trees, ONNX Runtime", "confirmed on test rows", "floor proven", "joules estimated", "154x less",
        "149x to 159x", "0.725", "4,884 test rows", "34.5 µs", "402 kB", "after 2,610 predictions",
        "after 27,200 predictions", "52 rows stand in training", "the export answers differently",
        "trimwatt optimize adult.csv.gz --target income", "Carbon is unknown", "both arms pinned to one core",
        "AMD EPYC 9B14", "onnxruntime 1.31.1", "smaller but not cheaper", "prune-channels (share=0.5)",
    ):  # fmt: skip
        assert words in text, words


def test_each_figure_has_words_and_a_table_beside_it(pages: dict[str, str]) -> None:
    reader = Reader(pages["sample"])
    drawn = [attrs for tag, attrs in reader.seen if tag == "figure"]
    assert len(drawn) == 4
    assert all(attrs["role"] == "img" and len(attrs["aria-label"] or "") > 30 for attrs in drawn)
    assert sum(tag == "table" for tag, _ in reader.seen) == 2


def test_not_confirmed_is_said_at_the_top() -> None:
    study = samples.sample() | {"confirmed": False}
    assert "not confirmed on test rows" in html.render(study)


def test_nothing_recommended_is_said_at_the_top() -> None:
    study = samples.sample() | {"recommended": None, "payback": None, "verdict": "Nothing that was tried meets it."}
    text = " ".join(Reader(html.render(study)).text)
    assert "Nothing tried meets the floor" in text and "Use boosted" not in text


@pytest.mark.parametrize("module", ["altair", "vl_convert"])
def test_without_the_extra_the_page_has_tables_and_says_so(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    page = html.render(samples.sample())
    text = " ".join(" ".join(Reader(page).text).split())
    assert "<svg" not in page
    assert "pip install 'trimwatt[report]'" in text
    assert "154x less" in text and "train" in text


def test_report_and_card_are_written_whole_and_leave_nothing_beside_them(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    assert report.write(samples.sample(), tmp_path) == [tmp_path / "report.html"]
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_notebook_gets_the_table_escaped() -> None:
    piece = report.snippet(samples.hostile())
    assert samples.HOSTILE not in piece and piece.count("<tr") == 14


def test_dark_and_light_and_paper_have_their_own_looks(pages: dict[str, str]) -> None:
    page = pages["sample"]
    assert "prefers-color-scheme:dark" in page and "@media print" in page and "#56b4e9" in page and "#0072b2" in page
