"""A contract's JSON document to terms, with every number exact and every mistake named by its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar

from core.contracts.calendars import ALWAYS, Calendar, Window, zone
from core.contracts.numbers import decimal
from core.contracts.terms import (
    Availability,
    AvailabilityKind,
    ClockEnd,
    Consequence,
    Contract,
    Fee,
    GapRule,
    GapVerdict,
    Meter,
    MeterKind,
    Pool,
    ServiceLevel,
    Tier,
    TierMode,
    Usage,
    Version,
)
from core.errors import InvalidInputError
from core.time import DAY, parse_duration

_KEY: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_CLOCK: Final = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
_WEEKDAYS: Final = {name: n for n, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))}

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")


class _Reader:
    """A mapping of the document, read key by key; what nobody asked for is refused at the end."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise InvalidInputError(f"{where or 'contract'}: an object is wanted here")
        self.value, self.where = value, where
        self._asked: set[str] = set()

    def at(self, key: str) -> str:
        return f"{self.where}/{key}" if self.where else key

    def raw(self, key: str, default: Any = None) -> Any:
        self._asked.add(key)
        return self.value.get(key, default)

    def text(self, key: str, default: str | None = None) -> str:
        found = self.raw(key, default)
        if not isinstance(found, str) or (default is None and not found):
            raise InvalidInputError(f"{self.at(key)}: a text is wanted here")
        return found

    def key(self) -> str:
        found = self.text("key")
        if not _KEY.fullmatch(found):
            raise InvalidInputError(f"{self.at('key')}: {found!r} is no key", hint="lower case, digits, dashes")
        return found

    def number(self, key: str, default: str | None = None) -> Decimal:
        found = self.raw(key, default)
        if found is None:
            raise InvalidInputError(f"{self.at(key)}: a number is missing")
        value = decimal(found, self.at(key))
        if value < 0:
            raise InvalidInputError(f"{self.at(key)}: less than nothing")
        return value

    def maybe_number(self, key: str) -> Decimal | None:
        return None if self.raw(key) is None else self.number(key)

    def one_of(self, key: str, kind: type[E], default: E | None = None) -> E:
        found = self.raw(key, default)
        try:
            return kind(found)
        except ValueError:
            known = ", ".join(member.value for member in kind)
            raise InvalidInputError(f"{self.at(key)}: {found!r} is none of {known}") from None

    def flag(self, key: str, default: bool) -> bool:
        found = self.raw(key, default)
        if not isinstance(found, bool):
            raise InvalidInputError(f"{self.at(key)}: true or false")
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.raw(key, [])
        if not isinstance(found, Sequence) or isinstance(found, str) or not all(isinstance(x, str) for x in found):
            raise InvalidInputError(f"{self.at(key)}: a list of texts is wanted here")
        return tuple(found)

    def many(self, key: str, read: Callable[[_Reader], T]) -> tuple[T, ...]:
        found = self.raw(key, [])
        if not isinstance(found, Sequence) or isinstance(found, str):
            raise InvalidInputError(f"{self.at(key)}: a list is wanted here")
        return tuple(_whole(_Reader(entry, f"{self.at(key)}/{n}"), read) for n, entry in enumerate(found))

    def maybe(self, key: str, read: Callable[[_Reader], T], default: T) -> T:
        found = self.raw(key)
        return default if found is None else _whole(_Reader(found, self.at(key)), read)

    def duration(self, key: str, default: str) -> int:
        found = self.raw(key, default)
        if isinstance(found, bool) or not isinstance(found, (str, int)):
            raise InvalidInputError(f"{self.at(key)}: a duration is a text such as 2 h")
        us = parse_duration(found)
        if not 0 <= us <= 400 * DAY:
            raise InvalidInputError(f"{self.at(key)}: from nothing to 400 days")
        return us

    def day(self, key: str) -> date:
        try:
            found = date.fromisoformat(self.text(key))
        except ValueError:
            raise InvalidInputError(f"{self.at(key)}: a day is written YYYY-MM-DD") from None
        if not 1900 <= found.year < 2200:
            raise InvalidInputError(f"{self.at(key)}: a day lies between 1900 and 2200")
        return found

    def finish(self) -> None:
        unknown = sorted(set(self.value) - self._asked)
        if unknown:
            known = ", ".join(sorted(self._asked))
            raise InvalidInputError(f"{self.at(unknown[0])}: there is no such term", hint=f"known here: {known}")


