"""Devices as accounts of a broker that somebody else runs: what the database says, and making the broker say the same.

The database is the truth. A password is derived from the installation's secret ``device-master`` and the device's own
nonce, so a broker that lost its accounts is given them again; beside each account stands a fingerprint of its password,
so a change that never reached the broker is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from core.errors import InvalidInputError
from runtime.access import Connection
from runtime.devices import credential_of, foreign_topics
from runtime.local.access import (
    CONTROL_USER,
    SERVICE_USER,
    DeviceCredential,
    dynamic_security_document,
    entry_of,
    own_accounts,
    role_name,
    role_rules,
)
from runtime.local.dynsec import DEVICE_MARK, Account, DynamicSecurity
from runtime.local.paths import DataDirectory
from storage import admin, secrets

_AT_ONCE: Final = 50
"""Devices made or changed between two looks at whether to stop."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """``accounts`` by username as they should be; ``lost``: let in, but nobody knows their password any more (made at
    random by an older version, or under another master secret)."""

    accounts: Mapping[str, DeviceCredential] = field(default_factory=dict)
    lost: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Repair:
    """What was found unlike the database and made like it (or would be); usernames, sorted.

    ``lost`` are missing in the broker and can only be rotated. ``strangers`` are accounts of others, left alone.
    """

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    closed: bool = False
    """By default the broker allowed something to everybody, and no longer does."""

    @property
    def anything(self) -> bool:
        """Whether the broker was not as it should be."""
        return bool(self.created or self.changed or self.removed or self.closed)

    def lines(self, *, done: bool) -> list[str]:
        """For a person; ``done`` False: it was only looked."""
        words = [
            (self.created, "missing", "let in"),
            (self.changed, "other than in the database", "put right"),
            (self.removed, "no longer let in", "removed"),
        ]
        lines = [
            f"{len(names)} {found}{f': {act}' if done else ''} ({_some(names)})" for names, found, act in words if names
        ]
        if self.closed:
            lines.append("by default it allowed something to everybody" + (": no longer" if done else ""))
        if self.lost:
            lines.append(
                f"{len(self.lost)} cannot be let in, their passwords are known to nobody: rotate {_some(self.lost)}"
            )
        if self.strangers:
            lines.append(f"{len(self.strangers)} accounts of others, left alone ({_some(self.strangers)})")
        return lines if self.anything or self.lost else ["the broker's accounts are as the database says", *lines]

    def as_document(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def wanted_accounts(connection: Connection, master: str) -> Wanted:
    """The account of every device that is not revoked. ``connection``: the writer's login or the owner's."""
    accounts, lost = {}, []
    foreign: dict[int, tuple[str, ...]] = {}
    for device in admin.devices(connection):
        if device.revoked:
            continue
        password = _password(device, master)
        if password is None:
            lost.append(device.username)
            continue
        topics: tuple[str, ...] = ()
        if device.equipment is None and device.edge_node is None:
            if device.tenant_id not in foreign:
                foreign[device.tenant_id] = foreign_topics(connection, device.tenant_id)
            topics = foreign[device.tenant_id]
        accounts[device.username] = credential_of(
            device.tenant,
            device.equipment,
            device.client_id,
            device.username,
            password,
            edge_node=device.edge_node,
            foreign=topics,
        )
    return Wanted(accounts, lost)


def _password(device: admin.Device, master: str) -> str | None:
    if device.by_certificate:
        return ""
    if device.nonce is None:
        return None
    password = secrets.derived_password(master, bytes(device.nonce))
    return password if secrets.digest(password) == bytes(device.secret_hash) else None


def reconcile(control: DynamicSecurity, look: Callable[[], Wanted], *, change: bool = True) -> Repair:
    """Make the broker's accounts what the database says (with ``change`` False: only say what is unlike).

    Accounts that are as they should be are not touched, so their devices stay connected. ``look`` is called after the
    broker was read: a device that is let in meanwhile is then not taken for one that should not be there.
    """
    present = control.accounts()
    wanted = look()
    created = [name for name in wanted.accounts if name not in present]
    changed = [
        name for name, account in wanted.accounts.items() if name in present and not _alike(present[name], account)
    ]
    known = {*wanted.accounts, *wanted.lost}
    removed = [name for name, account in present.items() if account.ours and name not in known]
    own = {CONTROL_USER, SERVICE_USER, (control.username or "")}
    strangers = [name for name, account in present.items() if not account.ours and name not in known | own]
    open_to_all = not control.denies_by_default()
    if change:
        if open_to_all:
            control.deny_by_default()
        control.remove(removed)  # first who must not be there
        due = [wanted.accounts[name] for name in (*changed, *created)]
        for start in range(0, len(due), _AT_ONCE):
            control.put(due[start : start + _AT_ONCE])
    return Repair(
        tuple(sorted(created)),
        tuple(sorted(changed)),
        tuple(sorted(removed)),
        tuple(sorted(name for name in wanted.lost if name not in present)),
        tuple(sorted(strangers)),
        open_to_all,
    )


def _alike(account: Account, wanted: DeviceCredential) -> bool:
    rules = {(rule["acltype"], rule["topic"]) for rule in role_rules(wanted.publish, wanted.subscribe)}
    return (
        account.ours
        and not account.disabled
        and account.client_id == wanted.client_id
        and account.rules == rules
        and account.description == wanted.fingerprint
    )


# -- before the broker runs --------------------------------------------------------------------------------------------


def initial_file(data: DataDirectory, before: str | None, wanted: Wanted | None = None) -> str:
    """The plugin's file with our own two accounts in it, their passwords as the secrets say, and nothing allowed by
    default; whatever else ``before`` (the file as it is, None: there is none) holds stays. With ``wanted`` the devices'
    accounts are as they should be, too: at once, where a running broker takes a while for each.

    Raises :class:`~core.errors.InvalidInputError` where ``before`` is no such file.
    """
    own = {credential.username: entry_of(credential) for credential in own_accounts(data)}
    fresh: dict[str, Any] = dynamic_security_document(own)
    if wanted is not None:
        devices = _devices_document(wanted)
        fresh = {**fresh, **{part: [*fresh[part], *devices[part]] for part in ("clients", "roles")}}
    if before is None or not before.strip():
        return json.dumps(fresh, indent=1)
    try:
        document = json.loads(before)
        document["defaultACLAccess"] = fresh["defaultACLAccess"]
        for part, name in (("clients", "username"), ("roles", "rolename")):
            ours = {entry[name] for entry in fresh[part]} | {role_name(username) for username in own}
            kept = [entry for entry in document.get(part, []) if entry[name] not in ours]
            if wanted is not None:  # the marked ones that are not wanted are revoked; who is lost comes in as before
                lost = {name for username in wanted.lost for name in (username, role_name(username))}
                kept = [entry for entry in kept if entry.get("textname") != DEVICE_MARK or entry[name] in lost]
            document[part] = kept + fresh[part]
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInputError(
            f"the file is no record of accounts ({type(error).__name__})",
            hint="move it away: a new one is made, and `servitize broker sync` brings the devices back",
        ) from error
    return json.dumps(document, indent=1)


def _devices_document(wanted: Wanted) -> dict[str, Any]:
    """Clients and roles of devices as the plugin's file has them, with our marks."""
    document = dynamic_security_document({name: entry_of(account) for name, account in wanted.accounts.items()})
    for client in document["clients"]:
        account = wanted.accounts[client["username"]]
        client |= {"textname": DEVICE_MARK, "textdescription": account.fingerprint}
        if not account.password:
            for name in ("password", "salt", "iterations"):
                del client[name]
    for role in document["roles"]:
        role["textname"] = DEVICE_MARK
    return document
