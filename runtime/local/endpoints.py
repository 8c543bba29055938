"""Where an MQTT broker is reached, and which addresses it may be opened on."""

from __future__ import annotations

import ipaddress
import os
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.errors import InvalidInputError
from runtime.local.errors import ListenerRefusedError


@dataclass(frozen=True)
class BrokerEndpoint:
    """Where and as whom to connect. ``mqtt5_port`` differs from ``port`` where MQTT 5 has a listener of its own.

    With ``tls``: ``ca``, ``certificate`` and ``key`` are PEM files, ``server_name`` the name that the broker's
    certificate bears where that is not ``host`` (see :class:`ingest.tls.ClientTls`).
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    mqtt5_port: int | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of a listener beyond loopback: certificate chain and private key."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Listener:
    """One address the broker listens on; without ``tls`` in plain text."""

    host: str
    port: int
    tls: TlsFiles | None = None


def parse_url(url: str, setting: str = "SERVITIZE_MQTT_URL") -> BrokerEndpoint:
    """``mqtt://user:password@host:1883`` or ``mqtts://…:8883``; raises :class:`InvalidInputError` for anything else."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise InvalidInputError(
            f"{setting} is no MQTT address", hint="write mqtt://user:password@host:1883, or mqtts:// for TLS"
        )
    tls = parts.scheme == "mqtts"
    username, password = (urllib.parse.unquote(word) if word else None for word in (parts.username, parts.password))
    port = parts.port or (8883 if tls else 1883)
    return BrokerEndpoint(parts.hostname, port, username, password, tls, port)


def with_tls_files(endpoint: BrokerEndpoint, environ: Mapping[str, str] = os.environ) -> BrokerEndpoint:
    """The endpoint with what ``SERVITIZE_MQTT_CA``, ``_CERT``, ``_KEY`` and ``_SERVER_NAME`` say, if it speaks TLS."""
    given = {name: environ.get(f"SERVITIZE_MQTT_{name}") or None for name in ("CA", "CERT", "KEY", "SERVER_NAME")}
    if not endpoint.tls:
        if any(given.values()):
            raise InvalidInputError(
                "TLS files are given for a broker that is reached in plain text",
                hint="write mqtts:// in SERVITIZE_MQTT_URL, or unset SERVITIZE_MQTT_CA and its like",
            )
        return endpoint
    return replace(
        endpoint, ca=given["CA"], certificate=given["CERT"], key=given["KEY"], server_name=given["SERVER_NAME"]
    )


def check_listener(listen: str, tls: TlsFiles | None, insecure_plain: bool) -> None:
    """Refuse to open the broker to a network in plain text unless that was asked for in so many words."""
    try:
        ipaddress.ip_address(listen)
    except ValueError as error:
        if listen != "localhost":
            raise ListenerRefusedError(
                f"{listen!r} is no address to listen on", hint="give an IP address of this machine, or 0.0.0.0 for all"
            ) from error
    if is_loopback(listen) or tls is not None or insecure_plain:
        return
    raise ListenerRefusedError(
        f"the MQTT broker would take passwords in plain text from the network at {listen}",
        hint="give a certificate and key (--tls-cert, --tls-key), or say --insecure-plain-listener if nobody else "
        "can listen on that network",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback
