"""``servitize backtest``: stored history through the processor of the stream, and what came of it."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from multiprocessing.managers import ValueProxy
from typing import Any, Final

import orjson
import psycopg
from psycopg_pool import ConnectionPool
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from core.condition import ConditionTransition
from core.equipment import EquipmentType, PointKind
from core.errors import InvalidInputError, NotFoundError
from core.learned import ModelEntry
from core.registry import EquipmentEntry, EquipmentStatus, RegistrySnapshot
from core.time import DAY, SECOND, isoformat
from models.types import from_document
from storage.history import History
from storage.queries import load
from storage.registry import Registry
from stream_processors.backtest import backtest, raised
from stream_processors.hosting import model_loader
from workbench.backtest.verdict import Failure, Foreseen, equipment_months, judge
from workbench.evaluate.verdict import Announced, announced

HORIZON: Final = 30 * DAY
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of history. ``warm_up`` µs before ``time_from`` in which the processor only learns (None: from
    the first reading on). ``types`` stand in for the registry's of the same key. ``equipment`` keys, none: all.
    ``models`` as (name, version) speak in place of the champions (None: the champions); ``model_key`` opens their
    files, without it there are none."""

    tenant: str | None
    equipment: tuple[str, ...]
    time_from: int | None
    time_to: int | None
    warm_up: int | None = None
    types: Mapping[str, EquipmentType] | None = None
    models: tuple[tuple[str, int], ...] | None = None
    model_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the processor said, in order of time; ``live`` is what it said in life, (equipment, condition, at)."""

    alarms: list[Announced]
    raised: set[tuple[str, str, int]]
    live: set[tuple[str, str, int]]
    equipment: int
    readings: int
    time_from: int
    time_to: int
    seconds: float

    @property
    def speed(self) -> float:
        """Seconds of history per second of work, of one machine."""
        return self.equipment * (self.time_to - self.time_from) / SECOND / max(self.seconds, 1e-9)


def run(dsn: str, question: Question, *, jobs: int = 1, progress: Callable[[float], None] | None = None) -> Answer:
    """The answer; raises :class:`~core.errors.NotFoundError` where nothing matches or nothing is stored."""
    began = time.monotonic()
    registry = _registry(dsn, question)
    with psycopg.connect(dsn, autocommit=True) as connection:
        span = History(connection).span(_points(registry.equipment.values()))
    if span is None:
        raise NotFoundError("no readings are stored of that equipment", hint="servitize equipment list")
    time_from = max(span[0], question.time_from if question.time_from is not None else span[0])
    time_to = min(span[1] + 1, question.time_to if question.time_to is not None else span[1] + 1)
    if time_from >= time_to:
        raise InvalidInputError(
            f"there is nothing between --from and --to: readings are from {isoformat(span[0])} to {isoformat(span[1])}"
        )
    begin = span[0] if question.warm_up is None else max(span[0], time_from - question.warm_up)
    parts = [p for p in (sorted(registry.equipment)[k::jobs] for k in range(jobs)) if p]
    transitions: list[ConditionTransition] = []
    readings = 0
    for part_readings, found in _run_parts(dsn, question, parts, begin, time_from, time_to, progress):
        readings += part_readings
        transitions += found
    transitions.sort(key=lambda t: (t.at, t.equipment_id, t.condition))
    names = {e.id: e.key for e in registry.equipment.values()}
    with psycopg.connect(dsn, autocommit=True) as connection:
        live = History(connection).raised_live(sorted(registry.equipment), time_from, time_to)
    return Answer(
        announced(transitions, names),
        {(names[t.equipment_id], t.condition, t.at) for t in raised(transitions)},
        {(names[e], condition, at) for e, condition, at, _ in live},
        len(registry.equipment),
        readings,
        begin,
        time_to,
        time.monotonic() - began,
    )


def _run_parts(
    dsn: str,
    question: Question,
    parts: Sequence[Sequence[int]],
    begin: int,
    time_from: int,
    time_to: int,
    progress: Callable[[float], None] | None,
) -> Iterator[tuple[int, list[ConditionTransition]]]:
    """(readings, transitions) of each part, at work side by side."""
    told = progress or (lambda _: None)
    if len(parts) == 1:
        yield _run_part(
            dsn, question, parts[0], begin, time_from, time_to, lambda at: told((at - begin) / (time_to - begin))
        )
        return
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(len(parts), mp_context=context) as pool:
        reached = [manager.Value("q", begin) for _ in parts]
        working = {
            pool.submit(_run_shown, dsn, question, part, begin, time_from, time_to, at)
            for part, at in zip(parts, reached, strict=True)
        }
        while working:
            done, working = wait(working, timeout=0.5, return_when=FIRST_COMPLETED)
            told(sum(at.value - begin for at in reached) / len(parts) / (time_to - begin))
            for part in done:
                yield part.result()


def _run_shown(
    dsn: str,
    question: Question,
    part: Sequence[int],
    begin: int,
    time_from: int,
    time_to: int,
    reached: ValueProxy[int],
) -> tuple[int, list[ConditionTransition]]:
    return _run_part(dsn, question, part, begin, time_from, time_to, lambda at: setattr(reached, "value", at))


def _run_part(
    dsn: str,
    question: Question,
    part: Sequence[int],
    begin: int,
    time_from: int,
    time_to: int,
    reached: Callable[[int], None],
) -> tuple[int, list[ConditionTransition]]:
    registry = _registry(dsn, question)
    mine = replace(registry, equipment={e: registry.equipment[e] for e in part})
    readings = 0
    with psycopg.connect(dsn, autocommit=True) as connection:
        chunks = History(connection).chunks(_points(mine.equipment.values()), begin, time_to)

        def counted() -> Iterator[Any]:
            nonlocal readings
            for chunk in chunks:
                readings += len(chunk)
                yield chunk

        found = list(backtest(mine, counted(), since=time_from, progress=reached))
    return readings, found


def _registry(dsn: str, question: Question) -> RegistrySnapshot:
    """The asked part of the registry, with the types of the question."""
    with ConnectionPool(dsn, min_size=1, max_size=1, open=True) as pool:
        port = Registry(pool, from_document, model_loader(question.model_key))
        registry = port.load()
        models = _models(registry, port, question)
    tenants = {t.id: t for t in registry.tenants.values() if question.tenant in (None, t.slug)}
    if question.tenant is not None and not tenants:
        raise NotFoundError(f"there is no tenant {question.tenant!r}", hint="servitize tenant list")
    types = {**registry.types, **(question.types or {})}
    chosen = {
        e.id: e
        for e in registry.equipment.values()
        if e.tenant_id in tenants
        and e.type_key in types
        and e.status is not EquipmentStatus.RETIRED
        and (not question.equipment or e.key in question.equipment)
    }
    unknown = set(question.equipment) - {e.key for e in chosen.values()}
    if unknown or not chosen:
        what = ", ".join(sorted(unknown)) or "equipment with a type"
        raise NotFoundError(f"there is no {what}", hint="servitize equipment list")
    return replace(registry, tenants=tenants, types=types, equipment=chosen, models=models, recall=None)


def _models(registry: RegistrySnapshot, port: Registry, question: Question) -> tuple[ModelEntry, ...]:
    """Who speaks: the models of the question, else today's champions."""
    if question.models is None:
        return tuple(m for m in registry.models if m.champion)
    found = []
    for name, version in question.models:
        entry = port.recall(name, version, True)
        if entry is None:
            raise NotFoundError(
                f"there is no version {version} of the model {name!r} that can be used",
                hint="see what there is: servitize models",
            )
        found.append(entry)
    return tuple(found)


