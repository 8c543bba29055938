"""Connecting a device: equipment, device and broker rights in one act, and the lines to paste that prove it works."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.equipment import EquipmentType, PointKind
from core.errors import InvalidInputError, NotFoundError, ServitizeError
from runtime import access, bootstrap
from runtime.edge_nodes import edge_node_topics, require_group, split
from runtime.endpoints import Endpoints
from runtime.local.access import RESERVED_PREFIX, DeviceCredential
from runtime.local.endpoints import parse_url
from runtime.local.paths import DataDirectory
from runtime.local.rights import BrokerRights

PUBLIC_URL = "SERVITIZE_MQTT_PUBLIC_URL"
"""Where devices connect, as they must write it, if that is not as we do."""


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device with its password, which is kept nowhere but here. ``sample`` are values that fit its type.

    ``foreign``: topics of mapping profiles that it may send on besides (MQTT filters; gateways only). ``edge_node``:
    ``GROUP/NODE`` of a Sparkplug edge node, which speaks no other topics than its own. ``by_certificate``: its password
    is empty, and the common name of its certificate is its username. ``ca``: PEM file of who signed the broker's
    certificate (None: an authority that every system knows).
    """

    tenant: str
    equipment: str
    client_id: str
    username: str
    password: str
    topic: str
    host: str
    port: int
    tls: bool
    api: str
    key: str
    sample: Mapping[str, float]
    notes: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    edge_node: str | None = None
    by_certificate: bool = False
    ca: str | None = None

    def payload(self) -> str:
        """A first message: without ``ts`` the time of receipt is taken."""
        return json.dumps({"values": dict(self.sample)})

    def mosquitto_line(self) -> str:
        """``mosquitto_pub …`` to paste into a shell."""
        words = [
            "mosquitto_pub", "-h", self.host, "-p", str(self.port), "-i", self.client_id, "-q", "1", "-t", self.topic,
        ]  # fmt: skip
        if not self.by_certificate:
            words += ["-u", self.username, "-P", self.password]
        if self.tls:
            words += ["--cafile", self.ca] if self.ca else ["--tls-use-os-certs"]
        if self.by_certificate:
            words += ["--cert", f"{self.username}.crt", "--key", f"{self.username}.key"]
        return shlex.join([*words, "-m", self.payload()])

    def paho_snippet(self) -> str:
        """The same in Python with paho, for machines without mosquitto_pub."""
        tls = {"ca_certs": self.ca} if self.ca else {}
        if self.by_certificate:
            tls |= {"certfile": f"{self.username}.crt", "keyfile": f"{self.username}.key"}
        arguments = [
            repr(self.topic),
            repr(self.payload()),
            "qos=1",
            f"hostname={self.host!r}",
            f"port={self.port}",
            f"client_id={self.client_id!r}",
            *(
                []
                if self.by_certificate
                else [f"auth={{'username': {self.username!r}, 'password': {self.password!r}}}"]
            ),
            *([f"tls={tls!r}"] if self.tls else []),
        ]
        call = ",\n    ".join(arguments)
        return f"python - <<'END'\nfrom paho.mqtt.publish import single\nsingle(\n    {call},\n)\nEND"

    def curl_line(self) -> str:
        """Ask the API for what arrived."""
        header = shlex.quote(f"Authorization: Bearer {self.key}")
        return f"curl -s -H {header} {self.api}/v1/equipment/{self.equipment}/latest"

    def as_document(self) -> dict[str, Any]:
        """For programs."""
        named = ("tenant", "equipment", "client_id", "username", "password", "topic", "host", "port", "tls")
        document = {
            field: getattr(self, field) for field in (*named, "notes", "foreign", "edge_node", "by_certificate")
        }
        return document if self.edge_node else {**document, "mosquitto_pub": self.mosquitto_line()}


