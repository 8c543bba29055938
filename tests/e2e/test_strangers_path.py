"""The stranger's path: a machine found nowhere in the code, connected by the commands of a documentation page alone.

The commands are taken from docs/how-to/add-a-machine-type.md and run as a newcomer runs them, in a directory of their
own. Then two gateways publish through the real broker with the credentials that were printed, and everything is read
back by the API with the key that was printed. Days pass in a minute: the tenant's time is what its gateway says
(``--publisher-clock``).

The seed is drawn and printed; ``STRANGER_SEED`` repeats a run.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.conftest import clean_environ, short_directory
from tests.judges.stranger import page
from tests.judges.stranger.gateways import ILL, SECOND, TENANT, WELL, Message, Story, tell
from tests.judges.stranger.verdict import Announced, complaints

pytestmark = [pytest.mark.stranger, pytest.mark.slow, pytest.mark.integration, pytest.mark.timeout(600)]

SERVITIZE = Path(sys.executable).with_name("servitize")
PATIENCE = 240
"""Seconds for what takes a few on an idle machine."""


class Shell:
    """A terminal: one directory, one environment, and what every command printed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environ = clean_environ() | {"SERVITIZE_HOME": str(directory / "home")}
        self.said: dict[str, str] = {}

    def run(self, words: list[str]) -> str:
        """What the command printed; it has to end with 0."""
        assert words[0] == "servitize"
        done = subprocess.run(
            [SERVITIZE, *words[1:]],
            cwd=self.directory,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        self.said[" ".join(words)] = done.stdout
        return done.stdout

    def printed(self, beginning: str) -> str:
        """What the command that begins like this printed."""
        (found,) = (text for command, text in self.said.items() if command.startswith(beginning))
        return found


class Gateway:
    """A client that publishes at QoS 1 with the credentials a terminal showed."""

    def __init__(self, printed: str) -> None:
        shown = dict(re.findall(r"^(broker|client id|username|password) +(\S+)", printed, re.MULTILINE))
        host, port = shown["broker"].split(":")
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, shown["client id"], protocol=mqtt.MQTTv311)
        self._client.username_pw_set(shown["username"], shown["password"])
        self._client.max_inflight_messages_set(200)
        self._client.connect(host, int(port))
        self._client.loop_start()
        self._pending: list[mqtt.MQTTMessageInfo] = []

    def publish(self, message: Message) -> None:
        self._pending.append(self._client.publish(message.topic, message.payload, qos=1))

    def settle(self) -> None:
        """Wait until the broker has all of it: so what one gateway sends stands before what the other sends later."""
        for info in self._pending:
            info.wait_for_publish(PATIENCE)
            assert info.is_published()
        self._pending.clear()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@dataclass
class Walk:
    """The path walked: what was told to the machine, and a client of the API with the printed key."""

    shell: Shell
    story: Story
    api: httpx2.Client

    def get(self, path: str, **query: Any) -> Any:
        answer = self.api.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def all(self, path: str, **query: Any) -> Iterator[Any]:
        """Every item of a paged answer."""
        cursor: str | None = None
        while True:
            found = self.get(path, limit=1000, **query, **({"cursor": cursor} if cursor else {}))
            yield from found["items"]
            cursor = found["next"]
            if cursor is None:
                return


@pytest.fixture(scope="module")
def walked() -> Iterator[Walk]:
    """The page's files saved, its commands run in its order, the days played."""
    seed = int(os.environ.get("STRANGER_SEED") or secrets.randbelow(10**6))
    print(f"STRANGER_SEED={seed}")
    directory = short_directory()
    directory.chmod(0o755)
    for name, text in page.files().items():
        (directory / name).write_text(text, encoding="utf-8")
    shell = Shell(directory)
    afterwards = [["servitize", "status"], ["servitize", "deadletter", "list", "--tenant", TENANT]]
    try:
        for words in page.commands():
            if words not in afterwards:
                shell.run([*words, "--publisher-clock"] if words[1:3] == ["tenant", "add"] else words)
        story = tell(seed)
        _play(story, shell)
        for words in afterwards:
            shell.run(words)
        key = shell.printed("servitize key create").splitlines()[0]
        address = re.search(r"API (http://\S+?),", shell.printed("servitize status"))
        assert address is not None
        with httpx2.Client(base_url=address[1], headers={"Authorization": f"Bearer {key}"}, timeout=30) as api:
            yield Walk(shell, story, api)
    finally:
        subprocess.run([SERVITIZE, "down"], env=shell.environ, timeout=PATIENCE, check=False)
        shutil.rmtree(directory, ignore_errors=True)


def _play(story: Story, shell: Shell) -> None:
    gateways = {name: Gateway(shell.printed(f"servitize device gateway {name}")) for name in ("leitstand", "vibro")}
    for _, messages in story.rounds:
        for name, gateway in gateways.items():
            for message in messages:
                if message.gateway == name:
                    gateway.publish(message)
            gateway.settle()
    for gateway in gateways.values():
        gateway.close()