def _whole(reader: _Reader, read: Callable[[_Reader], T]) -> T:
    found = read(reader)
    reader.finish()
    return found


def parse(document: Mapping[str, Any]) -> Contract:
    """The contract of a document. Raises :class:`~core.errors.InvalidInputError` naming the place of the first
    mistake."""
    return _whole(_Reader(document, ""), _contract)


def _contract(r: _Reader) -> Contract:
    currency = r.text("currency")
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise InvalidInputError(f"currency: {currency!r} is no ISO 4217 code", hint="for example EUR")
    timezone = r.text("timezone")
    zone(timezone)
    versions = r.many("versions", _version)
    if not versions:
        raise InvalidInputError("versions: a contract has at least one")
    effective = [version.effective for version in versions]
    if sorted(set(effective)) != effective:
        raise InvalidInputError("versions: each begins on a later day than the one before")
    months = r.raw("months", 1)
    if months not in (1, 2, 3, 6, 12) or isinstance(months, bool):
        raise InvalidInputError("months: a billing period has 1, 2, 3, 6 or 12")
    ends = None if r.raw("ends") is None else r.day("ends")
    if ends is not None and ends <= effective[-1]:
        raise InvalidInputError("ends: behind the day of the last version")
    return Contract(r.key(), r.text("title"), currency, timezone, versions, ends, months)


def _version(r: _Reader) -> Version:
    equipment = r.texts("equipment")
    if not equipment or len(set(equipment)) != len(equipment):
        raise InvalidInputError(f"{r.at('equipment')}: machines, each once")
    found = Version(
        r.day("effective"),
        equipment,
        r.many("fees", _fee),
        r.many("usage", _usage),
        r.many("availability", _availability),
        r.many("service_levels", _service_level),
    )
    charges = {*(fee.key for fee in found.fees), *(usage.key for usage in found.usage)}
    guarantees = {*(g.key for g in found.availability), *(level.key for level in found.service_levels)}
    terms = len(found.fees) + len(found.usage) + len(found.availability) + len(found.service_levels)
    if len(charges | guarantees) != terms:
        raise InvalidInputError(f"{r.where}: two terms have the same key")
    for guarantee in found.availability:
        if set(guarantee.base) - charges:
            raise InvalidInputError(f"{r.where}: the base of {guarantee.key} names a charge that is not there")
    return found


def _fee(r: _Reader) -> Fee:
    return Fee(
        r.key(), r.text("title"), r.number("amount"), r.one_of("pool", Pool, Pool.EACH), r.flag("prorated", True)
    )


def _meter(r: _Reader) -> Meter:
    meter = Meter(
        kind=r.one_of("kind", MeterKind),
        unit=r.text("unit"),
        resolution=r.number("resolution"),
        point=r.text("point", ""),
        states=r.texts("states"),
        entering=r.texts("entering"),
        event=r.text("event", ""),
        max_gap=r.duration("max_gap", "1 h"),
        gap=r.one_of("gap", GapRule, GapRule.NOTHING),
        factor=r.number("factor", "1"),
    )
    if meter.resolution <= 0:
        raise InvalidInputError(f"{r.at('resolution')}: more than nothing")
    wants = {
        MeterKind.COUNTER: bool(meter.point),
        MeterKind.INTEGRAL: bool(meter.point),
        MeterKind.STATE: bool(meter.states),
        MeterKind.COUNT: bool(meter.entering) != bool(meter.event),
    }
    if not wants[meter.kind]:
        need = {"state": "'states'", "count": "either 'entering' or 'event'"}.get(meter.kind, "'point'")
        raise InvalidInputError(f"{r.where}: a meter of kind {meter.kind} needs {need}")
    return meter


def _tier(r: _Reader) -> Tier:
    return Tier(r.maybe_number("up_to"), r.number("price"))


def _usage(r: _Reader) -> Usage:
    meter = r.maybe("meter", _meter, None)
    if meter is None:
        raise InvalidInputError(f"{r.at('meter')}: missing")
    tiers = r.many("tiers", _tier)
    bounds = [tier.up_to for tier in tiers]
    if not tiers or bounds[-1] is not None or any(bound is None for bound in bounds[:-1]):
        raise InvalidInputError(f"{r.at('tiers')}: every tier but the last has 'up_to'")
    known = [bound for bound in bounds if bound is not None]
    if sorted(set(known)) != known:
        raise InvalidInputError(f"{r.at('tiers')}: 'up_to' rises")
    return Usage(
        r.key(),
        r.text("title"),
        meter,
        tiers,
        r.one_of("mode", TierMode, TierMode.GRADUATED),
        r.one_of("pool", Pool, Pool.EACH),
        r.number("included", "0"),
        r.number("minimum_quantity", "0"),
        r.number("minimum_amount", "0"),
        r.flag("prorated", True),
    )


