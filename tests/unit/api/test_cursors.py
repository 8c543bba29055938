"""A cursor is opaque and answers only the question it came from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.errors import ApiError
from services.api.pagination import CURSOR_LENGTH, Cursors
from services.api.settings import ApiSettings

CURSORS = Cursors(b"key")
QUESTION = [1, "/v1/alarms", [("state", "normal")]]


@given(st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=60)), max_size=3))
def test_a_position_comes_back(position: list[str | int | None]) -> None:
    assert CURSORS.decode(QUESTION, CURSORS.encode(QUESTION, position)) == position


@pytest.mark.parametrize(
    ("cursors", "question"),
    [
        (Cursors(b"another key"), QUESTION),
        (CURSORS, [2, *QUESTION[1:]]),
        (CURSORS, [1, "/v1/events", QUESTION[2]]),
        (CURSORS, [1, "/v1/alarms", []]),
    ],
    ids=["another key", "another tenant", "another route", "another filter"],
)
def test_another_question_is_not_answered(cursors: Cursors, question: list[object]) -> None:
    with pytest.raises(ApiError) as refused:
        cursors.decode(question, CURSORS.encode(QUESTION, [5]))
    assert refused.value.code == "invalid-cursor"


@given(st.text(max_size=CURSOR_LENGTH))
def test_what_was_made_up_is_refused(text: str) -> None:
    with pytest.raises(ApiError):
        CURSORS.decode(QUESTION, text)


def test_a_page_says_where_to_go_on_only_if_there_is_more() -> None:
    rows = [{"id": n} for n in range(3)]
    assert CURSORS.page(QUESTION, rows, 3, lambda row: (row["id"],)) == (rows, None)
    kept, following = CURSORS.page(QUESTION, rows, 2, lambda row: (row["id"],))
    assert kept == rows[:2]
    assert following is not None
    assert CURSORS.decode(QUESTION, following) == [1]


def test_cursors_outlive_a_restart_and_hold_in_every_process() -> None:
    one, other = ApiSettings("postgresql://x"), ApiSettings("postgresql://x")
    assert one.signing_key() == other.signing_key()
    assert ApiSettings("postgresql://y").signing_key() != one.signing_key()
    assert ApiSettings("", cursor_secret=b"given").signing_key() == b"given"
