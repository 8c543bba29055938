"""What will go wrong in the demonstration, and when: pure, decided by seed and segment number.

Simulated time runs in *segments*. Within one, faults begin and grow; before the next the machines were repaired,
which takes :data:`REPAIR` without telemetry. The first segment of a data directory begins with :data:`LEARNING`
without faults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from core.time import DAY, HOUR, MINUTE

COMPRESSORS: Final = ("K-101", "K-102", "K-103")
TRAINS: Final = ("T-01",)
EXCAVATORS: Final = ("EX-301",)
"""Leased by the hour; nothing breaks on it."""
TYPES: Final = (
    dict.fromkeys(COMPRESSORS, "compressor-train")
    | dict.fromkeys(TRAINS, "metro-train-6")
    | dict.fromkeys(EXCAVATORS, "excavator")
)

LEARNING: Final = 10 * HOUR
"""The catalogue's baselines learn for 6 h under load and 2 h on the line."""
SETTLING: Final = 2 * HOUR
REPAIR: Final = 90 * MINUTE
"""Less than the two hours after which a leased machine, which is not repaired at all, counts as silent."""
SERVICE_HOURS: Final = (6, 22)
"""Hours of the day (UTC) in which a train surely runs: its faults grow and show then."""
TO_BE_TOLD: Final = 40 * MINUTE
"""From a fault's stated limit to its alarm at the latest: on-delays, and a stuck sensor must have been still for a
while."""


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A fault that may be seeded: on the machines of one type, at one of ``places`` (components, or points of sensors).

    ``horizon`` µs from onset to the stated limit, shortened where the segment is short. ``harmless`` faults may begin
    at any time; the others reach their limit towards the end of the segment, since nobody lets a machine run on that
    has failed.
    """

    type_key: str
    mode: str
    places: tuple[str, ...]
    horizon: int
    harmless: bool = False


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault of one equipment; ``place`` is the component, or for instrument modes the point."""

    equipment: str
    mode: str
    place: str
    onset: int
    horizon: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of simulated time, (start, end], with its faults. Frames come every ``period_s`` after ``start``."""

    number: int
    start: int
    end: int
    period_s: int
    faults: tuple[PlannedFault, ...]


INSTRUMENT_MODES: Final = frozenset({"stuck", "drift", "bias", "open_circuit"})

SHOWCASE: Final = (
    MenuItem("compressor-train", "filter_clogging", ("lube_oil.filter",), 12 * HOUR),
    MenuItem("compressor-train", "motor_bearing", ("motor.bearing_de",), 12 * HOUR),
    MenuItem("compressor-train", "stuck", ("gearbox.temperature_hs", "motor.bearing_nde.temperature"), HOUR, True),
    MenuItem("metro-train-6", "hot_box", ("car3.axle_box5", "car2.axle_box2", "car5.axle_box8"), 4 * HOUR),
    MenuItem("metro-train-6", "burst_hose", ("car1.air_supply",), 2 * HOUR, True),
)
"""What the first segment shows: one failure of each sort, a sensor that lies among them."""

MENU: Final = (
    *SHOWCASE,
    MenuItem("compressor-train", "wiped_pad", ("compressor.journal_de", "compressor.journal_nde"), 2 * HOUR),
    MenuItem(
        "compressor-train", "open_circuit", ("process.discharge_temperature", "gearbox.temperature_ls"), HOUR, True
    ),
    MenuItem("metro-train-6", "converter_fan", ("car2.converter", "car4.converter"), 2 * HOUR, True),
)


def plan_segment(seed: int, number: int, start: int, end: int, period_s: int, *, learned: bool) -> Segment:
    """The segment's faults: the showcase first, later one drawn per compressor and two for the train.

    A fault is left out where there is no room for it to grow and be told of before the end.
    """
    rng = np.random.default_rng([seed, number])
    ready = start + (SETTLING if learned else LEARNING)
    faults: list[PlannedFault] = []
    for equipment, item in _draw(rng, showcase=not learned):
        fault = _place(rng, equipment, item, ready, end)
        if fault is not None:
            faults.append(fault)
    return Segment(number, start, end, period_s, tuple(sorted(faults, key=lambda fault: fault.onset)))


STORY: Final = 34 * HOUR
"""Simulated time of the story: learning, a bearing that wears, its repair, and proof that it is well."""


def plan_story(number: int, start: int, end: int, period_s: int, *, learned: bool) -> Segment:
    """One fault only: the motor bearing of the first compressor train wears from the time on when normal is known."""
    onset = start + (SETTLING if learned else LEARNING)
    fault = PlannedFault(COMPRESSORS[0], "motor_bearing", "motor.bearing_de", onset, 12 * HOUR)
    return Segment(number, start, end, period_s, (fault,))


def _draw(rng: np.random.Generator, *, showcase: bool) -> list[tuple[str, MenuItem]]:
    if showcase:
        compressor_items = [item for item in SHOWCASE if item.type_key == "compressor-train"]
        train_items = [item for item in SHOWCASE if item.type_key == "metro-train-6"]
    else:
        compressor_menu = [item for item in MENU if item.type_key == "compressor-train"]
        train_menu = [item for item in MENU if item.type_key == "metro-train-6"]
        compressor_items = [compressor_menu[i] for i in rng.choice(len(compressor_menu), 3, replace=False)]
        train_items = [train_menu[i] for i in rng.choice(len(train_menu), 2, replace=False)]
    return [
        *zip(COMPRESSORS, compressor_items, strict=True),
        *((TRAINS[0], item) for item in train_items),
    ]


def _place(rng: np.random.Generator, equipment: str, item: MenuItem, ready: int, end: int) -> PlannedFault | None:
    """Somewhere in [ready, end] with room for the horizon and to be told of; None where there is no room."""
    place = item.places[int(rng.integers(len(item.places)))]
    share = float(rng.uniform(0.0, 0.8) if item.harmless else 1.0)
    horizon = min(item.horizon, round(0.6 * (end - ready - TO_BE_TOLD)))
    if horizon < 20 * MINUTE:
        return None
    windows = [(ready, end)] if item.type_key == "compressor-train" else _service_windows(ready, end)
    room = [(low, high - horizon - TO_BE_TOLD) for low, high in windows]
    room = [(low, high) for low, high in room if high >= low]
    if not room:
        return None
    low, high = max(room, key=lambda pair: pair[1] - pair[0]) if item.harmless else room[-1]
    onset = low + round(share * (high - low)) // MINUTE * MINUTE
    return PlannedFault(equipment, item.mode, place, onset, horizon)


def _service_windows(start: int, end: int) -> list[tuple[int, int]]:
    """The parts of [start, end] within the hours of service."""
    first, last = SERVICE_HOURS
    windows: list[tuple[int, int]] = []
    day = start // DAY * DAY
    while day < end:
        low, high = max(start, day + first * HOUR), min(end, day + last * HOUR)
        if low < high:
            windows.append((low, high))
        day += DAY
    return windows


def to_json(segment: Segment) -> str:
    """For the data directory; read back by :func:`from_json`."""
    return json.dumps(asdict(segment), indent=1)


def from_json(text: str) -> Segment:
    """The segment that :func:`to_json` wrote."""
    document: Mapping[str, Any] = json.loads(text)
    faults: Sequence[Mapping[str, Any]] = document["faults"]
    return Segment(**{**document, "faults": tuple(PlannedFault(**fault) for fault in faults)})
