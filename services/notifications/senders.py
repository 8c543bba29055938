"""How a message leaves: webhook, mail, MQTT. Each blocks until the other side has it, or says why it has not."""

from __future__ import annotations

import email.utils
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

from core.errors import ServitizeError
from services import vetted
from services.notifications.messages import Message, body, mail
from storage.sealing import Sealer

SEAL: Final = "webhook"
_RETRY_AFTER_MOST: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Result:
    """``ok``: it arrived. ``gone``: it is not wanted there any more. ``after``: seconds the other side asks to wait."""

    ok: bool
    status: int | None = None
    said: str = ""
    gone: bool = False
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """The mail server of the installation. ``security``: ``starttls``, ``tls`` or ``none``."""

    host: str
    port: int = 587
    sender: str = "servitize@localhost"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    security: str = "starttls"
    seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Channels:
    """What a deliverer may use. ``publish`` hands (topic, payload) to the broker and returns when it has it; None:
    there is no broker. ``master`` opens webhooks' secrets."""

    outbound: vetted.OutboundPolicy = field(default_factory=vetted.OutboundPolicy)
    smtp: SmtpSettings | None = None
    publish: Callable[[str, bytes], None] | None = None
    master: str | None = field(default=None, repr=False)
    find: vetted.Resolve = vetted.resolve
    trust: ssl.SSLContext | None = None


def owner_of(endpoint: int) -> str:
    """What an endpoint's secret is sealed for."""
    return f"endpoint/{endpoint}"


def send(channels: Channels, message: Message, endpoint: int, secrets: list[bytes], now: float) -> Result:
    """Send one message; ``secrets`` are sealed, ``now`` in seconds since 1970. Never raises for the other side's
    doings."""
    try:
        if message.kind == "webhook":
            return _webhook(channels, message, endpoint, secrets, now)
        if message.kind == "email":
            return _mail(channels, message)
        return _mqtt(channels, message)
    except ServitizeError as error:
        return Result(False, said=str(error))


def _webhook(channels: Channels, message: Message, endpoint: int, secrets: list[bytes], now: float) -> Result:
    if channels.master is None:
        return Result(False, said="this deliverer has no secret of the installation to sign with")
    sealer = Sealer(channels.master, SEAL)
    payload = body(message)
    moment = datetime.fromtimestamp(int(now), UTC)
    signatures = [
        Webhook(sealer.open(sealed, owner_of(endpoint))).sign(message.id, moment, payload.decode())
        for sealed in secrets
    ]
    reply = vetted.call(
        "POST",
        message.address,
        channels.outbound,
        body=payload,
        headers={
            "Content-Type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": " ".join(signatures),
        },
        find=channels.find,
        trust=channels.trust,
    )
    if 200 <= reply.status < 300:
        return Result(True, reply.status)
    if 300 <= reply.status < 400:
        return Result(False, reply.status, "it answers with a redirect, which is not followed")
    said = f"it answers {reply.status}"
    return Result(False, reply.status, said, reply.status == 410, _retry_after(reply.headers.get("retry-after"), now))


def _retry_after(text: str | None, now: float) -> float:
    """Seconds that a header Retry-After asks for, at most an hour; 0 where it says nothing of use."""
    if not text:
        return 0.0
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _RETRY_AFTER_MOST)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return min(max(0.0, moment.timestamp() - now), _RETRY_AFTER_MOST)


def _mail(channels: Channels, message: Message) -> Result:
    smtp = channels.smtp
    if smtp is None:
        return Result(False, said="there is no mail server (SERVITIZE_SMTP_URL)")
    try:
        context = ssl.create_default_context()
        if smtp.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=smtp.seconds, context=context)
        else:
            server = smtplib.SMTP(smtp.host, smtp.port, timeout=smtp.seconds)
        with server:
            if smtp.security == "starttls":
                server.starttls(context=context)
            if smtp.username is not None:
                server.login(smtp.username, smtp.password or "")
            server.send_message(mail(message, smtp.sender))
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return Result(False, error.smtp_code, f"the mail server says {error.smtp_code} {text}"[:300])
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return Result(False, said=f"the mail server did not take it: {error}"[:300])
    return Result(True, 250)


def _mqtt(channels: Channels, message: Message) -> Result:
    if channels.publish is None:
        return Result(False, said="there is no broker")
    try:
        channels.publish(f"servitize/v1/{message.tenant}/notifications/{message.address}", body(message))
    except OSError as error:
        return Result(False, said=f"the broker did not take it: {error}")
    return Result(True)
