"""STATE: how this host says that it is online, and what it does when somebody else says that it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from core.time import MILLISECOND, SECOND
from formats.sparkplug.topics import state_topic

REPAIR_INTERVAL: Final = 1 * SECOND
"""Between repairs of a STATE that is wrong without saying offline: two hosts under one id would never come to rest."""


@dataclass(frozen=True, slots=True)
class StateMessage:
    """What to publish; always QoS 1 and retained."""

    topic: str
    payload: bytes


class HostState:
    """Certificates of one connection after the other. Time is a parameter, µs."""

    def __init__(self, host_id: str) -> None:
        self.topic = state_topic(host_id)
        self._timestamp = 0
        self._online = False
        self._repaired = -REPAIR_INTERVAL

    def connecting(self, now: int) -> StateMessage:
        """The will of a new connection. Its timestamp, in ms, is newer than that of every connection before."""
        self._timestamp = max(now // MILLISECOND, self._timestamp + 1)
        self._online = False
        return self._message(online=False)

    def subscribed(self) -> StateMessage:
        """The birth certificate, due when the broker has taken our subscriptions; with the will's timestamp."""
        self._online = True
        return self._message(online=True)

    def leaving(self, now: int) -> StateMessage:
        """The death certificate before a clean disconnect, at the time it is sent."""
        self._online = False
        return StateMessage(self.topic, _payload(False, max(now // MILLISECOND, self._timestamp)))

    def disconnected(self) -> None:
        self._online = False

    def seen(self, payload: bytes, now: int) -> StateMessage | None:
        """Our birth again, if what stands under our id on the broker is not what we said; else None."""
        if not self._online or payload == _payload(True, self._timestamp):
            return None
        says_offline = False
        try:
            said = orjson.loads(payload)
        except orjson.JSONDecodeError:
            said = None
        if isinstance(said, dict):
            if said.get("online") is True and said.get("timestamp") == self._timestamp:
                return None
            says_offline = said.get("online") is False
        if not says_offline and now - self._repaired < REPAIR_INTERVAL:
            return None
        self._repaired = now
        return self._message(online=True)

    def _message(self, *, online: bool) -> StateMessage:
        return StateMessage(self.topic, _payload(online, self._timestamp))


def _payload(online: bool, timestamp: int) -> bytes:
    return orjson.dumps({"online": online, "timestamp": timestamp})
