"""What notifications may use of an installation: its mail server, its broker, networks of its own, its secret."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from core.errors import InvalidInputError, UnavailableError
from runtime.bootstrap import DEVICE_MASTER
from runtime.endpoints import BrokerEndpoint
from runtime.letters import publish_all
from runtime.local.paths import DataDirectory
from services.notifications.senders import Channels, SmtpSettings
from services.vetted import OutboundPolicy

SMTP_URL: Final = "SERVITIZE_SMTP_URL"
SMTP_FROM: Final = "SERVITIZE_SMTP_FROM"
PASSWORD: Final = "smtp-password"  # noqa: S105 - its name
ALLOWED: Final = "SERVITIZE_OUTBOUND_ALLOWED"
_SECURITY: Final = {"smtp": ("starttls", 587), "smtps": ("tls", 465), "smtp+plain": ("none", 25)}


def outbound(environ: Mapping[str, str] = os.environ) -> OutboundPolicy:
    """Networks of one's own from ``SERVITIZE_OUTBOUND_ALLOWED``, separated by commas."""
    networks = []
    for text in filter(None, (part.strip() for part in environ.get(ALLOWED, "").split(","))):
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            raise InvalidInputError(
                f"{ALLOWED} names {text!r}", hint="networks such as 10.20.0.0/16, by commas"
            ) from None
    return OutboundPolicy(allowed=tuple(networks))


def _password(data: DataDirectory) -> str | None:
    if data.given is not None:
        return data.given_secret(PASSWORD)
    path = data.root / "secrets" / PASSWORD
    return path.read_text().strip() if path.exists() else None


def smtp(data: DataDirectory, environ: Mapping[str, str] = os.environ) -> SmtpSettings | None:
    """The mail server of ``SERVITIZE_SMTP_URL`` (``smtp://USER@HOST``: STARTTLS, ``smtps://``, ``smtp+plain://``); its
    password is the secret ``smtp-password``. None where there is none."""
    url = environ.get(SMTP_URL, "").strip()
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in _SECURITY or not parts.hostname or parts.password is not None:
        raise InvalidInputError(
            f"{SMTP_URL} is no address of a mail server", hint="smtp://USER@HOST:587; the password is a secret"
        )
    security, usual = _SECURITY[parts.scheme]
    user = unquote(parts.username) if parts.username else None
    sender = environ.get(SMTP_FROM, "").strip() or f"servitize@{parts.hostname}"
    password = None if user is None else _password(data)
    if user is not None and password is None:
        raise InvalidInputError(
            f"there is no secret {PASSWORD!r}", hint="a file of that name among the secrets of the data directory"
        )
    return SmtpSettings(parts.hostname, port or usual, sender, user, password, security)


def channels(
    data: DataDirectory, broker: Callable[[], BrokerEndpoint | None], environ: Mapping[str, str] = os.environ
) -> Channels:
    """All ways out that the installation has."""

    def publish(topic: str, payload: bytes) -> None:
        at = broker()
        if at is None:
            raise UnavailableError("there is no broker")
        publish_all(at, [(topic, payload)])

    master = data.secret(DEVICE_MASTER) if data.given is None else data.given_secret(DEVICE_MASTER)
    return Channels(outbound(environ), smtp(data, environ), publish, master)
