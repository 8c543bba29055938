"""Setting up: tenants, sites, types, equipment, grants, devices, keys.

Every function takes a connection of the owner's login and runs in the caller's transaction. Times are microseconds
UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from core.equipment import EquipmentType
from core.errors import ConflictError, NotFoundError
from core.registry import EquipmentStatus, UnknownEquipmentPolicy
from core.time import to_datetime
from storage import secrets
from storage.errors import translated
from storage.migrate import keep_for_roles
from storage.queries import load
from storage.registry import sync_type

Connection = psycopg.Connection[Any]


def _moment(ts: int | None) -> Any:
    return None if ts is None else to_datetime(ts)


def create_tenant(
    connection: Connection,
    slug: str,
    name: str,
    *,
    unknown_equipment: UnknownEquipmentPolicy = UnknownEquipmentPolicy.REJECT,
    publisher_clock: bool = False,
    past_window: int | None = None,
    future_bound: int = 60_000_000,
    exist_ok: bool = False,
) -> int:
    """Id of a new organisation; with ``exist_ok`` that of the one with this slug, its settings made these.

    Raises :class:`~core.errors.ConflictError` where the slug is taken.
    """
    queries = load("admin")
    settings: dict[str, Any] = {
        "unknown_equipment": unknown_equipment.value,
        "publisher_clock": publisher_clock,
        "past_window_us": past_window,
        "future_bound_us": future_bound,
    }
    with translated():
        if exist_ok and (known := tenant_id(connection, slug)) is not None:
            queries.update_tenant(connection, id=known, **settings)
            return known
        return int(queries.create_tenant(connection, slug=slug, name=name, **settings))


def tenant_id(connection: Connection, slug: str) -> int | None:
    """Id by slug."""
    found = load("admin").tenant_id(connection, slug=slug)
    return None if found is None else int(found)


def create_site(connection: Connection, tenant_id: int, key: str, name: str, timezone: str = "UTC") -> int:
    """Id of the site, made or renamed."""
    with translated():
        return int(load("admin").create_site(connection, tenant_id=tenant_id, key=key, name=name, timezone=timezone))


def publish_type(
    connection: Connection, type_: EquipmentType, document: Mapping[str, Any], *, tenant_id: int | None = None
) -> int | None:
    """Publish the document ``type_`` was made of and give its equipment what is new in it; the revision, None where
    nothing changed.

    Every revision is kept. Raises :class:`~core.errors.ConflictError` where the key is another tenant's, or where a
    point
    that has readings would change its unit: old readings would mean something else.
    """
    admin, registry = load("admin"), load("registry")
    with translated():
        known = admin.type_owner(connection, key=type_.key)
        if known is not None and known[0] != tenant_id:
            raise ConflictError(f"the type {type_.key!r} belongs to somebody else", hint="give yours another key")
        points = type_.point_instances()
        changes = list(
            registry.unit_changes(
                connection,
                type_key=type_.key,
                keys=[p.key for p in points],
                units=[p.definition.unit for p in points],
            )
        )
        if changes:
            key, old, new = changes[0]
            raise ConflictError(
                f"the point {key!r} of {type_.key!r} has readings in {old!r} and cannot become {new!r}",
                hint="give the point a new key, or keep its unit",
            )
        revision = admin.publish_type(
            connection,
            key=type_.key,
            tenant_id=tenant_id,
            name=type_.name,
            version=type_.version,
            document=Jsonb(dict(document)),
        )
        if revision is None:
            return None
        admin.keep_type_revision(connection, key=type_.key)
        sync_type(connection, type_)
        return int(revision)


def create_equipment(
    connection: Connection,
    tenant_id: int,
    key: str,
    type_: EquipmentType,
    *,
    name: str | None = None,
    serial: str | None = None,
    site_id: int | None = None,
    status: EquipmentStatus = EquipmentStatus.APPROVED,
    commissioned_at: int | None = None,
    exist_ok: bool = False,
) -> int:
    """Id of a new equipment with all components and points of its (published) type.

    Raises :class:`~core.errors.ConflictError` where the tenant has one of this key and not ``exist_ok``,
    :class:`~core.errors.NotFoundError` where type, tenant or site is missing.
    """
    queries = load("admin")
    with translated():
        if exist_ok and (known := equipment_id(connection, tenant_id, key)) is not None:
            return known
        new = int(
            queries.create_equipment(
                connection,
                tenant_id=tenant_id,
                key=key,
                name=name or key,
                serial=serial,
                type_key=type_.key,
                site_id=site_id,
                status=status.value,
                commissioned_at=_moment(commissioned_at),
            )
        )
        sync_type(connection, type_, new)
        return new


def put_profile(connection: Connection, tenant_id: int, name: str, document: Mapping[str, Any]) -> bool:
    """Put a (checked) mapping profile to work for a tenant, or another text of it; False where it is there word for
    word."""
    with translated():
        changed = load("admin").put_profile(connection, tenant_id=tenant_id, name=name, document=Jsonb(dict(document)))
    return changed is not None


def remove_profile(connection: Connection, tenant_id: int, name: str) -> bool:
    """Take a mapping profile away; False where there is none."""
    with translated():
        return load("admin").remove_profile(connection, tenant_id=tenant_id, name=name) is not None


def equipment_id(connection: Connection, tenant_id: int, key: str) -> int | None:
    """Id by tenant and key."""
    found = load("admin").equipment_id(connection, tenant_id=tenant_id, key=key)
    return None if found is None else int(found)


def pending_equipment(connection: Connection, tenant_id: int) -> list[tuple[int, str, str | None, int]]:
    """(id, key, type key or None, registered at) of what waits for approval."""
    return [tuple(row) for row in load("admin").pending_equipment(connection, tenant_id=tenant_id)]


def approve_equipment(connection: Connection, equipment_id: int, type_: EquipmentType) -> None:
    """From now on its readings are stored; what it sent before is in the dead letters and can be replayed."""
    with translated():
        if (
            load("admin").set_equipment(
                connection, id=equipment_id, status=EquipmentStatus.APPROVED.value, type_key=type_.key
            )
            is None
        ):
            raise NotFoundError(f"there is no equipment {equipment_id}")
        sync_type(connection, type_, equipment_id)


def retire_equipment(connection: Connection, equipment_id: int) -> None:
    """Its history stays; new readings are refused."""
    with translated():
        load("admin").set_equipment(connection, id=equipment_id, status=EquipmentStatus.RETIRED.value, type_key=None)


def grant_equipment(
    connection: Connection,
    equipment_id: int,
    tenant_id: int,
    rights: str,
    *,
    valid_from: int | None = None,
    valid_until: int | None = None,
) -> int:
    """Let another tenant ``read``, ``operate`` (work its alarms) or ``manage`` an equipment; id of the grant."""
    with translated():
        return int(
            load("admin").grant_equipment(
                connection,
                equipment_id=equipment_id,
                tenant_id=tenant_id,
                rights=rights,
                valid_from=_moment(valid_from),
                valid_until=_moment(valid_until),
            )
        )


def end_grant(connection: Connection, grant_id: int) -> None:
    """From now on it gives nothing; the row stays as a record."""
    if load("admin").end_grant(connection, id=grant_id) is None:
        raise NotFoundError(f"there is no grant {grant_id}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """``text`` is the whole key, shown once and stored nowhere."""

    id: int
    prefix: str
    text: str


def create_api_key(
    connection: Connection,
    tenant_id: int,
    name: str,
    *,
    scopes: Sequence[str],
    role: str | None = None,
    expires_at: int | None = None,
    person: str | None = None,
) -> NewKey:
    """A new API key of a tenant. ``scopes`` are what it may do; ``role`` says whose key it is, by default the least
    role that has them all; ``person`` who uses it, where somebody does."""
    prefix, text, digest = secrets.new_key()
    with translated():
        key_id = load("admin").create_api_key(
            connection,
            tenant_id=tenant_id,
            name=name,
            prefix=prefix,
            hash=digest,
            scopes=list(scopes),
            role=role,
            expires_at=_moment(expires_at),
            person=person,
        )
    return NewKey(int(key_id), prefix, text)


def create_board_ticket(connection: Connection, key_prefix: str, seconds: float) -> str:
    """A word that signs in to the web board once, within ``seconds``, with the rights of that API key.

    Raises :class:`~core.errors.NotFoundError` for a key that is not there, revoked or expired.
    """
    word = secrets.new_ticket()
    made = load("board_web").make_ticket(connection, prefix=key_prefix, hash=secrets.digest(word), seconds=seconds)
    if made is None:
        raise NotFoundError(f"there is no valid key {key_prefix!r}", hint="servitize key list")
    return word


def revoke_api_key(connection: Connection, key_id: int) -> None:
    """It opens nothing from now on."""
    if load("admin").revoke_api_key(connection, id=key_id) is None:
        raise NotFoundError(f"there is no key {key_id}")


@dataclass(frozen=True, slots=True)
class Device:
    """A registered device. ``equipment_id`` None: a gateway for any equipment of its tenant, or with ``edge_node``
    (``GROUP/NODE``) a Sparkplug edge node. ``nonce``: see :func:`storage.secrets.derived_password`; None where the
    password cannot be derived."""

    id: int
    tenant_id: int
    tenant: str
    equipment_id: int | None
    equipment: str | None
    client_id: str
    username: str
    secret_hash: bytes
    revoked: bool
    nonce: bytes | None = None
    edge_node: str | None = None
    by_certificate: bool = False


def create_device(
    connection: Connection,
    tenant_id: int,
    equipment_id: int | None,
    client_id: str,
    username: str,
    password: str,
    *,
    nonce: bytes | None = None,
    edge_node: str | None = None,
    by_certificate: bool = False,
) -> int:
    """Id of a new device; only the hash of its password is kept, and the nonce that it was derived with."""
    with translated():
        return int(
            load("admin").create_device(
                connection,
                tenant_id=tenant_id,
                equipment_id=equipment_id,
                client_id=client_id,
                username=username,
                secret_hash=secrets.digest(password),
                nonce=nonce,
                edge_node=edge_node,
                by_certificate=by_certificate,
            )
        )


def rotate_device(connection: Connection, device_id: int, password: str, nonce: bytes | None = None) -> str:
    """A lost password made again (a revoked device works again too); its username."""
    username = load("admin").rotate_device(connection, id=device_id, secret_hash=secrets.digest(password), nonce=nonce)
    if username is None:
        raise NotFoundError(f"there is no device {device_id}")
    return str(username)


def revoke_device(connection: Connection, device_id: int) -> str:
    """Its username, for the broker to forget."""
    username = load("admin").revoke_device(connection, id=device_id)
    if username is None:
        raise NotFoundError(f"there is no device {device_id}")
    return str(username)


def devices(connection: Connection, tenant_id: int | None = None) -> list[Device]:
    """Devices of a tenant, of all where None."""
    return [Device(*row) for row in load("admin").devices(connection, tenant_id=tenant_id)]


def create_board_login(connection: Connection, tenant_id: int, login: str, password: str) -> None:
    """A database login of one tenant's boards: reads what the tenant sees, by SQL, and nothing else."""
    migrate, admin = load("migrate"), load("admin")
    with translated(), connection.transaction():
        keep_for_roles(connection, login, password)
        if not migrate.role_exists(connection, role=login):
            migrate.create_role(connection)
        migrate.set_login(connection)
        migrate.grant_board_role(connection)
        admin.create_board_login(connection, tenant_id=tenant_id)


def audit(
    connection: Connection, tenant_id: int | None, actor: str, action: str, object_: str, detail: Mapping[str, Any]
) -> None:
    """One line of the audit log; ``action`` is ``noun.verb`` (``device.created``)."""
    load("admin").audit(
        connection, tenant_id=tenant_id, actor=actor, action=action, object=object_, detail=Jsonb(dict(detail))
    )
