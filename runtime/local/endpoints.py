"""Where an MQTT broker is reached, and which addresses it may be opened on."""

from __future__ import annotations

import ipaddress
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import InvalidInputError
from runtime.local.errors import ListenerRefusedError


@dataclass(frozen=True)
class BrokerEndpoint:
    """Where and as whom to connect. ``mqtt5_port`` differs from ``port`` where MQTT 5 has a listener of its own."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls: bool = False
    mqtt5_port: int | None = None


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


def parse_url(url: str) -> BrokerEndpoint:
    """``mqtt://user:password@host:1883`` or ``mqtts://…:8883``; raises :class:`InvalidInputError` for anything else."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise InvalidInputError(
            "SERVITIZE_MQTT_URL is no MQTT address", hint="write mqtt://user:password@host:1883, or mqtts:// for TLS"
        )
    tls = parts.scheme == "mqtts"
    username, password = (urllib.parse.unquote(word) if word else None for word in (parts.username, parts.password))
    port = parts.port or (8883 if tls else 1883)
    return BrokerEndpoint(parts.hostname, port, username, password, tls, port)


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
