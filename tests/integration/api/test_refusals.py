"""Every refusal is a problem document that says what was wrong and where; nothing is taken that was not meant."""

from __future__ import annotations

import socket
from typing import Any

import httpx2
import pytest

from tests.integration.api.conftest import Running, World
from tests.integration.api.test_isolation import ALL, V1, Operation, is_problem, send

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1", 404, "not-found"),
        ("GET", "/v1/equipment/", 404, "not-found"),
        ("DELETE", "/v1/equipment", 405, "method-not-allowed"),
        ("POST", "/healthz", 405, "method-not-allowed"),
        ("GET", "/v1/points/x", 422, "validation"),
        ("GET", "/v1/points/0", 422, "validation"),
        ("GET", "/v1/points/99999999999", 422, "validation"),
        ("GET", "/v1/equipment?limit=0", 422, "validation"),
        ("GET", "/v1/equipment?limit=1001", 422, "validation"),
        ("GET", "/v1/equipment?cursor=x", 400, "invalid-cursor"),
        ("GET", "/v1/equipment?cursor=%00", 400, "invalid-cursor"),
        ("GET", "/v1/equipment?health_below=nan", 422, "validation"),
        ("GET", "/v1/alarms?state=loud", 422, "validation"),
        ("GET", "/v1/alarms?standing=maybe", 422, "validation"),
        ("GET", "/v1/equipment/%00", 404, "not-found"),
        ("GET", "/v1/equipment/999999999999999999999999", 404, "not-found"),
        ("GET", "/v1/types/%00", 404, "not-found"),
        ("GET", "/v1/stream?after=-1", 422, "validation"),
    ],
)
def test_what_is_wrong_has_a_name(a: httpx2.Client, method: str, path: str, status: int, code: str) -> None:
    answer = a.request(method, path)
    is_problem(answer, status)
    assert answer.json()["type"] == f"/docs#{code}"
    assert (status == 405) == ("allow" in answer.headers)


@pytest.mark.parametrize("operation", ALL, ids=lambda o: o.id)
def test_unknown_query_parameters_are_refused(a: httpx2.Client, world: World, operation: Operation) -> None:
    address = operation.url(world, world.a)[0]
    answer = send(a, operation, f"{address}{'&' if '?' in address else '?'}limmit=5")
    is_problem(answer, 422)
    assert answer.json()["errors"][0]["parameter"] == "limmit"


def test_a_misspelt_parameter_is_recognised_and_a_repeated_one_refused(a: httpx2.Client) -> None:
    assert "did you mean 'limit'?" in a.get("/v1/alarms?limt=5").json()["detail"]
    is_problem(a.get("/v1/alarms?limit=5&limit=6"), 422)
    assert a.get("/v1/alarms?state=normal&state=shelved").status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"minutes": 5}, "/reason"),
        ({"minutes": "5", "reason": "x"}, "/minutes"),
        ({"minutes": -1, "reason": "x"}, "/minutes"),
        ({"minutes": 5, "reason": "x", "forever": True}, "/forever"),
        ({"reason": "x"}, ""),
        ({"reason": "", "minutes": 5}, "/reason"),
        ({"reason": "   ", "minutes": 5}, "/reason"),
        ({"reason": "x\u0000", "minutes": 5}, "/reason"),
        ({"reason": "x", "until": "2001-01-01T00:00:00Z"}, "/until"),
        ({"reason": "x", "until": "2199-01-01T00:00:00Z"}, "/until"),
        ({"reason": "x", "until": "2027-01-01T00:00:00"}, "/until"),
        ({"reason": "x", "until": True}, "/until"),
        ([], ""),
        ("x", ""),
    ],
)
def test_bodies_are_strict_and_the_pointer_leads_to_the_place(
    a: httpx2.Client, world: World, body: Any, pointer: str
) -> None:
    answer = a.post(f"/v1/alarms/{world.a.alarm}/shelve", json=body)
    is_problem(answer, 422)
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("body", [b"{", b"\xff", b"nul", b'{"minutes": NaN, "reason": "x"}', b"[" * 50_000])
def test_a_body_that_is_no_json(a: httpx2.Client, world: World, body: bytes) -> None:
    answer = a.post(f"/v1/alarms/{world.a.alarm}/shelve", content=body, headers={"content-type": "application/json"})
    is_problem(answer, answer.status_code)
    assert answer.status_code in (400, 422)


def test_a_body_that_is_too_large_with_or_without_a_length(a: httpx2.Client, world: World) -> None:
    address = f"/v1/alarms/{world.a.alarm}/acknowledge"
    is_problem(a.post(address, json={"comment": "x" * 70_000}), 413)
    is_problem(
        a.post(address, content=(b" " * 1000 for _ in range(70)), headers={"content-type": "application/json"}), 413
    )


@pytest.mark.parametrize(
    "query", ["from=yesterday", "from=2026-01-01", "from=2026-01-01T00:00:00", "to=1e400", "pixels=3"]
)
def test_times_need_a_zone(a: httpx2.Client, world: World, query: str) -> None:
    is_problem(a.get(f"/v1/points/{world.a.point}/readings?{query}"), 422)


def test_times_that_cannot_be(a: httpx2.Client, world: World) -> None:
    address = f"/v1/points/{world.a.point}/readings"
    is_problem(a.get(address, params={"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}), 422)
    is_problem(a.get(address, params={"from": "2026-02-30T00:00:00Z"}), 422)
    is_problem(a.get(address, params={"from": "0001-01-01T00:00:00+14:00"}), 422)
    is_problem(a.get(address, params={"pixels": 10, "limit": 5}), 422)
    is_problem(a.get(f"/v1/points/{world.a.point}/gaps", params={"longer_than": "soon"}), 400)
    is_problem(a.get(f"/v1/points/{world.a.point}/gaps", params={"longer_than": "0 s"}), 422)


def test_a_plus_that_nobody_escaped_is_understood(a: httpx2.Client, world: World) -> None:
    answer = a.get(f"/v1/points/{world.a.point}/readings?from=2026-05-28T22:26:40+02:00&limit=1")
    assert answer.json()["from"] == "2026-05-28T20:26:40Z"


@pytest.mark.parametrize("operation", V1[:1] + ALL[-3:], ids=lambda o: o.id)
def test_every_answer_carries_the_security_headers(a: httpx2.Client, world: World, operation: Operation) -> None:
    answer = send(a, operation, operation.url(world, world.a)[0])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] in ("no-store", "no-cache")
    assert len(answer.headers["x-request-id"]) == 16
    assert "server" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


def test_other_sites_scripts_get_no_permission(a: httpx2.Client) -> None:
    answer = a.options(
        "/v1/me", headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    )
    is_problem(answer, 405)
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_request_that_is_cut_off_breaks_nothing(api: Running, a: httpx2.Client, world: World) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(b"POST /v1/alarms/1/acknowledge HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert a.get("/v1/me").status_code == 200
