"""What learned models say of machines, and what turned out to be true, as a tenant reads and records it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from core.learned import Drift, ModelScore, Prognosis
from core.outcome import CommitUnit, Outcome
from core.telemetry import StreamRecord, TelemetryBatch
from core.time import DAY, HOUR, isoformat
from storage.writer import Writer
from tests.integration.api.conftest import T0, Running, World

pytestmark = pytest.mark.integration

NAME = "remaining-life/pump"
STEPS = 48


@pytest.fixture(scope="module", autouse=True)
def told(world: World) -> None:
    """Two days of an hourly prognosis: the champion ten hours too long, the challenger right."""
    equipment = world.a.equipment
    end = T0 + STEPS * HOUR
    said = []
    for step in range(1, STEPS + 1):
        left = float(STEPS - step)
        for version, champion, p50 in ((1, True, left + 10), (2, False, left)):
            at = T0 + step * HOUR
            said.append(
                Prognosis(
                    equipment, "bearing", at, NAME, version, champion, max(p50 - 5, 0.0), p50, p50 + 5, "h", 200.0,
                    (None, at + round(p50 * HOUR), None),
                )
            )  # fmt: skip
    scores = (
        ModelScore(equipment, "bearing", T0 + HOUR, "normal/pump", 1, True, 1.4, "raised", "machine", "up"),
        ModelScore(equipment, "", T0 + 2 * HOUR, "normal/pump", 1, True, 0.4),
    )
    drift = Drift(equipment, NAME, 1, True, T0, T0 + 7 * DAY, 0.4, True, {"vibration": 0.4})
    nothing = TelemetryBatch.empty(T0)
    outcome = Outcome(nothing, nothing, prognoses=tuple(said), scores=scores, drifts=(drift,))
    writer = Writer(world.writer_dsn)
    try:
        position = writer.acquire("learned")
        unit = CommitUnit("learned", position.epoch, position.next_offset, StreamRecord(nothing), outcome)
        writer.commit([unit])
    finally:
        writer.close()
    assert end


@pytest.fixture(scope="module")
def engineer(world: World, api: Running) -> Iterator[httpx2.Client]:
    with api.client(world.a.keys["role:engineer"]) as client:
        yield client


def label(client: httpx2.Client, equipment: int, **changes: Any) -> httpx2.Response:
    body = {
        "verdict": "failure", "component": "bearing", "failure_mode": "wear", "at": isoformat(T0 + STEPS * HOUR + 1),
        "found": "spalled", **changes,
    }  # fmt: skip
    return client.post(f"/v1/equipment/{equipment}/outcomes", json=body)


def test_the_last_word_of_who_speaks_and_how_far_to_trust_it(a: httpx2.Client, world: World) -> None:
    said = a.get(f"/v1/equipment/{world.a.equipment}/remaining-life").json()
    (life,) = said["lives"]
    assert (life["component"], life["version"], life["p10"], life["p50"], life["p90"]) == ("bearing", 1, 5, 10, 15)
    assert life["date_p50"] == isoformat(T0 + (STEPS + 10) * HOUR)
    assert life["date_p90"] is None
    assert [(d["model"], d["drifted"], d["points"]) for d in said["drift"]] == [(NAME, True, {"vibration": 0.4})]


def test_all_that_was_said_in_pages(a: httpx2.Client, world: World) -> None:
    url = f"/v1/equipment/{world.a.equipment}/prognoses"
    found: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = a.get(url, params={"limit": 40, **cursor}).json()
        found += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert len({(p["at"], p["version"]) for p in found}) == len(found) == 2 * STEPS
    assert [p["at"] for p in found] == sorted((p["at"] for p in found), reverse=True)
    challengers = a.get(url, params={"champion": False, "limit": 1}).json()["items"]
    assert [p["version"] for p in challengers] == [2]


def test_another_organisation_sees_none_of_it(world: World, api: Running) -> None:
    with api.client(world.b.keys["role:engineer"]) as other:
        for what in ("remaining-life", "prognoses", "outcomes"):
            assert other.get(f"/v1/equipment/{world.a.equipment}/{what}").status_code == 404
        assert other.get("/v1/model-comparison", params={"model": NAME}).json()["lives"] == []
        assert label(other, world.a.equipment).status_code == 404


def test_labels_are_recorded_once_corrected_and_withdrawn(engineer: httpx2.Client, world: World) -> None:
    equipment = world.a.equipment
    first = label(engineer, equipment)
    assert first.status_code == 201
    again = label(engineer, equipment)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert label(engineer, equipment, found="inner race spalled").json()["found"] == "inner race spalled"
    assert label(engineer, equipment, component="gone").status_code == 400
    (listed,) = engineer.get(f"/v1/equipment/{equipment}/outcomes").json()["items"]
    assert listed["recorded_by"].startswith("api-key:")
    number = listed["id"]
    assert engineer.post(f"/v1/outcomes/{number}/withdraw").json()["withdrawn_at"] is not None
    assert label(engineer, equipment).json()["withdrawn_at"] is None


def test_who_only_reads_labels_nothing(world: World, api: Running) -> None:
    with api.client(world.a.keys["role:viewer"]) as viewer:
        assert label(viewer, world.a.equipment).status_code == 403


def test_champion_and_challenger_are_judged_by_what_turned_out_to_be_true(
    engineer: httpx2.Client, world: World
) -> None:
    label(engineer, world.a.equipment)
    said = engineer.get("/v1/model-comparison", params={"model": NAME}).json()
    figures = {line["version"]: line for line in said["lives"]}
    assert (figures[1]["champion"], figures[2]["champion"]) == (True, False)
    assert (figures[1]["judged"], figures[1]["rmse"], figures[1]["bias"]) == (STEPS, 10.0, 10.0)
    assert (figures[2]["rmse"], figures[2]["coverage"]) == (0.0, 1.0)
    assert (said["pairs"], said["apart"]) == (STEPS, 10.0)
    assert said["drift"] == [{"version": 1, "windows": 1, "drifted": 1, "worst": 0.4, "point": "vibration"}]
    (normal,) = engineer.get("/v1/model-comparison", params={"model": "normal/pump"}).json()["scores"]
    assert (normal["machine_alarms"], normal["unfollowed"], normal["known"], normal["foreseen"]) == (1, 0, 1, 1)
