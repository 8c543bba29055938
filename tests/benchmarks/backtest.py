"""``make benchbacktest``: how fast history is looked back upon, reading included, with and without learned models.

Machines of 40 points that each send once a second: a limit on every point, states, derived points. Their past is put
into PostgreSQL (settings of service) and read by the command's own code (workbench.backtest).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from psycopg_pool import ConnectionPool

from core.equipment import EquipmentType, PointKind
from core.quality import GOOD
from core.registry import RegistrySnapshot
from core.time import HOUR, MINUTE, SECOND
from models import packing
from models.drift import reference
from models.types import from_document, load_type, to_document
from runtime.local.accounts import service_account
from runtime.local.paths import DataDirectory
from runtime.local.postgres import LocalPostgres
from storage import admin
from storage import models as model_registry
from storage.migrate import migrate
from storage.models import ModelStatus, NewModel
from storage.packing import COPY_HEADER, COPY_TRAILER, Rows, pack
from storage.queries import load
from storage.registry import Registry
from tests.benchmarks.years.report import about
from tests.conftest import clean_environ
from tests.support.logins import PASSWORDS
from workbench.backtest.command import Question, run

POINTS = 40
START = 1_767_225_600 * SECOND
KEY = "bench"
JSON = Path(__file__).parents[2] / "build" / "bench-backtest.json"

TYPE = """
type: bench-backtest
name: Machine of forty points
lateness: 2 s
components: [{key: machine, name: Machine}]
points:
  - {key: speed, component: machine, unit: r/min, range: [0, 4000]}
  - {key: "p{n}", component: machine, unit: Cel, range: [-50, 500], max_rate: 50, flatline: 20 min,
     repeat: {n: [NUMBERS]}}
derived:
  - {key: smooth, component: machine, unit: Cel, formula: "ewma(p1, '60 s')", when: [running]}
  - {key: spread, component: machine, unit: Cel, formula: "p2 - p3", when: [running]}
  - {key: climb, component: machine, unit: Cel, formula: "rise(p4, '10 min')", when: [running]}
states:
  - {name: running, when: "speed > 1000"}
  - {name: stopped, when: "speed <= 1000"}
running: [running]
limits:
  - {key: high, point: "p{n}", high: 90, deadband: 2, on_delay: 10 s, states: [running]}
  - {key: high, point: smooth, high: 80, deadband: 2}
  - {key: apart, point: spread, high: 40, deadband: 2}
""".replace("NUMBERS", ", ".join(str(n) for n in range(1, POINTS)))


def main() -> int:
    parser = argparse.ArgumentParser(prog='make benchbacktest BENCH="…"', description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="of history (%(default)s)")
    parser.add_argument("--machines", type=int, default=1, help="side by side (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes at work (%(default)s)")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="servitize-backtest-"))
    home.chmod(0o711)
    try:
        with (
            DataDirectory(home / "data", service_account(clean_environ())) as data,
            LocalPostgres(data, port=0, environ=clean_environ()) as postgres,
        ):
            dsn = postgres.create_database("bench")
            type_ = fill(dsn, options.machines, options.hours)
            figures = {"without": measure(dsn, options.jobs)}
            learn(dsn, type_)
            figures["with"] = measure(dsn, options.jobs)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    found = about({**vars(options), **figures}, 1.0)
    asked = f"--hours {options.hours:g} --machines {options.machines} --jobs {options.jobs}"
    found["command"] = f"python -m tests.benchmarks.backtest {asked}"
    JSON.parent.mkdir(exist_ok=True)
    JSON.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    return 0


def values_of(seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[seconds, points]: a machine whose temperatures follow its load; now and then one gets hot."""
    load_ = 0.7 + 0.2 * np.sin(seconds / 3000.0)
    gain = np.linspace(10.0, 40.0, POINTS - 1)
    noise = rng.normal(0, 0.3, (len(seconds), POINTS - 1))
    temperatures = 30.0 + np.outer(load_, gain) + noise
    hot = (seconds % 20_000) > 19_900
    temperatures[hot, 5] += 60.0
    speed = 2900.0 + 100.0 * load_ + rng.normal(0, 1.0, len(seconds))
    return np.round(np.column_stack([speed, temperatures]), 3)


