"""Alive, ready, measured; and refusing to serve in ways that would show too much."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.local.postgres import SUPERUSER, LocalPostgres
from services.api.server import make_server
from services.api.settings import ApiSettings
from tests.integration.api.conftest import Running, World, parse_type, serving
from tests.integration.api.test_isolation import ALL, is_problem

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def get(url: str, **options: Any) -> httpx2.Response:
    """Patiently: what a busy machine takes longer for is not wrong."""
    return httpx2.get(url, timeout=30, **options)


def test_alive_and_ready(api: Running) -> None:
    assert get(api.url + "/healthz").json() == {"status": "ok"}
    ready = get(api.url + "/readyz")
    assert ready.status_code == 200, ready.text
    assert ready.json()["checks"]["database"]["ok"] is True
    assert ready.json()["checks"]["sequencer"] == {"ok": True, "detail": "at work"}


def test_ready_says_when_telemetry_has_stopped(world: World) -> None:
    with serving(ApiSettings(world.api_dsn, fresh_within=30)) as api:
        answer = get(api.url + "/readyz")
        assert (answer.status_code, answer.json()["checks"]["telemetry"]["ok"]) == (503, False)
        world.execute("INSERT INTO servitize.stream_position (stream) VALUES ('embedded') ON CONFLICT DO NOTHING")
        world.execute("INSERT INTO servitize.stream_snapshot (stream, \"offset\", state) VALUES ('embedded', 0, '')")
        assert get(api.url + "/readyz").status_code == 200


def test_metrics_show_conservation_and_requests(api: Running, world: World) -> None:
    world.execute("INSERT INTO servitize.conservation VALUES ('embedded', 'stored', 42), ('embedded', 'duplicate', 3)")
    get(api.url + "/v1/nowhere")
    text = get(api.url + "/metrics").text
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["servitize_conservation_total", (("name", "stored"), ("stream", "embedded"))] == 42
    assert samples["servitize_dead_letter_readings", (("reason", "not-json"),)] == 2
    assert samples["servitize_api_requests_total", (("method", "any"), ("route", "unrouted"), ("status", "404"))] >= 1
    assert samples["servitize_outbox_pending", ()] == 0


def test_metrics_are_for_the_machine_itself(api: Running, world: World) -> None:
    proxied = {"X-Forwarded-For": "192.0.2.1"}
    is_problem(get(api.url + "/metrics", headers=proxied), 403)
    is_problem(get(api.url + "/metrics", headers={**proxied, "Authorization": f"Bearer {world.a.keys['all']}"}), 403)
    with serving(ApiSettings(world.api_dsn, metrics_token="t0ken")) as guarded:
        address = guarded.url + "/metrics"
        assert get(address, headers={**proxied, "Authorization": "Bearer t0ken"}).status_code == 200
        is_problem(get(address, headers={**proxied, "Authorization": "Bearer token"}), 403)


def test_the_contract_and_its_page(api: Running) -> None:
    with ThreadPoolExecutor(1) as first:
        contract = first.submit(lambda: get(api.url + "/openapi.json"))
        assert get(api.url + "/healthz").status_code == 200
        assert not contract.done()  # it takes seconds to make, in which others are answered
        document = contract.result().json()
    assert document["openapi"].startswith("3.1")
    page = get(api.url + "/docs")
    assert all(operation.path in page.text for operation in ALL)
    assert "<script" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "style-src 'sha256-" in page.headers["content-security-policy"]
    assert "id='not-found'" in page.text


def test_a_login_that_row_security_does_not_bind_is_refused(world: World, postgres: LocalPostgres) -> None:
    name = psycopg.conninfo.conninfo_to_dict(world.api_dsn)["dbname"]
    server = make_server(ApiSettings(postgres.dsn(SUPERUSER, str(name)), port=0), parse_type)
    thread = threading.Thread(target=_ends, args=(server,), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert not server.started


def _ends(server) -> None:
    try:
        server.run()
    except SystemExit:
        return


def test_the_database_goes_and_comes_back(world: World, postgres: LocalPostgres) -> None:
    """Connections are cut under the API: it says so, loses nothing, and is well again by itself."""
    with serving(ApiSettings(world.api_dsn, pool_timeout=1)) as api, api.client(world.a.keys["all"]) as a:
        assert a.get("/v1/me").status_code == 200
        with psycopg.connect(postgres.dsn(SUPERUSER), autocommit=True) as superuser:
            superuser.execute(
                b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'servitize-api'"
            )
        deadline = time.monotonic() + 20
        while True:
            answer = a.get("/v1/me")
            if answer.status_code == 200:
                break
            is_problem(answer, 503)
            assert "retry-after" in answer.headers
            assert time.monotonic() < deadline
        while get(api.url + "/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_it_starts_without_a_database_and_says_so() -> None:
    nowhere = "host=127.0.0.1 port=1 dbname=none user=servitize_api connect_timeout=1"
    with serving(ApiSettings(nowhere, pool_timeout=0.2)) as api:
        assert get(api.url + "/healthz").status_code == 200
        answer = get(api.url + "/readyz")
        assert (answer.status_code, answer.json()["checks"]) == (
            503,
            {"database": {"ok": False, "detail": "does not answer"}},
        )
        is_problem(get(api.url + "/v1/me", headers={"Authorization": "Bearer sv_000000000000_" + "A" * 43}), 503)


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    assert urlsplit(f"http://{ApiSettings('').host}").hostname == "127.0.0.1"