def add_device(
    data: DataDirectory,
    *,
    equipment: str,
    type_key: str,
    tenant: str,
    site: str | None = None,
    name: str | None = None,
    serial: str | None = None,
    by_certificate: bool = False,
) -> NewDevice:
    """Register ``equipment`` (if it is new) and a device for it; the device is let in by the broker on return.

    ``by_certificate``: by a client certificate whose common name is its username, and by no password.
    """
    from storage import admin

    nonce, password = new_password(data, by_certificate=by_certificate)
    with access.endpoints_of(data) as endpoints:
        with access.connected(endpoints.databases[bootstrap.OWNER]) as connection:
            tenant_id = access.tenant_named(connection, tenant)
            type_ = bootstrap.load_type(connection, type_key)
            site_id = None if site is None else admin.create_site(connection, tenant_id, site, site)
            equipment_id = admin.create_equipment(
                connection, tenant_id, equipment, type_, name=name, serial=serial, site_id=site_id, exist_ok=True
            )
            client_id = f"{tenant}.{equipment}"
            if any(device.client_id == client_id for device in admin.devices(connection, tenant_id)):
                raise InvalidInputError(
                    f"{equipment!r} has its device already",
                    hint=f"a lost password is made anew by: servitize device rotate {equipment} --tenant {tenant}",
                )
            admin.create_device(
                connection,
                tenant_id,
                equipment_id,
                client_id,
                client_id,
                password,
                nonce=nonce,
                by_certificate=by_certificate,
            )
            admin.audit(connection, tenant_id, "command-line", "device.created", client_id, {"type": type_key})
        key = bootstrap.ensure_api_key(data, endpoints, tenant)
        notes = let_in(data, [credential(tenant, equipment, client_id, client_id, password)])
        return _described(
            data, endpoints, tenant, equipment, client_id, client_id, password, key, sample_values(type_), notes
        )


def add_gateway(data: DataDirectory, *, name: str, tenant: str, by_certificate: bool = False) -> NewDevice:
    """A device that sends for any equipment of the tenant, also on the topics of the tenant's mapping profiles."""
    from storage import admin

    nonce, password = new_password(data, by_certificate=by_certificate)
    client_id = f"{tenant}.{name}"
    with access.endpoints_of(data) as endpoints:
        with access.connected(endpoints.databases[bootstrap.OWNER]) as connection:
            tenant_id = access.tenant_named(connection, tenant)
            if any(device.client_id == client_id for device in admin.devices(connection, tenant_id)):
                raise InvalidInputError(
                    f"there is a device {client_id!r} already",
                    hint=f"a lost password is made anew by: servitize device rotate {client_id} --tenant {tenant}",
                )
            foreign = foreign_topics(connection, tenant_id)
            admin.create_device(
                connection, tenant_id, None, client_id, client_id, password, nonce=nonce, by_certificate=by_certificate
            )
            admin.audit(connection, tenant_id, "command-line", "device.created", client_id, {"topics": list(foreign)})
        key = bootstrap.ensure_api_key(data, endpoints, tenant)
        notes = let_in(data, [credential(tenant, None, client_id, client_id, password, foreign)])
        return _described(
            data, endpoints, tenant, "EQUIPMENT", client_id, client_id, password, key, {"POINT": 1.0}, notes, foreign
        )


def add_edge_node(
    data: DataDirectory, *, name: str, tenant: str, client_id: str | None = None, by_certificate: bool = False
) -> NewDevice:
    """A Sparkplug edge node ``GROUP/NODE``: it sends its own births, data and deaths and those of its devices, hears
    their commands and the hosts' STATE, and nothing else. The group must be the tenant's.

    ``client_id``: for nodes that cannot be told one. It is bound to the account, since who may take any client id may
    take anybody's session.
    """
    from storage import admin

    group, node = split(name)
    nonce, password = new_password(data, by_certificate=by_certificate)
    username = f"{tenant}.{group}.{node}"
    client_id = client_id or username
    if client_id.startswith(RESERVED_PREFIX):
        raise InvalidInputError(
            f"client ids that start with {RESERVED_PREFIX!r} are the platform's", hint="take another"
        )
    with access.endpoints_of(data) as endpoints:
        with access.connected(endpoints.databases[bootstrap.OWNER]) as connection:
            tenant_id = access.tenant_named(connection, tenant)
            require_group(connection, tenant_id, tenant, group)
            if any(username == device.username for device in admin.devices(connection, tenant_id)):
                raise InvalidInputError(
                    f"there is a device {username!r} already",
                    hint=f"a lost password is made anew by: servitize device rotate {username} --tenant {tenant}",
                )
            admin.create_device(
                connection,
                tenant_id,
                None,
                client_id,
                username,
                password,
                edge_node=name,
                nonce=nonce,
                by_certificate=by_certificate,
            )
            admin.audit(connection, tenant_id, "command-line", "device.created", client_id, {"edge_node": name})
        key = bootstrap.ensure_api_key(data, endpoints, tenant)
        notes = let_in(data, [edge_node_credential(name, client_id, username, password)])
        return _edge_node_described(data, endpoints, tenant, name, client_id, username, password, key, notes)


