"""Contracts by API: terms, drafts, closing, corrections, verification, who sees what, energy, figures of the firm."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import psycopg
import pytest

from core.time import DAY, HOUR, MINUTE, from_datetime, to_datetime
from tests.integration.api.conftest import Running, World

pytestmark = pytest.mark.integration

MONTH = datetime(2026, 6, 1, tzinfo=UTC)
"""June 2026: over, and inside the time that partitions are made for."""
TERMS: dict[str, Any] = {
    "key": "pump-hours",
    "title": "Pump by the hour",
    "currency": "EUR",
    "timezone": "UTC",
    "versions": [
        {
            "effective": "2026-01-01",
            "equipment": ["P-1"],
            "fees": [{"key": "lease", "title": "Lease", "amount": "1200"}],
            "usage": [
                {
                    "key": "hours",
                    "title": "Running hours",
                    "meter": {
                        "kind": "counter", "point": "leakage", "unit": "h", "resolution": "0.1", "max_gap": "3 d",
                        "gap": "hold",
                    },
                    "tiers": [{"up_to": "100", "price": "62.00"}, {"price": "55.00"}],
                }
            ],
            "availability": [
                {
                    "key": "uptime", "title": "Availability", "kind": "time", "target": "97", "down": ["tripped"],
                    "excludes": ["customer"], "damages": {"per_point": "2", "cap": "10"},
                }
            ],
        }
    ],
}  # fmt: skip


def put_readings(world: World, key: str, readings: list[tuple[int, float]], equipment: int | None = None) -> None:
    number = equipment or world.a.equipment
    ((point,),) = world.execute("SELECT id FROM servitize.point WHERE equipment_id = %s AND key = %s", [number, key])
    world.execute(
        "SELECT servitize.ensure_partitions(%s, %s)", [to_datetime(readings[0][0]), to_datetime(readings[-1][0])]
    )
    with psycopg.connect(world.writer_dsn) as connection, connection.cursor() as cursor:
        cursor.executemany(
            b"INSERT INTO servitize.reading VALUES (%s, %s, %s, 192, now()) ON CONFLICT DO NOTHING",
            [(point, to_datetime(ts), value) for ts, value in readings],
        )


@pytest.fixture(scope="module")
def run(world: World) -> World:
    """A month of a running-hours counter: 5 h a day, read twice a day; a trip of 36 h on the 10th."""
    start = from_datetime(MONTH)
    readings = [(start - 10 * MINUTE + n * 12 * HOUR, 1000.0 + 2.5 * n) for n in range(61)]
    put_readings(world, "leakage", readings)
    with psycopg.connect(world.writer_dsn) as connection:
        for at, state in ((-DAY, "running"), (9 * DAY, "tripped"), (9 * DAY + 36 * HOUR, "running")):
            connection.execute(
                b"INSERT INTO servitize.state_change VALUES (%s, %s, %s)",
                [world.a.equipment, to_datetime(start + at), state],
            )
    return world


@pytest.fixture(scope="module")
def contract(run: World, api: Running) -> Iterator[int]:
    with api.client(run.a.keys["all"]) as a:
        made = a.post("/v1/contracts", json={"terms": TERMS, "customer": "brook"})
        assert made.status_code == 201, made.text
        assert made.json()["machines"] == {"P-1": run.a.equipment}
        yield made.json()["id"]


def test_the_story_of_a_month(run: World, api: Running, contract: int, a: httpx2.Client) -> None:
    draft = a.get(f"/v1/contracts/{contract}/draft", params={"period": "2026-06"}).json()
    # 60 half-days at 2.5 h; availability 684 / 720 = 95.00 %: 2 points x 2 % of 1200 + 6200 + 2750
    assert [(x["part"], x["quantity"], x["amount"]) for x in draft["lines"]] == [
        ("fee", "30", "1200.00"),
        ("tier 1", "100", "6200.00"),
        ("tier 2", "50.0", "2750.00"),
        ("damages", "95.00", "-406.00"),
    ]
    assert (draft["total"], draft["closed"]) == ("9744.00", False)

    closed = a.post(f"/v1/contracts/{contract}/statements", json={"period": "2026-06"})
    assert closed.status_code == 201, closed.text
    statement = closed.json()
    assert statement["total"] == "9744.00"
    again = a.post(f"/v1/contracts/{contract}/statements", json={"period": "2026-06"})
    assert again.status_code == 409
    verified = a.get(f"/v1/statements/{statement['id']}/verification").json()
    assert verified["same"], verified

    figure = a.get(f"/v1/statements/{statement['id']}/lines/2").json()
    seen = figure["trace"]["machines"]["P-1"]
    opening, closing = seen["opening"], seen["closing"]
    readings = a.get(
        f"/v1/points/{seen['point_id']}/readings",
        params={"from": opening["ts"] // 1000, "to": closing["ts"] // 1000 + 1, "limit": 1000},
    ).json()
    assert len(readings["items"]) == seen["readings"] == 61
    assert float(closing["value"]) - float(opening["value"]) == 150.0
    assert a.get(f"/v1/statements/{statement['id']}/lines/9").status_code == 404

    # late data, and a stop that turns out to be the customer's
    put_readings(run, "leakage", [(from_datetime(MONTH) + 30 * DAY - MINUTE, 1153.3)])
    record = a.post(
        f"/v1/contracts/{contract}/records",
        json={
            "kind": "exclusion", "equipment": "P-1", "starts_at": "2026-06-10T00:00:00Z",
            "ends_at": "2026-06-11T12:00:00Z",
            "cause": "customer", "reference": "no power",
        },
    )  # fmt: skip
    assert record.status_code == 201, record.text
    verified = a.get(f"/v1/statements/{statement['id']}/verification").json()
    assert not verified["same"]
    assert any("uptime" in line for line in verified["differences"])
    nameless = a.post(f"/v1/contracts/{contract}/statements", json={"period": "2026-06"})
    assert nameless.status_code == 400
    corrected = a.post(
        f"/v1/contracts/{contract}/statements", json={"period": "2026-06", "reason": "late reading"}
    ).json()
    # 3.3 h x 55.00 = 181.50 more, damages of 406.00 back
    assert (corrected["number"], corrected["total"]) == (1, "587.50")
    assert sorted(x["part"] for x in corrected["lines"]) == ["reversal of damages", "reversal of tier 2", "tier 2"]
    assert a.get(f"/v1/statements/{corrected['id']}/verification").json()["same"]
    assert a.get(f"/v1/statements/{statement['id']}").json()["lines"] == statement["lines"]

    page = a.get(f"/v1/statements/{statement['id']}/page")
    assert page.headers["content-type"].startswith("text/html")
    assert "9\N{NARROW NO-BREAK SPACE}744.00" in page.text
    assert a.get(f"/v1/statements/{statement['id']}/pdf").content.startswith(b"%PDF")

    with api.client(run.b.keys["all"]) as customer, api.client(run.partner.keys["all"]) as stranger:
        assert customer.get(f"/v1/statements/{statement['id']}").json()["total"] == "9744.00"
        refused = customer.post(f"/v1/contracts/{contract}/statements", json={"period": "2026-05"})
        assert refused.status_code in (403, 400), refused.text
        assert stranger.get(f"/v1/statements/{statement['id']}").status_code == 404
        assert stranger.get("/v1/contracts").json()["items"] == []


def test_many_are_closed_at_once_as_each_by_itself(run: World, api: Running, a: httpx2.Client) -> None:
    def made(key: str, effective: str) -> int:
        version = {**TERMS["versions"][0], "effective": effective}
        answer = a.post("/v1/contracts", json={"terms": {**TERMS, "key": key, "versions": [version]}})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    one, other, later = (
        made("one-of-many", "2026-01-01"),
        made("other-of-many", "2026-01-01"),
        made("later", "2026-08-01"),
    )
    draft = a.get(f"/v1/contracts/{other}/draft", params={"period": "2026-06"}).json()
    order = {"period": "2026-06", "contracts": [other, later, one, other]}
    items = a.post("/v1/statements", json=order).json()["items"]
    assert [(i["contract_id"], i["problem"]) for i in items] == [
        (other, None), (later, "contract later has no terms in 2026-06"), (one, None),
    ]  # fmt: skip
    closed = a.get(f"/v1/statements/{items[0]['statement']}").json()
    assert (closed["contract_id"], closed["sha256"], closed["total"]) == (other, draft["sha256"], draft["total"])
    assert a.get(f"/v1/statements/{items[0]['statement']}/verification").json()["same"]
    again = a.post("/v1/statements", json=order).json()["items"]
    assert {i["statement"] for i in again} == {None}
    assert "every figure is still right" in again[0]["problem"]
    with api.client(run.b.keys["all"]) as b:
        assert b.post("/v1/statements", json=order).status_code == 404


def test_a_reading_that_is_none_is_no_evidence(run: World, contract: int, a: httpx2.Client) -> None:
    def metered() -> Any:
        draft = a.get(f"/v1/contracts/{contract}/draft", params={"period": "2026-06"}).json()
        return draft["lines"][1]["trace"]["machines"]["P-1"]

    before = metered()
    ((point,),) = run.execute(
        "SELECT id FROM servitize.point WHERE equipment_id = %s AND key = 'leakage'", [run.a.equipment]
    )
    with psycopg.connect(run.writer_dsn) as connection, connection.cursor() as cursor:
        bad = [(5e6, 0), (float("nan"), 192), (float("inf"), 192), (float("-inf"), 192)]
        cursor.executemany(
            b"INSERT INTO servitize.reading VALUES (%s, %s, %s, %s, now())",
            [(point, to_datetime(from_datetime(MONTH) + n * MINUTE), value, q) for n, (value, q) in enumerate(bad)],
        )
    assert metered() == before


def test_terms_change_from_a_day_on_and_whoever_read_an_older_revision_is_told(contract: int, a: httpx2.Client) -> None:
    later = {
        **TERMS["versions"][0],
        "effective": "2026-09-01",
        "fees": [{"key": "lease", "title": "Lease", "amount": "1300"}],
    }
    terms = {**TERMS, "versions": [*TERMS["versions"], later]}
    changed = a.put(f"/v1/contracts/{contract}", json={"terms": terms, "revision": 1})
    assert changed.json()["revision"] == 2
    assert a.put(f"/v1/contracts/{contract}", json={"terms": terms, "revision": 1}).status_code == 409
    other = {**terms, "currency": "USD"}
    assert a.put(f"/v1/contracts/{contract}", json={"terms": other, "revision": 2}).status_code == 409


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"currency": "euro"}, 400),
        ({"versions": []}, 400),
        ({"versions": [{**TERMS["versions"][0], "equipment": ["no-such"]}]}, 400),
        ({"key": "pump-hours"}, 409),
    ],
)
def test_terms_that_cannot_be_are_refused(contract: int, a: httpx2.Client, change: dict[str, Any], status: int) -> None:
    answer = a.post("/v1/contracts", json={"terms": {**TERMS, "key": "other", **change}})
    assert answer.status_code == status, answer.text


def test_a_period_that_is_not_over_stays_open(contract: int, a: httpx2.Client) -> None:
    month = f"{datetime.now(UTC) + timedelta(days=40):%Y-%m}"
    assert a.post(f"/v1/contracts/{contract}/statements", json={"period": month}).status_code == 409
    assert a.get(f"/v1/contracts/{contract}/draft", params={"period": "2025-06"}).status_code == 400


def test_an_open_period_holds_its_readings(run: World, contract: int) -> None:
    rows = run.as_owner(
        f"SELECT since FROM servitize.retention_hold WHERE released_at IS NULL AND reason LIKE 'contract {contract}:%'"
    )
    assert len(rows) == 1
    assert rows[0][0] < MONTH


def test_incidents_are_answered_once_and_mistakes_withdrawn(contract: int, a: httpx2.Client) -> None:
    order = {"kind": "incident", "equipment": "P-1", "starts_at": "2026-06-20T08:00:00Z", "reference": "call 7"}
    made = a.post(f"/v1/contracts/{contract}/records", json=order).json()
    answered = {"responded_at": "2026-06-20T09:30:00Z"}
    assert a.patch(f"/v1/contract-records/{made['id']}", json=answered).json()["responded_at"] == "2026-06-20T09:30:00Z"
    assert a.patch(f"/v1/contract-records/{made['id']}", json=answered).status_code == 409
    firm = a.get("/v1/service-indicators", params={"from": "2026-06-01T00:00:00Z", "to": "2026-07-01T00:00:00Z"}).json()
    assert (firm["incidents"], firm["response_hours"]) == (1, 1.5)
    assert a.patch(f"/v1/contract-records/{made['id']}", json={"withdraw": True}).json()["withdrawn_at"] is not None
    assert a.post(f"/v1/contracts/{contract}/records", json={**order, "kind": "exclusion"}).status_code == 400


def test_energy_per_output_by_the_factor_of_the_day(run: World, a: httpx2.Client) -> None:
    for day, kilograms in (("2026-01-01", "0.40"), ("2026-06-16", "0.30")):
        body = {"carrier": "grid", "effective": day, "kg_per_unit": kilograms, "unit": "L/h", "source": "test"}
        body["unit"] = "L"
        assert a.post("/v1/emission-factors", json=body).status_code == 201
    answer = a.get(
        "/v1/equipment/P-1/footprint",
        params={
            "carrier": "grid", "energy_point": "leakage", "from": "2026-06-01T00:00:00Z", "to": "2026-07-01T00:00:00Z",
        },
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert [part["kg_per_unit"] for part in answer.json()["parts"]] == ["0.40", "0.30"]


def test_what_was_fixed_the_first_time(run: World, a: httpx2.Client) -> None:
    """Of five: one reopened, one followed by another on the same component after 10 days; that one, one on another
    component and one followed only after 40 days held."""
    for component, done, reopenings in (
        ("seal", 1, 0),
        ("seal", 11, 0),
        ("fan", 12, 0),
        ("shaft", 2, 0),
        ("valve", 3, 1),
    ):
        _closed_order(run, component, done, reopenings)
    _closed_order(run, "shaft", 42, 0)
    span = {"from": "2026-06-01T00:00:00Z", "to": "2026-07-01T00:00:00Z"}
    found = a.get("/v1/service-indicators", params=span).json()
    assert (found["corrective_closed"], found["first_time_fix"], found["first_time_fix_days"]) == (5, 0.6, 30)
    none = a.get("/v1/service-indicators", params={"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}).json()
    assert (none["corrective_closed"], none["first_time_fix"]) == (0, None)


def _closed_order(run: World, component: str, done: float, reopenings: int) -> None:
    """Corrective work that began a day before it was done, in days of the month."""
    at = [MONTH + timedelta(days=done - 1), *[MONTH + timedelta(days=done)] * 3]
    run.as_owner(
        "INSERT INTO servitize.work_order (equipment_id, component, kind, title, state, priority, created_by,"
        " created_at, done_at, closed_at, changed_at, reopenings)"
        " VALUES (%s, %s, 'corrective', 't', 'closed', 'low', 'test', %s, %s, %s, %s, %s)",
        [run.a.equipment, component, *at, reopenings],
    )
