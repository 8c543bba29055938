"""Every board there is, in the order of a menu."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from boards.alarms import ALARM_PERFORMANCE
from boards.compressor import COMPRESSOR
from boards.definition import Board
from boards.diagnosis import DIAGNOSIS
from boards.equipment import COMPONENT, EQUIPMENT
from boards.fleet import FLEET
from boards.maintenance import ADVISORIES, CALENDAR, WORK
from boards.operations import OPERATIONS
from boards.service import COMMANDS, CONTRACTS, ENERGY, PASSPORT
from boards.train import TRAIN
from boards.train_health import TRAIN_HEALTH, TRAINS

_ALL: Final = (
    FLEET,
    EQUIPMENT,
    COMPONENT,
    COMPRESSOR,
    TRAIN,
    TRAIN_HEALTH,
    TRAINS,
    DIAGNOSIS,
    ADVISORIES,
    WORK,
    CALENDAR,
    COMMANDS,
    CONTRACTS,
    PASSPORT,
    ENERGY,
    ALARM_PERFORMANCE,
    OPERATIONS,
)
BOARDS: Final[Mapping[str, Board]] = MappingProxyType({board.key: board for board in _ALL})
"""By key."""


def boards_for(type_key: str | None) -> list[Board]:
    """Boards about one machine of that type: those made for the type first, then those for any."""
    about_one = [board for board in BOARDS.values() if any(v.key == "equipment" for v in board.variables)]
    return sorted((board for board in about_one if is_for(board, type_key)), key=lambda board: not board.types)


def is_for(board: Board, type_key: str | None) -> bool:
    """Is the board made for that type, or for any?

    >>> is_for(TRAIN_HEALTH, "regio-emu-4"), is_for(TRAIN_HEALTH, "compressor-train"), is_for(TRAIN_HEALTH, None)
    (True, False, False)
    """
    patterns = [re.escape(pattern).replace("%", ".*") for pattern in board.types]
    return not patterns or any(re.fullmatch(pattern, type_key or "") for pattern in patterns)
