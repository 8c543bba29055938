"""Who may use the MQTT broker, and for which topics: the record that every kind of broker is configured from.

The record (``broker/access.json``, mode 0600) is the truth; the plugin's file, the password file or the static table of
a broker is rendered from it at every start. So rights survive a change of broker, and can be changed while none runs.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from core.errors import InvalidInputError
from runtime.local.paths import DataDirectory

SERVICE_USER = "servitize-service"
"""Our own ingest and publishers: every topic but those that control the broker."""
CONTROL_USER = "servitize-control"
"""Changes access rights in a running broker, and may do nothing else."""
RESERVED_PREFIX = "servitize-"

_HASH_ROUNDS = 101
"""What Mosquitto itself uses. Passwords here are generated with 144 random bits, which need no stretching, and the
broker hashes on its only thread: a fleet that reconnects at once must not stand still for it."""


@dataclass(frozen=True)
class DeviceCredential:
    """What one device may do.

    ``publish`` and ``subscribe`` are topic filters (``+`` and ``#`` allowed), e.g. ``servitize/v1/acme/press-7/#``;
    everything else is denied. ``client_id`` is bound to the username where the broker can do that. An empty
    ``password``: it comes by a client certificate whose common name is the username.
    """

    client_id: str
    username: str
    password: str = field(repr=False)
    publish: Sequence[str] = ()
    subscribe: Sequence[str] = ()

    @property
    def fingerprint(self) -> str:
        """Tells one password from the next where nobody may see either; 64 bits of a hash of 192 random ones."""
        if not self.password:
            return "certificate"
        return hashlib.sha256(b"servitize fingerprint\0" + self.password.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Entry:
    """A credential as it is kept: salted PBKDF2-HMAC-SHA512 of the password, the password itself only where needed."""

    client_id: str
    salt: str
    digest: str
    publish: list[str]
    subscribe: list[str]
    password: str | None = field(default=None, repr=False)

    def matches(self, password: str) -> bool:
        """Whether ``password`` is the one this entry was made from."""
        return secrets.compare_digest(self.digest, _digest(password, base64.b64decode(self.salt)))


class AccessBook:
    """The record of who may use the broker, shared by all processes of one data directory.

    ``keep_passwords`` stores them readable as well, for the one broker that has no hashes (iotcore).
    """

    def __init__(self, data: DataDirectory) -> None:
        self._data = data
        self._path = data.directory("broker") / "access.json"

    def entries(self) -> dict[str, Entry]:
        """Every entry by username."""
        try:
            raw = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        return {username: Entry(**values) for username, values in raw.items()}

    def put(self, credentials: Sequence[DeviceCredential], *, keep_passwords: bool = False) -> list[str]:
        """Add or replace; returns the usernames whose password, client id or rights are not what they were.

        Raises :class:`InvalidInputError`, and changes nothing, when any of them cannot be written down safely.
        """
        for credential in credentials:
            check(credential)
        changed: list[str] = []
        with self._locked() as entries:
            for credential in credentials:
                old = entries.get(credential.username)
                same_password = old is not None and old.matches(credential.password)
                entry = entry_of(credential, keep_password=keep_passwords)
                if old is not None and same_password:
                    entry = replace(entry, salt=old.salt, digest=old.digest)
                if entry != old:
                    entries[credential.username] = entry
                    if old is None or replace(entry, password=None) != replace(old, password=None):
                        changed.append(credential.username)
        return changed

    def remove(self, username: str) -> bool:
        """Forget ``username``; False when it was not known."""
        with self._locked() as entries:
            return entries.pop(username, None) is not None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[dict[str, Entry]]:
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            before = self.entries()
            entries = dict(before)
            yield entries
            if entries != before:
                text = json.dumps({name: asdict(entry) for name, entry in sorted(entries.items())}, indent=1)
                self._data.write_private(self._path, text)
        finally:
            os.close(descriptor)


def own_accounts(data: DataDirectory) -> list[DeviceCredential]:
    """Our own two accounts, with their generated passwords."""
    return [
        DeviceCredential("", SERVICE_USER, data.secret(SERVICE_USER), ("#",), ("#", "$SYS/#", "$share/#")),
        DeviceCredential(
            "", CONTROL_USER, data.secret(CONTROL_USER), ("$CONTROL/#",), ("$CONTROL/dynamic-security/v1/response",)
        ),
    ]


# -- what each kind of broker reads ----------------------------------------------------------------------------------


def role_name(username: str) -> str:
    """The role of one user: the plugin knows no placeholder for the username, so each has a role of its own."""
    return f"only-{username}"


def role_rules(publish: Sequence[str], subscribe: Sequence[str]) -> list[dict[str, Any]]:
    """Rules of the dynamic security plugin for these filters; what is not named is denied by the defaults."""
    rules = [("publishClientSend", topic) for topic in publish]
    for topic in subscribe:
        # Receiving is granted beside subscribing, so that a wider subscription of an old session delivers nothing.
        rules += [("subscribePattern", topic), ("publishClientReceive", topic)]
    return [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for kind, topic in rules]


def dynamic_security_file(entries: Mapping[str, Entry]) -> str:
    """The file that Mosquitto's dynamic security plugin reads at its start."""
    return json.dumps(dynamic_security_document(entries), indent=1)


def dynamic_security_document(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """What stands in it: nothing is allowed by default, and each user has the one role of its own."""
    clients: list[dict[str, Any]] = []
    for username, entry in entries.items():
        client: dict[str, Any] = {
            "username": username,
            "roles": [{"rolename": role_name(username)}],
            "password": entry.digest,
            "salt": entry.salt,
            "iterations": _HASH_ROUNDS,
        }
        if entry.client_id:
            client["clientid"] = entry.client_id
        clients.append(client)
    return {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": clients,
        "groups": [],
        "roles": [
            {"rolename": role_name(username), "acls": role_rules(entry.publish, entry.subscribe)}
            for username, entry in entries.items()
        ],
    }


def password_file(entries: Mapping[str, Entry]) -> str:
    """Mosquitto's ``password_file``: scheme 7, PBKDF2-HMAC-SHA512."""
    return "".join(f"{name}:$7${_HASH_ROUNDS}${entry.salt}${entry.digest}\n" for name, entry in entries.items())


def acl_file(entries: Mapping[str, Entry]) -> str:
    """Mosquitto's ``acl_file``: who is not named, and what is not granted, is denied."""
    lines: list[str] = []
    for name, entry in entries.items():
        lines.append(f"user {name}")
        lines += [f"topic write {topic}" for topic in entry.publish]
        lines += [f"topic read {topic}" for topic in entry.subscribe]
        lines.append("")
    return "\n".join(lines) + "\n"


def plain_table(entries: Mapping[str, Entry]) -> dict[str, str]:
    """Username to password, of the entries that have one in readable form."""
    return {name: entry.password for name, entry in entries.items() if entry.password is not None}


def entry_of(credential: DeviceCredential, *, keep_password: bool = False) -> Entry:
    """As it is kept: the password salted and hashed anew."""
    salt = secrets.token_bytes(12)
    return Entry(
        client_id=credential.client_id,
        salt=base64.b64encode(salt).decode(),
        digest=_digest(credential.password, salt),
        publish=list(credential.publish),
        subscribe=list(credential.subscribe),
        password=credential.password if keep_password else None,
    )


def _digest(password: str, salt: bytes) -> str:
    return base64.b64encode(hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _HASH_ROUNDS)).decode()


def check(credential: DeviceCredential, *, by_certificate: bool = False) -> None:
    """Refuse (:class:`InvalidInputError`) what cannot be written down safely. ``by_certificate``: it needs no
    password."""
    name = credential.username
    if not name or ":" in name or not name.isprintable() or name != name.strip():
        raise InvalidInputError(
            f"{name!r} cannot be a broker username",
            hint="use printable characters without ':' and without spaces at the ends",
        )
    if by_certificate and not credential.password:
        pass
    elif not credential.password or not credential.password.isprintable():
        raise InvalidInputError(f"the password of {name!r} is empty or not printable", hint="have one generated")
    for topic in (*credential.publish, *credential.subscribe):
        levels = topic.split("/")
        misplaced = any("#" in level and level != "#" for level in levels) or "#" in levels[:-1]
        misplaced = misplaced or any("+" in level and level != "+" for level in levels)
        if not topic or not topic.isprintable() or misplaced or len(topic.encode()) > 65535:
            raise InvalidInputError(
                f"{topic!r} of {name!r} is no MQTT topic filter",
                hint="'+' and '#' stand for whole levels, and '#' only for the last",
            )
