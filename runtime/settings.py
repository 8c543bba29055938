"""What a person may choose about an instance, from options and environment; checked before anything starts."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import InvalidInputError
from ingest.sparkplug.limits import SparkplugSettings
from runtime.local.mosquitto import TlsFiles
from stream_processors.heartbeat import check as check_heartbeat

LOOPBACK = "127.0.0.1"
SPARKPLUG_HOST_ID = "SERVITIZE_SPARKPLUG_HOST_ID"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a server listens. ``port`` None: the one of last time, the usual one, or any free one; 0: any free one."""

    host: str = LOOPBACK
    port: int | None = None

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Settings:
    """Choices of one instance; see docs/reference/settings.md.

    ``sparkplug_host_id``: under which STATE says that this host application is online.
    ``insecure`` is the explicit word that plain text may leave this machine. ``home`` None: the default directory.
    """

    home: Path | None = None
    api: Listen = Listen()
    mqtt: Listen = Listen()
    tls: TlsFiles | None = None
    insecure: bool = False
    sparkplug_host_id: str = SparkplugSettings().host_id

    def check(self) -> Settings:
        """Itself; :class:`~core.errors.InvalidInputError` where it exposes plain text or names missing files."""
        for name, listen in (("API", self.api), ("MQTT broker", self.mqtt)):
            if not listen.is_loopback and self.tls is None and not self.insecure:
                raise InvalidInputError(
                    f"the {name} would take passwords in plain text from the network at {listen.host}",
                    hint="give --tls-cert and --tls-key, or say --insecure-listen if the network is yours",
                )
        SparkplugSettings(host_id=self.sparkplug_host_id)
        for path in (self.tls.certificate, self.tls.key) if self.tls else ():
            if not path.is_file():
                raise InvalidInputError(f"there is no TLS file {path}", hint="give certificate and key as PEM files")
        return self


def parse_listen(text: str | None, option: str) -> Listen:
    """``"8080"``, ``"127.0.0.1:8080"``, ``"0.0.0.0"``, ``"[::1]:8080"``.

    >>> parse_listen("192.0.2.1:8080", "--api")
    Listen(host='192.0.2.1', port=8080)
    """
    if not text:
        return Listen()
    if text.isdigit():
        host, port = LOOPBACK, text
    elif text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    if not host or (port and not (port.isdigit() and int(port) < 65536)):
        raise InvalidInputError(f"{text!r} is no address to listen on ({option})", hint="write HOST:PORT, HOST or PORT")
    return Listen(host, int(port) if port else None)


def choose_settings(
    *,
    home: Path | None = None,
    api: str | None = None,
    mqtt: str | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    insecure: bool = False,
    sparkplug_host_id: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Settings from options, which win over the environment; checked."""
    if heartbeat := environ.get("SERVITIZE_HEARTBEAT_URL"):
        check_heartbeat(heartbeat, _seconds(environ.get("SERVITIZE_HEARTBEAT_SECONDS") or "60"))
    certificate = certificate or _path(environ.get("SERVITIZE_TLS_CERT"))
    key = key or _path(environ.get("SERVITIZE_TLS_KEY"))
    if (certificate is None) != (key is None):
        raise InvalidInputError("TLS needs a certificate and a key", hint="give both --tls-cert and --tls-key")
    return Settings(
        home=home,
        api=parse_listen(api or environ.get("SERVITIZE_API_LISTEN"), "--api"),
        mqtt=parse_listen(mqtt or environ.get("SERVITIZE_MQTT_LISTEN"), "--mqtt"),
        tls=None if certificate is None or key is None else TlsFiles(certificate, key),
        insecure=insecure or environ.get("SERVITIZE_INSECURE_LISTEN", "") not in ("", "0"),
        sparkplug_host_id=sparkplug_host_id or environ.get(SPARKPLUG_HOST_ID) or SparkplugSettings().host_id,
    ).check()


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInputError(
            f"SERVITIZE_HEARTBEAT_SECONDS is {text!r}", hint="give seconds as a number, e.g. 60"
        ) from None


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None
