"""One way for all that works in the background of a process: a thread that keeps at it through every outage."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

import psycopg

from core.errors import ServitizeError

PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before somebody who failed tries again; the last one from then on."""


class Keeping:
    """A thread from :meth:`start` to :meth:`stop` that calls ``session`` again and again.

    ``session`` opens what it needs, works until :attr:`stopping`, waits with :meth:`wait`, and calls :meth:`well` after
    each round that went well. When it raises one of ``failures`` that is said once, and once more when a round goes
    well again; in between it is called after growing ``pauses``. Returning early only means: call me again.
    """

    def __init__(
        self,
        name: str,
        session: Callable[[], None],
        *,
        failures: tuple[type[BaseException], ...] = (psycopg.Error, ServitizeError, OSError),
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        self.name = name
        self._session = session
        self._failures = failures
        self._pauses = pauses
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed = 0
        self._log = logging.getLogger(session.__module__)

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def wait(self, seconds: float) -> bool:
        """True as soon as it is told to stop, False after ``seconds``."""
        return self._stop.wait(seconds)

    def well(self) -> None:
        """A round went well."""
        if self._failed:
            self._log.info("%s at work again", self.name)
            self._failed = 0

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self, timeout: float | None = 5.0) -> None:
        """Returns when what is under way is done; after ``timeout`` seconds in any case."""
        self._stop.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._session()
            except self._failures as error:
                if not self._failed:
                    lines = str(error).splitlines()
                    self._log.warning("%s waits: %s", self.name, lines[0] if lines else type(error).__name__)
                self._stop.wait(self._pauses[min(self._failed, len(self._pauses) - 1)])
                self._failed += 1
