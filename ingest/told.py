"""TERM and INT, as a word that can be waited for.

Imports nothing but the standard library: a process makes its :class:`StopSignal` before everything else it imports,
which takes a second or more. An INT in that second would be an exception inside of somebody's import, where one in a
hundred is swallowed: the process then goes on as if nobody had said anything.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from types import FrameType
from typing import Any, Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Takes over both signals, from when it is made until :meth:`close`; to be made in the main thread.

    Until :meth:`hold` there is nothing to bring to an end: a signal ends the process at once, with code 0.

    A pipe and not an event: a handler runs between any two instructions of the main thread, also while that holds the
    lock of the event it waits for, and setting the event would then wait for that lock for ever.
    """

    def __init__(self) -> None:
        self.told = False
        self._held = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before: dict[signal.Signals, Any] = {n: signal.signal(n, self._handle) for n in SIGNALS}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._held:
            os._exit(0)
        self.say()

    def hold(self) -> StopSignal:
        """From now on a signal is a word to whoever waits for it."""
        self._held = True
        return self

    def say(self) -> None:
        """As if a signal had come. From any thread."""
        self.told = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"\0")

    def wait(self, timeout: float) -> bool:
        """Until told, or ``timeout`` seconds; whether told."""
        if not self.told:
            select.select([self._read], [], [], timeout)
        return self.told

    def close(self) -> None:
        """Give the signals back to whom they were."""
        for number, before in self._before.items():
            signal.signal(number, before)
        os.close(self._read)
        os.close(self._write)

    def __enter__(self) -> StopSignal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
