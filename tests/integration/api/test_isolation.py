"""No route shows or changes what is another organisation's. The routes come out of the OpenAPI document, so none is
forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from services.api.app import create_app
from services.api.settings import ApiSettings
from tests.integration.api.conftest import Party, Running, World, parse_type

pytestmark = [pytest.mark.integration, pytest.mark.isolation]

BODIES: dict[str, dict[str, Any]] = {
    "shelve_alarm": {"minutes": 5, "reason": "test"},
    "change_equipment": {"name": "mine now"},
    "register_equipment": {"key": "P-9", "type": "pump"},
    "register_device": {"gateway": "hall-9"},
    "give_grant": {"equipment": "1", "tenant": "partner", "rights": "read"},
}
"""A valid body for each operation that needs one: a refusal is then about whose it is."""


@dataclass(frozen=True)
class Operation:
    """One operation of the document. ``parameters``: names in its path."""

    id: str
    method: str
    path: str
    parameters: tuple[str, ...]
    queries: tuple[str, ...]
    document: dict[str, Any]

    def url(self, party: Party) -> list[str]:
        """The address filled with every kind of thing of the party's that the place could mean."""
        values: dict[str, list[Any]] = {
            "equipment": [party.equipment, party.pending],
            "point": [party.point],
            "alarm": [party.alarm],
            "letter": [party.dead_letter],
            "grant": [party.grant],
            "device": [party.device],
            "key": ["theirs"],
        }
        addresses = [self.path]
        for name in self.parameters:
            addresses = [a.replace("{" + name + "}", str(v)) for a in addresses for v in values[name]]
        return addresses


def operations() -> Iterator[Operation]:
    app = create_app(ApiSettings("host=nowhere"), parse_type)
    for path, methods in app.openapi()["paths"].items():
        for method, document in methods.items():
            parameters = document.get("parameters", [])
            yield Operation(
                document["operationId"],
                method,
                path,
                tuple(p["name"] for p in parameters if p["in"] == "path"),
                tuple(p["name"] for p in parameters if p["in"] == "query"),
                document,
            )


ALL = list(operations())
V1 = [o for o in ALL if o.path.startswith("/v1/")]
WITH_ID = [o for o in V1 if o.parameters]
LISTS = [o for o in V1 if o.method == "get" and not o.parameters and o.id != "event_stream"]  # test_stream.py
NAMED = {o.id: o for o in ALL}


def send(client: httpx2.Client, operation: Operation, address: str) -> httpx2.Response:
    if operation.id == "event_stream":
        with client.stream(operation.method, address) as answer:
            if answer.status_code != 200:
                answer.read()
            return answer
    return client.request(operation.method, address, json=BODIES.get(operation.id))


def is_problem(answer: httpx2.Response, status: int) -> bool:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code == status, (str(answer.request.url), answer.text)
    assert document["type"].startswith("/docs#")
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == answer.request.url.path
    return True


@pytest.fixture(scope="module", autouse=True)
def _type_of_b(world: World) -> None:
    """A type that only B has."""
    world.as_owner(
        "INSERT INTO servitize.equipment_type (key, tenant_id, name, version, document)"
        " VALUES ('theirs', %s, 'Theirs', 1, '{\"type\": \"theirs\"}')",
        [world.b.id],
    )


@pytest.mark.parametrize("operation", WITH_ID, ids=lambda o: o.id)
def test_what_belongs_to_others_does_not_exist(api: Running, world: World, operation: Operation) -> None:
    with api.client(world.a.keys["all"]) as a:
        for address in operation.url(world.b):
            foreign = send(a, operation, address)
            is_problem(foreign, 404)
        nowhere = send(a, operation, operation.path.format_map(dict.fromkeys(operation.parameters, "987654321")))
        is_problem(nowhere, 404)
        # and nobody can tell the two apart
        assert {**foreign.json(), "instance": ""} == {**nowhere.json(), "instance": ""}


@pytest.mark.parametrize("operation", [o for o in V1 if "equipment" in o.queries], ids=lambda o: o.id)
def test_filters_by_foreign_equipment_find_nothing(api: Running, world: World, operation: Operation) -> None:
    with api.client(world.a.keys["all"]) as a:
        address = operation.path.format_map({"point": world.a.point, "alarm": world.a.alarm})
        is_problem(a.get(address, params={"equipment": world.b.equipment}), 404)


