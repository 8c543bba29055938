"""No route shows or changes what is another organisation's. The routes come out of the OpenAPI document, so none is
forgotten."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from services.api.access import Role
from services.api.app import create_app
from services.api.settings import ApiSettings
from tests.integration.api.conftest import Party, Running, World, parse_type
from tests.integration.api.foreign import FOREIGN, things

pytestmark = [pytest.mark.integration, pytest.mark.isolation]


SPAN = {"from": "2026-05-01T00:00:00Z", "to": "2026-05-02T00:00:00Z"}


@dataclass(frozen=True)
class Operation:
    """One operation of the document. ``parameters``: names in its path."""

    id: str
    method: str
    path: str
    parameters: tuple[str, ...]
    queries: tuple[str, ...]
    document: dict[str, Any]
    body: Any

    def url(self, world: World, party: Party) -> list[str]:
        """The address filled with every kind of thing of the party's that the place could mean."""
        return self.filled(lambda name: things(world, party, name))

    def filled(self, found: Callable[[str], Sequence[Any]]) -> list[str]:
        """The address with each place filled by what ``found`` gives, and the query parameters that it cannot do
        without."""
        needed = {
            p["name"]: SPAN.get(p["name"]) or [*p["schema"].get("examples", ()), "2026-05"][0]
            for p in self.document.get("parameters", [])
            if p["in"] == "query" and p["required"]
        }
        addresses = [self.path + ("?" + urlencode(needed) if needed else "")]
        for name in self.parameters:
            addresses = [a.replace("{" + name + "}", str(v)) for a in addresses for v in found(name)]
        return addresses

    @property
    def roles(self) -> set[str]:
        """Who may, as the document says."""
        return set(self.document["x-roles"])


DOCUMENT = create_app(ApiSettings("host=nowhere"), parse_type).openapi()


MISSING = {"an example": "is missing"}


def example(operation: dict[str, Any]) -> Any:
    """A valid body of the operation, as its schema's example gives it, so that a refusal is about whose it is."""
    if "requestBody" not in operation:
        return None
    media = operation["requestBody"]["content"].get("application/json")
    if media is None:
        return None
    options = media["schema"].get("anyOf", [media["schema"]])
    for option in options:
        if "$ref" in option:
            option = DOCUMENT["components"]["schemas"][option["$ref"].rsplit("/", 1)[1]]
        if option.get("examples"):
            return option["examples"][0]
    return MISSING


def operations() -> Iterator[Operation]:
    for path, methods in DOCUMENT["paths"].items():
        for method, document in methods.items():
            parameters = document.get("parameters", [])
            yield Operation(
                document["operationId"],
                method,
                path,
                tuple(p["name"] for p in parameters if p["in"] == "path"),
                tuple(p["name"] for p in parameters if p["in"] == "query"),
                document,
                example(document),
            )


ALL = list(operations())
V1 = [o for o in ALL if o.path.startswith("/v1/")]
WITH_ID = [o for o in V1 if o.parameters]
LISTS = [o for o in V1 if o.method == "get" and not o.parameters and o.id != "event_stream"]  # test_stream.py
NEW_NAMES = {
    ("register_equipment", "key"),
    ("add_issuer", "issuer"),
    ("keep_part", "key"),
    ("keep_crew", "key"),
    ("move_stock", "kind"),
    ("enter_work", "kind"),
    ("enter_work", "item"),
    ("schedule_work", "crew"),
    ("register_item", "kind"),
    ("put_item_kind", "kind"),
    ("complete_work", "outcome"),
    ("put_contract_record", "kind"),
    ("start_rollout", "key"),
    ("wish_property", "key"),
    ("add_endpoint", "kind"),
}
"""Members of a body that name something new, or one of a few words, or a property of the addressed machine; not
something there is. The kinds of items are each organisation's own words: B's word used by A is a kind of A's."""
WITH_BODY = [
    (o, name) for o in V1 for name in sorted(FOREIGN.keys() & (o.body or {}).keys()) if (o.id, name) not in NEW_NAMES
]


def send(client: httpx2.Client, operation: Operation, address: str) -> httpx2.Response:
    if operation.id == "event_stream":
        with client.stream(operation.method, address) as answer:
            if answer.status_code != 200:
                answer.read()
            return answer
    kinds = operation.document.get("requestBody", {}).get("content", {"application/json": None})
    if "application/json" not in kinds:
        return client.request(operation.method, address, content=b"\xff\xd8\xff", headers={"content-type": min(kinds)})
    return client.request(operation.method, address, json=operation.body)


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
    """For every role: 403 where the route's rule keeps it out, whosever the thing is; else 404, as if it were not."""
    for role in Role:
        a = api.known(world.a.keys[f"role:{role}"])
        if role not in operation.roles:
            is_problem(send(a, operation, operation.url(world, world.b)[0]), 403)
            continue
        for address in operation.url(world, world.b):
            foreign = send(a, operation, address)
            is_problem(foreign, 404)
        nowhere = send(a, operation, operation.filled(lambda name: [987654321])[0])
        is_problem(nowhere, 404)
        # and nobody can tell the two apart
        assert {**foreign.json(), "instance": ""} == {**nowhere.json(), "instance": ""}


