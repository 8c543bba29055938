"""What each kind of MQTT broker can and cannot do, said plainly: ``servitize doctor`` prints it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass

from runtime.local.access import Entry
from runtime.local.mosquitto import BrokerLimits, Mosquitto

GET_MOSQUITTO = "install Mosquitto (Debian: apt-get install mosquitto)"


@dataclass(frozen=True)
class BrokerCapabilities:
    """What the broker in use can do; ``notes`` say in sentences what follows for the user."""

    name: str
    version: str
    per_device_credentials: bool
    per_device_topics: bool
    persistent_sessions_survive_restart: bool
    mqtt5: bool
    notes: tuple[str, ...] = ()


def mosquitto_capabilities(mosquitto: Mosquitto, limits: BrokerLimits, *, dynamic: bool) -> BrokerCapabilities:
    """Mosquitto as configured here; ``dynamic``: with its dynamic security plugin, else by files."""
    notes = [
        (
            f"Killed outright, it forgets what it took in the last {limits.autosave_seconds} s and did not deliver; "
            "ended in order, it forgets nothing."
        ),
        f"For a client that is away it keeps {limits.backlog_bytes // 2**20} MiB, then drops what is newer.",
    ]
    if not dynamic:
        notes.append(
            "The dynamic security plugin was not found: rights are kept in files, and a username is not bound to its "
            "client id."
        )
    return BrokerCapabilities(
        name="mosquitto",
        version=mosquitto.version,
        per_device_credentials=True,
        per_device_topics=True,
        persistent_sessions_survive_restart=True,
        mqtt5=True,
        notes=tuple(notes),
    )


def iotcore_capabilities(entries: Mapping[str, Entry]) -> BrokerCapabilities:
    """The iotcore wheel's broker (rumqttd inside): a static table of users, no rights per topic, all in memory."""
    notes = [
        (
            "Each device has a password of its own, but any may publish and subscribe to every topic and take any "
            f"client id: {GET_MOSQUITTO} before devices of different owners connect."
        ),
        (
            "Adding, changing or revoking a device restarts this broker: all clients reconnect, and what it had "
            "acknowledged and not yet delivered is lost."
        ),
        "Sessions, retained and queued messages do not outlive this broker.",
        "Passwords of devices lie readable in the data directory (mode 0600).",
        "MQTT 5 clients connect to a port of their own.",
    ]
    unusable = [name for name, entry in entries.items() if entry.password is None]
    if unusable:
        notes.append(f"{len(unusable)} devices were registered under another broker and need a new key here.")
    return BrokerCapabilities(
        name="iotcore",
        version=importlib.metadata.version("iotcore"),
        per_device_credentials=True,
        per_device_topics=False,
        persistent_sessions_survive_restart=False,
        mqtt5=True,
        notes=tuple(notes),
    )


def external_capabilities(*, provisioned: bool = False) -> BrokerCapabilities:
    """A broker by URL: nothing can be promised of it from here but, if ``provisioned``, the accounts that we keep."""
    accounts = (
        "Accounts of devices are kept in the broker of SERVITIZE_MQTT_URL by its dynamic security plugin; "
        "`servitize broker sync` repairs them."
        if provisioned
        else "The broker of SERVITIZE_MQTT_URL is managed elsewhere: make devices' users and rights there."
    )
    return BrokerCapabilities(
        name="external",
        version="unknown",
        per_device_credentials=provisioned,
        per_device_topics=provisioned,
        persistent_sessions_survive_restart=False,
        mqtt5=False,
        notes=(
            accounts,
            (
                "See that it keeps sessions over a restart and does not bound queued messages by their number "
                "(Mosquitto: persistence true, max_queued_messages 0); `servitize doctor` tries the second."
            ),
        ),
    )
