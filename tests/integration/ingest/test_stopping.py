"""A real process that is told to stop is gone within seconds and with exit code 0, whatever is away at that moment; the
next one stores what it left."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from ingest.routes import STATUS_TOPIC
from tests.faults.proxy import Proxy
from tests.integration.ingest.conftest import POINTS, System, readings
from tests.integration.ingest.test_nothing_lost import expected, frames
from workbench.replay.publisher import last_retained

pytestmark = pytest.mark.integration

STOP = 1.0
"""The stop's own time, in these tests."""
SECONDS = STOP + 9.0
"""Until the process is gone: a second and a half for the sink, three for the broker; the rest is for busy machines."""


@pytest.fixture
def line(system: System) -> Iterator[Proxy]:
    """The network between ingest and the database."""
    port = int(conninfo_to_dict(system.dsn)["port"] or 5432)
    system.options["stop_timeout"] = STOP
    with Proxy(lambda: ("127.0.0.1", port)) as line:
        yield line


def ends(system: System, process: Any, number: int = signal.SIGTERM) -> None:
    began = time.monotonic()
    assert system.stop(process, number) == 0, system.log()
    assert time.monotonic() - began < SECONDS, system.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_while_it_is_still_importing(system: System, line: Proxy, number: signal.Signals) -> None:
    """An interrupt in somebody's import is an exception that may be swallowed; here it is none."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("needs /proc to see when a process has taken over its signals")
    process = system.launch(database_port=line.port)
    system.settle(lambda: catches(process.pid, signal.SIGTERM), 20)
    ends(system, process, number)
    assert "stream.acquired" not in system.log()


def test_killed_it_cannot_say_so_and_the_broker_says_it_for_it(system: System) -> None:
    process = system.start()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert last_retained(system.mqtt_as("watch"), STATUS_TOPIC, lambda said: not json.loads(said)["online"], 10)


def catches(pid: int, number: int) -> bool:
    (mask,) = re.findall(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("fault", ["refuse", "swallow"])
def test_while_it_starts_and_the_database_is_away(system: System, line: Proxy, fault: str) -> None:
    getattr(line, fault)()
    process = system.launch(database_port=line.port)
    system.settle(lambda: line.connections > 0 or "unreachable" in system.log(), 20)
    time.sleep(0.3)
    ends(system, process)


def test_while_the_broker_is_away(system: System, line: Proxy) -> None:
    broker = system.mqtt
    system.mqtt = replace(system.mqtt, port=1)
    process = system.launch(database_port=line.port)
    system.mqtt = broker
    system.settle(lambda: "mqtt.unreachable" in system.log(), 20)
    ends(system, process)


@pytest.mark.parametrize("fault", ["refuse", "swallow"])
def test_while_the_database_is_away_and_messages_wait(system: System, line: Proxy, fault: str) -> None:
    """With a budget that is soon used up: the socket is not read any more when the signal comes."""
    broker = system.mqtt
    system.mqtt = replace(system.mqtt, budget_bytes=100_000)
    process = system.launch(database_port=line.port)
    system.wait_until_served(process)
    getattr(line, fault)()
    if fault == "refuse":
        line.cut()
    messages = frames(600)
    with System(system.dsn, broker, system.folder).publisher() as publisher:
        for topic, payload in messages:
            publisher.publish(topic, payload)
        publisher.drain()
    system.settle(lambda: "mqtt.paused" in system.log(), 20)
    assert "mqtt.paused" in system.log()
    ends(system, process)

    system.mqtt = broker
    process = system.start()
    system.settle(lambda: system.one("SELECT count(*) FROM servitize.reading") == 600 * POINTS)
    ends(system, process)
    assert readings(system) == expected(messages)