def test_bodies_that_name_what_is_foreign_are_refused(api: Running, world: World) -> None:
    with api.client(world.a.keys["all"]) as a:
        order = {"equipment": str(world.b.equipment), "tenant": "partner", "rights": "manage"}
        is_problem(a.post("/v1/grants", json=order), 404)
        is_problem(a.post("/v1/equipment", json={"key": "X", "type": "theirs"}), 400)


@pytest.mark.parametrize("operation", LISTS, ids=lambda o: o.id)
def test_lists_hold_nothing_of_others(api: Running, world: World, operation: Operation) -> None:
    with api.client(world.a.keys["all"]) as a:
        text = a.get(operation.path).text
    for foreign in ("brook", "Brook", "theirs"):
        assert foreign not in text


def test_a_grant_shows_what_it_grants_and_no_more(api: Running, world: World) -> None:
    with api.client(world.partner.keys["all"]) as partner:
        items = partner.get("/v1/equipment").json()["items"]
        assert [(e["id"], e["rights"], e["tenant"]) for e in items] == [
            (world.a.pending, "read", "anvil"),
            (world.b.pending, "read", "brook"),
        ]
        assert [e["site"] for e in items] == [None, None]
        is_problem(partner.get(f"/v1/equipment/{world.a.equipment}"), 404)
        is_problem(partner.patch(f"/v1/equipment/{world.a.pending}", json={"name": "x"}), 403)
        assert [g["owner"] for g in partner.get("/v1/grants?given=false").json()["items"]] == ["anvil", "brook"]


@pytest.mark.parametrize("operation", V1, ids=lambda o: o.id)
def test_without_a_key_nothing_is_answered(api: Running, world: World, operation: Operation) -> None:
    with api.client(None) as nobody, api.client("sv_000000000000_" + "A" * 43) as stranger:
        for client in (nobody, stranger):
            answer = send(client, operation, operation.url(world.a)[0])
            is_problem(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header", [b"", b"Bearer", b"Bearer x", b"Basic YTpi", b"Bearer sv_\xc3\xa9", b"Bearer sv_" + b"x" * 5000]
)
def test_what_is_no_key_is_no_key(api: Running, header: bytes) -> None:
    is_problem(httpx2.get(api.url + "/v1/me", headers=[(b"authorization", header)]), 401)


def test_a_wrong_secret_a_revoked_and_an_expired_key_are_the_same_as_none(api: Running, world: World) -> None:
    key = world.a.keys["read"]
    prefix = key.split("_")[1]
    with api.client(key[:-1] + ("a" if key[-1] != "a" else "b")) as wrong, api.client(key) as right:
        first = wrong.get("/v1/me")
        is_problem(first, 401)
        assert right.get("/v1/me").status_code == 200
        world.as_owner("UPDATE servitize.api_key SET expires_at = now() WHERE prefix = %s", [prefix])
        assert right.get("/v1/me").json() == first.json()
        world.as_owner("UPDATE servitize.api_key SET expires_at = NULL, revoked_at = now() WHERE prefix = %s", [prefix])
        assert right.get("/v1/me").json() == first.json()
        world.as_owner("UPDATE servitize.api_key SET revoked_at = NULL WHERE prefix = %s", [prefix])
        assert right.get("/v1/me").status_code == 200


@pytest.mark.parametrize("operation", V1, ids=lambda o: o.id)
def test_a_key_without_the_scope_is_told_so(api: Running, world: World, operation: Operation) -> None:
    with api.client(world.a.keys["none"]) as client:
        is_problem(send(client, operation, operation.url(world.a)[0]), 403)


@pytest.mark.parametrize("operation", [o for o in V1 if o.method != "get"], ids=lambda o: o.id)
def test_reading_is_not_writing(api: Running, world: World, operation: Operation) -> None:
    with api.client(world.a.keys["read"]) as client:
        is_problem(send(client, operation, operation.url(world.a)[0]), 403)


def test_every_operation_is_documented_with_an_example() -> None:
    for operation in ALL:
        assert operation.document["summary"], operation.id
        assert operation.document["description"], operation.id
        success = next(r for s, r in operation.document["responses"].items() if s.startswith("2"))
        if "content" in success:
            (content,) = success["content"].values()
            assert content.get("examples") or content.get("example"), operation.id
        if operation.path.startswith("/v1/"):
            assert {"401", "403", "422", "503"} <= operation.document["responses"].keys(), operation.id
            assert operation.document["security"], operation.id


def test_there_is_a_way_into_every_room() -> None:
    assert len(WITH_ID) >= 18
    assert set(BODIES) <= set(NAMED)
