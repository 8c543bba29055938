"""What a long-running process does about Python's garbage collector once it is loaded."""

from __future__ import annotations

import gc
from typing import Final

THRESHOLD: Final = 20_000
"""Containers made before the young are looked through; 700, Python's own, is a look every few messages."""


def settle() -> None:
    """Call it when everything that stays is there: code, registry, state.

    A full collection looks at every object there is while no thread runs: 40 ms of a fleet of ten thousand points,
    at a moment of its own choosing, which is when an alarm is late. What is there now is left out from here on (what
    nobody refers to any more goes as ever; only a circle among it would stay), and so collections look at what is new.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(THRESHOLD, 20, 20)
