"""Does at the broker what was asked for by API, which has no broker: lets devices in and out, sends dead letters again,
says what people did to machines.

The database announces orders and keeps them until they are done, so none is lost to a restart of either side, and each
may be done twice without harm: an account that is in force already is left alone, a reading that comes twice is stored
once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import psycopg

from core.errors import ServitizeError
from runtime.devices import credential_of, foreign_topics
from runtime.endpoints import BrokerEndpoint
from runtime.letters import publish_all
from runtime.local.access import DeviceCredential
from storage.keeping import Keeping

log = logging.getLogger(__name__)

_BEAT: Final = 1.0
"""Seconds between looks when nothing is announced."""
_AT_ONCE: Final = 100


class Rights(Protocol):
    """What is needed of :class:`runtime.local.rights.BrokerRights`."""

    def provision(self, credentials: Sequence[DeviceCredential], /) -> None: ...

    def revoke(self, username: str, /) -> bool: ...


class Orders:
    """A background thread beside the broker. ``dsn`` is a login of the writer role, ``master`` gives the secret that
    devices' passwords are derived from; ``broker`` where to publish, None while there is none.

    Several at once do no harm: each order is done by one of them.
    """

    def __init__(
        self,
        dsn: Callable[[], str],
        rights: Rights,
        broker: Callable[[], BrokerEndpoint | None],
        master: Callable[[], str],
    ) -> None:
        self._dsn, self._rights, self._broker, self._master = dsn, rights, broker, master
        self._keeping = Keeping("orders", self._session)
        self.start, self.stop = self._keeping.start, self._keeping.stop

    def _session(self) -> None:
        """Works off what there is, again and again."""
        from storage.queries import load

        queries = load("orders")
        with psycopg.connect(self._dsn(), autocommit=True, connect_timeout=5, application_name="servitize orders") as c:
            queries.listen_to_devices(c)
            queries.listen_to_replays(c)
            while not self._keeping.stopping:
                while self._do_device(c, queries) and not self._keeping.stopping:
                    pass
                while self._send_letters(c, queries) and not self._keeping.stopping:
                    pass
                self._keeping.well()
                for _ in c.notifies(timeout=_BEAT, stop_after=1):
                    pass

    def _do_device(self, connection: psycopg.Connection[Any], queries: Any) -> bool:
        """One device's order; False where there is none."""
        with connection.transaction():
            row = queries.next_device(connection)
            if row is None:
                return False
            queries.finish_device(connection, device=row[0], problem=self._tell_broker(connection, *row[1:]))
            return True

    def _tell_broker(
        self,
        connection: psycopg.Connection[Any],
        tenant_id: int,
        tenant: str,
        equipment: str | None,
        client_id: str,
        username: str,
        edge_node: str | None,
        nonce: bytes | None,
        secret_hash: bytes,
        revoked: bool,
    ) -> str | None:
        """None, or why it could not be told."""
        from storage import secrets

        try:
            if revoked:
                self._rights.revoke(username)
                return None
            password = "" if nonce is None else secrets.derived_password(self._master(), bytes(nonce))
            if secrets.digest(password) != bytes(secret_hash):
                return "its password was made by another installation: rotate it"
            foreign = () if equipment or edge_node else foreign_topics(connection, tenant_id)
            self._rights.provision(
                [credential_of(tenant, equipment, client_id, username, password, edge_node=edge_node, foreign=foreign)]
            )
        except ServitizeError as error:
            return f"{error}; {error.hint}" if error.hint else str(error)
        return None

    def _send_letters(self, connection: psycopg.Connection[Any], queries: Any) -> bool:
        """A hundred of what is asked for; False where there is nothing to do. What the broker did not acknowledge is
        still asked for."""
        broker = self._broker()
        if broker is None:
            return False
        with connection.transaction():
            letters = [(topic, bytes(payload)) for topic, payload in queries.take_replays(connection, most=_AT_ONCE)]
            publish_all(broker, letters)
        if letters:
            log.info("%d dead letters sent again", len(letters))
        return bool(letters)

    def _send_captures(self, connection: psycopg.Connection[Any], queries: Any) -> bool:
        """A hundred of the waveforms that devices are asked for; False where there is nothing."""
        broker = self._broker()
        if broker is None:
            return False
        with connection.transaction():
            asked = [(topic, bytes(payload)) for topic, payload in queries.take_captures(connection, most=_AT_ONCE)]
            publish_all(broker, asked)
        return bool(asked)

    def _send_notices(self, connection: psycopg.Connection[Any], queries: Any) -> bool:
        """A hundred of what people did to machines, said on the machines' own topics; False where there is nothing."""
        broker = self._broker()
        if broker is None:
            return False
        with connection.transaction():
            notices = [(topic, bytes(payload)) for topic, payload in queries.take_notices(connection, most=_AT_ONCE)]
            publish_all(broker, notices)
        return bool(notices)
