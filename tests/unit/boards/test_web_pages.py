"""What can be said of the web board without serving it: every word is translated, nothing comes from elsewhere, units
and languages are those that a person expects."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from starlette.requests import Request

from boards.all import BOARDS
from boards.web import pages, view
from boards.web.assets import Assets, palette_css
from boards.web.words import language_of, say, words
from core.units import shown_unit

FOLDER = Path(pages.__file__).parent
SCRIPTS = sorted((FOLDER / "static").glob("*.js"))
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))


def _said() -> set[str]:
    """English texts that scripts and templates hand to their translator, and those that a script translates by name."""
    found: set[str] = set()
    for script in SCRIPTS:
        found |= {ast.literal_eval(text) for text in re.findall(r'\bt\(("(?:[^"\\]|\\.)*")', script.read_text())}
    for template in TEMPLATES:
        for double, single in re.findall(r"""_\((?:"([^"]+)"|'([^']+)')\)""", template.read_text()):
            found.add(double or single)
    for name in ("COMMANDS", "EXPLAINED"):
        block = re.search(rf"const {name} = {{(.*?)}};", (FOLDER / "static" / "work.js").read_text(), re.S)
        assert block
        found |= set(re.findall(r'"([^"]+)"', block[1]))
    states = re.search(r"const STATES = {(.*?)};", (FOLDER / "static" / "alarms.js").read_text(), re.S)
    assert states
    return found | set(re.findall(r'\["([^"]+)"', states[1]))


def test_every_word_of_the_pages_is_there_in_chinese() -> None:
    said = _said()
    assert len(said) > 80
    assert sorted(text for text in said if text not in words("zh")) == []


def test_a_text_keeps_its_places_to_fill_in() -> None:
    for english, chinese in words("zh").items():
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", chinese)), english


def test_no_script_makes_markup_of_text_or_asks_elsewhere() -> None:
    for path in (*SCRIPTS, FOLDER / "static" / "board.css", *TEMPLATES):
        text = path.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            path
        )
        assert not re.search(r"""https?://|url\(|@import|src=["']//""", text), path


def test_a_script_stays_small_enough_to_be_read() -> None:
    assert all(len(path.read_text().splitlines()) <= 400 for path in SCRIPTS)


def test_every_board_has_a_view_in_both_languages() -> None:
    for board in BOARDS.values():
        for language in ("en", "zh"):
            made = view.board_view(board, lambda text: say(text, language), {})  # noqa: B023 - used at once
            assert [panel["key"] for row in made["rows"] for panel in row["panels"]] == [p.key for p in board.panels]
            pages.as_json(made)


def test_data_in_a_page_cannot_end_its_script() -> None:
    assert "<" not in pages.as_json({"title": "</script><script>alert(1)</script>&"})


@pytest.mark.parametrize(
    ("ucum", "shown"),
    [("Cel", "°C"), ("1", ""), ("{rpm}/min", "r/min"), ("{alarms}/d", "/d"), ("mm/s", "mm/s"), ("m3/s", "m³/s")],
)
def test_units_are_shown_as_people_write_them(ucum: str, shown: str) -> None:
    assert shown_unit(ucum) == shown


@pytest.mark.parametrize(
    ("query", "cookie", "asked", "language"),
    [
        ("", "", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "", "de,en;q=0.8,zh;q=0.9", "zh"),
        ("", "", "fr, de;q=x", "en"),
        ("", "board-language=en", "zh", "en"),
        ("lang=zh", "board-language=en", "en", "zh"),
        ("lang=xx", "board-language=../../etc", "", "en"),
    ],
)
def test_the_reader_s_language(query: str, cookie: str, asked: str, language: str) -> None:
    headers = [(b"accept-language", asked.encode()), (b"cookie", cookie.encode())]
    scope = {"type": "http", "query_string": query.encode(), "headers": headers}
    assert language_of(Request(scope)) == language


def test_a_version_changes_with_what_is_served() -> None:
    assert Assets().version == Assets().version
    assert "--alarm:" in palette_css()