@pytest.mark.parametrize("operation", V1, ids=lambda o: o.id)
def test_the_rule_of_a_route_is_what_the_document_says(api: Running, world: World, operation: Operation) -> None:
    assert operation.roles, "a route that no role may use"
    for role in set(Role) - operation.roles:
        a = api.known(world.a.keys[f"role:{role}"])
        is_problem(send(a, operation, operation.url(world, world.a)[0]), 403)
    if operation.method == "get":
        for allowed in operation.roles:
            a = api.known(world.a.keys[f"role:{allowed}"])
            assert send(a, operation, operation.url(world, world.a)[0]).status_code in (200, 400, 404, 409)


@pytest.mark.parametrize(("operation", "name"), WITH_BODY, ids=lambda o: getattr(o, "id", o))
def test_a_body_that_names_what_is_anothers_is_refused(
    api: Running, world: World, operation: Operation, name: str
) -> None:
    a = api.known(world.a.keys["all"])
    told = []
    for thing in (*things(world, world.b, name), 987654321):
        body = {**operation.body, name: type(operation.body[name])(thing)}
        answer = a.request(operation.method, operation.url(world, world.a)[0], json=body)
        assert answer.status_code in (400, 404), answer.text
        # the instance is the address that was asked, of A's own; its numbers may be the thing's by chance
        said = json.dumps({**answer.json(), "instance": ""})
        told.append((answer.status_code, re.sub(rf"\b{re.escape(str(thing))}\b", "?", said)))
    # the same as of what is not there at all
    assert len(set(told)) == 1


@pytest.mark.parametrize("operation", [o for o in V1 if "equipment" in o.queries], ids=lambda o: o.id)
def test_filters_by_foreign_equipment_find_nothing(api: Running, world: World, operation: Operation) -> None:
    a = api.known(world.a.keys["all"])
    (address, *_) = operation.url(world, world.a)
    is_problem(a.get(address, params={"equipment": world.b.equipment}), 404)


def test_bodies_that_name_what_is_foreign_are_refused(api: Running, world: World) -> None:
    a = api.known(world.a.keys["all"])
    order = {"equipment": str(world.b.equipment), "tenant": "partner", "rights": "manage"}
    is_problem(a.post("/v1/grants", json=order), 404)
    is_problem(a.post("/v1/equipment", json={"key": "X", "type": "theirs"}), 400)


@pytest.mark.parametrize("operation", LISTS, ids=lambda o: o.id)
def test_lists_hold_nothing_of_others(api: Running, world: World, operation: Operation) -> None:
    a = api.known(world.a.keys["all"])
    text = a.get(operation.path).text
    for foreign in ("brook", "Brook", "theirs"):
        assert foreign not in text


def test_a_grant_shows_what_it_grants_and_no_more(api: Running, world: World) -> None:
    partner = api.known(world.partner.keys["all"])
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
    for client in (api.known(None), api.known("sv_000000000000_" + "A" * 43)):
        answer = send(client, operation, operation.url(world, world.a)[0])
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
    client = api.known(world.a.keys["none"])
    is_problem(send(client, operation, operation.url(world, world.a)[0]), 403)


def test_every_operation_is_documented_with_an_example() -> None:
    for operation in ALL:
        assert operation.document["summary"], operation.id
        assert operation.document["description"], operation.id
        success = next(r for s, r in operation.document["responses"].items() if s.startswith("2"))
        if "content" in success:
            for media, content in success["content"].items():
                assert content.get("examples") or content.get("example"), (operation.id, media)
        if operation.path.startswith("/v1/"):
            assert {"401", "403", "422", "429", "503"} <= operation.document["responses"].keys(), operation.id
            assert operation.document["security"], operation.id


@pytest.mark.parametrize("operation", ALL, ids=lambda o: o.id)
def test_a_body_has_an_example_in_its_schema(operation: Operation) -> None:
    assert operation.body is not MISSING, 'model_config = ConfigDict(json_schema_extra={"examples": [{…}]})'


def test_there_is_a_way_into_every_room() -> None:
    assert len(WITH_ID) >= 26
    assert len(V1) >= 45
