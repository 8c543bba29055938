"""Keeps the accounts of somebody else's broker as the database says, without anybody asking."""

from __future__ import annotations

import logging
from typing import Final

import psycopg

from runtime.broker_accounts import Repair, Wanted, reconcile, wanted_accounts
from runtime.local.dynsec import DynamicSecurity
from runtime.local.endpoints import BrokerEndpoint
from storage.keeping import Keeping

log = logging.getLogger(__name__)

EVERY: Final = 60.0
"""Seconds between looks. Changes by command or by API reach the broker at once; this is for those that did not, and for
a broker that came back with less than it had."""


class AccountKeeper:
    """A background thread. ``dsn`` is a login of the writer role; several at once do no harm."""

    def __init__(self, dsn: str, control: BrokerEndpoint, master: str, *, every: float = EVERY) -> None:
        self._dsn, self._control, self._master, self._every = dsn, control, master, every
        self._keeping = Keeping("accounts of the broker", self._session)
        self.start, self.stop = self._keeping.start, self._keeping.stop

    def look(self) -> Repair:
        """Compare once, and repair."""
        with DynamicSecurity(self._control) as broker:
            return reconcile(broker, self._wanted)

    def _wanted(self) -> Wanted:
        with psycopg.connect(self._dsn, connect_timeout=5, application_name="servitize accounts") as connection:
            return wanted_accounts(connection, self._master)

    def _session(self) -> None:
        said = ""
        while not self._keeping.stopping:
            repair = self.look()
            self._keeping.well()
            if repair.anything:
                log.warning("accounts of the broker repaired: %s", "; ".join(repair.lines(done=True)))
            lost = ", ".join(repair.lost)
            if lost and lost != said:
                log.warning("devices that the broker does not know and only rotating lets in: %s", lost)
            said = lost
            # what was changed is looked at again at once: a device may have been revoked while it was being let in
            self._keeping.wait(min(self._every, 5.0) if repair.anything else self._every)