def _eventually(what: Callable[[], bool], sentence: str) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, sentence
        time.sleep(0.2)


@pytest.fixture(scope="module")
def settled(walked: Walk) -> Walk:
    """Everything that the broker took is stored or refused: in = out, by the platform's own count."""
    _eventually(lambda: _counters(walked)["ingest.readings"] >= walked.story.sent, "ingest is not through")
    _eventually(
        lambda: _counters(walked)["storage.in_measured"] == _counters(walked)["ingest.accepted"], "not all is stored"
    )
    return walked


def _counters(path: Walk) -> Mapping[str, int]:
    """Conservation by name, from the metrics."""
    text = path.api.get("/metrics").text
    found = re.findall(r'^servitize_conservation_total\{name="([^"]+)",stream="embedded"\} (\S+)$', text, re.MULTILINE)
    return Counter({name: int(float(count)) for name, count in found})


def _micros(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * SECOND)


def _points(path: Walk, machine: str) -> dict[str, int]:
    """Number by key of the machine's measured points."""
    tree = path.get(f"/v1/equipment/{machine}")
    points = [point for component in tree["components"] for point in component["points"]]
    return {point["key"]: point["id"] for point in points if point["kind"] == "measured"}


class TestAlarms:
    def test_the_fault_is_announced_on_its_component_and_nothing_else_on_either_machine(self, settled: Walk) -> None:
        announced = [
            Announced(alarm["equipment"]["key"], alarm["component"], alarm["condition"], _micros(entry["at"]))
            for alarm in settled.all("/v1/alarms")
            for entry in settled.all(f"/v1/alarms/{alarm['id']}/journal")
            if entry["announced"]
        ]
        assert complaints(settled.story, announced) == []

    def test_who_reads_it_is_told_what_to_do(self, settled: Walk) -> None:
        alarm = next(iter(settled.all("/v1/alarms", equipment=ILL, standing=True)))
        assert alarm["title"]
        assert alarm["action"]
        assert "Main bearing as" in alarm["title"] or "Bearing as" in alarm["title"]


class TestReadings:
    def test_every_value_sent_is_stored_or_refused_with_its_reason(self, settled: Walk) -> None:
        story, counted = settled.story, _counters(settled)
        refused = {
            name.removeprefix("ingest.refused."): n for name, n in counted.items() if name.startswith("ingest.refused.")
        }
        assert refused == dict(story.refused)
        assert counted["ingest.readings"] == story.sent
        assert counted["storage.in_measured"] == story.sent - story.refused.total()
        assert counted["storage.duplicates"] + counted["storage.conflicts"] == story.repeated
        letters = Counter[str]()
        for letter in settled.all("/v1/dead-letters"):
            letters[letter["reason"]] += letter["count"]
        assert letters == story.refused

    @pytest.mark.parametrize("machine", [ILL, WELL])
    def test_each_point_holds_what_was_sent_in_its_own_unit(self, settled: Walk, machine: str) -> None:
        points = _points(settled, machine)
        sent = {point: by_ts for (whose, point), by_ts in settled.story.stored.items() if whose == machine}
        assert sent.keys() == points.keys()
        for point, values in sent.items():
            stored = {ts: value for ts, value, _ in _readings(settled, points[point])}
            assert stored == pytest.approx(values, rel=1e-9, abs=1e-9), point

    def test_the_late_gateway_s_readings_are_stored_as_late(self, settled: Walk) -> None:
        late = {
            (machine, point, ts)
            for machine in (ILL, WELL)
            for point, number in _points(settled, machine).items()
            for ts, _, how in _readings(settled, number)
            if "late" in how
        }
        assert late - settled.story.perhaps_late == settled.story.late
        assert len(late) > 1_000

    def test_what_came_without_a_time_says_so(self, settled: Walk) -> None:
        current = _points(settled, WELL)["motorstrom"]
        assert {how for _, _, how in _readings(settled, current)} == {"uncertain (receipt_time)"}


def _readings(path: Walk, point: int) -> list[tuple[int, float, str]]:
    # an end is named, since without one readings end at "latest", which follows within seconds
    all_of_them = {"from": "2025-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
    found = path.all(f"/v1/points/{point}/readings", **all_of_them)
    return [(_micros(item["ts"]), item["value"], item["quality"]) for item in found]


class TestCommands:
    def test_the_status_shows_the_newest_alarms(self, settled: Walk) -> None:
        assert ILL in settled.shell.printed("servitize status")

    def test_the_dead_letters_are_listed_with_their_reasons(self, settled: Walk) -> None:
        listed = settled.shell.printed("servitize deadletter list")
        assert all(reason in listed for reason in settled.story.refused)
