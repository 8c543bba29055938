"""The page on the schema shows every table there is, and how they hang together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.storage.helpers import Store

pytestmark = [pytest.mark.integration, pytest.mark.documented]

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "schema.md"
EDGE = re.compile(r"^\s+(\w+) [|}][|o]--[|o][{|] (\w+) : ", re.MULTILINE)


def drawn() -> set[frozenset[str]]:
    diagram = PAGE.read_text().split("```mermaid", 1)[1].split("```", 1)[0]
    return {frozenset(pair) for pair in EDGE.findall(diagram)}


def test_every_table_is_in_the_diagram_or_said_to_stand_alone(store: Store) -> None:
    tables = {
        name
        for (name,) in store.all(
            "SELECT relname FROM pg_class WHERE relnamespace = 'servitize'::regnamespace AND relkind IN ('r', 'p') "
            "AND NOT relispartition"
        )
    }
    shown = {name for pair in drawn() for name in pair}
    alone = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)) & tables
    assert shown - tables == set()
    assert tables - shown - alone == set()


def test_every_foreign_key_is_a_line_of_the_diagram(store: Store) -> None:
    keys = store.all(
        "SELECT DISTINCT a.relname, b.relname FROM pg_constraint c JOIN pg_class a ON a.oid = c.conrelid "
        "JOIN pg_class b ON b.oid = c.confrelid WHERE c.contype = 'f' AND a.relnamespace = 'servitize'::regnamespace"
    )
    assert {frozenset(pair) for pair in keys} - drawn() == set()
