"""Where the parts of a running instance are, with the logins to reach them: written by the supervisor, read by its
children and by every command. The file holds passwords: mode 0600, owned by the account that runs the instance."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

from core.errors import UnavailableError
from runtime.local.endpoints import BrokerEndpoint as BrokerEndpoint  # part of what is said here
from runtime.local.paths import DataDirectory

FILE = "endpoints.json"


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """Where the API listens; ``certificate`` and ``key`` are PEM files where it speaks TLS."""

    host: str
    port: int
    certificate: str | None = None
    key: str | None = None

    @property
    def url(self) -> str:
        """As a client on this machine writes it."""
        everywhere = socket.gethostname() if self.certificate else "127.0.0.1"  # a certificate holds for a name
        host = everywhere if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """``databases``: connection string by role (``owner``, ``servitize_writer``, ``servitize_api``). ``broker``: as
    ingest and our own publishers enter it; ``control``: as who may change its accounts, where the broker is somebody
    else's and lets us. ``kafka``: ``host:port[,…]``, where records go over it."""

    databases: dict[str, str] = field(default_factory=dict)
    broker: BrokerEndpoint | None = None
    control: BrokerEndpoint | None = None
    api: ApiEndpoint | None = None
    kafka: str | None = None

    def write(self, data: DataDirectory) -> Path:
        """Into the data directory, replacing what was there as a whole."""
        return data.write_private(data.root / FILE, json.dumps(asdict(self), indent=2))


def read_endpoints(data: DataDirectory) -> Endpoints:
    """What the running or last instance wrote; raises :class:`~core.errors.UnavailableError` if none ever ran."""
    try:
        document = json.loads((data.root / FILE).read_text())
    except (FileNotFoundError, ValueError) as error:
        raise UnavailableError(
            f"no instance has run in {data.root} yet", hint="start one with `servitize up`, or give --home DIR"
        ) from error
    broker, control, api = document.get("broker"), document.get("control"), document.get("api")
    return Endpoints(
        databases=document.get("databases", {}),
        broker=BrokerEndpoint(**broker) if broker else None,
        control=BrokerEndpoint(**control) if control else None,
        api=ApiEndpoint(**api) if api else None,
        kafka=document.get("kafka"),
    )
