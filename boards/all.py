"""Every board there is, in the order of a menu."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
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
from boards.prognosis import PROGNOSIS
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
    PROGNOSIS,
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


def boards_for(points: Collection[str], *, learned: bool = False) -> list[Board]:
    """Boards about one machine with points of these keys, of which a model speaks (``learned``) or none: those made for
    some points first, then those for any."""
    about_one = [board for board in BOARDS.values() if any(v.key == "equipment" for v in board.variables)]
    fitting = (board for board in about_one if is_for(board, points, learned=learned))
    return sorted(fitting, key=lambda board: not board.points)


def is_for(board: Board, points: Collection[str], *, learned: bool = False) -> bool:
    """Is the board made for machines with points of these keys, or for any?

    >>> is_for(TRAIN_HEALTH, ["car7.door1.friction"]), is_for(TRAIN_HEALTH, ["motor.current"]), is_for(FLEET, [])
    (True, False, True)
    >>> is_for(PROGNOSIS, []), is_for(PROGNOSIS, [], learned=True)
    (False, True)
    """
    if board.learned and not learned:
        return False
    return not board.points or any(re.search(pattern, key) for pattern in board.points for key in points)
