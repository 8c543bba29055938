"""The MQTT broker of the embedded host: started by us with rights per device, or somebody else's by URL.

Order: ``SERVITIZE_MQTT_URL`` (nothing is started), ``mosquitto`` of the machine, the broker of the ``iotcore`` wheel.
``SERVITIZE_MQTT_BROKER`` (``mosquitto`` or ``iotcore``) narrows the choice. What the one taken can and cannot do is in
:class:`BrokerCapabilities`, which ``servitize doctor`` prints.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from core.errors import InvalidInputError, UnavailableError
from runtime.local import external
from runtime.local.access import CONTROL_USER, SERVICE_USER, DeviceCredential, dynamic_security_file, own_accounts
from runtime.local.accounts import first_unreachable
from runtime.local.capabilities import (
    GET_MOSQUITTO,
    BrokerCapabilities,
    external_capabilities,
    iotcore_capabilities,
    mosquitto_capabilities,
)
from runtime.local.endpoints import BrokerEndpoint, Listener, TlsFiles, check_listener, is_loopback
from runtime.local.errors import ListenerRefusedError, ProcessFailedError
from runtime.local.iotcore_config import configuration_template
from runtime.local.mosquitto import BrokerLimits, Mosquitto, configuration, find_mosquitto
from runtime.local.mqtt_probe import is_let_in
from runtime.local.paths import DataDirectory
from runtime.local.ports import choose_port
from runtime.local.process import ChildProcess, end_leftovers
from runtime.local.rights import DYNAMIC, EXTERNAL, FILES, STATIC, BrokerRights

_START_ATTEMPTS = 3


class LocalBroker:
    """One MQTT broker for one data directory.

    Start it as a context manager or with ``start``/``stop``; hold the lock of ``data`` meanwhile. ``listen`` is where
    devices connect: loopback, or another address with ``tls`` or with ``insecure_plain`` (else
    :class:`ListenerRefusedError`, raised on construction). ``port`` 0 means any free one, None the one of last time or
    1883. ``on_exit`` is called when the broker ends on its own.
    """

    def __init__(
        self,
        data: DataDirectory,
        *,
        external_url: str | None = None,
        listen: str = "127.0.0.1",
        port: int | None = None,
        tls: TlsFiles | None = None,
        insecure_plain: bool = False,
        limits: BrokerLimits | None = None,
        environ: Mapping[str, str] = os.environ,
        on_exit: Callable[[ChildProcess, int], None] | None = None,
    ) -> None:
        check_listener(listen, tls, insecure_plain)
        self.data = data
        self.external_url = external_url
        self.limits = limits or BrokerLimits()
        self.rights = BrokerRights(data)
        self._listen = listen
        self._wanted_port = port
        self._tls = tls
        self._environ = environ
        self._on_exit = on_exit
        self._child: ChildProcess | None = None
        self._endpoint: BrokerEndpoint | None = None
        self._mosquitto: Mosquitto | None = None
        self._kind = ""
        self._control: BrokerEndpoint | None = None
        self._server: dict[str, Any] = {}

    @classmethod
    def from_environment(
        cls,
        data: DataDirectory,
        environ: Mapping[str, str] = os.environ,
        *,
        listen: str = "127.0.0.1",
        tls: TlsFiles | None = None,
        insecure_plain: bool = False,
    ) -> LocalBroker:
        """As ``SERVITIZE_MQTT_URL`` and ``SERVITIZE_MQTT_BROKER`` say."""
        return cls(
            data,
            external_url=environ.get("SERVITIZE_MQTT_URL") or None,
            listen=listen,
            tls=tls,
            insecure_plain=insecure_plain,
            environ=environ,
        )

    # -- lifecycle -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring the broker up with everybody's rights as recorded, and return when it lets us in."""
        if self.running:
            return
        if self.external_url is not None:
            self._use_external(self.external_url)
            return
        self._kind = self._choose()
        directory = self.data.directory("broker")
        end_leftovers(directory, "mosquitto")
        end_leftovers(directory, "python", marker="runtime.local.iotcore_server")
        self.data.update_state("broker", kind=self._kind)
        for attempt in range(1, _START_ATTEMPTS + 1):
            child = self._make_iotcore(directory) if self._kind == STATIC else self._make_mosquitto(directory)
            try:
                child.start()
            except ProcessFailedError as error:
                if attempt == _START_ATTEMPTS or "in use" not in str(error):
                    raise
                continue
            self._child = child
            break
        self.data.update_state("servers", broker={**self._server, "pid": self.pid})

    def stop(self) -> None:
        """End it in order: sessions and queued messages are written first (where the broker can keep them)."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        if self._endpoint is not None:
            self._endpoint = None
            self.data.update_state("servers", broker=None)

    def save(self) -> None:
        """Have sessions and queued messages written now, where the broker can; it does so by itself every few seconds.

        Once ingest has subscribed for the first time its session must be on disk: a broker that is killed before that
        acknowledges what is published afterwards, and keeps it for nobody.
        """
        if self._child is not None and self._kind in (DYNAMIC, FILES):
            self._child.signal(signal.SIGUSR1)

    def kill(self) -> None:
        """End it as a power cut would (for tests of recovery)."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    @property
    def running(self) -> bool:
        """Whether our broker lives; for an external one, whether ``start`` has reached it."""
        if self.external_url is not None:
            return self._endpoint is not None
        return self._child is not None and self._child.running

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- what others use -------------------------------------------------------------------------------------

    @property
    def service(self) -> BrokerEndpoint:
        """Where our own ingest and publishers connect, and as whom."""
        if self._endpoint is None:
            raise UnavailableError("the MQTT broker has not been started")
        return self._endpoint

    @property
    def control(self) -> BrokerEndpoint | None:
        """As who may change the accounts of an external broker; None where it is ours, or does not let us."""
        return self._control

    @property
    def capabilities(self) -> BrokerCapabilities:
        """What the broker in use can do; known once it has been started."""
        if self._kind == EXTERNAL:
            return external_capabilities(provisioned=self._control is not None)
        if self._kind == STATIC:
            return iotcore_capabilities(self.rights.book.entries())
        if self._mosquitto is None:
            raise UnavailableError("the MQTT broker has not been started")
        return mosquitto_capabilities(self._mosquitto, self.limits, dynamic=self._kind == DYNAMIC)

    def provision(self, credentials: Sequence[DeviceCredential]) -> None:
        """Let these devices in; see :meth:`BrokerRights.provision`. Before ``start`` it only records them."""
        if self.external_url is None:
            self.rights.expected_kind = self._kind or self._choose()
        self.rights.provision(credentials)

    def revoke(self, username: str) -> bool:
        """Shut this device out and disconnect it; see :meth:`BrokerRights.revoke`."""
        return self.rights.revoke(username)

    # -- the three kinds -------------------------------------------------------------------------------------

    def _choose(self) -> str:
        wanted = self._environ.get("SERVITIZE_MQTT_BROKER", "")
        if wanted not in ("", "mosquitto", "iotcore"):
            raise InvalidInputError(
                f"SERVITIZE_MQTT_BROKER is {wanted!r}", hint="it may be 'mosquitto' or 'iotcore', or be left out"
            )
        mosquitto = find_mosquitto(self._environ) if wanted != "iotcore" else None
        if mosquitto is not None and first_unreachable(mosquitto.program, self.data.account) is None:
            self._mosquitto = mosquitto
            return DYNAMIC if mosquitto.plugin is not None else FILES
        if wanted == "mosquitto" or importlib.util.find_spec("iotcore") is None:
            raise UnavailableError(
                "no MQTT broker was found (Mosquitto 2)", hint=f"{GET_MOSQUITTO}, or set SERVITIZE_MQTT_URL"
            )
        if self._tls is not None:
            raise ListenerRefusedError("the iotcore broker is not set up for TLS here", hint=GET_MOSQUITTO)
        return STATIC

    def _listeners(self) -> list[Listener]:
        """A plain one on loopback for ourselves, and the one for devices where that is elsewhere."""
        own = Listener("127.0.0.1", choose_port(self.data, "mqtt", wanted=self._wanted_port))
        if is_loopback(self._listen):
            return [own]
        if self._tls is None:  # asked for in so many words, see check_listener
            device = Listener(self._listen, own.port)
            return [device] if ipaddress.ip_address(self._listen).is_unspecified else [own, device]
        wanted = 0 if self._wanted_port == 0 else None
        port = choose_port(self.data, "mqtts", wanted=wanted, host=self._listen)
        return [own, Listener(self._listen, port, self._tls)]

    def _make_mosquitto(self, directory: Path) -> ChildProcess:
        assert self._mosquitto is not None
        if self._kind == DYNAMIC:
            self.rights.book.put(own_accounts(self.data))
            file = self.data.write_private(
                directory / "dynamic-security.json", dynamic_security_file(self.rights.book.entries())
            )
            lines = [f"plugin {self._mosquitto.plugin}", f"plugin_opt_config_file {file}"]
        else:
            self.rights.write_files({"kind": FILES})
            lines = [f"password_file {directory / 'passwords'}", f"acl_file {directory / 'rights'}"]
        listeners = [self._with_readable_key(listener) for listener in self._listeners()]
        text = configuration(self._mosquitto, directory, listeners, self.limits, rights=lines)
        config = self.data.write_private(directory / "mosquitto.conf", text)
        self._reached_at(listeners[0].port)
        return self._child_process([self._mosquitto.program, "-c", config], directory, drop=True)

    def _make_iotcore(self, directory: Path) -> ChildProcess:
        port = choose_port(self.data, "mqtt", wanted=self._wanted_port)
        newer = choose_port(self.data, "mqtt5", wanted=0 if self._wanted_port == 0 else None)
        # One listener per protocol: opened to a network it has to take loopback along, or we could not reach it.
        host = "127.0.0.1" if is_loopback(self._listen) else "0.0.0.0"  # noqa: S104
        self._reached_at(port, newer)
        self.data.write_private(directory / "iotcore.template", configuration_template(host, port, newer, self.limits))
        self.rights.write_files(self._server)
        account = self.data.account
        command = [
            sys.executable,
            "-m",
            "runtime.local.iotcore_server",
            str(directory / "iotcore.toml"),
            str(account.uid if account else -1),
            str(account.gid if account else -1),
        ]
        return self._child_process(command, directory, drop=False)

    def _child_process(self, command: Sequence[str | Path], directory: Path, *, drop: bool) -> ChildProcess:
        repository = str(Path(__file__).resolve().parents[2])
        return ChildProcess(
            "the MQTT broker",
            command,
            directory=directory,
            log=self.data.log_path("broker"),
            account=self.data.account if drop else None,
            environment={"PATH": "/usr/sbin:/usr/bin:/bin", "TZ": "UTC", "PYTHONPATH": repository},
            ready=self._ready,
            ready_timeout=60.0,
            stop_signal=signal.SIGTERM,
            stop_timeout=60.0,  # it writes the whole backlog
            on_exit=self._on_exit,
        )

    def _reached_at(self, port: int, mqtt5_port: int | None = None) -> None:
        newer = mqtt5_port or port
        password = self.data.secret(SERVICE_USER)
        self._endpoint = BrokerEndpoint("127.0.0.1", port, SERVICE_USER, password, mqtt5_port=newer)
        self._server = {"kind": self._kind, "host": self._listen, "port": port, "mqtt5_port": newer}

    def _ready(self) -> bool:
        return is_let_in(self.service.host, self.service.port, CONTROL_USER, self.data.secret(CONTROL_USER))

    def _with_readable_key(self, listener: Listener) -> Listener:
        """The listener with its key copied (0600) where the broker's account may not read the original."""
        if listener.tls is None:
            return listener
        for path in (listener.tls.certificate, listener.tls.key):
            if not path.is_file():
                raise ListenerRefusedError(f"there is no file {path}", hint="give certificate and key as PEM files")
        directory = self.data.directory("broker", "tls")
        copies = [
            self.data.write_private(directory / name, path.read_bytes())
            for name, path in (("certificate.pem", listener.tls.certificate), ("key.pem", listener.tls.key))
        ]
        return Listener(listener.host, listener.port, TlsFiles(*copies))

    def _use_external(self, url: str) -> None:
        environ = {**self._environ, external.URL: url}
        endpoint = external.service_endpoint(self.data, environ)
        assert endpoint is not None
        try:
            socket.create_connection((endpoint.host, endpoint.port), timeout=10).close()
        except OSError as error:
            raise UnavailableError(
                f"SERVITIZE_MQTT_URL is set, and {endpoint.host}:{endpoint.port} does not answer: {error}",
                hint="start that broker or correct the URL; unset it to have a broker started here",
            ) from error
        self._kind = EXTERNAL
        self._endpoint = endpoint
        self._control = external.control_endpoint(self.data, environ)
        self.data.update_state("servers", broker={"kind": EXTERNAL, "host": endpoint.host, "port": endpoint.port})