def fill(dsn: str, machines: int, hours: float) -> EquipmentType:
    """Types, machines, and their past, written as the stream would have: in order of time."""
    migrate(dsn, PASSWORDS)
    type_ = load_type(TYPE)
    with psycopg.connect(dsn) as connection:
        admin.publish_type(connection, type_, to_document(type_))
        tenant = admin.create_tenant(connection, "bench", "Bench")
        for number in range(machines):
            admin.create_equipment(connection, tenant, f"m{number}", type_)
    points = [
        [entry.points[p.key].id for p in type_.point_instances() if p.definition.kind is PointKind.MEASURED]
        for entry in registry_of(dsn).equipment.values()
    ]
    ids = np.array(points, np.int32)
    rng = np.random.default_rng(1)
    end = round(hours * 3600)
    sql = load("writer").copy_readings.sql
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for begin in range(0, end, 600):
            seconds = np.arange(begin, min(begin + 600, end))
            ts = np.repeat(START + seconds * SECOND, ids.size)
            value = np.stack([values_of(seconds, rng) for _ in range(machines)], axis=1).ravel()
            point = np.tile(ids.ravel(), len(seconds))
            rows = Rows(point, ts, value, np.full(len(ts), GOOD, np.uint8), ts)
            connection.execute(
                "SELECT servitize.ensure_partitions(servitize.from_us(%s), servitize.from_us(%s))",
                (int(ts[0]), int(ts[-1])),
            )
            with connection.cursor() as cursor, cursor.copy(sql) as copy:
                copy.write(COPY_HEADER)
                copy.write(pack(rows))
                copy.write(COPY_TRAILER)
        connection.execute("VACUUM ANALYZE servitize.reading")
    return type_


def registry_of(dsn: str) -> RegistrySnapshot:
    with ConnectionPool(dsn, min_size=1, max_size=1, open=True) as pool:
        return Registry(pool, from_document).load()


def learn(dsn: str, type_: EquipmentType) -> None:
    """Normal behaviour and remaining life of the type at full size, from made-up training data; both speak."""
    from models.normal.behaviour import History, NormalBehaviour
    from models.prognosis.regression import LifeRegressor
    from models.prognosis.signals import Life

    keys = [p.key for p in type_.point_instances() if p.definition.kind is PointKind.MEASURED]
    rng = np.random.default_rng(2)
    seconds = np.arange(0, 86400, 60)
    values = values_of(seconds, rng)
    normal = NormalBehaviour(sensors=tuple(keys[1:]), settings=(keys[0],), units=("Cel",) * (POINTS - 1)).fit(
        [History(START + seconds * SECOND, values[:, :1], values[:, 1:])]
    )
    lives = []
    for length in rng.integers(60, 120, 12).tolist():
        worn = values_of(np.arange(length) * 3600, rng) + (np.arange(length) / length)[:, None] ** 3 * 5
        lives.append(Life(worn[:, :1], worn[:, 1:]))
    life = LifeRegressor(horizon=60.0, folds=2, unit="h").fit(lives)
    with psycopg.connect(dsn) as connection:
        for name, kind, model, step in (
            ("normal/bench", "normal-behaviour", normal, MINUTE),
            ("remaining-life/bench", "remaining-life", life, HOUR),
        ):
            data = packing.dump(model)
            features = {"points": keys[1:], "settings": keys[:1], "step_us": step, "component": ""}
            told = {"reference": reference(dict(zip(keys, values.T, strict=True)))}
            version = model_registry.add(
                connection,
                NewModel(
                    name, kind, type_.key, (START, START + HOUR), 1, features, "bench", {}, told,
                    data, packing.sign(data, KEY.encode()),
                ),
                "bench",
            )  # fmt: skip
            model_registry.promote(connection, name, version, ModelStatus.CHAMPION, "bench")


def measure(dsn: str, jobs: int) -> dict[str, Any]:
    """One look at all of it; processor time is that of the command alone, the database's is its own."""
    before = _cpu()
    answer = run(dsn, Question(None, (), None, None, model_key=KEY), jobs=jobs)
    cpu = _cpu() - before
    return {
        "readings": answer.readings,
        "alarms": len(answer.alarms),
        "seconds": round(answer.seconds, 2),
        "times_real_time": round(answer.speed),
        "cpu_s": round(cpu, 2),
        "cpu_s_per_million": round(cpu / answer.readings * 1e6, 3),
        "load": round(os.getloadavg()[0], 1),
    }


def _cpu() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    raise SystemExit(main())
