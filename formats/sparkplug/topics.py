"""Topics of the Sparkplug B namespace: ``spBv1.0/{group}/{verb}/{node}[/{device}]`` and ``spBv1.0/STATE/{host}``."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NAMESPACE: Final = "spBv1.0"
MAX_ID: Final = 200
"""Characters of a group, node or device id that we take: they end up in keys and sentences."""


class Verb(StrEnum):
    NBIRTH = "NBIRTH"
    NDEATH = "NDEATH"
    NDATA = "NDATA"
    NCMD = "NCMD"
    DBIRTH = "DBIRTH"
    DDEATH = "DDEATH"
    DDATA = "DDATA"
    DCMD = "DCMD"

    @property
    def of_device(self) -> bool:
        return self.value[0] == "D"


_VERBS: Final = {verb.value: verb for verb in Verb}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of an edge node, or with ``device`` of a device behind it."""

    group: str
    verb: Verb
    node: str
    device: str | None = None


@functools.lru_cache(maxsize=20_000)
def parse_topic(topic: str) -> Topic | str:
    """The topic taken apart, or a sentence that says why it is none.

    >>> parse_topic("spBv1.0/plant/DDATA/line1/press").device
    'press'
    >>> parse_topic("spBv1.0/plant/NDATA/line1/press")
    'NDATA topics have no device'
    """
    levels = topic.split("/")
    if levels[0] != NAMESPACE:
        return f"topics begin with {NAMESPACE}/"
    if len(levels) not in (4, 5):
        return "topics are spBv1.0/GROUP/TYPE/NODE[/DEVICE]"
    verb = _VERBS.get(levels[2])
    if verb is None:
        return f"{levels[2][:20]!r} is no type of message"
    if verb.of_device and len(levels) == 4:
        return f"{verb} topics end with a device"
    if not verb.of_device and len(levels) == 5:
        return f"{verb} topics have no device"
    ids = [levels[1], *levels[3:]]
    if not all(1 <= len(name) <= MAX_ID for name in ids):
        return f"ids have 1 to {MAX_ID} characters"
    if any(ord(c) < 32 or c in "+#" or "\ud800" <= c <= "\udfff" or c == "\x7f" for name in ids for c in name):
        return "ids hold no control characters and neither + nor #"
    return Topic(levels[1], verb, levels[3], levels[4] if len(levels) == 5 else None)


def state_topic(host_id: str) -> str:
    """Where a host application says that it is online; retained.

    >>> state_topic("servitize")
    'spBv1.0/STATE/servitize'
    """
    return f"{NAMESPACE}/STATE/{host_id}"


def node_command_topic(group: str, node: str) -> str:
    """Where commands for an edge node go."""
    return f"{NAMESPACE}/{group}/NCMD/{node}"
