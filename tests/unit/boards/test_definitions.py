"""Every board is whole before a database is asked: texts, queries, links, layout, colours."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from boards.all import BOARDS, boards_for, is_for
from boards.definition import GRID, Board, Column, Kind, Link, Meaning, Named, Panel, Query, Value, Zones, place
from boards.palette import MIDDLE, PAGE, PAINTS, SERIES, SERIES_MIDDLE
from boards.queries import ALWAYS, Range, bind, parameters, statement
from boards.reference import page
from boards.texts import LANGUAGES, catalogue, translate
from boards.texts.wanted import wanted
from core.equipment import EquipmentType
from models.types import catalog, load_type

pytestmark = pytest.mark.boards

PANELS = [(board, panel) for board in BOARDS.values() for panel in board.panels]
IDS = [f"{board.key}/{panel.key}" for board, panel in PANELS]
REGIONAL = Path(__file__).parents[2] / "judges/train/regional.yaml"
SPAN = Range(1_000_000_000_000, 2_000_000_000_000)


def chosen(board: Board) -> dict[str, Value]:
    return {variable.key: 1 if variable.integer else "x" for variable in board.variables}


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=IDS)
def test_a_panel_asks_a_question_and_its_query_gets_all_it_asks_for(board: Board, panel: Panel) -> None:
    assert panel.question.endswith("?")
    bound = bind(panel, chosen(board), SPAN)
    assert set(bound) == parameters(panel.query)
    unused = set(panel.parameters) - parameters(panel.query)
    assert not unused, "a parameter that the query does not know"


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=IDS)
def test_kinds_have_what_they_are_drawn_of(board: Board, panel: Panel) -> None:
    has_columns = panel.kind in (Kind.STAT, Kind.TABLE, Kind.TREE)
    assert bool(panel.columns) == has_columns
    assert len({column.key for column in panel.columns}) == len(panel.columns)
    if panel.kind is Kind.TREE:
        assert panel.columns[0].key == "name"
    if panel.kind in (Kind.GRID, Kind.MATRIX):
        assert panel.zones is not None
    assert 1 <= panel.width <= GRID
    assert not panel.unit_of or board.variable(panel.unit_of).key == panel.unit_of


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_board_is_whole(board: Board) -> None:
    assert board.question.endswith("?")
    assert len({panel.key for panel in board.panels}) == len(board.panels)
    assert board.panel(board.panels[0].key) is board.panels[0]
    assert any(is_for(board, keys_of(type_), learned=True) for type_ in catalog().values())
    for i, variable in enumerate(board.variables):
        known = {v.key: 1 for v in board.variables[:i]}
        assert set(bind(variable, known, SPAN)) == parameters(variable.query)
    for annotation in board.annotations:
        assert bind(annotation, chosen(board), SPAN)
    for row in board.rows:
        for panel, x, y in place(row.panels):
            assert x + panel.width <= GRID
            assert y >= 0


def links() -> list[tuple[Board, Panel, Column | None, Link]]:
    found: list[tuple[Board, Panel, Column | None, Link]] = []
    for board, panel in PANELS:
        found += [(board, panel, None, link) for link in panel.links]
        found += [(board, panel, column, column.link) for column in panel.columns if column.link]
    return found


def test_links_lead_to_boards_and_fill_their_variables() -> None:
    assert links()
    for _, _, _, link in links():
        target = BOARDS[link.board]
        assert set(link.variables) <= {variable.key for variable in target.variables}
        assert "equipment" in link.variables


def keys_of(type_: EquipmentType) -> list[str]:
    return [point.key for point in type_.point_instances()]


def test_a_machine_leads_to_the_boards_for_what_it_has_first() -> None:
    known = catalog()
    assert [board.key for board in boards_for(keys_of(known["compressor-train"]))] == [
        "compressor",
        "equipment",
        "component",
        "diagnosis",
    ]
    assert boards_for(keys_of(known["metro-train-6"]))[0].key == "train"
    assert boards_for(keys_of(known["metro-emu-6"]))[0].key == "train_health"
    assert [board.key for board in boards_for([])] == ["equipment", "component", "diagnosis"]
    assert "prognosis" in [board.key for board in boards_for([], learned=True)]


def test_a_class_of_trains_that_no_code_knows_has_its_board_by_what_it_has_not_by_its_name() -> None:
    regional = load_type(REGIONAL.read_text(encoding="utf-8"))
    assert "emu" not in regional.key
    assert boards_for(keys_of(regional))[0].key == "train_health"


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_every_text_is_translated_and_no_translation_is_left_over(language: str) -> None:
    known = catalogue(language)
    assert [text for text in wanted() if text not in known] == []
    assert [text for text in known if text not in wanted()] == []
    assert translate("Fleet", language) != "Fleet"
    assert translate("a word of the data", language) == "a word of the data"


def test_zones_say_what_a_number_means_and_nothing_is_never_healthy() -> None:
    zones = Zones(Meaning.ALARM, ((60, Meaning.WARNING), (80, Meaning.HEALTHY)))
    assert [zones.of(v) for v in (59.9, 60, 80, 1e9)] == ["alarm", "warning", "healthy", "healthy"]
    assert [zones.of(v) for v in (None, float("nan"))] == ["unknown", "unknown"]
    for board, panel in PANELS:
        for one in (panel.zones, *(column.zones for column in panel.columns)):
            if one is not None:
                starts = [start for start, _ in one.steps]
                assert starts == sorted(set(starts)), f"{board.key}/{panel.key}"


def test_a_query_that_is_not_there_or_gets_too_little_fails_here() -> None:
    board, panel = PANELS[0]
    with pytest.raises(AttributeError):
        statement(Query("fleet", "no_such_query"))
    broken = dataclasses.replace(panel, query=Query("equipment", "header"))
    with pytest.raises(KeyError, match="equipment"):
        bind(broken, chosen(board), SPAN)


def test_times_and_pixels_are_within_bounds() -> None:
    panel = Panel("p", "", "?", Kind.TIMESERIES, Query("equipment", "trend_with_limits"), 12, 8, window="1 h")
    known: dict[str, Value] = {"equipment": 1, "point": 1}
    bound = bind(panel, known, Range(0, 7_200_000_000, 1_000_000))
    assert (bound["from_us"], bound["to_us"], bound["pixels"]) == (3_600_000_000, 7_200_000_000, 4000)
    nothing = bind(dataclasses.replace(panel, window=""), known, Range(5, 5, 1))
    assert nothing["to_us"] > nothing["from_us"]
    assert nothing["pixels"] == 4
    assert {"from_us", "to_us", "pixels"} == ALWAYS


# --- colours ----------------------------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", PAGE)
def test_text_on_a_colour_and_a_colour_on_the_page_can_be_read(theme: str) -> None:
    assert set(PAINTS[theme]) == set(Meaning)
    for paint in PAINTS[theme].values():
        assert contrast(paint.fill, paint.text) >= 4.5
        assert contrast(paint.fill, PAGE[theme]) >= 3
    assert all(contrast(colour, PAGE[theme]) >= 3 for colour in SERIES[theme])


def test_colours_for_light_and_dark_alike_can_be_seen_on_both() -> None:
    for colour in (*MIDDLE.values(), *SERIES_MIDDLE):
        assert min(contrast(colour, page) for page in PAGE.values()) >= 3
    assert set(MIDDLE) == set(Meaning)


DEFICIENCIES = {
    # Machado, Oliveira, Fernandes 2009, severity 1.0; on linear RGB
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "tritanopia": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}


def seen(colour: str, matrix: tuple[tuple[float, ...], ...]) -> tuple[float, float, float]:
    """CIE L*a*b* of a colour as somebody with that deficiency sees it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    r, g, b = (min(1.0, max(0.0, sum(m * v for m, v in zip(row, linear, strict=True)))) for row in matrix)
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("theme", [*PAINTS, "middle"])
def test_healthy_and_alarm_differ_for_every_eye(theme: str, deficiency: str) -> None:
    colours = MIDDLE if theme == "middle" else {m: paint.fill for m, paint in PAINTS[theme].items()}
    told_apart = (Meaning.HEALTHY, Meaning.ADVISORY, Meaning.WARNING, Meaning.ALARM)
    for i, one in enumerate(told_apart):
        for other in told_apart[i + 1 :]:
            a, b = (seen(colours[m], DEFICIENCIES[deficiency]) for m in (one, other))
            distance = sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) ** 0.5
            assert distance >= 10, f"{one} and {other}: {distance:.0f}"


def test_words_of_a_panel_are_named() -> None:
    for board, panel in PANELS:
        for values in (panel.values, *(column.values for column in panel.columns)):
            for word, named in (values or {}).items():
                assert isinstance(named, Named)
                assert named.text, f"{board.key}/{panel.key}: {word}"
                assert re.fullmatch(r"[\w ]+", word)


def test_the_page_of_the_reference_is_current() -> None:
    made = Path(__file__).parents[3] / "docs" / "reference" / "boards.md"
    assert made.read_text(encoding="utf-8") == page(), "python -m boards.reference > docs/reference/boards.md"
