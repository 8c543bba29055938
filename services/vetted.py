"""Connections to addresses that others chose (webhooks, issuers of tokens): only to what was vetted, and nowhere else.

A name is resolved once, every address it has must be allowed, and the connection goes to the very address that was
looked at: what the name says a moment later does not matter. Nothing follows redirects, no proxy is asked, what is read
is bounded in bytes and in time as a whole, however slowly it comes.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from core.errors import InvalidInputError, UnavailableError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
"""Addresses of a name, as text; raises OSError."""

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """Where connections may go. By default to public addresses by TLS only.

    ``allowed``: networks of one's own that are allowed beside, there also without TLS (a receiver in the same hall, a
    test). ``seconds`` for everything from connecting to the last byte; ``most_bytes`` of an answer are read.
    """

    allowed: tuple[Network, ...] = ()
    seconds: float = 10.0
    most_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A vetted URL: ``address`` is the one that is connected to."""

    scheme: str
    host: str
    port: int
    path: str
    address: str

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Reply:
    """``body`` is whole, or its beginning where ``cut``."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool


def resolve(host: str, port: int) -> list[str]:
    """What the system says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_allowed(text: str, policy: OutboundPolicy) -> tuple[bool, bool]:
    """(may be connected to, is of one's own networks)."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False, False
    inner = _inner(address)
    if any(inner in network for network in policy.allowed if network.version == inner.version):
        return True, True
    # "%" names a link: link-local, whatever it looks like
    public = "%" not in text and address.is_global and inner.is_global and not inner.is_multicast
    return public, False


def split(url: str) -> Target:
    """The parts of a URL that could be connected to; its address is still to be found ("").

    Raises InvalidInputError for what is no such URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInputError(f"this is no URL: {error}") from None
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in ("https", "http") or not host:
        raise InvalidInputError("the URL is not https://HOST/…", hint="only web addresses are connected to")
    if parts.username is not None or parts.password is not None:
        raise InvalidInputError("the URL holds a user or password", hint="requests are signed; nothing else is needed")
    if not url.isascii() or any(c <= " " or c == "\x7f" or c == "\\" for c in url):
        raise InvalidInputError("the URL holds blanks or characters that have to be escaped")
    if port == 0:
        raise InvalidInputError("the URL names port 0")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path, "")


def vet(url: str, policy: OutboundPolicy, find: Resolve = resolve) -> Target:
    """Where to connect for ``url``: resolved once, every address of the name looked at.

    Raises InvalidInputError where the policy forbids it, UnavailableError where the name is not known now.
    """
    target = split(url)
    try:
        addresses = find(target.host, target.port)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(f"{target.host} is not known: {error}") from None
    if not addresses:
        raise UnavailableError(f"{target.host} has no address")
    ours = True
    for address in addresses:
        allowed, own = _is_allowed(address, policy)
        if not allowed:
            raise InvalidInputError(
                f"{target.host} is at {address}, which is no public address",
                hint="whoever runs this service may allow networks of his own (SERVITIZE_OUTBOUND_ALLOWED)",
            )
        ours = ours and own
    if target.scheme != "https" and not ours:
        raise InvalidInputError("without TLS only networks that are allowed by name are connected to", hint="use https")
    return Target(target.scheme, target.host, target.port, target.path, addresses[0])


class _Deadlined(io.RawIOBase):
    """Reads from a socket until a moment, not until a pause: who sends a byte now and then gains nothing by it."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._until))
        return self._sock.recv_into(buffer)


class _Whole(io.BufferedReader):
    """Lines that end: an answer whose head breaks off in the middle is no answer, whatever its first line says."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and (size is None or size < 0 or len(line) < size):
            raise ConnectionError("it broke off in the middle")
        return line


class _Line:
    """What http.client needs of a socket."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(_left(self._until))
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return _Whole(_Deadlined(self._sock, self._until))

    def close(self) -> None:
        """http.client lets go of the line before the answer is read; who opened the socket closes it."""


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("it took too long")
    return left


def call(
    method: str,
    url: str,
    policy: OutboundPolicy,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    find: Resolve = resolve,
    trust: ssl.SSLContext | None = None,
) -> Reply:
    """One request to a vetted address; blocks up to ``policy.seconds`` beside resolving.

    Raises InvalidInputError where the policy forbids it, UnavailableError where nobody answers in time, or not in HTTP.
    A redirect is an answer like any other.
    """
    target = vet(url, policy, find)
    until = time.monotonic() + policy.seconds
    raw: socket.socket | None = None
    try:
        raw = socket.create_connection((target.address, target.port), timeout=_left(until))
        if target.scheme == "https":
            raw.settimeout(_left(until))
            raw = (trust or ssl.create_default_context()).wrap_socket(raw, server_hostname=target.host)
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock = _Line(raw, until)
        sent = {
            "Host": target.authority,
            "Connection": "close",
            "Accept-Encoding": "identity",
            "User-Agent": "servitize/1",
            **(headers or {}),
        }
        connection.request(method, target.path, body or None, sent)
        answer = connection.getresponse()
        text = answer.read(policy.most_bytes + 1)
        return Reply(
            answer.status,
            {name.lower(): value for name, value in answer.getheaders()},
            text[: policy.most_bytes],
            len(text) > policy.most_bytes,
        )
    except (OSError, http.client.HTTPException, ValueError) as error:
        what = str(error) or type(error).__name__
        raise UnavailableError(f"{target.host} did not answer: {what}") from error
    finally:
        if raw is not None:
            raw.close()
