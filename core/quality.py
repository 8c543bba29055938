"""Quality of a reading: one ``uint8``, OPC style. The two upper bits are the class, the six lower ones say why.

Class: ``GOOD`` > ``UNCERTAIN`` > ``BAD``. Reasons may stand together. ``LATE`` and ``RECEIPT_TIME`` say how a reading
came and do not by themselves lower a good class (``RECEIPT_TIME`` comes with ``UNCERTAIN``: its time is a guess).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

GOOD: Final = 0xC0
UNCERTAIN: Final = 0x40
BAD: Final = 0x00
CLASS_MASK: Final = 0xC0
REASON_MASK: Final = 0x3F

LATE: Final = 0x01
"""Arrived behind its equipment's watermark: stored and rolled up, but it reopened no decision. Where ingest sets it
already, the sender itself says that the value is history (Sparkplug's is_historical): no decision is made on it."""
RECEIPT_TIME: Final = 0x02
"""The device sent no time; the time of receipt stands in."""
OUT_OF_RANGE: Final = 0x04
"""Outside the instrument's range: no such value can be measured here."""
DEVICE: Final = 0x08
"""The device itself said so (quality in the payload, or its node died)."""
SENSOR: Final = 0x10
"""The instrument is broken: open or short circuit, outside 4–20 mA."""
IMPLAUSIBLE: Final = 0x20
"""Numerically no reading: not finite, or faster than the quantity can move."""

_CLASS_NAMES: Final = {GOOD: "good", UNCERTAIN: "uncertain", BAD: "bad"}
_REASON_NAMES: Final = {
    LATE: "late",
    RECEIPT_TIME: "receipt_time",
    OUT_OF_RANGE: "out_of_range",
    DEVICE: "device",
    SENSOR: "sensor",
    IMPLAUSIBLE: "implausible",
}


def describe(quality: int) -> str:
    """``"good"``, ``"bad (sensor, late)"``: class and reasons in words.

    >>> describe(BAD | SENSOR)
    'bad (sensor)'
    """
    reasons = [name for bit, name in _REASON_NAMES.items() if quality & bit]
    name = _CLASS_NAMES.get(quality & CLASS_MASK, "uncertain")
    return f"{name} ({', '.join(reasons)})" if reasons else name


def parse(text: str | int | None) -> int:
    """Quality from a payload: ``None``/``"good"``, ``"uncertain"``, ``"bad"``, or an OPC DA/UA-like number by its
    class.

    Anything else is ``UNCERTAIN | DEVICE``: a word we do not know is no reason to trust or to discard a value.
    """
    if text is None or text == "good":
        return GOOD
    if text == "bad":
        return BAD | DEVICE
    if isinstance(text, int) and not isinstance(text, bool) and 0 <= text <= 255:
        level = text & CLASS_MASK
        return GOOD if level == GOOD else (level & UNCERTAIN) | DEVICE
    return UNCERTAIN | DEVICE


def rank(quality: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Class alone, for "the better quality wins"; how a reading came (late, receipt time) decides nothing."""
    return quality & np.uint8(CLASS_MASK)
