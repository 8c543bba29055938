"""Changes who may use the broker of a data directory, from whatever process, whether the broker runs or not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Sequence
from typing import Any

from core.errors import InvalidInputError
from runtime.local import external
from runtime.local.access import (
    CONTROL_USER,
    RESERVED_PREFIX,
    AccessBook,
    DeviceCredential,
    acl_file,
    own_accounts,
    password_file,
    plain_table,
)
from runtime.local.dynsec import DynamicSecurity
from runtime.local.endpoints import BrokerEndpoint
from runtime.local.errors import AccessError
from runtime.local.iotcore_config import USERS_PLACE
from runtime.local.mosquitto import find_mosquitto
from runtime.local.mqtt_probe import is_let_in
from runtime.local.paths import DataDirectory

DYNAMIC, FILES, STATIC, EXTERNAL = "mosquitto-dynamic", "mosquitto-files", "iotcore", "external"
"""Kinds of broker, as written to the state file under ``servers.broker.kind``."""


class BrokerRights:
    """Provision and revoke devices; the command line and the API use this beside a running host.

    What runs is read from the state file at each call. Everything is recorded first, so that a change which the
    running broker cannot take now (:class:`AccessError`) is in force from its next start.
    """

    def __init__(self, data: DataDirectory) -> None:
        self.data = data
        self.book = AccessBook(data)
        self.expected_kind: str | None = None
        """The kind of broker that is going to be started, where the caller knows; else that of last time."""

    def provision(self, credentials: Sequence[DeviceCredential]) -> None:
        """Let these devices in, with exactly these rights and passwords; a changed device is disconnected.

        A credential that is in force already is left alone, so calling it again costs nothing.
        """
        for credential in credentials:
            if credential.username.startswith(RESERVED_PREFIX):
                raise InvalidInputError(
                    f"{credential.username!r}: broker usernames that start with {RESERVED_PREFIX!r} are the platform's",
                    hint="give the device another username",
                )
        server = self._server()
        kind = server.get("kind")
        if kind == EXTERNAL:
            with self._control(server) as control:
                control.put(credentials)
            return
        changed = set(self.book.put(credentials, keep_passwords=self._needs_passwords(kind)))
        if not changed or not server:
            return
        if kind == DYNAMIC:
            with self._control(server) as control:
                control.put([credential for credential in credentials if credential.username in changed])
        else:
            self._reload(server)
            if kind == STATIC:
                newest = next(c for c in reversed(credentials) if c.username in changed)
                self._wait_until(server, newest.username, newest.password, let_in=True)

    def revoke(self, username: str) -> bool:
        """Shut this device out and disconnect it; False when it was not known."""
        server = self._server()
        if server.get("kind") == EXTERNAL:
            with self._control(server) as control:
                known = username in control.accounts()
                control.remove([username])
            return known
        before = self.book.entries().get(username)
        known = self.book.remove(username)
        if server.get("kind") == DYNAMIC:
            with self._control(server) as control:
                control.remove([username])
        elif known and server:
            self._reload(server)
            if before is not None and before.password is not None and server.get("kind") == STATIC:
                self._wait_until(server, username, before.password, let_in=False)
        return known

    def require_certificates(self) -> None:
        """Refuse devices that come by certificate where the broker is one of ours: it has no listener for them."""
        if self._server().get("kind") != EXTERNAL:
            raise InvalidInputError(
                "the broker that servitize runs by itself takes passwords, not client certificates",
                hint="use a Mosquitto of your own (SERVITIZE_MQTT_URL): docs/how-to/tls.md",
            )

    def _needs_passwords(self, running: str | None) -> bool:
        """Whether the broker that these rights are for (running, expected, of last time, found) has no hashes."""
        kind = running or self.expected_kind or self.data.state().get("broker", {}).get("kind")
        return kind == STATIC if kind else find_mosquitto() is None

    def _server(self) -> dict[str, Any]:
        """What the state file says of the running broker; empty when none runs. An external one is always there."""
        found = self._started()
        if not found and os.environ.get(external.URL):
            return {"kind": EXTERNAL}
        return found

    def _started(self) -> dict[str, Any]:
        server = self.data.state().get("servers", {}).get("broker", {})
        if server.get("kind") == EXTERNAL:
            return dict(server)
        pid = server.get("pid")
        if pid is None or self.data.holder() is None:
            return {}
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return {}
        except PermissionError:
            pass
        return dict(server)

    def _control(self, server: dict[str, Any]) -> DynamicSecurity:
        if server.get("kind") != EXTERNAL:
            secret = self.data.secret(CONTROL_USER)
            return DynamicSecurity(BrokerEndpoint("127.0.0.1", int(server["port"]), CONTROL_USER, secret))
        return DynamicSecurity(self.external_control())

    def external_control(self) -> BrokerEndpoint:
        """As whom the accounts of an external broker are changed: of the running instance, else of the environment;
        :class:`AccessError` where we may not."""
        if self._started().get("kind") == EXTERNAL:
            file = self.data.root / "endpoints.json"
            given = json.loads(file.read_text()).get("control") if file.exists() else None
            endpoint = BrokerEndpoint(**given) if given else None
        else:
            endpoint = external.control_endpoint(self.data)
        if endpoint is None:
            raise AccessError(
                "access to the broker of SERVITIZE_MQTT_URL is managed where that broker is managed",
                hint="create the device's user there; it may publish below servitize/v1/{tenant}/{equipment}/. "
                "A Mosquitto with the dynamic security plugin can be left to us: docs/how-to/device-credentials.md",
            )
        return endpoint

    def _wait_until(self, server: dict[str, Any], username: str, password: str, *, let_in: bool) -> None:
        """Return when the restarted broker answers and treats this user as it should."""
        port, deadline = int(server["port"]), time.monotonic() + 10.0
        own = (CONTROL_USER, self.data.secret(CONTROL_USER))
        while is_let_in("127.0.0.1", port, username, password) is not let_in or not is_let_in("127.0.0.1", port, *own):
            if time.monotonic() > deadline:
                raise AccessError(
                    "the broker did not come back with the changed rights",
                    hint="see logs/broker.log in the data directory; the change is in force from its next start",
                )
            time.sleep(0.05)

    def _reload(self, server: dict[str, Any]) -> None:
        self.write_files(server)
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(server["pid"]), signal.SIGHUP)

    def write_files(self, server: dict[str, Any]) -> None:
        """Write what a broker of this kind reads its rights from, out of the record and our own accounts."""
        keep = server.get("kind") == STATIC
        self.book.put(own_accounts(self.data), keep_passwords=keep)
        entries = self.book.entries()
        directory = self.data.directory("broker")
        if keep:
            table = "\n".join(f"{_toml(name)} = {_toml(word)}" for name, word in plain_table(entries).items())
            text = (directory / "iotcore.template").read_text().replace(USERS_PLACE, table)
            self.data.write_private(directory / "iotcore.toml", text)
        else:
            self.data.write_private(directory / "passwords", password_file(entries))
            self.data.write_private(directory / "rights", acl_file(entries))


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