def rotate_device(data: DataDirectory, device: str, tenant: str) -> NewDevice:
    """A new password for a device named by client id or equipment key."""
    from storage import admin

    with access.endpoints_of(data) as endpoints:
        with access.connected(endpoints.databases[bootstrap.OWNER]) as connection:
            known = _find(connection, device, tenant)
            foreign = () if known.equipment or known.edge_node else foreign_topics(connection, known.tenant_id)
            nonce, password = new_password(data, by_certificate=known.by_certificate)
            admin.rotate_device(connection, known.id, password, nonce)
            admin.audit(connection, known.tenant_id, "command-line", "device.rotated", known.client_id, {})
        key = bootstrap.ensure_api_key(data, endpoints, tenant)
        if known.edge_node:
            notes = let_in(data, [edge_node_credential(known.edge_node, known.client_id, known.username, password)])
            return _edge_node_described(
                data, endpoints, tenant, known.edge_node, known.client_id, known.username, password, key, notes
            )
        changed = credential(tenant, known.equipment, known.client_id, known.username, password, foreign)
        notes = let_in(data, [changed])
        return _described(
            data,
            endpoints,
            tenant,
            known.equipment or "EQUIPMENT",
            known.client_id,
            known.username,
            password,
            key,
            {"POINT": 1.0},
            notes,
            foreign,
        )


def new_password(data: DataDirectory, *, by_certificate: bool = False) -> tuple[bytes | None, str]:
    """(nonce, password) of a device that is made or rotated: derived from the installation's secret ``device-master``.
    Who comes by certificate has neither; :class:`~core.errors.InvalidInputError` where our own broker would not take
    one."""
    from storage import secrets

    if by_certificate:
        BrokerRights(data).require_certificates()
        return None, ""
    nonce = secrets.new_nonce()
    return nonce, secrets.derived_password(data.secret(bootstrap.DEVICE_MASTER), nonce)


def revoke_device(data: DataDirectory, device: str, tenant: str) -> str:
    """Shut a device out; its username."""
    from storage import admin

    with access.owner(data) as connection:
        known = _find(connection, device, tenant)
        admin.revoke_device(connection, known.id)
        admin.audit(connection, known.tenant_id, "command-line", "device.revoked", known.client_id, {})
    BrokerRights(data).revoke(known.username)
    return str(known.username)


def credential(
    tenant: str, equipment: str | None, client_id: str, username: str, password: str, foreign: Sequence[str] = ()
) -> DeviceCredential:
    """What a device may do: send everything of its equipment, hear its commands. ``equipment`` None: a tenant's
    gateway, which speaks for all of the tenant's equipment and for its clock, and on the ``foreign`` topics."""
    root = f"servitize/v1/{tenant}/{equipment or '+'}"
    publish = [
        f"{root}/{leaf}" for leaf in ("telemetry", "waveform", "cycle", "event", "twin/reported", "commands/+/receipt")
    ]
    if equipment is None:
        publish += [f"servitize/v1/{tenant}/clock", *foreign]
    return DeviceCredential(client_id, username, password, publish, [f"{root}/twin/desired", f"{root}/commands/+"])


def edge_node_credential(edge_node: str, client_id: str, username: str, password: str) -> DeviceCredential:
    """What a Sparkplug edge node (``GROUP/NODE``) may do."""
    publish, subscribe = edge_node_topics(*split(edge_node))
    return DeviceCredential(client_id, username, password, publish, subscribe)


def credential_of(
    tenant: str,
    equipment: str | None,
    client_id: str,
    username: str,
    password: str,
    *,
    edge_node: str | None = None,
    foreign: Sequence[str] = (),
) -> DeviceCredential:
    """Whatever kind of device it is; ``foreign`` counts for gateways only."""
    if edge_node is not None:
        return edge_node_credential(edge_node, client_id, username, password)
    return credential(tenant, equipment, client_id, username, password, () if equipment else foreign)


