"""Changes rights in a running Mosquitto through its dynamic security plugin, many at a time, and reads them back."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingest.tls import ClientTls
from runtime.local.access import DeviceCredential, role_name, role_rules
from runtime.local.endpoints import BrokerEndpoint
from runtime.local.errors import AccessError

_TOPIC = "$CONTROL/dynamic-security/v1"
_BATCH = 20
"""Commands per message. The plugin rewrites its whole file after each command, which with a thousand devices takes some
30 ms on the broker's only thread: small messages keep devices served."""
_PAGE = 500
"""Accounts or roles per answer of a listing."""
DEVICE_MARK = "servitize device"
"""The ``textname`` of accounts that are ours to change and remove; others at the same broker are left alone."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user as the broker has it. ``rules`` are those of its one role of ours (type, topic) that allow something;
    ``description`` is what we noted when we made it. ``ours``: it bears our mark."""

    username: str
    client_id: str
    rules: frozenset[tuple[str, str]]
    description: str
    ours: bool
    disabled: bool = False


class DynamicSecurity:
    """One connection of the control account; use it as a context manager.

    Every call waits for the plugin's answer and raises :class:`AccessError` when it does not come within ``timeout``
    seconds or refuses.
    """

    def __init__(self, endpoint: BrokerEndpoint, *, timeout: float = 10.0) -> None:
        self._timeout = timeout
        self._endpoint = endpoint
        self._answers: dict[str, dict[str, Any]] = {}
        self._news = threading.Condition()
        self._settled = threading.Event()
        self._refused = ""
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            f"servitize-control-{uuid.uuid4().hex[:8]}",
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        self._client.username_pw_set(endpoint.username, endpoint.password)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._settled.set()
        self._client.on_message = self._on_message

    def __enter__(self) -> DynamicSecurity:
        endpoint = self._endpoint
        try:
            if endpoint.tls:
                tls = ClientTls(endpoint.ca, endpoint.certificate, endpoint.key, endpoint.server_name)
                self._client.tls_set_context(tls.context())
            self._client.connect(endpoint.host, endpoint.port)
        except OSError as error:
            raise AccessError(
                f"the broker at {endpoint.host}:{endpoint.port} does not answer: {error}",
                hint="the change is recorded and takes effect when the broker is back",
            ) from error
        self._client.loop_start()
        if not self._settled.wait(self._timeout) or self._refused:
            self.__exit__()
            raise AccessError(
                f"the broker does not let the control account in ({self._refused or 'no answer'})",
                hint="a broker of ours: restart it, its rights are then made anew; another: `servitize broker init`",
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def username(self) -> str | None:
        """Who asks."""
        return self._endpoint.username

    def put(self, credentials: Sequence[DeviceCredential]) -> None:
        """Create or replace these users; one that is replaced is disconnected. Without a password (a device that comes
        by its certificate) nobody gets in by one."""
        by_name = {credential.username: credential for credential in credentials}
        existing: set[str] = set()
        for answer in self._send([c for credential in by_name.values() for c in _commands(credential, "create")]):
            if "already exists" in answer.get("error", ""):
                existing.add(answer["correlationData"])
            elif "error" in answer:
                raise _refusal(answer)
        again = [by_name[name] for name in sorted(existing)]
        # A password cannot be taken away by a change, so an account that shall have none is made anew.
        self.remove([credential.username for credential in again if not credential.password])
        changes = [c for old in again for c in _commands(old, "modify" if old.password else "create")]
        for answer in self._send(changes):
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

    def accounts(self) -> dict[str, Account]:
        """Every user of the broker by name. What changes while it is read may be missing or seen twice."""
        roles: Mapping[str, dict[str, Any]] = {role["rolename"]: role for role in self._listed("Roles")}
        found = {}
        for client in self._listed("Clients"):
            name = client["username"]
            role = roles.get(role_name(name), {})
            held = any(given["rolename"] == role_name(name) for given in client.get("roles", []))
            allowed = [(rule["acltype"], rule["topic"]) for rule in role.get("acls", []) if rule["allow"]]
            found[name] = Account(
                username=name,
                client_id=client.get("clientid", ""),
                rules=frozenset(allowed if held else ()),
                description=client.get("textdescription", ""),
                ours=client.get("textname") == DEVICE_MARK,
                disabled=bool(client.get("disabled")),
            )
        return found

    def denies_by_default(self) -> bool:
        """Whether who has no rule may neither publish, nor subscribe, nor be sent anything."""
        (answer,) = self._send([{"command": "getDefaultACLAccess", "correlationData": "defaults"}])
        if "error" in answer:
            raise _refusal(answer)
        return not any(rule["allow"] for rule in answer["data"]["acls"] if rule["acltype"] != "unsubscribe")

    def deny_by_default(self) -> None:
        """Make it so."""
        kinds = ("publishClientSend", "publishClientReceive", "subscribe")
        acls = [{"acltype": kind, "allow": False} for kind in kinds]
        (answer,) = self._send([{"command": "setDefaultACLAccess", "acls": acls, "correlationData": "defaults"}])
        if "error" in answer:
            raise _refusal(answer)

    def _listed(self, what: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            command = {"command": f"list{what}", "verbose": True, "count": _PAGE, "offset": offset}
            (answer,) = self._send([{**command, "correlationData": what}])
            if "error" in answer:
                raise _refusal(answer)
            page = answer["data"][what.lower()]
            yield from page
            offset += len(page)
            if len(page) < _PAGE:
                return

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
                        hint="is the plugin loaded? The change is recorded; `servitize broker sync` makes it later",
                    )
                answers += [
                    {**self._answers.pop(key), "correlationData": command["correlationData"]}
                    for key, command in numbered.items()
                ]
        return answers

    def _has_all(self, keys: set[str]) -> bool:
        return keys <= self._answers.keys()

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: object, code: Any, _properties: object) -> None:
        if code.is_failure:
            self._refused = str(code)
            self._settled.set()
        else:
            client.subscribe(f"{_TOPIC}/response", qos=1)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        responses = json.loads(message.payload).get("responses", [])
        with self._news:
            for response in responses:
                if "correlationData" in response:
                    self._answers[response["correlationData"]] = response
            self._news.notify_all()


def _commands(credential: DeviceCredential, verb: str) -> Iterator[dict[str, Any]]:
    name = credential.username
    yield {
        "command": f"{verb}Role",
        "rolename": role_name(name),
        "textname": DEVICE_MARK,
        "acls": role_rules(credential.publish, credential.subscribe),
        "correlationData": name,
    }
    yield {
        "command": f"{verb}Client",
        "username": name,
        **({"password": credential.password} if credential.password else {}),
        "clientid": credential.client_id,
        "textname": DEVICE_MARK,
        "textdescription": credential.fingerprint,
        "roles": [{"rolename": role_name(name)}],
        "correlationData": name,
    }


def _refusal(answer: dict[str, Any]) -> AccessError:
    return AccessError(
        f"{answer['correlationData']!r}: the broker refused {answer['command']}: {answer['error']}",
        hint="a broker of ours: restart it, its rights are then made anew; another: `servitize broker sync`",
    )
