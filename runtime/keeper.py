"""Keeps the parts of an instance alive: who dies is started again with back-off; at the end all stop in reverse
order."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from runtime.backoff import BackOff


@dataclass
class Part:
    """One process of the instance, already started by who adds it.

    ``start`` returns when it is ready (or raises); ``stop`` ends it in order. ``after_restart`` runs when a dead one is
    back. ``finishes``: ending with code 0 is its job done, not a death.
    """

    name: str
    start: Callable[[], None]
    stop: Callable[[], None]
    pid: Callable[[], int | None]
    after_restart: Callable[[], None] = lambda: None
    finishes: bool = False
    backoff: BackOff = field(default_factory=BackOff)
    started: float = field(default_factory=time.monotonic)
    restarts: int = 0
    down_since: float | None = None
    finished: bool = False
    starting: bool = False


class Keeper:
    """Watches parts from a thread of its own. ``news`` is told, in a sentence, what died and what came back.

    ``died`` is thread-safe and is what a process's ``on_exit`` should call.
    """

    def __init__(self, news: Callable[[str], None]) -> None:
        self._news = news
        self._parts: dict[str, Part] = {}
        self._events: queue.SimpleQueue[tuple[str, int | str] | None] = queue.SimpleQueue()
        self._due: dict[str, float] = {}
        self._restarting: dict[str, threading.Thread] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    @property
    def parts(self) -> tuple[Part, ...]:
        """In the order in which they were added, which is the order of starting."""
        return tuple(self._parts.values())

    def add(self, part: Part) -> None:
        """Watch a started part from now on."""
        self._parts[part.name] = part

    def died(self, name: str, code: int) -> None:
        """A part ended without having been asked to (a negative code is the signal that ended it)."""
        self._events.put((name, code))

    def start(self) -> None:
        """Begin to watch; deaths reported before this are handled now."""
        self._thread.start()

    def stop(self, stopped: Callable[[str, float], None] = lambda name, seconds: None) -> None:
        """Stop watching, then every part in reverse order. ``stopped`` hears of each with the seconds it took.

        One part that cannot be stopped does not keep the others from it; its error is told as news.
        """
        self._stopping.set()
        self._events.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout=60.0)
        for part in reversed(self.parts):
            began = time.monotonic()
            try:
                part.stop()
            except Exception as error:  # the rest must still be stopped, above all the database
                self._news(f"{part.name} could not be stopped in order: {error}")
            stopped(part.name, time.monotonic() - began)

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait = min((due - time.monotonic() for due in self._due.values()), default=3600.0)
            try:
                event = self._events.get(timeout=max(0.0, wait))
            except queue.Empty:
                event = None
            if self._stopping.is_set():
                break
            if event is not None:
                self._mourn(*event)
            for name in [name for name, due in self._due.items() if due <= time.monotonic()]:
                del self._due[name]
                self._restart(self._parts[name])
        for thread in self._restarting.values():
            thread.join()

    def _mourn(self, name: str, what: int | str) -> None:
        """Somebody died (an exit code) or could not be started again (a sentence)."""
        part = self._parts.get(name)
        if part is None or name in self._due:
            return
        if isinstance(what, int) and part.starting:
            return  # who starts it will notice
        if isinstance(what, str):
            self._schedule(part, f"did not start: {what}")
        elif what == 0 and part.finishes:
            part.finished = True
        else:
            self._schedule(part, f"ended with code {what}" if what >= 0 else f"was ended by signal {-what}")

    def _schedule(self, part: Part, what: str) -> None:
        now = time.monotonic()
        delay = part.backoff.delay(now - part.started)
        part.down_since = part.down_since or now
        self._due[part.name] = now + delay
        self._news(f"{part.name} {what}; starting it again in {delay:g} s")

    def _restart(self, part: Part) -> None:
        """In a thread of its own: who is slow to come back must not keep another from it."""

        def work() -> None:
            part.started = time.monotonic()
            problem = ""
            try:
                part.start()
                part.after_restart()
            except Exception as error:  # a part of any kind may fail in any way; to keep on trying is the job here
                problem = str(error).splitlines()[0] if str(error) else type(error).__name__
            part.starting = False
            if not problem and part.pid() is None and not part.finishes:
                problem = "it ended right after its start"
            if problem:
                self._events.put((part.name, problem))
                return
            part.restarts += 1
            away = time.monotonic() - (part.down_since or part.started)
            part.down_since = None
            self._news(f"{part.name} is back after {away:.1f} s (process {part.pid()})")

        part.starting = True
        thread = threading.Thread(target=work, name=f"restart-{part.name}", daemon=True)
        self._restarting[part.name] = thread
        thread.start()