def let_in(data: DataDirectory, credentials: list[DeviceCredential]) -> tuple[str, ...]:
    """Provision the broker; sentences about what could not be done now (the change is recorded and comes with its
    next start)."""
    try:
        BrokerRights(data).provision(credentials)
    except ServitizeError as error:
        return (f"{error}; {error.hint}" if error.hint else str(error),)
    return ()


def sample_values(type_: EquipmentType, most: int = 2) -> dict[str, float]:
    """A few measured points of a type with a value in the middle of their range."""
    points = [p for p in type_.point_instances() if p.definition.kind is PointKind.MEASURED][:most]
    if not points:
        return {"temperature": 21.5}
    middle = {p.key: 1.0 if p.definition.range is None else sum(p.definition.range) / 2 for p in points}
    return {key: round(value, 3) for key, value in middle.items()}


def foreign_topics(connection: access.Connection, tenant_id: int) -> tuple[str, ...]:
    """Topic filters of the tenant's mapping profiles, as they are now. Not of Sparkplug groups: their edge nodes have
    accounts of their own, and must hear commands."""
    from formats.profile import parse_profile
    from storage.queries import load

    rows = load("instance").profiles(connection, tenant_id=tenant_id)
    return tuple(sorted({parse_profile(dict(row[2])).filter for row in rows if "sparkplug" not in row[2]}))


def _find(connection: access.Connection, device: str, tenant: str) -> Any:
    from storage import admin

    known = admin.devices(connection, access.tenant_named(connection, tenant))
    for candidate in known:
        if device in (candidate.client_id, candidate.equipment, candidate.username):
            return candidate
    raise NotFoundError(f"tenant {tenant!r} has no device {device!r}", hint=f"servitize device list --tenant {tenant}")


def _device_address(endpoints: Endpoints, state: Mapping[str, Any]) -> dict[str, Any]:
    """Where devices connect, as they must write it: ``SERVITIZE_MQTT_PUBLIC_URL``, else as the instance found it."""
    found: dict[str, Any] = state.get("broker", {}).get("devices", {})
    broker = endpoints.broker
    if broker is not None and (not found or found.get("host") == broker.host):
        found = {"host": broker.host, "port": broker.port, "tls": broker.tls, "ca": broker.ca}
    if url := os.environ.get(PUBLIC_URL):
        public = parse_url(url, PUBLIC_URL)
        found = {**found, "host": public.host, "port": public.port, "tls": public.tls}
    return found


def _described(
    data: DataDirectory,
    endpoints: Endpoints,
    tenant: str,
    equipment: str,
    client_id: str,
    username: str,
    password: str,
    key: str,
    sample: Mapping[str, float],
    notes: tuple[str, ...],
    foreign: tuple[str, ...] = (),
) -> NewDevice:
    state = data.state()
    ports, address = state.get("ports", {}), _device_address(endpoints, state)
    api = endpoints.api
    if endpoints.broker is None:
        notes = (
            *notes,
            "The broker is not running now: `servitize up --detach` starts it, and then the password holds.",
        )
    able = state.get("broker", {}).get("capabilities", {})
    if able and not able.get("per_device_topics", True):
        notes = (*notes, *able.get("notes", [])[:1])
    return NewDevice(
        tenant=tenant,
        equipment=equipment,
        client_id=client_id,
        username=username,
        password=password,
        topic=f"servitize/v1/{tenant}/{equipment}/telemetry",
        host=address.get("host", "127.0.0.1"),
        port=address.get("port", ports.get("mqtt", 1883)),
        tls=address.get("tls", False),
        ca=address.get("ca"),
        by_certificate=not password,
        api=api.url if api else f"http://127.0.0.1:{ports.get('api', 8080)}",
        key=key,
        sample=sample,
        notes=notes,
        foreign=foreign,
    )


def _edge_node_described(
    data: DataDirectory,
    endpoints: Endpoints,
    tenant: str,
    edge_node: str,
    client_id: str,
    username: str,
    password: str,
    key: str,
    notes: tuple[str, ...],
) -> NewDevice:
    publish, _ = edge_node_topics(*split(edge_node))
    made = _described(data, endpoints, tenant, "EQUIPMENT", client_id, username, password, key, {}, notes)
    return replace(made, topic=publish[0], edge_node=edge_node)
