"""A score in words: which sensor, which way, by how much, and whether it is the instrument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.normal.scores import Scores

_SHOWN: Final = 3
_LEAST: Final = 0.1
"""Share from which a sensor is named."""


def words(scores: Scores, row: int, names: Sequence[str], units: Sequence[str] = ()) -> str:
    """One line for one machine of a frame; empty where nothing was said of it.

    >>> from models.normal.scores import Scores
    >>> s = Scores.nothing(1, 2)
    >>> s.ready[0], s.contribution[0], s.against[0], s.residual[0] = True, [0.97, 0.03], [4.1, 0.2], [6.2, 0.0]
    >>> words(s, 0, ["pad", "oil"], ["Cel", "Cel"])
    'pad 6.2 Cel above what the others and the load say (97 %)'
    """
    if not scores.ready[row]:
        return ""
    share = np.nan_to_num(scores.contribution[row])
    order = [int(j) for j in np.argsort(-share)[:_SHOWN] if share[j] >= _LEAST]
    parts = []
    for j in order:
        way = "above" if scores.against[row, j] > 0 else "below"
        by = abs(float(scores.residual[row, j]))
        unit = f" {units[j]}" if len(units) > j and units[j] not in ("", "1") else ""
        parts.append(f"{names[j]} {by:.3g}{unit} {way} what the others and the load say ({100 * share[j]:.0f} %)")
    suspect = int(scores.instrument[row])
    if suspect >= 0:
        parts.append(f"nothing else has moved with {names[suspect]}: suspect the instrument")
    return "; ".join(parts)
