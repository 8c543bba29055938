"""What two gateways make of the machines' days: messages in the order of delivery, and what must come of each.

``leitstand`` sends bare numbers with decimal commas in US units, one value per topic, no times; it also keeps the
tenant's clock. ``vibro`` sends JSON with French local times, minutes late; once it holds its messages for hours and
sends them in a burst, and now and then it sends one twice. Lines are down for hours. Some of what is sent is nonsense.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from tests.judges.stranger.machine import STEP, Centrifuge, Run, make_duty, make_weather

SECOND: Final = 1_000_000
HOUR: Final = 3_600 * SECOND
PARIS: Final = ZoneInfo("Europe/Paris")
UTC: Final = ZoneInfo("UTC")
TENANT: Final = "zuckerwerk"
ILL, WELL = "zentri7", "zentri8"
LATENESS: Final = 30 * SECOND
"""As the type says."""
STALE: Final = 6 * HOUR
"""As the type says: whoever is silent longer is rightly told of, and this story is about nobody who is."""

FAHRENHEIT: Final = (5 / 9, -160 / 9)
LEITSTAND: Final[dict[str, tuple[str, tuple[float, float], int]]] = {
    # last level of the topic: point, (scale, offset) from the unit sent to the point's, decimals
    "drehzahl": ("trommeldrehzahl", (1.0, 0.0), 1),
    "diffdrehzahl": ("differenzdrehzahl", (1.0, 0.0), 2),
    "moment": ("schneckenmoment", (1.3558179483314004e-3, 0.0), 1),
    "strom": ("motorstrom", (1.0, 0.0), 1),
    "wicklung": ("motortemperatur", FAHRENHEIT, 1),
    "halle": ("hallentemperatur", FAHRENHEIT, 1),
    "lagertemp_as": ("lager_as.temperatur", FAHRENHEIT, 1),
    "lagertemp_gs": ("lager_gs.temperatur", FAHRENHEIT, 1),
    "oeldruck": ("schmierung.oeldruck", (0.06894757293168361, 0.0), 2),
    "zulauf": ("zulauf.menge", (0.22712470704, 0.0), 1),
    "stunden": ("betriebsstunden", (1.0, 0.0), 2),
}
VIBRO: Final[dict[str, tuple[str, tuple[float, float], int]]] = {
    "palier_moteur": ("lager_as.schwingung", (25.4, 0.0), 4),
    "palier_reducteur": ("lager_gs.schwingung", (25.4, 0.0), 4),
    "huile_reducteur": ("getriebe.oeltemperatur", FAHRENHEIT, 1),
}
VIBRO_EVERY: Final = 7 * 60
"""Seconds between two samples of the vibration monitor."""

NONSENSE: Final[tuple[tuple[str, str, bytes, str], ...]] = (
    # gateway, topic, payload, reason of its refusal
    ("leitstand", f"werk3/halle2/{ILL}/strom", b"Messumformer gest\xc3\xb6rt", "not-a-number"),
    ("leitstand", f"werk3/halle2/{ILL}/moment", b"3.164,2", "not-a-number"),
    ("leitstand", f"werk3/halle2/{WELL}/drehzahl", b"NaN", "not-finite"),
    ("leitstand", f"werk3/halle2/{WELL}/halle", b"", "not-a-number"),
    ("leitstand", f"werk3/halle2/{ILL}/reserve3", b"0,0", "no-values"),
    ("leitstand", "werk3/halle2/zentri9/drehzahl", b"3250,0", "unknown-equipment"),
    ("vibro", f"vibro/{ILL}/palier_moteur", b'{"horodatage": "31/02/2025 9:00:00", "valeur": "0,04"}', "bad-timestamp"),
    ("vibro", f"vibro/{WELL}/palier_moteur", b'{"horodatage": "03/02/2025 1', "not-json"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """One message as its gateway publishes it."""

    gateway: str
    topic: str
    payload: bytes


@dataclass
class Story:
    """Messages, and what must come of them.

    ``rounds``: per step the clock's time (µs) and what is delivered then. ``stored``: value by ts of every point that
    has to be in the database, by (machine, point); ``late``: those of it that come behind the watermark, and
    ``perhaps_late``: not the newest, but within the lateness (whether they are late depends on who was idle).
    ``refused``: readings by reason; ``repeated``: how many readings are sent twice. ``crack_at``: when the ill bearing
    begins to crack; ``severe_at``: when it passes its limit, None where it never does.
    """

    seed: int
    rounds: list[tuple[int, list[Message]]] = field(default_factory=list)
    stored: dict[tuple[str, str], dict[int, float]] = field(default_factory=dict)
    late: set[tuple[str, str, int]] = field(default_factory=set)
    perhaps_late: set[tuple[str, str, int]] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    crack_at: int = 0
    severe_at: int | None = None

    @property
    def sent(self) -> int:
        """Readings sent, good or bad, each as often as it was sent."""
        return sum(map(len, self.stored.values())) + self.repeated + self.refused.total()


def tell(seed: int, *, cracks: bool = True, hours: float = 63) -> Story:
    """Some days of both machines; with ``cracks`` the drive-side bearing of the ill one fails at their end."""
    rng = np.random.default_rng(seed)
    steps = int(hours * 3_600 / STEP)
    start = _start(rng)
    weather = make_weather(rng, steps, first_hour=6.0)
    begins = int(rng.uniform(28, 32) * 3_600 / STEP)
    ill = Centrifuge(rng, make_duty(rng, steps), cracks_from=begins if cracks else None).run(weather)
    well = Centrifuge(rng, make_duty(rng, steps)).run(weather + rng.uniform(-1.5, 1.5))
    severe = ill.severe_at("as")
    end = steps if severe is None else min(steps, severe + int(2 * 3_600 / STEP))
    story = Story(seed)
    story.crack_at = start + int(begins * STEP) * SECOND
    story.severe_at = None if severe is None else start + int(severe * STEP) * SECOND
    _Teller(rng, story, start, end, {ILL: ill, WELL: well}).tell()
    return story


def _start(rng: np.random.Generator) -> int:
    """Six in the morning of some day of 2025 whose next days have no change of the clocks."""
    while True:
        day = datetime(2025, 1, 10, 5, 0, tzinfo=UTC) + timedelta(days=int(rng.integers(0, 330)))
        local = [(day + timedelta(days=n)).astimezone(PARIS).utcoffset() for n in (-1, 5)]
        if local[0] == local[1]:
            return int(day.timestamp()) * SECOND


class _Teller:
    """Interleaves both gateways; remembers what was delivered, to know what comes late."""

    def __init__(self, rng: np.random.Generator, story: Story, start: int, end: int, runs: dict[str, Run]) -> None:
        self.rng, self.story, self.start, self.end, self.runs = rng, story, start, end, runs
        length = int(end * STEP) * SECOND
        quiet_from = length - 5 * HOUR
        while True:
            self.down = {machine: [self._span(HOUR, 4 * HOUR, quiet_from) for _ in range(2)] for machine in runs}
            self.silent_leitstand = {machine: self._span(HOUR // 2, 2 * HOUR, quiet_from) for machine in runs}
            self.held = self._span(HOUR, 3 * HOUR, quiet_from)
            if all(self._longest_silence(machine) < STALE - HOUR // 2 for machine in runs):
                break
        self.newest = dict.fromkeys(runs, 0)
        # value of a sample out of the instrument's range: stored as bad, and no alarm for a single one
        self.glitches = {int(rng.integers(200, end - 100)) for _ in range(3)}

    def _longest_silence(self, machine: str) -> int:
        """Of either gateway (µs): spans that meet are one silence, and so are those with a few samples between."""
        longest = 0
        for quiet in (self.silent_leitstand[machine], self.held):
            begin = end = 0
            for since, until in sorted((*self.down[machine], quiet)):
                if since > end + HOUR // 2:
                    begin = since
                end = max(end, until)
                longest = max(longest, end - begin)
        return longest

    def _span(self, shortest: int, longest: int, until: int) -> tuple[int, int]:
        begin = int(self.rng.uniform(2 * HOUR, until - longest))
        return self.start + begin, self.start + begin + int(self.rng.uniform(shortest, longest))

    def tell(self) -> None:
        waiting: list[tuple[int, str, str, int, bytes]] = []
        for machine, run in self.runs.items():
            waiting += self._samples(machine, run)
        waiting.sort(key=lambda item: item[0])
        nonsense = {int(place): item for place, item in zip(self._places(), NONSENSE * 4, strict=False)}
        next_late = 0
        for step in range(self.end):
            now = self.start + int(step * STEP) * SECOND
            messages = [Message("leitstand", f"servitize/v1/{TENANT}/clock", json.dumps({"ts": _iso(now)}).encode())]
            for machine, run in self.runs.items():
                messages += self._numbers(machine, run, step, now)
            if step in nonsense:
                gateway, topic, payload, reason = nonsense[step]
                messages.append(Message(gateway, topic, payload))
                self.story.refused[reason] += 1
            while next_late < len(waiting) and waiting[next_late][0] <= now:
                messages += self._deliver(waiting[next_late])
                next_late += 1
            self.story.rounds.append((now, messages))

    def _places(self) -> list[int]:
        return sorted(self.rng.choice(np.arange(10, self.end - 5), 4 * len(NONSENSE), replace=False).tolist())

    def _numbers(self, machine: str, run: Run, step: int, now: int) -> list[Message]:
        """The control system's values of one moment."""
        if any(begin <= now < end for begin, end in (*self.down[machine], self.silent_leitstand[machine])):
            return []
        messages = []
        for name, (point, (scale, offset), decimals) in LEITSTAND.items():
            value = run.points[point][step]
            if step in self.glitches and name == "wicklung":
                value = 800.0
            text = f"{(value - offset) / scale:.{decimals}f}"
            messages.append(Message("leitstand", f"werk3/halle2/{machine}/{name}", text.replace(".", ",").encode()))
            self._expect(machine, point, now, float(text) * scale + offset)
        self.newest[machine] = now
        return messages

    def _samples(self, machine: str, run: Run) -> list[tuple[int, str, str, int, bytes]]:
        """(delivery, machine, channel, ts, payload) of all the vibration monitor's samples of a machine."""
        found = []
        offset = int(self.rng.integers(0, VIBRO_EVERY))
        for seconds in range(offset, int(self.end * STEP) - 900, VIBRO_EVERY):
            ts = self.start + seconds * SECOND
            if any(begin <= ts < end for begin, end in self.down[machine]):
                continue
            delivery = ts + int(self.rng.uniform(240, 560)) * SECOND
            if self.held[0] <= delivery < self.held[1]:
                delivery = self.held[1]
            local = datetime.fromtimestamp(ts // SECOND, PARIS)
            place, share = int(seconds / STEP), seconds / STEP % 1
            for channel, (point, (scale, shift), decimals) in VIBRO.items():
                before, after = run.points[point][place : place + 2]
                text = f"{(before + (after - before) * share - shift) / scale:.{decimals}f}"
                message = {"horodatage": f"{local:%d/%m/%Y %H:%M:%S}", "valeur": text.replace(".", ",")}
                found.append((delivery, machine, channel, ts, json.dumps(message).encode()))
        return found

    def _deliver(self, sample: tuple[int, str, str, int, bytes]) -> list[Message]:
        _, machine, channel, ts, payload = sample
        point, (scale, shift), _ = VIBRO[channel]
        value = float(json.loads(payload)["valeur"].replace(",", "."))
        self._expect(machine, point, ts, value * scale + shift)
        if ts < self.newest[machine] - LATENESS:
            self.story.late.add((machine, point, ts))
        elif ts <= self.newest[machine]:
            self.story.perhaps_late.add((machine, point, ts))
        self.newest[machine] = max(self.newest[machine], ts)
        message = Message("vibro", f"vibro/{machine}/{channel}", payload)
        if self.rng.random() < 0.01:
            self.story.repeated += 1
            return [message, message]
        return [message]

    def _expect(self, machine: str, point: str, ts: int, value: float) -> None:
        self.story.stored.setdefault((machine, point), {})[ts] = value


def _iso(ts: int) -> str:
    return datetime.fromtimestamp(ts // SECOND, UTC).isoformat().replace("+00:00", "Z")
