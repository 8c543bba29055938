"""Words, zones and panels that several boards share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from boards.definition import Annotation, Kind, Link, Meaning, Named, Panel, Query, Variable, Zones

TO_EQUIPMENT: Final = Link("equipment", {"equipment": "equipment_id"}, "Open the machine")
TO_COMPONENT: Final = Link("component", {"equipment": "equipment_id", "component": "component"}, "Open the component")

HEALTH: Final = Zones(Meaning.ALARM, ((60.0, Meaning.WARNING), (80.0, Meaning.ADVISORY), (95.0, Meaning.HEALTHY)))
"""An urgent condition leaves a component 40, a high one 60, a medium one 80, a low one 90 (see
stream_processors.pipeline.health)."""
ANY_IS_ADVISORY: Final = Zones(Meaning.NEUTRAL, ((1, Meaning.ADVISORY),))
ANY_IS_WARNING: Final = Zones(Meaning.NEUTRAL, ((1, Meaning.WARNING),))
ANY_IS_ALARM: Final = Zones(Meaning.NEUTRAL, ((1, Meaning.ALARM),))
ANY_IS_INSTRUMENT: Final = Zones(Meaning.NEUTRAL, ((1, Meaning.INSTRUMENT),))
NONE_IS_GOOD: Final = Zones(Meaning.HEALTHY, ((1, Meaning.WARNING),))
"""As ANY_IS_WARNING, for figures that should be 0."""

PRIORITIES: Final[Mapping[str, Named]] = {
    "urgent": Named("Urgent", Meaning.ALARM),
    "high": Named("High", Meaning.WARNING),
    "medium": Named("Medium", Meaning.ADVISORY),
    "low": Named("Low", Meaning.NEUTRAL),
}

CONCERNS: Final[Mapping[str, Named]] = {
    "machine": Named("Machine", Meaning.NEUTRAL),
    "instrument": Named("Instrument", Meaning.INSTRUMENT),
    "connection": Named("Connection", Meaning.UNKNOWN),
}

ALARM_STATES: Final[Mapping[str, Named]] = {
    "unacknowledged": Named("Not acknowledged", Meaning.ALARM),
    "acknowledged": Named("Acknowledged", Meaning.WARNING),
    "returned_unacknowledged": Named("Returned, not acknowledged", Meaning.ADVISORY),
    "latched_unacknowledged": Named("Latched, not acknowledged", Meaning.WARNING),
    "latched_acknowledged": Named("Latched", Meaning.ADVISORY),
    "shelved": Named("Shelved"),
    "suppressed_by_design": Named("Suppressed by design"),
    "out_of_service": Named("Out of service"),
    "normal": Named("Normal", Meaning.HEALTHY),
}

MACHINE_STATES: Final[Mapping[str, Named]] = {
    "loaded": Named("Loaded", Meaning.HEALTHY),
    "line": Named("In service", Meaning.HEALTHY),
    "working": Named("Working", Meaning.HEALTHY),
    "idle": Named("Idling"),
    "off": Named("Off"),
    "recycle": Named("Recycle", Meaning.ADVISORY),
    "ramp": Named("Ramp", Meaning.ADVISORY),
    "slow_roll": Named("Slow roll"),
    "depot": Named("Depot"),
    "parked": Named("Parked"),
    "stopped": Named("Stopped"),
    "unknown": Named("Unknown", Meaning.UNKNOWN),
}

VALUE_STATES: Final[Mapping[str, Named]] = {
    "beyond": Named("Beyond its limit", Meaning.ALARM),
    "near": Named("Near its limit", Meaning.WARNING),
    "within": Named("Within its limits", Meaning.HEALTHY),
    "unlimited": Named("No limit"),
    "suspect": Named("Bad quality", Meaning.INSTRUMENT),
    "silent": Named("Silent", Meaning.UNKNOWN),
}

ALARM_MARKS: Final = Annotation(
    "alarms",
    "Alarms",
    Query("common", "alarm_marks"),
    {**PRIORITIES, "ended": Named("Ended", Meaning.HEALTHY), "changed": Named("Changed")},
)


def machine(*points: str) -> Variable:
    """The machine a board is about: any, or those with a point that matches one of these patterns."""
    return Variable("equipment", "Machine", Query("common", "equipment"), {"points": points}, integer=True)


figures: Final = partial(Panel, kind=Kind.STAT, width=24, height=4)
"""A strip of figures as wide as its board, with which a board begins."""
