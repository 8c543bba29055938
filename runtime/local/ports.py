"""Which TCP port each local server listens on: the one of last time, the usual one, or any free one."""

from __future__ import annotations

import socket

from runtime.local.paths import DataDirectory

USUAL_PORTS = {"mqtt": 1883, "mqtt5": 1884, "mqtts": 8883, "api": 8080, "postgres": 5442, "kafka": 9092}
"""Asked for first. 5442, not 5432, so that a PostgreSQL installed on the machine keeps its own."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether nobody listens on ``host:port`` now. Connections in TIME_WAIT do not count as taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def any_free_port(host: str = "127.0.0.1") -> int:
    """A port that the operating system says is free now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def choose_port(data: DataDirectory, name: str, *, wanted: int | None = None, host: str = "127.0.0.1") -> int:
    """A free port for the server ``name``, remembered in the state file so that devices need no new settings.

    Order: ``wanted``, the port of last time, the usual one (``wanted`` 0 leaves that out), any free one. A taken port
    is passed over, never fought for; the caller prints what was chosen.
    """
    remembered = data.state().get("ports", {}).get(name)
    usual = None if wanted == 0 else USUAL_PORTS.get(name)
    candidates = [port for port in (wanted, remembered, usual) if port]
    port = next((port for port in candidates if is_free(port, host)), None) or any_free_port(host)
    data.update_state("ports", **{name: port})
    return port
