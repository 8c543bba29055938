"""Keeps the accounts of somebody else's broker as the database says, without anybody asking."""

from __future__ import annotations

import logging
import threading
from typing import Final

import psycopg

from core.errors import ServitizeError
from runtime.broker_accounts import Repair, Wanted, reconcile, wanted_accounts
from runtime.local.dynsec import DynamicSecurity
from runtime.local.endpoints import BrokerEndpoint

log = logging.getLogger(__name__)

EVERY: Final = 60.0
"""Seconds between looks. Changes by command or by API reach the broker at once; this is for those that did not, and for
a broker that came back with less than it had."""


class AccountKeeper:
    """A background thread. ``dsn`` is a login of the writer role; several at once do no harm."""

    def __init__(self, dsn: str, control: BrokerEndpoint, master: str, *, every: float = EVERY) -> None:
        self._dsn, self._control, self._master, self._every = dsn, control, master, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="accounts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Returns when the look under way is done, after ``timeout`` in any case."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def look(self) -> Repair:
        """Compare once, and repair."""
        with DynamicSecurity(self._control) as broker:
            return reconcile(broker, self._wanted)

    def _wanted(self) -> Wanted:
        with psycopg.connect(self._dsn, connect_timeout=5, application_name="servitize accounts") as connection:
            return wanted_accounts(connection, self._master)

    def _run(self) -> None:
        failing, repaired, said = False, False, ""
        while not self._stop.is_set():
            try:
                repair = self.look()
                repaired = repair.anything
                if repaired:
                    log.warning("accounts of the broker repaired: %s", "; ".join(repair.lines(done=True)))
                lost = ", ".join(repair.lost)
                if lost and lost != said:
                    log.warning("devices that the broker does not know and only rotating lets in: %s", lost)
                said = lost
                if failing:
                    log.info("accounts of the broker are looked after again")
                failing = False
            except (ServitizeError, psycopg.Error, OSError) as error:
                if not failing:
                    log.warning("accounts of the broker cannot be looked after: %s", str(error).splitlines()[0])
                failing = True
            # what was changed is looked at again at once: a device may have been revoked while it was being let in
            self._stop.wait(min(self._every, 5.0) if failing or repaired else self._every)
