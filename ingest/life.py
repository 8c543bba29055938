"""The life of an ingest process: start, serve until told to stop, leave within seconds whatever is in the way.

Nothing that a stop leaves behind is lost, since it was not acknowledged and comes again; so waiting for a database or a
broker that is away gains nothing, and who looks after the process would kill it in the end.
"""

from __future__ import annotations

import contextlib
import faulthandler
import threading
import time
from collections.abc import Callable
from typing import Final

from ingest.service import IngestService
from ingest.told import StopSignal

STOP_SECONDS: Final = 5.0
"""For committing what was taken. Beyond it the same messages come again to the next process, which takes as long."""
LAST_RESORT_SECONDS: Final = 15.0
"""After the stop has had its time: the process ends there, wherever it hangs, and says where that is."""
_POLL_SECONDS: Final = 0.03
_PASSING_SECONDS: Final = 1.0


def serve(
    service: IngestService,
    told: StopSignal,
    *,
    ready: Callable[[], None] | None = None,
    passing: Callable[[], None] = lambda: None,
    stop_timeout: float = STOP_SECONDS,
) -> bool:
    """Until ``told`` or failed (``service.failure``); True where nothing was lost by ending.

    ``ready`` is called once it serves: recovered, and known to the broker, which from then on keeps what it cannot
    take. ``passing`` is called once a second, and at the end. Raises what :meth:`IngestService.start` raises.
    """
    if told.hold().told:
        return True
    starting = _Starting(service)
    starting.start()
    serves, next_pass = False, time.monotonic()
    while not told.wait(_PASSING_SECONDS if serves else _POLL_SECONDS) and service.failure is None:
        starting.raise_problem()
        if not serves and service.connected:
            serves = True
            if ready is not None:
                ready()
        if serves or time.monotonic() >= next_pass:
            next_pass = time.monotonic() + _PASSING_SECONDS
            passing()
    with contextlib.suppress(AttributeError, OSError, ValueError):  # where standard error is no file
        faulthandler.dump_traceback_later(stop_timeout + LAST_RESORT_SECONDS, exit=True)
    kept = service.stop(stop_timeout)
    starting.join(1.0)
    passing()
    return kept


class _Starting(threading.Thread):
    """A start waits for the database, and for the answers of it; whoever waits here could not be told to stop."""

    def __init__(self, service: IngestService) -> None:
        super().__init__(name="start", daemon=True)
        self._service = service
        self._problem: BaseException | None = None

    def run(self) -> None:
        try:
            self._service.start()
        except BaseException as error:
            self._problem = error

    def raise_problem(self) -> None:
        if self._problem is not None:
            raise self._problem
