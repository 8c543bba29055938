"""Mosquitto as the embedded host runs it: where it is, what it can do, and the configuration it gets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.local.endpoints import Listener
from runtime.local.endpoints import TlsFiles as TlsFiles  # part of what describes this broker to its callers

_PROGRAM_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/sbin")
_PLUGIN_PATTERNS = (
    "usr/lib/*/mosquitto_dynamic_security.so",
    "usr/lib/mosquitto_dynamic_security.so",
    "usr/lib64/mosquitto_dynamic_security.so",
    "usr/local/lib*/mosquitto_dynamic_security.so",
    "usr/lib/*/mosquitto/mosquitto_dynamic_security.so",
    "opt/homebrew/lib/mosquitto_dynamic_security.so",
)


@dataclass(frozen=True)
class Mosquitto:
    """An installed Mosquitto 2: its program, version as text, and its dynamic security plugin if that is there."""

    program: Path
    version: str
    plugin: Path | None


@dataclass(frozen=True)
class BrokerLimits:
    """What bounds the broker.

    backlog_bytes: queued for one client that is away or slow, in memory and in the file (default 512 MiB: 60 s of
        20,000 readings/s in frames of 50 are about 25 MiB, so this is a night of it).
    payload_bytes: the largest message. Larger than what ingest takes, so that ingest can say why it refuses.
    inflight: sent to one client and not yet acknowledged. Ingest acknowledges after the commit, so this times the
        commits per second is the most messages per second.
    autosave_seconds: what was acknowledged within this time is lost when the broker is killed; each save writes the
        whole backlog.
    """

    backlog_bytes: int = 512 * 1024 * 1024
    payload_bytes: int = 4 * 1024 * 1024
    inflight: int = 2000
    autosave_seconds: int = 5


def find_mosquitto(environ: Mapping[str, str] = os.environ) -> Mosquitto | None:
    """The Mosquitto (2.0 or newer) on PATH or where systems put it; None when there is none."""
    path = os.pathsep.join((environ.get("PATH", ""), *_PROGRAM_DIRECTORIES))
    found = shutil.which("mosquitto", path=path)
    if found is None:
        return None
    try:
        answer = subprocess.run([found, "-h"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"mosquitto version (\d+)(\.\S+)", answer)
    if match is None or int(match[1]) < 2:
        return None
    plugins = (path for pattern in _PLUGIN_PATTERNS for path in Path("/").glob(pattern))
    return Mosquitto(Path(found).resolve(), match[1] + match[2], next(plugins, None))


def configuration(
    mosquitto: Mosquitto, directory: Path, listeners: list[Listener], limits: BrokerLimits, *, rights: list[str]
) -> str:
    """The text of ``mosquitto.conf``; ``rights`` are its lines that name the plugin or the files of rights."""
    lines = [
        "# Written at every start.",
        "per_listener_settings false",
        "allow_anonymous false",
        *rights,
        "persistence true",
        f"persistence_location {directory}/",
        "persistence_file sessions.db",
        f"autosave_interval {limits.autosave_seconds}",
        # Ingest's own session must outlast a long outage; those of devices that never return may go after that.
        "persistent_client_expiration 2m",
        # The default of 1000 silently drops what was acknowledged already; bytes are the bound that means something.
        "max_queued_messages 0",
        f"max_queued_bytes {limits.backlog_bytes}",
        f"max_inflight_messages {limits.inflight}",
        # Not message_size_limit: that acknowledges a large message and drops it. This disconnects, which is seen.
        f"max_packet_size {limits.payload_bytes + 65536 + 16}",
        "set_tcp_nodelay true",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
    ]
    for listener in listeners:
        lines.append(f"listener {listener.port} {listener.host}")
        if listener.tls is not None:
            lines += [f"certfile {listener.tls.certificate}", f"keyfile {listener.tls.key}", "tls_version tlsv1.2"]
    return "\n".join(lines) + "\n"
