"""What a Sparkplug edge node may do at the broker, and whose group it belongs to."""

from __future__ import annotations

from core.errors import InvalidInputError, NotFoundError
from formats.sparkplug.topics import MAX_ID, NAMESPACE
from runtime.access import Connection

_SAID_BY_NODES = ("NBIRTH", "NDATA", "NDEATH")
_SAID_FOR_DEVICES = ("DBIRTH", "DDATA", "DDEATH")


def edge_node_topics(group: str, node: str) -> tuple[list[str], list[str]]:
    """Topic filters that an edge node publishes to, and those it subscribes to: its own births, data and deaths and
    those of the devices behind it; commands to them, and the word of hosts that they are online.

    >>> edge_node_topics("Hall", "n1")[1]
    ['spBv1.0/Hall/NCMD/n1/#', 'spBv1.0/Hall/DCMD/n1/#', 'spBv1.0/STATE/+']
    """
    root = f"{NAMESPACE}/{group}"
    publish = [f"{root}/{kind}/{node}" for kind in _SAID_BY_NODES]
    publish += [f"{root}/{kind}/{node}/+" for kind in _SAID_FOR_DEVICES]
    # '#' takes the topic above it too, and many edge nodes subscribe like this
    return publish, [f"{root}/NCMD/{node}/#", f"{root}/DCMD/{node}/#", f"{NAMESPACE}/STATE/+"]


def split(name: str) -> tuple[str, str]:
    """Group and node of ``GROUP/NODE``; :class:`~core.errors.InvalidInputError` for what Sparkplug cannot carry."""
    group, slash, node = name.partition("/")
    for part in (group, node):
        if not slash or not 1 <= len(part) <= MAX_ID or set(part) & set("/+#") or not part.isprintable():
            raise InvalidInputError(f"{name!r} is no edge node", hint="write GROUP/NODE, each without / + #")
    return group, node


def require_group(connection: Connection, tenant_id: int, tenant: str, group: str) -> None:
    """Raises where ``group`` is not the tenant's: a group is one tenant's, that of the first profile that names it, in
    the registry's order (:mod:`ingest.sparkplug.channel`)."""
    from storage.queries import load

    holders = [
        row[0] for row in load("registry").profiles(connection) if row[2].get("sparkplug", {}).get("group") == group
    ]
    if not holders or holders[0] != tenant_id:
        raise NotFoundError(
            f"tenant {tenant!r} has no Sparkplug group {group!r}",
            hint=f"give it one by a mapping profile: servitize profile add FILE --tenant {tenant}",
        )
