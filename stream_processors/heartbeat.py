"""A dead man's switch: as long as commits happen, a URL of the user's is told so; silence is the alarm.

Whoever watches (a monitoring service that expects a call every minute) notices what no program on this machine could
report: that the machine, the network or we ourselves are gone. Beside it the broker keeps our last will
(``servitize/v1/$ingest/status``), for whoever listens there.
"""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import structlog

from core.errors import InvalidInputError

log = structlog.get_logger(__name__)

TIMEOUT: Final = 10.0
SHORTEST: Final = 1.0


class Heartbeat:
    """POSTs JSON to ``url`` every ``seconds``, from a thread of its own, while :attr:`alive` holds.

    ``vital`` gives ``(commits so far, what to tell)``. It is a beat only where commits have happened since the last
    one: a process that runs and stores nothing is dead to its users. An idle instance still commits its seconds.
    A refused or lost call is logged once, and once when calls get through again; it holds nothing up.
    """

    def __init__(self, url: str, seconds: float, vital: Callable[[], tuple[int, dict[str, Any]]]) -> None:
        check(url, seconds)
        self._url = url
        self._seconds = seconds
        self._vital = vital
        self._stop = threading.Event()
        self._commits = 0
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self.sent = 0

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(1.0)  # a call under way may take longer and is not waited for

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.beat()

    def beat(self) -> bool:
        """One call, if there is life; whether one got through."""
        commits, words = self._vital()
        moved, self._commits = commits > self._commits, commits
        if not moved:
            return False
        body = orjson.dumps({"at": round(time.time(), 3), "commits": commits, **words})
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url, body, {"Content-Type": "application/json", "User-Agent": "servitize"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                answer.read(1)
        except (OSError, ValueError) as error:  # HTTPError and URLError are OSErrors
            if not self._failing:
                # never the URL: it is often the secret itself
                log.warning("heartbeat.not_taken", host=urlsplit(self._url).hostname, problem=_said(error))
            self._failing = True
            return False
        if self._failing:
            log.info("heartbeat.taken_again")
        self._failing = False
        self.sent += 1
        return True


def check(url: str, seconds: float) -> None:
    """Raises :class:`~core.errors.InvalidInputError` for what cannot work."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInputError(
            "the heartbeat's address is no URL", hint="SERVITIZE_HEARTBEAT_URL begins with https:// or http://"
        )
    if not seconds >= SHORTEST:
        raise InvalidInputError(
            f"a heartbeat every {seconds:g} s", hint=f"SERVITIZE_HEARTBEAT_SECONDS is at least {SHORTEST:g}"
        )


def _said(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"answer {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error)