def _minute(value: str, where: str) -> int:
    found = _CLOCK.fullmatch(value)
    if found is None or (found[1] == "24" and found[2] != "00"):
        raise InvalidInputError(f"{where}: {value!r} is no time of day", hint="HH:MM, 24:00 is the end of the day")
    return int(found[1]) * 60 + int(found[2])


def _window(r: _Reader) -> Window:
    names = r.texts("days")
    unknown = [name for name in names if name not in _WEEKDAYS]
    if not names or unknown:
        raise InvalidInputError(f"{r.at('days')}: of {', '.join(_WEEKDAYS)}")
    low, high = _minute(r.text("from"), r.at("from")), _minute(r.text("to"), r.at("to"))
    if high <= low:
        raise InvalidInputError(f"{r.where}: the window ends before it begins", hint="over midnight: two windows")
    return Window(tuple(sorted(_WEEKDAYS[name] for name in names)), low, high)


def _calendar(r: _Reader) -> Calendar:
    try:
        holidays = frozenset(date.fromisoformat(day) for day in r.texts("holidays"))
    except ValueError:
        raise InvalidInputError(f"{r.at('holidays')}: days are written YYYY-MM-DD") from None
    windows = r.many("windows", _window)
    return Calendar(windows or ALWAYS.windows, holidays)


def _consequence(r: _Reader) -> Consequence:
    bands = r.many("bands", lambda b: (b.number("from"), b.number("percent")))
    if [band[0] for band in bands] != sorted({band[0] for band in bands}, reverse=True):
        raise InvalidInputError(f"{r.at('bands')}: from the highest availability down")
    return Consequence(r.number("per_point", "0"), r.number("cap", "100"), bands)


def _availability(r: _Reader) -> Availability:
    kind = r.one_of("kind", AvailabilityKind)
    output = r.maybe("output", _meter, None)
    found = Availability(
        key=r.key(),
        title=r.text("title"),
        kind=kind,
        target=r.number("target"),
        resolution=r.number("resolution", "0.01"),
        pool=r.one_of("pool", Pool, Pool.ALL),
        down=r.texts("down"),
        alive=r.text("alive", ""),
        max_gap=r.duration("max_gap", "1 h"),
        gap=r.one_of("gap", GapVerdict, GapVerdict.EXCLUDED),
        calendar=r.maybe("calendar", _calendar, ALWAYS),
        excludes=r.texts("excludes"),
        planned_hours=r.maybe_number("planned_hours"),
        service_starts=tuple(_minute(t, r.at("service_starts")) for t in r.texts("service_starts")),
        output=output,
        rate=r.number("rate", "0"),
        damages=r.maybe("damages", _consequence, Consequence()),
        bonus=r.maybe("bonus", _consequence, Consequence()),
        base=r.texts("base"),
    )
    if found.resolution <= 0 or not 0 < found.target <= 100:
        raise InvalidInputError(f"{r.where}: 'target' is a percentage, 'resolution' more than nothing")
    if kind is AvailabilityKind.OUTPUT and (output is None or found.rate <= 0):
        raise InvalidInputError(f"{r.where}: availability of output needs 'output' (a meter) and 'rate' (per hour)")
    if kind is AvailabilityKind.STARTS and not found.service_starts:
        raise InvalidInputError(f"{r.where}: availability at starts of service needs 'service_starts'")
    if kind is not AvailabilityKind.OUTPUT and not found.down:
        raise InvalidInputError(f"{r.at('down')}: the states that are not available")
    return found


def _service_level(r: _Reader) -> ServiceLevel:
    return ServiceLevel(
        r.key(),
        r.text("title"),
        r.one_of("until", ClockEnd),
        r.number("target"),
        r.maybe("calendar", _calendar, ALWAYS),
        r.texts("pauses"),
        r.number("per_breach", "0"),
        r.number("per_hour", "0"),
        r.maybe_number("cap"),
    )
