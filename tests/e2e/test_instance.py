"""One instance from its first start to its second, through the command line only.

Devices connect, processes are killed, and nothing that the broker acknowledged is missing.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import orjson
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.e2e.conftest import Servitize, overloaded

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SECOND_START_SECONDS = 15.0


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.1)


def api(servitize: Servitize, path: str, body: dict[str, Any] | None = None) -> Any:
    """GET, or POST where there is a body."""
    key = (servitize.home / "secrets" / "api-key-main").read_text()
    url = servitize.state()["instance"]["api"] + path
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    if body:
        request.add_header("Content-Type", "application/json")
        request.data = orjson.dumps(body)
    elif body is not None:
        request.method = "POST"
    with urllib.request.urlopen(request, timeout=10) as answer:
        return orjson.loads(answer.read())


def publish(device: dict[str, Any], payloads: list[dict[str, Any]]) -> None:
    """As the device would: QoS 1, and back only when the broker has acknowledged all."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, device["client_id"])
    client.username_pw_set(device["username"], device["password"])
    client.connect(device["host"], device["port"])
    client.loop_start()
    try:
        for sent in [client.publish(device["topic"], orjson.dumps(payload), qos=1) for payload in payloads]:
            sent.wait_for_publish(30)
            assert sent.is_published()
    finally:
        client.disconnect()
        client.loop_stop()


def frame(speed: float) -> dict[str, Any]:
    return {"ts": int(time.time() * 1000), "values": {"train.speed": speed}}


def newest(servitize: Servitize, equipment: str) -> float | None:
    items = api(servitize, f"/v1/equipment/{equipment}/latest")["items"]
    return items[0]["value"] if items else None


@pytest.fixture(scope="module")
def running(servitize: Servitize) -> Servitize:
    shown = servitize.start()
    for step in ("database", "tables", "contents", "broker", "ingest", "api"):
        assert f"✓ {step}" in shown
    return servitize


@pytest.fixture(scope="module")
def device(running: Servitize) -> dict[str, Any]:
    made: dict[str, Any] = running.json("device", "add", "press-7", "--type", "compressor-train", "--site", "hall-2")
    return made


def test_a_second_up_leaves_the_first_alone(running: Servitize) -> None:
    assert "running already" in running.start()


def test_the_doctor_finds_nothing_wrong(running: Servitize) -> None:
    findings = {finding["subject"]: finding for finding in running.json("doctor")}
    assert {"python", "PostgreSQL", "broker", "disk space", "migrations", "clocks", "api"} <= set(findings)
    assert [finding for finding in findings.values() if finding["level"] == "wrong"] == []


def test_status_shows_every_process(running: Servitize) -> None:
    parts = {part["name"]: part["state"] for part in running.json("status")["snapshot"]["parts"]}
    assert parts == dict.fromkeys(("postgres", "broker", "ingest", "api"), "running")


def test_what_a_device_sends_is_there_to_be_asked_for(running: Servitize, device: dict[str, Any]) -> None:
    publish(device, [frame(7001.0)])
    try:
        wait_for(lambda: newest(running, "press-7") == 7001.0, "the reading")
    except AssertionError as error:
        raise AssertionError(running("deadletter", "list") + running("status")) from error


@pytest.mark.skipif(shutil.which("mosquitto_pub") is None, reason="mosquitto_pub is not installed")
def test_the_line_to_paste_works(running: Servitize, device: dict[str, Any]) -> None:
    subprocess.run(shlex.split(device["mosquitto_pub"]), check=True, timeout=30)
    first = orjson.loads(shlex.split(device["mosquitto_pub"])[-1])["values"]["train.speed"]
    wait_for(lambda: newest(running, "press-7") == first, "the pasted reading")


def test_a_device_is_added_once(running: Servitize, device: dict[str, Any]) -> None:
    refused = running("device", "add", "press-7", "--type", "compressor-train", code=1)
    assert "servitize device rotate press-7" in refused


def test_what_is_missing_and_what_was_refused_stands_with_the_device(
    running: Servitize, device: dict[str, Any]
) -> None:
    publish(device, [{**frame(7002.0), "seq": 1}, {**frame(7003.0), "seq": 6}, {"values": {"train.speed": None}}])

    def tally() -> dict[str, int]:
        shown = running.json("device", "show", "press-7")
        return {line["what"]: line["amount"] for line in shown["intake"]}

    wait_for(lambda: tally().get("missing messages") == 4, "the gap")
    wait_for(lambda: len(tally()) == 2, "the refusal")
    (seen,) = [d for d in running.json("device", "list") if d["equipment"] == "press-7"]
    assert (seen["missing_messages"], seen["refused_readings"]) == (4, 1)
    totals = running.json("status")["snapshot"]
    assert totals["totals"]["missing"] == 4
    assert totals["flow"]["connected"] is True
    assert api(running, "/v1/equipment/press-7/intake")["sequence"]["recent"][0]["missing"] == 4


