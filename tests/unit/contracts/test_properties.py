"""What holds for any readings, any tiers, any calendar."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.contracts import intervals
from core.contracts.calendars import Calendar, Window, local_day, moment, zone
from core.contracts.document import parse
from core.contracts.evidence import Machine, Series, StateAt
from core.contracts.metering import meter
from core.contracts.numbers import rounded
from core.contracts.pricing import price
from core.contracts.terms import GapRule, Meter, MeterKind, Tier, TierMode, Usage
from core.errors import InvalidInputError
from core.time import HOUR, MINUTE, to_datetime
from tests.unit.contracts.harness import complete

spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))).map(intervals.tidy)


@settings(deadline=None)
@given(spans, spans)
def test_intervals_are_sets_of_moments(one: intervals.Spans, other: intervals.Spans) -> None:
    def moments(found: intervals.Spans) -> set[int]:
        return {at for low, high in found for at in range(low, high)}

    assert moments(intervals.common(one, other)) == moments(one) & moments(other)
    assert moments(intervals.without(one, other)) == moments(one) - moments(other)
    assert intervals.length(one) == len(moments(one))


counters = st.lists(
    st.tuples(st.integers(1, 30 * HOUR // MINUTE), st.integers(-3, 40)), min_size=1, max_size=30
)  # minutes since the reading before, tenths of an hour since then


def machine(steps: list[tuple[int, int]]) -> tuple[Machine, int]:
    ts = np.cumsum([minutes * MINUTE for minutes, _ in steps])
    value = np.maximum(np.cumsum([tenths for _, tenths in steps]), 0) / 10
    series = Series.of(1, ts.astype(np.int64), value, np.full(len(ts), 192, np.uint8))
    return Machine({"hours": series}), int(ts[-1])


@settings(deadline=None)
@given(counters, st.integers(0, 100), st.sampled_from([GapRule.HOLD, GapRule.NOTHING]))
def test_neighbouring_periods_share_nothing_and_miss_nothing(
    steps: list[tuple[int, int]], cut: int, rule: GapRule
) -> None:
    found, end = machine(steps)
    terms = Meter(MeterKind.COUNTER, "h", Decimal("0.1"), point="hours", gap=rule, max_gap=8 * HOUR)
    middle = end * cut // 100
    halves = [meter(terms, found, span).exact for span in ((0, middle), (middle, end + 1))]
    assert sum(halves) == meter(terms, found, (0, end + 1)).exact
    assert all(half >= 0 for half in halves)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1000), st.sampled_from("ab")), max_size=20), st.integers(0, 1000))
def test_hours_in_states_add_up(changes: list[tuple[int, str]], cut: int) -> None:
    states = tuple(StateAt(at * MINUTE, state) for at, state in sorted(changes))
    found = Machine(states=states)
    whole = (0, 1000 * MINUTE)
    terms = {s: Meter(MeterKind.STATE, "h", Decimal("0.01"), states=(s,), gap=GapRule.HOLD) for s in "ab"}
    known = 1000 * MINUTE - states[0].ts if states else 0
    assert sum(meter(t, found, whole).exact for t in terms.values()) == Fraction(known, HOUR)
    a = terms["a"]
    parts = [meter(a, found, span).exact for span in ((0, cut * MINUTE), (cut * MINUTE, whole[1]))]
    assert sum(parts) == meter(a, found, whole).exact


money = st.decimals(0, 500, places=2)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 300), money), min_size=1, max_size=4, unique_by=lambda t: t[0]),
    st.decimals(0, 1000, places=1),
    st.decimals(0, 100, places=1),
    st.decimals(0, 200, places=1),
    st.sampled_from(TierMode),
)
def test_tiers_charge_every_unit_once_and_never_less_than_the_minimum(
    bounds: list[tuple[int, Decimal]], used: Decimal, included: Decimal, least: Decimal, mode: TierMode
) -> None:
    ordered = sorted(bounds)
    tiers = (*(Tier(Decimal(bound), p) for bound, p in ordered[:-1]), Tier(None, ordered[-1][1]))
    terms = Usage(
        "u", "u", Meter(MeterKind.COUNTER, "h", Decimal("0.1"), point="h"), tiers, mode, included=included,
        minimum_quantity=least,
    )  # fmt: skip
    lines = price(terms, used, Fraction(1), Decimal("0.01"))
    free = min(used, included)
    assert sum(line.quantity for line in lines) == free + max(used - free, least)
    assert all(line.amount == rounded(line.quantity * line.price, Decimal("0.01")) for line in lines)


@settings(max_examples=30, deadline=None)
@given(
    st.dates(date(2026, 1, 1), date(2026, 12, 30)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"]),
    st.integers(0, 1439),
    st.integers(1, 1440),
)
def test_a_calendar_counts_the_minutes_that_the_wall_shows(first: date, where: str, low: int, high: int) -> None:
    if high <= low:
        low, high = high - 1, low + 1
    calendar = Calendar((Window((0, 1, 2, 3, 4), low, high),), frozenset({first}))
    span = moment(first, 0, where), moment(first + timedelta(days=3), 0, where)
    counted = calendar.spans(span, where)
    for at in range(span[0], span[1], 7 * MINUTE):
        wall = to_datetime(at).astimezone(zone(where))
        minute = wall.hour * 60 + wall.minute
        if wall.utcoffset() != to_datetime(at - 2 * HOUR).astimezone(zone(where)).utcoffset() or (
            wall.utcoffset() != to_datetime(at + 2 * HOUR).astimezone(zone(where)).utcoffset()
        ):
            continue  # next to a change of clocks: told by the cases
        inside = wall.weekday() < 5 and wall.date() != first and low <= minute < high
        assert intervals.holds(counted, at) == inside, wall


def test_a_day_has_the_hours_it_has() -> None:
    for day, expected in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)):
        start, end = moment(day, 0, "Europe/Berlin"), moment(day, 1440, "Europe/Berlin")
        assert end - start == expected * HOUR
        assert local_day(start, "Europe/Berlin") == day
    skipped = moment(date(2026, 3, 29), 150, "Europe/Berlin")
    assert skipped == moment(date(2026, 3, 29), 180, "Europe/Berlin")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"currency": "euro"}, "currency"),
        ({"timezone": "Mars/Olympus"}, "time zone"),
        ({"versions": []}, "at least one"),
        ({"extra": 1}, "no such term"),
        ({"ends": "2025-01-01"}, "behind"),
        ({"fee": {"amount": 4200.5}}, "exact number"),
        ({"fee": {"amount": "-1"}}, "less than nothing"),
        ({"fee": {"amount": "1e400"}}, "anybody could mean"),
        ({"fee": {"per": "week"}}, "no such term"),
        ({"tiers": [{"price": "1"}, {"up_to": "5", "price": "2"}]}, "every tier but the last"),
        ({"meter": {"kind": "state", "unit": "h", "resolution": "1"}}, "needs 'states'"),
        ({"meter": {"kind": "counter", "point": "p", "unit": "h", "resolution": "0"}}, "more than nothing"),
    ],
)
def test_a_wrong_document_is_refused_by_its_place(change: dict[str, object], said: str) -> None:
    version = {
        "effective": "2026-01-01",
        "equipment": ["K-1"],
        "fees": [{"key": "lease", "amount": "4200", **change.pop("fee", {})}],  # type: ignore[dict-item]
        "usage": [
            {
                "key": "hours",
                "meter": change.pop("meter", {"kind": "counter", "point": "h", "unit": "h", "resolution": "0.1"}),
                "tiers": change.pop("tiers", [{"price": "1"}]),
            }
        ],
    }
    document = {"timezone": "UTC", "versions": [version], **change}
    with pytest.raises(InvalidInputError, match=said):
        parse(complete(document))
