"""Times come in as ISO 8601 with a zone or as epoch milliseconds, and go out as UTC with Z."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.moments import parse, render


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
        ("2026-11-22t10:00:00z", "2026-11-22T10:00:00Z"),
        ("2026-11-22 10:00Z", "2026-11-22T10:00:00Z"),
        ("2026-11-22T12:00:00+02:00", "2026-11-22T10:00:00Z"),
        ("2026-11-22T12:00:00 02:00", "2026-11-22T10:00:00Z"),
        ("2026-11-22T12:00:00.5+0200", "2026-11-22T10:00:00.500000Z"),
        ("2026-11-22T10:00:00,25Z", "2026-11-22T10:00:00.250000Z"),
        ("1500", "1970-01-01T00:00:01.500000Z"),
        (1500, "1970-01-01T00:00:01.500000Z"),
        (-1000, "1969-12-31T23:59:59Z"),
    ],
)
def test_what_is_meant(said: Any, meant: str) -> None:
    assert render(parse(said)) == meant


@pytest.mark.parametrize(
    "said",
    [
        "2026-11-22",
        "2026-11-22T10:00:00",
        "2026-11-22 10:00",
        "2026-02-30T10:00:00Z",
        "2026-11-22T24:30:00Z",
        "1899-12-31T23:59:59Z",
        "2200-01-02T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9" * 15,
        "1.5",
        "now",
        "",
        True,
        None,
        1.5,
        [],
    ],
)
def test_what_is_no_time(said: Any) -> None:
    with pytest.raises(ValueError, match=r"time|moment"):
        parse(said)


@given(st.datetimes(datetime(1900, 1, 2), datetime(2199, 12, 31), timezones=st.just(UTC)))
def test_what_goes_out_comes_back(moment: datetime) -> None:
    assert parse(render(moment)) == moment


@given(st.text(max_size=40))
def test_text_is_a_time_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse(text).tzinfo is UTC
