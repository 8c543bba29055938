"""One clear line per step of a start or stop, with the time it took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step that ended: what, what came of it, after how many seconds; ``error`` is a sentence where it failed."""

    name: str
    detail: str
    seconds: float
    error: str = ""

    def line(self) -> str:
        """For a terminal or a log: ``✓ database      0.92 s  PostgreSQL 15.18 on 127.0.0.1:5442``."""
        mark, said = ("✗", self.error) if self.error else ("✓", self.detail)
        return f"{mark} {self.name:<12} {self.seconds:6.2f} s  {said}".rstrip()


class Step:
    """The step under way; ``detail`` is set by who does it."""

    detail = ""


class Steps:
    """Hands every ended step to ``report``; steps may run side by side in threads."""

    def __init__(self, report: Callable[[StepDone], None]) -> None:
        self._report = report
        self._began = time.monotonic()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Times the body; an error is reported and goes on its way."""
        step, started = Step(), time.monotonic()
        try:
            yield step
        except BaseException as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            self._finish(StepDone(name, step.detail, time.monotonic() - started, said))
            raise
        self._finish(StepDone(name, step.detail, time.monotonic() - started))

    def _finish(self, done: StepDone) -> None:
        self._report(done)

    @property
    def elapsed(self) -> float:
        """Seconds since the first."""
        return time.monotonic() - self._began
