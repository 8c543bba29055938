"""``servitize replay``: register what the recording speaks of, publish it, say what was sent."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from core.errors import InvalidInputError, UnavailableError
from core.time import DAY, SECOND, isoformat
from ingest.routes import STATUS_TOPIC
from ingest.session import MqttSettings
from models.types import catalog, to_document
from storage import admin
from storage.queries import load
from workbench.replay.publisher import Publisher, last_retained, paced
from workbench.replay.recordings import Message, Recording, load_profile, read

CLOCK_EVERY: Final = 1_000
"""Messages between two words of the recording's clock; by count, so that a replay is the same at any speed."""
AFTER_THE_END: Final = 60 * SECOND
"""The clock's last word lies so far behind the last row: what waits for later readings is then released."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What was published. ``cells`` are sensor values; ``clock`` messages tell the recording's time."""

    profile: str
    tenant: str
    equipment: int
    messages: int
    cells: int
    events: int
    clock: int
    seconds: float
    cells_per_second: float
    first: str
    last: str


def parse_speed(text: str) -> float | None:
    """``max`` (None), or a factor of the recording's own pace."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise InvalidInputError(f"{text!r} is no speed", hint="a factor such as 1 or 60, or max")
    return speed


def register(connection: psycopg.Connection[Any], recording: Recording, tenant: str) -> None:
    """Make known what the recording needs: a tenant of its own with the recording's time, type, equipment, profile.

    In one transaction; what is there already stays.
    """
    profile = recording.profile
    type_ = catalog().get(profile.type_key or "")
    if type_ is None:
        raise InvalidInputError(
            f"the profile {profile.name} names no type of the catalogue",
            hint="add `type:` to it; see `servitize types list`",
        )
    with connection.transaction():
        tenant_id = admin.create_tenant(
            connection,
            tenant,
            f"Replay of {profile.name}",
            publisher_clock=True,
            past_window=None,
            # rows may come in any order: the clock's word is no reason to refuse one that is ahead of it
            future_bound=100 * 365 * DAY,
            exist_ok=True,
        )
        admin.publish_type(connection, type_, to_document(type_))
        for key in recording.equipment:
            admin.create_equipment(connection, tenant_id, key, type_, exist_ok=True)
        admin.put_profile(connection, tenant_id, profile.name, profile.document)


def wait_for_ingest(mqtt: MqttSettings, version: int, *, timeout: float = 30.0) -> None:
    """Until ingest says that it serves the registry of ``version`` and the broker has taken its subscriptions.

    What is published before is nobody's, and the broker drops it without a word.
    """

    def serves(payload: bytes) -> bool:
        status = orjson.loads(payload)
        return bool(status.get("online")) and int(status.get("registry", -1)) >= version

    if not last_retained(mqtt, STATUS_TOPIC, serves, timeout):
        raise UnavailableError(
            f"ingest did not take up the new registration within {timeout:g} s",
            hint="is `servitize up` running, and does its log say why it waits?",
        )


def publish(
    recording: Recording,
    tenant: str,
    mqtt: MqttSettings,
    *,
    speed: float | None = None,
    shuffle: int | None = None,
    twice: bool = False,
    sent: Callable[[int], None] | None = None,
) -> Summary:
    """Send all messages and wait for the broker to have them. ``sent`` is called with how many were sent so far."""
    messages = list(recording.messages)
    if shuffle is not None:
        random.Random(shuffle).shuffle(messages)
    rounds = messages * 2 if twice else messages
    clock_topic, clocks, latest = f"servitize/v1/{tenant}/clock", 0, 0
    began = time.monotonic()
    with Publisher(mqtt, f"servitize-replay-{tenant}") as publisher:
        for number, (message, _) in enumerate(zip(rounds, paced(_times(rounds), speed), strict=True), 1):
            publisher.publish(message.topic, message.payload)
            latest = max(latest, message.ts)
            # out of order there is no time to tell before the end
            if shuffle is None and number % CLOCK_EVERY == 0:
                publisher.publish(clock_topic, orjson.dumps({"ts": isoformat(latest)}))
                clocks += 1
            if sent is not None and (number % 100 == 0 or number == len(rounds)):
                sent(number)
        for ts in (latest, latest + AFTER_THE_END):
            publisher.publish(clock_topic, orjson.dumps({"ts": isoformat(ts)}))
            clocks += 1
        publisher.drain()
    seconds = time.monotonic() - began
    cells = recording.cells * (2 if twice else 1)
    return Summary(
        recording.profile.name,
        tenant,
        len(recording.equipment),
        len(rounds),
        cells,
        recording.events * (2 if twice else 1),
        clocks,
        round(seconds, 3),
        round(cells / seconds, 1),
        isoformat(recording.messages[0].ts),
        isoformat(recording.messages[-1].ts),
    )


def replay_command(
    files: Sequence[Path],
    profile: str,
    *,
    connection: psycopg.Connection[Any],
    mqtt: MqttSettings,
    speed: str = "max",
    limit: int | None = None,
    shuffle: int | None = None,
    twice: bool = False,
    tenant: str | None = None,
    as_json: bool = False,
    console: Console | None = None,
) -> Summary:
    """All of ``servitize replay FILE… --profile NAME``; ``connection`` is of the owner's login.

    Raises :class:`~core.errors.ServitizeError` for what is in the way.
    """
    console = console or Console(stderr=as_json)
    pace = parse_speed(speed)
    mapping = load_profile(profile)
    tenant = tenant or f"replay-{mapping.name.replace('_', '-')}"
    recording = read([Path(file) for file in files], mapping, limit=limit)
    register(connection, recording, tenant)
    version = int(load("registry").version(connection))
    connection.commit()
    wait_for_ingest(mqtt, version)
    total = len(recording.messages) * (2 if twice else 1)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=as_json, transient=True) as progress:
        task = progress.add_task(f"replay {mapping.name}", total=total)
        summary = publish(
            recording,
            tenant,
            mqtt,
            speed=pace,
            shuffle=shuffle,
            twice=twice,
            sent=lambda number: progress.update(task, completed=number),
        )
    _say(summary, as_json, console)
    return summary


def _times(messages: Sequence[Message]) -> list[int]:
    return [message.ts for message in messages]


def _say(summary: Summary, as_json: bool, console: Console) -> None:
    if as_json:
        Console().print_json(data=asdict(summary))
        return
    console.print(
        f"{summary.messages} messages of {summary.equipment} equipment with {summary.cells} sensor values and "
        f"{summary.events} events, recorded {summary.first} to {summary.last}:\nall acknowledged by the broker in "
        f"{summary.seconds:g} s ({summary.cells_per_second:,.0f} values/s). They are in tenant {summary.tenant}."
    )
