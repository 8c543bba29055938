"""Trouble codes to conditions: each code of a component is one condition, raised while it stands.

Codes wait as readings do, until nothing that is not late can come before them; so alarms of one cause are in the order
of their own times when the first of them is told. A report that comes again, or comes late, changes nothing that is
known already. Codes of a type that names none are stored and say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from core.codes import TROUBLE_CODE, CodeDef, TroubleCode
from core.condition import Change, Concern, ConditionTransition, Priority
from core.registry import RegistrySnapshot
from core.telemetry import EventRecord
from stream_processors.pipeline.findings import Findings

MOST: Final = 2000
"""Conditions by codes of one equipment: who sends ever new codes fills nobody's memory."""
_UNNAMED: Final = CodeDef("", "Trouble code", action="Look it up in the device's manual; add it to the type.")


class Codes:
    """Codes that wait and codes that stand, by equipment."""

    def __init__(self, registry: RegistrySnapshot) -> None:
        self.waiting: dict[int, list[TroubleCode]] = {}
        self.standing: dict[int, dict[str, tuple[int, bool]]] = {}
        """By equipment: condition → (since µs, does it stand)."""
        self.reconfigure(registry)

    def reconfigure(self, registry: RegistrySnapshot) -> None:
        self._registry = registry
        self._known: dict[str, Mapping[str, CodeDef]] = {}
        self._components: dict[str, Mapping[str, str]] = {}
        for key, type_ in registry.types.items():
            if type_.codes:
                self._known[key] = {c.code: c for c in type_.codes}
                self._components[key] = {component: name for component, name, _ in type_.component_instances()}

    def take(self, events: Iterable[EventRecord], out: Findings) -> None:
        """Let the codes among the events wait."""
        for event in events:
            if event.kind != TROUBLE_CODE:
                continue
            entry = self._registry.equipment.get(event.equipment_id)
            report = TroubleCode.of(event.ts, event.body)
            if entry is None or entry.type_key not in self._known or report is None:
                out.count("core.codes_unwatched")
                continue
            out.count("core.codes")
            self.waiting.setdefault(event.equipment_id, []).append(report)

    def release(self, until: Callable[[int], int], out: Findings) -> None:
        """Tell of what is at or before ``until(equipment)`` µs, in order of time."""
        for equipment in sorted(self.waiting):
            waiting, bound = self.waiting[equipment], until(equipment)
            due = sorted((r for r in waiting if r.at <= bound), key=lambda r: (r.at, r.component, r.code, r.active))
            rest = [r for r in waiting if r.at > bound]
            if rest:
                self.waiting[equipment] = rest
            else:
                del self.waiting[equipment]
            for report in due:
                self._tell(equipment, report, out)

    def _tell(self, equipment: int, report: TroubleCode, out: Findings) -> None:
        entry = self._registry.equipment.get(equipment)
        if entry is None or entry.type_key not in self._known:
            return
        known = self._known[entry.type_key].get(report.code, _UNNAMED)
        names = self._components[entry.type_key]
        component = report.component if report.component in names else ""
        if not component and known.component in names:
            component = known.component
        condition = f"{component}/code/{report.code}"
        mine = self.standing.setdefault(equipment, {})
        since, stands = mine.get(condition, (-1, False))
        if report.at <= since or stands == report.active:
            return
        if since < 0 and not _room(mine):
            out.count("core.codes_too_many")
            return
        mine[condition] = (report.at, report.active)
        out.step += 1
        where = f"{names[component]}: " if component else ""
        detail: dict[str, Any] = {"code": report.code, "environment": dict(report.environment)}
        if known.advice is not None:
            detail["advice"] = known.advice.value
        out.add(
            ConditionTransition(
                equipment_id=equipment,
                component=component,
                condition=condition,
                change=Change.RAISED if report.active else Change.CLEARED,
                at=report.at,
                priority=known.priority if known is not _UNNAMED else Priority.LOW,
                concern=Concern.MACHINE,
                title=f"{where}{known.title} ({report.code})",
                failure_mode=known.failure_mode,
                consequence=known.consequence,
                action=known.action,
                detail=detail,
            )
        )

    # --- state ---

    def dump(self) -> dict[str, Any]:
        """For snapshots."""
        return {
            "waiting": [
                [e, r.at, r.code, r.component, r.active, dict(r.environment)]
                for e, reports in sorted(self.waiting.items())
                for r in reports
            ],
            "standing": [[e, c, at, stands] for e, mine in self.standing.items() for c, (at, stands) in mine.items()],
        }

    def load(self, image: Mapping[str, Any]) -> None:
        for equipment, at, code, component, active, environment in image.get("waiting", ()):
            report = TroubleCode(int(at), str(code), str(component), bool(active), environment)
            self.waiting.setdefault(int(equipment), []).append(report)
        for equipment, condition, at, stands in image.get("standing", ()):
            self.standing.setdefault(int(equipment), {})[str(condition)] = (int(at), bool(stands))


def _room(mine: dict[str, tuple[int, bool]]) -> bool:
    """Is there room for one more condition, once one that is over is forgotten?"""
    if len(mine) < MOST:
        return True
    over = next((condition for condition, (_, stands) in mine.items() if not stands), None)
    if over is not None:
        del mine[over]
    return over is not None
