"""Keys, users and issuers: who may do what, and how it is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from services.api.access import ROLES, Role
from services.api.settings import ApiSettings
from services.vetted import OutboundPolicy
from tests.integration.api.conftest import DEVICE_MASTER, Running, World, serving
from tests.integration.api.issuer import Provider
from tests.integration.api.issuer import running as provider_running
from tests.integration.api.test_isolation import is_problem

pytestmark = pytest.mark.integration

LOOPBACK = OutboundPolicy(allowed=(ip_network("127.0.0.0/8"),))


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with provider_running() as found:
        yield found


@pytest.fixture(scope="module")
def api(world: World) -> Iterator[Running]:
    """One API that may ask issuers on this machine."""
    with serving(ApiSettings(world.api_dsn, heartbeat=0.3, device_master=DEVICE_MASTER, outbound=LOOPBACK)) as running:
        yield running


def add_issuer(admin: httpx2.Client, provider: Provider, audience: str, **more: Any) -> int:
    order = {"name": "Works", "issuer": provider.url, "audience": audience, **more}
    answer = admin.post("/v1/issuers", json=order)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


class TestTokens:
    def test_a_role_in_the_token_opens_what_the_role_may(
        self, a: httpx2.Client, api: Running, provider: Provider
    ) -> None:
        add_issuer(a, provider, "by-claim", role_claim="realm.roles", role_map={"Instandhaltung": "engineer"})
        token = provider.token("kim", "by-claim", realm={"roles": ["Instandhaltung", "offline_access"]})
        with api.client(token) as kim:
            me = kim.get("/v1/me").json()
            assert me["tenant"]["key"] == "anvil"
            assert (me["role"], set(me["scopes"])) == ("engineer", {s.value for s in ROLES[Role.ENGINEER]})
            assert me["user"]["subject"] == "kim"
            assert me["api_key"] is None
            assert kim.get("/v1/equipment").status_code == 200
            is_problem(kim.get("/v1/keys"), 403)
        users = a.get("/v1/users").json()["items"]
        assert ("kim", "kim@example.com") in [(u["subject"], u["email"]) for u in users]

    def test_what_an_administrator_gave_wins_and_switching_off_works_at_once(
        self, a: httpx2.Client, api: Running, provider: Provider
    ) -> None:
        issuer = add_issuer(a, provider, "by-row")
        with api.client(provider.token("lee", "by-row")) as lee:
            is_problem(lee.get("/v1/equipment"), 403)  # nobody has given a role
            user = next(u for u in a.get("/v1/users").json()["items"] if u["subject"] == "lee")
            changed = a.patch(f"/v1/users/{user['id']}", json={"role": "viewer"})
            assert changed.json()["role"] == "viewer"
            assert lee.get("/v1/equipment").status_code == 200
            a.patch(f"/v1/users/{user['id']}", json={"disabled": True})
            is_problem(lee.get("/v1/equipment"), 401)
            a.patch(f"/v1/users/{user['id']}", json={"disabled": False})
            assert lee.get("/v1/equipment").status_code == 200
            a.patch(f"/v1/issuers/{issuer}", json={"enabled": False})
            is_problem(lee.get("/v1/equipment"), 401)

    def test_a_user_expected_has_his_role_when_he_comes(
        self, a: httpx2.Client, api: Running, provider: Provider
    ) -> None:
        issuer = add_issuer(a, provider, "expected")
        made = a.post("/v1/users", json={"issuer": issuer, "subject": "pat", "role": "auditor"})
        assert made.status_code == 201
        with api.client(provider.token("pat", "expected")) as pat:
            assert pat.get("/v1/me").json()["user"]["id"] == made.json()["id"]
            entries = pat.get("/v1/audit", params={"action": "user"}).json()["items"]
        assert entries[0]["action"] == "user.added"
        assert "brook" not in str(entries)

    def test_what_users_do_is_in_journal_and_audit_under_their_name(
        self, a: httpx2.Client, api: Running, provider: Provider, world: World
    ) -> None:
        add_issuer(a, provider, "operators", default_role="operator")
        with api.client(provider.token("sam", "operators")) as sam:
            done = sam.post(f"/v1/alarms/{world.a.alarm}/acknowledge", json={"comment": "seen"})
            assert done.status_code == 200
            who = sam.get("/v1/me").json()["user"]["id"]
            entry = sam.get(f"/v1/alarms/{world.a.alarm}/journal").json()["items"][0]
        assert entry["actor"] == f"user:{who}:sam"

    def test_a_token_two_organisations_take_needs_the_name_of_one(
        self, a: httpx2.Client, api: Running, provider: Provider, world: World
    ) -> None:
        with api.client(world.b.keys["all"]) as b:
            for client in (a, b):
                add_issuer(client, provider, "both", default_role="viewer")
        with api.client(provider.token("max", "both")) as both:
            is_problem(both.get("/v1/me"), 401)
            for slug in ("anvil", "brook"):
                answer = both.get("/v1/me", headers={"Servitize-Tenant": slug})
                assert answer.json()["tenant"]["key"] == slug
            is_problem(both.get("/v1/me", headers={"Servitize-Tenant": "partner"}), 401)

    def test_a_stream_ends_with_the_user(self, a: httpx2.Client, api: Running, provider: Provider) -> None:
        add_issuer(a, provider, "watchers", default_role="viewer")
        with (
            api.client(provider.token("eve", "watchers")) as eve,
            eve.stream("GET", "/v1/stream") as stream,
        ):
            lines = stream.iter_lines()
            assert "ready" in next(lines)
            user = next(u for u in a.get("/v1/users").json()["items"] if u["subject"] == "eve")
            a.patch(f"/v1/users/{user['id']}", json={"disabled": True})
            began = time.monotonic()
            for _ in lines:
                assert time.monotonic() - began < 10


class TestTokensThatDoNotHold:
    @pytest.fixture(autouse=True)
    def claims(self, api: Running, world: World, provider: Provider) -> dict[str, Any]:
        """What the issuer could have signed."""
        with api.client(world.a.keys["all"]) as a:
            if "strict" not in {i["audience"] for i in a.get("/v1/issuers").json()["items"]}:
                add_issuer(a, provider, "strict", default_role="admin")
        return {"iss": provider.url, "aud": "strict", "sub": "mallory", "exp": int(time.time()) + 600}

    def refused(self, api: Running, token: str) -> str:
        with api.client(token) as mallory:
            answer = mallory.get("/v1/keys")
        is_problem(answer, 401)
        return str(answer.json()["detail"])

    def test_one_of_the_issuers_own_holds(self, api: Running, provider: Provider, claims: dict[str, Any]) -> None:
        with api.client(provider.token("root", "strict")) as root:
            assert root.get("/v1/keys").status_code == 200

    def test_another_key(self, api: Running, claims: dict[str, Any]) -> None:
        key = RSAKey.generate_key(2048)
        assert "does not hold" in self.refused(api, jwt.encode({"alg": "RS256"}, claims, key))
        assert "does not hold" in self.refused(api, jwt.encode({"alg": "RS256", "kid": "x"}, claims, key))

    def test_the_public_key_as_a_shared_secret(self, api: Running, provider: Provider, claims: dict[str, Any]) -> None:
        (public,) = httpx2.get(f"{provider.url}/jwks").json()["keys"]
        pem = RSAKey.import_key(public).as_pem(private=False)
        secret = OctKey.import_key(pem.replace(b"-----", b""))
        header = {"alg": "HS256", "kid": public.get("kid", "")}
        assert "signed in a way" in self.refused(api, jwt.encode(header, claims, secret))

    def test_no_signature(self, api: Running, provider: Provider) -> None:
        head, body, signature = provider.token("mallory", "strict").split(".")
        none = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
        self.refused(api, f"{none}.{body}.")
        self.refused(api, f"{none}.{body}.{signature}")
        self.refused(api, f"{head}.{body}.")
        self.refused(api, f"{head}.{body}.{signature[:-6]}AAAAAA")

    def test_a_body_that_was_changed(self, api: Running, provider: Provider) -> None:
        mine, theirs = provider.token("mallory", "strict").split("."), provider.token("root", "strict").split(".")
        self.refused(api, ".".join([mine[0], theirs[1], mine[2]]))

    def test_another_audience_or_issuer(self, api: Running, provider: Provider, claims: dict[str, Any]) -> None:
        assert "nobody here" in self.refused(api, provider.token("mallory", "something-else"))
        key = RSAKey.generate_key(2048)
        strange = jwt.encode({"alg": "RS256"}, {**claims, "iss": "https://evil.example"}, key)
        assert "nobody here" in self.refused(api, strange)

    def test_one_that_has_ended(self, api: Running, world: World) -> None:
        with provider_running(max_age=-100) as old, api.client(world.a.keys["all"]) as a:
            add_issuer(a, old, "old", default_role="admin")
            assert "expired" in self.refused(api, old.token("late", "old"))

    def test_an_issuer_that_is_away_or_where_it_must_not_be(self, api: Running, world: World) -> None:
        key = RSAKey.generate_key(2048)
        with api.client(world.a.keys["all"]) as a:
            for number, address in enumerate(("http://127.0.0.1:1", "https://10.1.2.3", "http://169.254.169.254")):
                a.post(
                    "/v1/issuers",
                    json={"name": "x", "issuer": address, "audience": f"gone{number}", "default_role": "admin"},
                )
                claims = {"iss": address, "aud": f"gone{number}", "sub": "x", "exp": int(time.time()) + 600}
                said = self.refused(api, jwt.encode({"alg": "RS256"}, claims, key))
                assert "keys of the token's issuer cannot be had" in said

    @pytest.mark.parametrize("text", ["a.b.c", "..", "e30.e30.e30", "e30.bnVsbA.x", "x" * 9000 + ".a.b"])
    def test_what_is_no_token(self, api: Running, text: str) -> None:
        self.refused(api, text)


class TestKeys:
    def test_a_key_is_made_shown_once_renamed_and_revoked(self, a: httpx2.Client, api: Running) -> None:
        made = a.post("/v1/keys", json={"name": "display", "role": "operator", "scopes": ["read"]})
        assert made.status_code == 201
        text, number = made.json()["key"], made.json()["id"]
        assert made.json()["scopes"] == ["read"]
        assert text not in a.get("/v1/keys").text
        with api.client(text) as display:
            assert display.get("/v1/alarms").status_code == 200
            a.patch(f"/v1/keys/{number}", json={"name": "hall"})
            assert a.get(made.headers["location"]).json()["name"] == "hall"
            assert a.delete(f"/v1/keys/{number}").status_code == 204
            is_problem(display.get("/v1/alarms"), 401)

    def test_nobody_gives_what_he_has_not(self, a: httpx2.Client, api: Running) -> None:
        made = a.post("/v1/keys", json={"name": "clerk", "role": "admin", "scopes": ["administer"]})
        with api.client(made.json()["key"]) as clerk:
            is_problem(clerk.post("/v1/keys", json={"name": "more", "role": "viewer"}), 403)
            issuer = a.get("/v1/issuers").json()["items"]
            if issuer:
                order = {"issuer": issuer[0]["id"], "subject": "me", "role": "admin"}
                is_problem(clerk.post("/v1/users", json=order), 403)
        is_problem(a.post("/v1/keys", json={"name": "x", "role": "viewer", "scopes": ["manage"]}), 422)


class TestSentAgain:
    def test_it_is_done_once_and_answered_the_same(self, a: httpx2.Client) -> None:
        order = {"name": "once", "role": "viewer"}
        first, second = (a.post("/v1/keys", json=order, headers={"Idempotency-Key": "k-1"}) for _ in range(2))
        assert first.status_code == second.status_code == 201
        assert first.json() == second.json()  # the secret too, though nobody has kept it in the open
        assert second.headers["idempotency-replayed"] == "true"
        assert first.headers["location"] == second.headers["location"]
        assert sum(k["name"] == "once" for k in a.get("/v1/keys?limit=1000").json()["items"]) == 1

    def test_the_answer_is_not_kept_in_the_open(self, a: httpx2.Client, world: World) -> None:
        made = a.post("/v1/keys", json={"name": "s", "role": "viewer"}, headers={"Idempotency-Key": "k-2"})
        kept = world.execute("SELECT string_agg(r::text, '') FROM servitize.request_memory r")[0][0]
        stored = bytes(world.execute("SELECT string_agg(answer, '') FROM servitize.request_memory")[0][0])
        assert made.json()["key"].encode() not in stored
        assert "k-2" not in kept

    def test_the_key_of_another_request_is_refused(self, a: httpx2.Client) -> None:
        key = {"Idempotency-Key": "k-3"}
        a.post("/v1/keys", json={"name": "one", "role": "viewer"}, headers=key)
        is_problem(a.post("/v1/keys", json={"name": "two", "role": "viewer"}, headers=key), 422)
        is_problem(a.post("/v1/keys", json={"name": "x", "role": "viewer"}, headers={"Idempotency-Key": "a b"}), 422)

    def test_what_was_refused_may_be_tried_again(self, a: httpx2.Client) -> None:
        key = {"Idempotency-Key": "k-4"}
        is_problem(a.post("/v1/keys", json={"name": "x", "role": "viewer", "scopes": ["plan"]}, headers=key), 422)
        assert a.post("/v1/keys", json={"name": "x", "role": "viewer"}, headers=key).status_code == 201

    def test_another_asker_has_keys_of_his_own(self, a: httpx2.Client, api: Running, world: World) -> None:
        order, key = {"name": "mine", "role": "viewer"}, {"Idempotency-Key": "k-5"}
        with api.client(world.b.keys["all"]) as b:
            assert (
                a.post("/v1/keys", json=order, headers=key).json() != b.post("/v1/keys", json=order, headers=key).json()
            )

    def test_twenty_at_once_do_it_once(self, api: Running, world: World) -> None:
        answers: list[httpx2.Response] = []

        def send() -> None:
            with api.client(world.a.keys["all"]) as client:
                order = {"name": "at once", "role": "viewer"}
                answers.append(client.post("/v1/keys", json=order, headers={"Idempotency-Key": "k-6"}))

        threads = [threading.Thread(target=send) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [201] * 20
        assert len({answer.text for answer in answers}) == 1
        assert sum("idempotency-replayed" in answer.headers for answer in answers) == 19


class TestVersions:
    def test_a_change_of_what_somebody_else_changed_is_refused(self, a: httpx2.Client) -> None:
        made = a.post("/v1/issuers", json={"name": "v", "issuer": "https://v.example", "audience": "v"}).json()
        place = f"/v1/issuers/{made['id']}"
        tag = a.get(place).headers["etag"]
        assert a.get(place, headers={"If-None-Match": tag}).status_code == 304
        assert a.patch(place, json={"name": "w"}, headers={"If-Match": tag}).status_code == 200
        is_problem(a.patch(place, json={"name": "x"}, headers={"If-Match": tag}), 412)
        assert a.get(place).json()["name"] == "w"

    def test_an_alarm_and_an_equipment_too(self, a: httpx2.Client, world: World) -> None:
        alarm, machine = f"/v1/alarms/{world.a.alarm}", f"/v1/equipment/{world.a.equipment}"
        tag = a.get(alarm).headers["etag"]
        order = {"minutes": 5, "reason": "test"}
        assert a.post(f"{alarm}/shelve", json=order, headers={"If-Match": tag}).status_code == 200
        is_problem(a.post(f"{alarm}/unshelve", headers={"If-Match": tag}), 412)
        assert a.post(f"{alarm}/unshelve").status_code == 200
        tag = a.get(machine).headers["etag"]
        assert a.patch(machine, json={"name": "A"}, headers={"If-Match": tag}).status_code == 200
        is_problem(a.patch(machine, json={"name": "B"}, headers={"If-Match": tag}), 412)

    def test_keys_and_grants_too(self, a: httpx2.Client) -> None:
        key = a.post("/v1/keys", json={"name": "v", "role": "viewer"}).json()["id"]
        given = {"equipment": "P-1", "tenant": "brook", "rights": "read"}
        grant = a.post("/v1/grants", json=given).json()["id"]
        for place, change in ((f"/v1/keys/{key}", "patch"), (f"/v1/grants/{grant}", "delete")):
            tag = a.get(place).headers["etag"]
            order = {"name": "w"} if change == "patch" else None
            assert a.request(change, place, headers={"If-Match": tag}, json=order).is_success
            is_problem(a.delete(place, headers={"If-Match": tag}), 412)
            assert a.delete(place, headers={"If-Match": a.get(place).headers["etag"]}).status_code == 204


def test_more_than_the_quota_is_refused_and_says_when(world: World) -> None:
    with serving(ApiSettings(world.api_dsn, quota=5, tenant_quota=8)) as running:
        with running.client(world.a.keys["all"]) as a:
            answers = [a.get("/v1/me") for _ in range(6)]
            assert [answer.status_code for answer in answers] == [200] * 5 + [429]
            assert answers[0].headers["ratelimit-policy"] == '"default";q=5;w=60'
            assert answers[0].headers["ratelimit"] == '"default";r=4;t=12'
            is_problem(answers[5], 429)
            assert 0 < int(answers[5].headers["retry-after"]) <= 12
            assert answers[5].headers["ratelimit"].startswith('"default";r=0;')
        with running.client(world.a.keys["read"]) as colleague:
            answers = [colleague.get("/v1/me") for _ in range(4)]
            assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
            assert answers[2].headers["ratelimit-policy"] == '"tenant";q=8;w=60'
        with running.client(world.b.keys["all"]) as b:
            assert b.get("/v1/me").status_code == 200


def test_roles_in_the_database_are_those_of_the_code(world: World) -> None:
    rows = world.execute("SELECT role, array_agg(scope ORDER BY scope) FROM servitize.role_scope GROUP BY role")
    assert dict(rows) == {r.value: sorted(s.value for s in ROLES[r]) for r in ROLES}
