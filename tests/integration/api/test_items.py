"""Serial numbers by API: a bearing through machines and a remanufacture, structure, verdict, passport, nameplate."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx2
import psycopg
import pytest

from core.time import SECOND, to_datetime
from services.api.moments import render
from tests.integration.api.conftest import T0, Running, World

pytestmark = pytest.mark.integration

START = to_datetime(T0 - T0 % SECOND)


def at(hours: float) -> str:
    return render(START + timedelta(hours=hours))


def registered(a: httpx2.Client, **order: Any) -> int:
    body = {"manufacturer": "Anvil Works", "designation": "Thing", "domain": "id.example.com", **order}
    made = a.post("/v1/items", json=body)
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


def done(a: httpx2.Client, item: int, deed: str, hours: float, **more: Any) -> httpx2.Response:
    return a.post(f"/v1/items/{item}/steps", json={"deed": deed, "at": at(hours), **more})


@pytest.fixture(scope="module")
def machines(world: World, api: Running) -> list[int]:
    """Two machines that run: P-1 from hour 0 on, P-2 half of the time."""
    with psycopg.connect(world.writer_dsn) as connection:
        for equipment, changes in (
            (world.a.equipment, [(-1, "stopped"), (0, "running"), (100, "stopped")]),
            (world.a.pending, [(-1, "stopped"), (0, "running"), (10, "stopped"), (20, "running"), (30, "stopped")]),
        ):
            for hours, state in changes:
                connection.execute(
                    b"INSERT INTO servitize.state_change VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                    [equipment, START + timedelta(hours=hours), state],
                )
    with api.client(world.a.keys["all"]) as a:
        found = []
        for key in ("P-1", "P-2"):
            number = registered(a, kind="pump", serial=f"S-{key}", equipment=key)
            assert done(a, number, "built", -1000).status_code == 201
            found.append(number)
        return found


def test_a_bearing_through_two_machines_and_a_remanufacture(
    machines: list[int], a: httpx2.Client, api: Running, world: World
) -> None:
    one, two = machines
    bearing = registered(a, kind="bearing", serial="B-4711", attributes={"country": "CH", "city": "Winterthur"})
    assert done(a, bearing, "installed", 1, host=one, position="de").status_code == 400  # nobody has built it yet
    assert done(a, bearing, "built", -500, cost="410.00").status_code == 201
    assert done(a, bearing, "installed", 0, host=one, position="de").status_code == 201
    assert done(a, bearing, "installed", 1, host=two, position="de").status_code == 409
    assert done(a, bearing, "removed", 5, host=one, position="de").status_code == 201
    assert done(a, bearing, "installed", 8, host=two, position="nde").status_code == 201
    removed = done(a, bearing, "removed", 25, host=two, position="nde", failed=True)
    assert removed.status_code == 201, removed.text
    limits = {"kind": "bearing", "design_hours": 1000, "lives": 3, "wear": {"clearance µm": [220.0, 260.0, 320.0]}}
    assert a.post("/v1/item-kinds", json=limits).status_code == 201
    inspected = done(a, bearing, "inspected", 26, measured={"clearance µm": 271.0}, cost="80")
    assert inspected.status_code == 201, inspected.text
    verdict = a.get(f"/v1/items/{bearing}/assessment").json()
    assert (verdict["grade"], verdict["missing"]) == ("remanufacture", [])
    assert "271" in verdict["reasons"][0]["text"]
    assert done(a, bearing, "remanufactured", 40, cost="190.50").status_code == 201
    assert done(a, bearing, "installed", 50, host=one, position="de").status_code == 201

    item = a.get(f"/v1/items/{bearing}").json()
    # P-1: 5 h; P-2 from 8 to 25: running 8-10 and 20-25 = 7 h
    first, second = item["lives"]
    assert (first["counted"]["hours"], first["ended"], first["failed"]) == (12.0, "remanufactured", True)
    assert [s["machine"] for s in first["stretches"]] == [one, two]
    assert first["stretches"][1]["counted"]["starts"] == 1.0
    assert second["counted"]["hours"] == 50.0
    assert item["cost"] == "680.5000"
    assert item["place"] == {"host": one, "position": "de", "machine": one}

    assert [p["item"] for p in a.get(f"/v1/items/{one}/structure").json()["parts"]] == [bearing]
    assert a.get(f"/v1/items/{one}/structure", params={"at": at(6)}).json()["parts"] == []
    assert a.get(f"/v1/items/{one}/structure", params={"as_built": "true"}).json()["parts"] == []
    assert [s["deed"] for s in a.get(f"/v1/items/{bearing}/steps").json()["items"]][-1] == "installed"
    scanned = "HTTPS://ID.EXAMPLE.COM/bearing/B-4711"
    assert [i["id"] for i in a.get("/v1/items", params={"identifier": scanned}).json()["items"]] == [bearing]

    life = a.get("/v1/item-kinds/bearing/life").json()
    assert (life["failures"], life["suspensions"], life["beta"]) == (1, 1, None)
    passport = a.get(f"/v1/items/{bearing}/passport")
    assert passport.status_code == 200, passport.text
    assert "B-4711" in passport.text
    assert a.get(f"/v1/items/{bearing}/passport/pdf").content.startswith(b"%PDF")
    with api.client(world.b.keys["all"]) as b:
        assert b.get(f"/v1/items/{bearing}").status_code == 404
        assert b.get("/v1/items").json()["items"] == []


def test_the_nameplate_is_read_by_another_implementation(machines: list[int], a: httpx2.Client) -> None:
    """aas-core3.0 is written by others from the metamodel itself, and checks every constraint of it."""
    from aas_core3 import jsonization, types, verification

    item = a.get("/v1/items", params={"kind": "pump", "serial": "S-P-1"}).json()["items"][0]
    document = a.get(f"/v1/items/{item['id']}/nameplate").json()
    environment = jsonization.environment_from_jsonable(json.loads(json.dumps(document)))
    assert [f"{error.path}: {error.cause}" for error in verification.verify(environment)] == []
    assert environment.asset_administration_shells
    assert environment.submodels
    (shell,) = environment.asset_administration_shells
    (submodel,) = environment.submodels
    assert shell.asset_information.global_asset_id == item["identifier"]
    assert submodel.semantic_id
    assert submodel.submodel_elements
    assert submodel.semantic_id.keys[0].value == "https://admin-shell.io/idta/nameplate/3/0/Nameplate"
    found = {e.id_short: e for e in submodel.submodel_elements}
    # what the template says there must be
    assert {"URIOfTheProduct", "ManufacturerName", "ManufacturerProductDesignation", "AddressInformation",
            "OrderCodeOfManufacturer"} <= set(found)  # fmt: skip
    assert isinstance(found["SerialNumber"], types.Property)
    assert found["SerialNumber"].value == "S-P-1"


def test_a_plan_and_a_types_reliability(machines: list[int], world: World, a: httpx2.Client) -> None:
    limits = {
        "kind": "pump", "design_hours": 1000,
        "intervals": [
            {"key": "inspection", "title": "Inspection", "hours": 150.0}, {"key": "oil", "title": "Oil", "days": 30}
        ],
    }  # fmt: skip
    assert a.post("/v1/item-kinds", json=limits).status_code == 201
    plan = a.get(f"/v1/items/{machines[0]}/plan").json()
    assert plan["hours"] == 100.0
    assert {due["key"]: due["hours_left"] for due in plan["due"]} == {"inspection": 50.0, "oil": None}
    window = {"from": at(-1), "to": at(200)}
    found = a.get("/v1/types/pump/reliability", params={**window, "down": "stopped"}).json()
    assert found["up_hours"] == 100.0  # P-2 waits for approval
    assert (found["machines"], found["failures"]) == (1, 2)  # stopped at first, and at the end
    assert a.get("/v1/types/nothing/reliability", params=window).status_code == 404
    equal = a.get("/v1/types/pump/equal-duty", params={**window, "duty": "vibration", "metric": "leakage"})
    assert equal.status_code == 400  # no hour with both
