"""From an alarm to a case, from a case to a report: what a service engineer does when a bearing speaks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest

from core.case import TRANSITIONS
from core.outcome import CommitUnit, Outcome
from core.parcels import Channel, Purpose, Retention, Waveform
from core.telemetry import StreamRecord, TelemetryBatch
from core.time import HOUR, SECOND, to_datetime
from models.types import from_document
from services.api.settings import ApiSettings
from services.api.state import AppState
from services.diagnosis import worker
from storage import admin
from storage.writer import Writer
from tests.integration.api import conftest
from tests.integration.api.conftest import T0, World

pytestmark = pytest.mark.integration

MOTOR: dict[str, Any] = {
    "type": "motor",
    "name": "Motor",
    "components": [{"key": "bearing", "name": "Bearing"}, {"key": "fan", "name": "Fan"}],
    "points": [{"key": "bearing.velocity", "component": "bearing", "unit": "mm/s"}],
    "waveforms": [
        {
            "channel": "de",
            "component": "bearing",
            "unit": "m/s2",
            "machine": {"bearing": "6205"},
            "features": ["kurtosis"],
        }
    ],
}
RATE, TURN = 12_000.0, 1_772.0


def spalled(strength: float, seed: int) -> Any:
    """Strikes on the outer ring of a 6205 (3.585 orders), ringing at 2.8 kHz, in noise."""
    rng = np.random.default_rng(seed)
    n = int(4 * RATE)
    x = 0.3 * rng.standard_normal(n)
    at = np.cumsum((1 + 0.01 * rng.standard_normal(600)) / (3.585 * TURN / 60))
    places = (at[at < 4.0] * RATE).astype(int)
    strikes = np.zeros(n)
    strikes[places] = strength
    t = np.arange(120) / RATE
    return x + np.convolve(strikes, np.exp(-900 * t) * np.sin(2 * np.pi * 2_800 * t))[:n]


@pytest.fixture(scope="module")
def motor(world: World) -> int:
    """A motor of the first organisation, whose bearing got worse over a week of daily waveforms."""
    with psycopg.connect(world.owner_dsn) as connection:
        connection.execute(b"SET ROLE servitize_owner")
        type_ = from_document(MOTOR)
        admin.publish_type(connection, type_, MOTOR)
        number = admin.create_equipment(connection, world.a.id, "M-1", type_, name="Motor 1")
    days = [
        Waveform(
            number,
            T0 - (7 - day) * 24 * HOUR,
            RATE,
            (Channel("de", "m/s2"),),
            spalled(0.4 * day, day).astype(np.float32)[None],
            TURN,
        )
        for day in range(8)
    ]
    nothing = TelemetryBatch.empty(T0)
    writer = Writer(world.writer_dsn)
    position = writer.acquire("waveforms")
    record = StreamRecord(nothing, waveforms=tuple(days))
    writer.commit([CommitUnit("waveforms", position.epoch, position.next_offset, record, Outcome(nothing, nothing))])
    writer.close()
    return number


@pytest.fixture(scope="module")
def api(world: World) -> Iterator[conftest.Running]:
    """An API that reads types as the platform does."""
    with conftest.serving(ApiSettings(world.api_dsn, heartbeat=1.0), parse=from_document) as running:
        yield running


@pytest.fixture(scope="module")
def state(api: Any) -> AppState:
    found: AppState = api.server.config.app.state.servitize
    return found


def looked_at(world: World, case: int) -> None:
    """Wait until the worker beside the API has looked at it."""
    deadline = time.monotonic() + 25
    while time.monotonic() < deadline:
        if world.execute("SELECT diagnosed_at FROM servitize.diagnosis_case WHERE id = %s", [case])[0][0] is not None:
            return
        time.sleep(0.2)
    raise AssertionError("nobody looked at the case")


def test_the_rules_of_the_database_are_those_of_the_core(world: World) -> None:
    rows = world.execute("SELECT state, event, next_state FROM servitize.case_rule")
    assert sorted(rows) == sorted((r.state.value, r.event.value, r.next_state.value) for r in TRANSITIONS)


def test_from_alarm_to_report(api: Any, world: World, motor: int) -> None:
    world.transition(
        motor, "bearing/bearing.velocity/high", "raised", T0, point="bearing.velocity", value=8.0, limit=7.1
    )
    client = api.known(world.a.keys["all"])
    (summary,) = client.get("/v1/cases?equipment=M-1").json()["items"]
    number = summary["id"]
    assert (summary["component"], summary["state"]) == ("bearing", "open")
    looked_at(world, number)

    case = client.get(f"/v1/cases/{number}").json()
    first = case["diagnosis"]["findings"][0]
    assert (first["mode"], first["component"], first["decided"]) == ("bearing_outer", "bearing", True)
    assert {"de.envelope", "de.spectrum", "de.waterfall", "de.waveform"} == set(case["pictures"])
    band = next(line["band"] for line in first["evidence"] if line["band"])
    shown = client.get(f"/v1/cases/{number}/plots/de.envelope?form=json").json()["facts"]
    assert [shown["band_low"], shown["band_high"]] == band  # the picture is of what the words speak of
    kept = world.execute(
        "SELECT retention, count(*) FROM servitize.waveform WHERE equipment_id = %s GROUP BY 1", [motor]
    )
    assert kept == [(Retention.EVIDENCE.value, 8)]

    # a second alarm meanwhile is a line in the journal, no second case
    world.transition(motor, "bearing/bearing.velocity/danger", "raised", T0 + SECOND)
    assert [e["event"] for e in client.get(f"/v1/cases/{number}/journal").json()["items"]] == [
        "alarm",
        "diagnose",
        "opened",
    ]

    # two people, then the truth
    first_analyst, second = api.known(world.a.keys["role:engineer"]), client
    said = {"mode": "bearing_outer", "text": "outer ring, change it at the next stop"}
    assert first_analyst.post(f"/v1/cases/{number}/conclusion", json=said).json()["state"] == "concluded"
    assert first_analyst.post(f"/v1/cases/{number}/sign-off").status_code == 409
    assert second.post(f"/v1/cases/{number}/sign-off", json={"text": "agreed"}).json()["state"] == "signed"
    found = {"mode": "bearing_outer", "text": "spall of 4 mm on the loaded side"}
    told = second.post(f"/v1/cases/{number}/found", json=found).json()
    assert (told["outcome"], told["state"]) == ("confirmed", "signed")
    (label,) = client.get("/v1/cases/labels").json()["items"]
    assert (label["said_mode"], label["found_mode"], label["outcome"]) == (
        "bearing_outer",
        "bearing_outer",
        "confirmed",
    )

    page = client.get(f"/v1/cases/{number}/report", timeout=120)
    assert page.headers["content-type"].startswith("text/html")
    for words in ("Outer-ring", "spall of 4 mm", "outer ring, change it", "data:image/svg+xml"):
        assert words in page.text
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    document = client.get(f"/v1/cases/{number}/report?form=pdf", timeout=120)
    assert document.content.startswith(b"%PDF")
    picture = client.get(f"/v1/cases/{number}/plots/de.envelope?form=png")
    assert picture.content.startswith(b"\x89PNG")


def test_what_is_seen_in_a_waveform(api: Any, world: World, motor: int) -> None:
    client = api.known(world.a.keys["read"])
    page = client.get("/v1/waveforms?equipment=M-1&limit=3").json()
    assert [w["samples"] for w in page["items"]] == [48_000] * 3
    assert page["next"]
    number = page["items"][0]["id"]
    samples = client.get(f"/v1/waveforms/{number}/samples?last=100").json()
    assert len(samples["values"]) == 100
    curve = client.get(f"/v1/waveforms/{number}/envelope").json()
    (mark,) = [m for m in curve["marks"] if m["label"] == "outer ring"]
    trace = curve["traces"][0]
    highest = trace["x"][int(np.argmax(trace["y"]))]
    assert mark["x"] == pytest.approx(3.585 * TURN / 60, rel=1e-3)
    assert min(abs(highest / mark["x"] - k) for k in (1, 2, 3)) < 0.02
    assert client.get(f"/v1/waveforms/{number}/spectrum?form=svg").content.startswith(b"<?xml")
    window = f"from={to_datetime(T0 - 8 * 24 * HOUR):%Y-%m-%dT%H:%M:%SZ}&to={to_datetime(T0 + HOUR):%Y-%m-%dT%H:%M:%SZ}"
    fall = client.get(f"/v1/equipment/M-1/waterfall?channel=de&{window}").json()
    assert len(fall["traces"]) == 8
    assert client.get(f"/v1/waveforms/{number}/orbit").status_code == 422


CRITICAL, DAMPING = 5_200.0, 0.12
PROBE_RATE = 1_280.0


def run_up() -> tuple[Any, Any]:
    """(µm [2, n], times of the shaft's mark): a rotor of one mass through its critical speed within a minute, and 6 µm
    of run-out."""
    t = np.arange(int(60 * PROBE_RATE)) / PROBE_RATE
    speed = 300.0 + (8_800.0 - 300.0) * t / 60
    turns = np.cumsum(speed / 60) / PROBE_RATE
    r = speed / CRITICAL
    moved = 12.0 * r**2 / (1 - r**2 + 2j * DAMPING * r)
    noise = np.random.default_rng(5).standard_normal((2, len(t)))
    x, y = ((v * np.exp(2j * np.pi * turns)).real for v in (moved + 6.0, -1j * moved + 6.0))
    marks = np.arange(1, int(turns[-1]) + 1)
    return np.stack([x, y]) + 0.3 * noise, np.interp(marks, turns, t)


@pytest.fixture(scope="module")
def started(world: World) -> int:
    """A compressor whose shaft was watched in steady state, and then while it started."""
    document = MOTOR | {
        "type": "rotor",
        "components": [{"key": "shaft", "name": "Shaft"}],
        "points": [{"key": "shaft.speed", "component": "shaft", "unit": "r/min"}],
        "waveforms": [
            {"channel": f"de_{a}", "component": "shaft", "unit": "um", "point": f"shaft.{a}", "features": ["peak"],
             "pair": f"de_{b}"}
            for a, b in ("xy", "yx")
        ],
    }  # fmt: skip
    with psycopg.connect(world.owner_dsn) as connection:
        connection.execute(b"SET ROLE servitize_owner")
        type_ = from_document(document)
        admin.publish_type(connection, type_, document)
        number = admin.create_equipment(connection, world.a.id, "K-1", type_, name="Compressor 1")
    channels = Channel("de_x", "um", 45.0), Channel("de_y", "um", -45.0)
    samples, tacho = run_up()
    waveforms = (
        Waveform(number, T0 - 2 * HOUR, PROBE_RATE, channels, samples[:, -1280:].astype(np.float32), 8_700.0),
        Waveform(
            number,
            T0 - HOUR,
            PROBE_RATE,
            channels,
            samples.astype(np.float32),
            tacho=tacho,
            purpose=Purpose.TRANSIENT,
            retention=Retention.REFERENCE,
        ),
    )
    nothing = TelemetryBatch.empty(T0)
    writer = Writer(world.writer_dsn)
    position = writer.acquire("run-up")
    record = StreamRecord(nothing, waveforms=waveforms)
    writer.commit([CommitUnit("run-up", position.epoch, position.next_offset, record, Outcome(nothing, nothing))])
    writer.close()
    return number


def test_a_start_is_seen_as_a_bode_plot(api: Any, world: World, started: int) -> None:
    client = api.known(world.a.keys["read"])
    newest, steady = client.get("/v1/waveforms?equipment=K-1").json()["items"]
    assert newest["purpose"] == "transient"
    for channel in ("de_x", "de_y"):
        curve = client.get(f"/v1/waveforms/{newest['id']}/bode?channel={channel}").json()
        amplitude, lag = curve["traces"]
        speed = np.array(amplitude["x"])
        assert len(speed) > 100
        assert speed[0] < 600
        assert speed[-1] > 8_500
        top = int(np.argmax(amplitude["y"]))
        # where a rotor with 12 % of damping peaks, a little above its undamped critical speed
        assert speed[top] == pytest.approx(CRITICAL / np.sqrt(1 - 2 * DAMPING**2), rel=0.02)
        assert amplitude["y"][top] == pytest.approx(2 * 12.0 / (2 * DAMPING), rel=0.15)
        below, above = (np.interp(s, speed, lag["y"]) for s in (4_000.0, 6_800.0))
        # nearly half a circle, more or less by the run-out, which is in a raw plot
        assert 80 < above - below < 200
    picture = client.get(f"/v1/waveforms/{newest['id']}/bode?form=svg")
    assert picture.status_code == 200
    assert picture.content.startswith(b"<?xml")
    refused = client.get(f"/v1/waveforms/{steady['id']}/bode")
    assert refused.status_code == 404
    assert "tacho" in refused.text


def test_a_start_is_not_among_the_spectra_over_time(api: Any, world: World, started: int) -> None:
    client = api.known(world.a.keys["read"])
    window = f"from={to_datetime(T0 - 24 * HOUR):%Y-%m-%dT%H:%M:%SZ}&to={to_datetime(T0 + HOUR):%Y-%m-%dT%H:%M:%SZ}"
    fall = client.get(f"/v1/equipment/K-1/waterfall?channel=de_x&{window}").json()
    assert len(fall["traces"]) == 1
    late = f"from={to_datetime(T0 - 90 * 60 * SECOND):%Y-%m-%dT%H:%M:%SZ}&to={to_datetime(T0):%Y-%m-%dT%H:%M:%SZ}"
    assert client.get(f"/v1/equipment/K-1/waterfall?channel=de_x&{late}").status_code == 404


def test_of_another_organisation_there_is_nothing(api: Any, world: World, motor: int) -> None:
    mine = api.known(world.a.keys["all"])
    waveform = mine.get("/v1/waveforms?equipment=M-1&limit=1").json()["items"][0]["id"]
    case = mine.get("/v1/cases").json()["items"][0]["id"]
    other = api.known(world.b.keys["all"])
    for path in (f"waveforms/{waveform}", f"waveforms/{waveform}/spectrum", f"cases/{case}", f"cases/{case}/report"):
        assert other.get(f"/v1/{path}").status_code == 404, path
    assert other.post(f"/v1/cases/{case}/notes", json={"text": "hello"}).status_code == 404
    assert other.get("/v1/cases").json()["items"] == []


def test_a_case_by_hand_and_a_waveform_on_demand(api: Any, world: World, motor: int) -> None:
    client = api.known(world.a.keys["all"])
    assert client.post("/v1/cases", json={"equipment": "M-1", "component": "gate", "title": "?"}).status_code == 400
    opened = client.post("/v1/cases", json={"equipment": "M-1", "component": "fan", "title": "whistles"})
    assert opened.status_code == 201
    again = client.post("/v1/cases", json={"equipment": "M-1", "component": "fan", "title": "whistles"})
    assert again.status_code == 409
    number = opened.json()["id"]
    looked_at(world, number)
    assert client.get(f"/v1/cases/{number}").json()["diagnosis"]["verdict"] == "abstained"
    asked = client.post("/v1/equipment/M-1/captures", json={"channels": ["de"], "seconds": 10, "case": number})
    assert asked.status_code == 201
    assert asked.json()["waveforms"] == []
    assert client.post(f"/v1/cases/{number}/close").json()["state"] == "closed"
    reader = api.known(world.a.keys["read"])
    assert reader.post("/v1/equipment/M-1/captures", json={"channels": ["de"]}).status_code == 403


def test_an_inspection_shows_what_it_captured(api: Any, world: World, motor: int) -> None:
    client = api.known(world.a.keys["all"])
    ((point,),) = world.execute("SELECT key FROM servitize.point WHERE equipment_id = %s ORDER BY id LIMIT 1", [motor])
    order = {"equipment": "M-1", "title": "Night round", "points": [point], "every_minutes": 60, "channels": ["de"]}
    plan = client.post("/v1/inspections", json=order)
    assert plan.status_code == 201, plan.text
    world.execute("SELECT servitize.run_inspections()")
    path = f"/v1/inspections/{plan.json()['id']}/reports"
    (report,) = client.get(path).json()["items"]
    page = f"/v1/inspection-reports/{report['id']}/page"
    assert (report["waveforms"], "has not answered" in client.get(page).text) == ([], True)
    ((word,),) = world.execute("SELECT word FROM servitize.capture_request WHERE requested_by = 'inspection'")
    sent = Waveform(
        motor, T0 + HOUR, RATE, (Channel("de", "m/s2"),), spalled(0.4, 1).astype(np.float32)[None], TURN, request=word
    )
    nothing = TelemetryBatch.empty(T0)
    writer = Writer(world.writer_dsn)
    position = writer.acquire("captured")
    unit = CommitUnit(
        "captured",
        position.epoch,
        position.next_offset,
        StreamRecord(nothing, waveforms=(sent,)),
        Outcome(nothing, nothing),
    )
    writer.commit([unit])
    writer.close()
    (report,) = client.get(path).json()["items"]
    assert len(report["waveforms"]) == 1
    shown = client.get(page)
    assert shown.headers["content-type"].startswith("text/html")
    assert "data:image/svg+xml;base64," in shown.text
    assert "Night round" in shown.text
    assert api.known(world.b.keys["all"]).get(page).status_code == 404


def test_nobody_looks_at_what_is_looked_at(state: AppState) -> None:
    assert asyncio.run_coroutine_threadsafe(worker.look(state), state.loop).result(30) is False  # type: ignore[arg-type]