def parse_models(texts: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Of ``NAME@VERSION``; ``none`` alone is no model at all.

    >>> parse_models(["normal/pump@3"]), parse_models(["none"])
    ((('normal/pump', 3),), ())
    """
    if [text.strip() for text in texts] == ["none"]:
        return ()
    found = []
    for text in texts:
        name, _, version = text.strip().rpartition("@")
        if not name or not version.isdecimal():
            raise InvalidInputError(f"{text!r} names no model", hint="for example remaining-life/pump@3, or none")
        found.append((name, int(version)))
    return tuple(found)


def _points(equipment: Any) -> list[int]:
    entries: list[EquipmentEntry] = list(equipment)
    return [p.id for e in entries for p in e.points.values() if p.kind is PointKind.MEASURED]


def failures_of_history(dsn: str, tenant: str | None, equipment: Sequence[str]) -> list[Failure]:
    """Events of the kind ``failure``, with the component that their body names."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        rows = list(load("history").failures(connection, tenant=tenant))
    return [
        Failure(key, int(at), str(body.get("component", "")), str(body.get("mode", "")))
        for key, at, body in rows
        if not equipment or key in equipment
    ]


def backtest_command(
    dsn: str,
    question: Question,
    *,
    failures: Sequence[Failure] | None = None,
    horizon: int = HORIZON,
    prices: Mapping[str, float] | None = None,
    jobs: int = 1,
    as_json: bool = False,
) -> int:
    """Run, show, return the exit code. ``failures`` None: those that history knows as events."""
    errors = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("looking back", total=1.0)
        answer = run(dsn, question, jobs=jobs, progress=lambda share: bar.update(task, completed=share))
    known = failures_of_history(dsn, question.tenant, question.equipment) if failures is None else list(failures)
    inside = [f for f in known if answer.time_from <= f.at < answer.time_to + horizon]
    result = figures(answer, inside, horizon, prices or {})
    if as_json:
        sys.stdout.write(orjson.dumps(result).decode() + "\n")
    else:
        _show(Console(), answer, result, judge(inside, answer.alarms, horizon).failures)
    return 0


def figures(answer: Answer, failures: Sequence[Failure], horizon: int, prices: Mapping[str, float]) -> dict[str, Any]:
    """All that was found, as JSON would say it."""
    verdict = judge(failures, answer.alarms, horizon)
    return {
        "from": isoformat(answer.time_from),
        "to": isoformat(answer.time_to),
        "equipment": answer.equipment,
        "readings": answer.readings,
        "seconds": round(answer.seconds, 2),
        "times_real_time": round(answer.speed),
        "alarms": [
            {
                "at": isoformat(a.at),
                "equipment": a.equipment,
                "component": a.component,
                "condition": a.condition,
                "concern": a.concern,
                "title": a.title,
            }
            for a in answer.alarms
        ],
        "as_live": {
            "both": len(answer.raised & answer.live),
            "only_backtest": _lines(answer.raised - answer.live),
            "only_live": _lines(answer.live - answer.raised),
        },
        "verdict": verdict.figures(equipment_months(answer.equipment, answer.time_from, answer.time_to), prices),
    }


def _lines(raised_ones: set[tuple[str, str, int]]) -> list[str]:
    return [
        f"{isoformat(at)} {equipment} {condition}"
        for equipment, condition, at in sorted(raised_ones, key=lambda r: r[2])
    ]


def _show(console: Console, answer: Answer, result: dict[str, Any], failures: Sequence[Foreseen]) -> None:
    table = Table("at", "equipment", "alarm", title="Announced alarms", title_justify="left")
    for alarm in answer.alarms[:_SHOWN]:
        table.add_row(isoformat(alarm.at), alarm.equipment, alarm.title or alarm.condition)
    if answer.alarms:
        console.print(table)
    if len(answer.alarms) > _SHOWN:
        console.print(f"… and {len(answer.alarms) - _SHOWN} more (--json has them all)")
    for line in failures:
        lead = "not foreseen" if line.lead_h is None else f"foreseen {line.lead_h:.1f} h before"
        where = f"{line.failure.equipment} {line.failure.component}".strip()
        console.print(f"failure {isoformat(line.failure.at)} {where}: {lead}", highlight=False)
    live, verdict = result["as_live"], result["verdict"]
    console.print(
        f"{len(answer.alarms)} alarms announced in {answer.readings:,} readings of {answer.equipment} machines from "
        f"{result['from']} to {result['to']}: {result['times_real_time']:,} times real time.",
        highlight=False,
    )
    console.print(
        f"As in life: {live['both']} raised in both, {len(live['only_backtest'])} only here, "
        f"{len(live['only_live'])} only in life.",
        highlight=False,
    )
    if verdict["failures"]:
        console.print(
            f"{verdict['foreseen']} of {verdict['failures']} failures foreseen, median lead "
            f"{verdict['median_lead_h']} h; {verdict['false_alarms']} false alarms "
            f"({verdict['false_alarms_per_equipment_month']} per machine and month).",
            highlight=False,
        )
    if "cost" in verdict:
        console.print(f"Cost {verdict['cost']:,.2f}, without alarms {verdict['cost_without_alarms']:,.2f}.")