def test_a_device_let_in_by_api_sends_and_a_dead_letter_asked_for_by_api_goes_again(
    running: Servitize, device: dict[str, Any]
) -> None:
    made = api(running, "/v1/devices", {"gateway": "hall-9"})
    wait_for(lambda: not api(running, f"/v1/devices/{made['id']}")["pending"], "the broker to be told")
    gateway = {**device, **{name: made[name] for name in ("client_id", "username", "password")}}
    publish(gateway, [frame(7004.0)])
    wait_for(lambda: newest(running, "press-7") == 7004.0, "the gateway's reading")
    publish(device, [{"values": {"train.speed": None}}])
    letter = wait_for(lambda: api(running, "/v1/dead-letters")["items"], "a dead letter")[0]
    api(running, f"/v1/dead-letters/{letter['id']}/replay", {})
    wait_for(lambda: api(running, f"/v1/dead-letters/{letter['id']}")["replayed_at"], "the replay")


def test_an_unknown_type_names_those_there_are(running: Servitize) -> None:
    assert "metro-train-6" in running("device", "add", "x-1", "--type", "no-such-type", code=1)


def test_a_refused_value_is_a_dead_letter_and_its_neighbour_is_stored(
    running: Servitize, device: dict[str, Any]
) -> None:
    publish(device, [{"ts": int(time.time() * 1000), "values": {"train.speed": 7005.0, "no_such_point": 1.0}}])
    wait_for(lambda: newest(running, "press-7") == 7005.0, "the neighbour")

    def letters() -> list[dict[str, Any]]:
        return [d for d in running.json("deadletter", "list") if d["reason"] == "unknown-point"]

    (letter,) = wait_for(letters, "the dead letter")
    assert running.json("deadletter", "replay", str(letter["id"])) == {"replayed": 1, "cut": 0}
    wait_for(lambda: letters()[0]["count"] == 2, "its return")


@pytest.mark.parametrize("victim", ["ingest", "api", "postgres", "broker"])
def test_who_is_killed_comes_back_and_what_was_acknowledged_is_stored(
    running: Servitize, device: dict[str, Any], victim: str
) -> None:
    before = running.pid(victim)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    if victim != "broker":  # it takes what the others cannot take now
        publish(device, [frame(7100.0 + i) for i in range(20)])
    wait_for(lambda: running.pid(victim) not in (None, before), f"a new {victim}")
    if victim == "broker":
        wait_for(lambda: _accepts(device), "the broker")
    publish(device, [frame(7200.0 + len(victim))])
    wait_for(lambda: _asked(running) == 7200.0 + len(victim), f"readings after {victim} was killed")
    findings = wait_for(lambda: _conserved(running), "all accepted readings to be committed")
    assert findings["level"] == "good"


def _accepts(device: dict[str, Any]) -> bool:
    try:
        publish(device, [])
    except OSError:
        return False
    return True


def _asked(running: Servitize) -> float | None:
    try:
        return newest(running, "press-7")
    except OSError:  # the API may be the one that is away
        return None


def _conserved(running: Servitize) -> Any:
    findings = orjson.loads(running("doctor", "--json", code=None))
    found = next((f for f in findings if f["subject"] == "conservation"), None)
    return found if found is not None and found["level"] == "good" else None


def test_a_rotated_password_replaces_the_old_one(running: Servitize, device: dict[str, Any]) -> None:
    fresh = running.json("device", "rotate", "press-7")
    assert fresh["password"] != device["password"]
    publish(fresh, [frame(7300.0)])
    wait_for(lambda: newest(running, "press-7") == 7300.0, "the reading under the new password")
    old = mqtt.Client(CallbackAPIVersion.VERSION2, "somebody")
    old.username_pw_set(device["username"], device["password"])
    answers: list[Any] = []
    old.on_connect = lambda client, data, flags, reason, properties: answers.append(reason.is_failure)
    old.connect(device["host"], device["port"])
    old.loop_start()
    wait_for(lambda: answers, "the broker's answer")
    old.disconnect()
    old.loop_stop()
    assert answers[0] is True


def test_stopped_in_order_started_again_fast_and_nothing_is_missing(running: Servitize, device: dict[str, Any]) -> None:
    pids = [running.pid(name) for name in ("postgres", "broker", "ingest", "api")]
    ports = running.state()["ports"]
    assert "stopped in order" in running("down")
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert "nothing runs" in running("down")
    assert running("status", code=1)
    assert "press-7" in running("equipment", "list")  # works on a stopped instance too
    began = time.monotonic()
    running.start()
    seconds = time.monotonic() - began
    assert running.state()["ports"] == ports
    assert newest(running, "press-7") == 7300.0
    if not overloaded():
        assert seconds < SECOND_START_SECONDS


def test_secrets_are_nobody_elses(running: Servitize) -> None:
    for path in (*(running.home / "secrets").iterdir(), running.home / "endpoints.json"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert running.home.stat().st_mode & 0o077 == 0
