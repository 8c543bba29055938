"""Changes rights in a running Mosquitto through its dynamic security plugin, many at a time."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from runtime.local.access import Entry, role_name, role_rules
from runtime.local.errors import AccessError

_TOPIC = "$CONTROL/dynamic-security/v1"
_BATCH = 100
"""Commands per message. The plugin rewrites its whole file after each command; small messages keep devices served."""


class DynamicSecurity:
    """One connection of the control account; use it as a context manager.

    Every call waits for the plugin's answer and raises :class:`AccessError` when it does not come within ``timeout``
    seconds or refuses.
    """

    def __init__(self, host: str, port: int, username: str, password: str, *, timeout: float = 10.0) -> None:
        self._timeout = timeout
        self._answers: dict[str, dict[str, Any]] = {}
        self._news = threading.Condition()
        self._subscribed = threading.Event()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, f"servitize-control-{uuid.uuid4().hex[:8]}", protocol=mqtt.MQTTv311
        )
        self._client.username_pw_set(username, password)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{_TOPIC}/response", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        self._address = (host, port)

    def __enter__(self) -> DynamicSecurity:
        try:
            self._client.connect(*self._address)
        except OSError as error:
            raise AccessError(
                f"the broker at {self._address[0]}:{self._address[1]} does not answer: {error}",
                hint="the change is recorded and takes effect when the broker starts",
            ) from error
        self._client.loop_start()
        if not self._subscribed.wait(self._timeout):
            self.__exit__()
            raise AccessError(
                "the broker does not let the control account in",
                hint="restart it: its rights are then made anew from the record",
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def put(self, entries: dict[str, tuple[Entry, str]]) -> None:
        """Create or replace these users (entry and readable password by username); a replaced one is disconnected."""
        fresh: list[dict[str, Any]] = []
        for name, (entry, password) in entries.items():
            fresh += self._commands(name, entry, password, "create")
        existing: set[str] = set()
        for answer in self._send(fresh):
            if "already exists" in answer.get("error", ""):
                existing.add(answer["correlationData"])
            elif "error" in answer:
                raise _refusal(answer)
        again: list[dict[str, Any]] = []
        for name in sorted(existing):
            again += self._commands(name, *entries[name], "modify")
        for answer in self._send(again):
            if "error" in answer:
                raise _refusal(answer)

    def remove(self, usernames: Sequence[str]) -> None:
        """Delete these users and their roles; they are disconnected. Unknown ones are passed over."""
        commands: list[dict[str, Any]] = []
        for name in usernames:
            commands.append({"command": "deleteClient", "username": name, "correlationData": name})
            commands.append({"command": "deleteRole", "rolename": role_name(name), "correlationData": name})
        for answer in self._send(commands):
            if "error" in answer and "not found" not in answer["error"]:
                raise _refusal(answer)

    @staticmethod
    def _commands(name: str, entry: Entry, password: str, verb: str) -> list[dict[str, Any]]:
        return [
            {
                "command": f"{verb}Role",
                "rolename": role_name(name),
                "acls": role_rules(entry.publish, entry.subscribe),
                "correlationData": name,
            },
            {
                "command": f"{verb}Client",
                "username": name,
                "password": password,
                "clientid": entry.client_id,
                "roles": [{"rolename": role_name(name)}],
                "correlationData": name,
            },
        ]

    def _send(self, commands: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send in messages of a bounded number of commands; the answers, with ``correlationData`` as it was given."""
        answers: list[dict[str, Any]] = []
        for start in range(0, len(commands), _BATCH):
            batch = commands[start : start + _BATCH]
            # Answers go to whoever listens, and other processes may be sending: ours are known by these names.
            numbered = {uuid.uuid4().hex: command for command in batch}
            message = [{**command, "correlationData": key} for key, command in numbered.items()]
            self._client.publish(_TOPIC, json.dumps({"commands": message}), qos=1)
            with self._news:
                if not self._news.wait_for(partial(self._has_all, set(numbered)), self._timeout):
                    raise AccessError(
                        "the broker's dynamic security plugin did not answer in time",
                        hint="the change is recorded and takes effect at the broker's next start",
                    )
                answers += [
                    {**self._answers.pop(key), "correlationData": command["correlationData"]}
                    for key, command in numbered.items()
                ]
        return answers

    def _has_all(self, keys: set[str]) -> bool:
        return keys <= self._answers.keys()

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        responses = json.loads(message.payload).get("responses", [])
        with self._news:
            for response in responses:
                if "correlationData" in response:
                    self._answers[response["correlationData"]] = response
            self._news.notify_all()


def _refusal(answer: dict[str, Any]) -> AccessError:
    return AccessError(
        f"{answer['correlationData']!r}: the broker refused {answer['command']}: {answer['error']}",
        hint="restart the broker: its rights are then made anew from the record",
    )
