"""The registry of learned models: versions, who speaks, who decided, and files that nobody can exchange."""

from __future__ import annotations

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb

from core.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from core.time import HOUR, to_datetime
from models import packing
from models.prognosis.blend import Blend
from models.prognosis.regression import LifeRegressor
from storage import admin
from storage import models as registry
from storage.migrate import API, BOARD, WRITER
from storage.models import ModelStatus, NewModel
from tests.integration.storage.helpers import PUMP, T0, Store
from workbench.train.command import load, models_command, promote_command, train
from workbench.train.history import Wanted, read

pytestmark = pytest.mark.integration

KEY = b"this installation's"
NAME = "remaining-life/pump"


def small(data: bytes = b"a model") -> NewModel:
    return NewModel(
        NAME, "remaining-life", "pump", (T0, T0 + HOUR), 3, {"points": ["t1"]}, "1", {"rmse": 1.0}, {},
        data, packing.sign(data, KEY),
    )  # fmt: skip


def statuses(connection: psycopg.Connection) -> dict[int, str]:
    return {m.version: m.status.value for m in registry.stored(connection, NAME)}


def test_versions_are_counted_and_one_of_them_speaks(store: Store) -> None:
    with psycopg.connect(store.dsn) as c:
        assert [registry.add(c, small(), "ada") for _ in range(3)] == [1, 2, 3]
        assert set(statuses(c).values()) == {"candidate"}
        registry.promote(c, NAME, 1, ModelStatus.CHAMPION, "ada")
        registry.promote(c, NAME, 2, ModelStatus.CHALLENGER, "ada")
        assert registry.speaking(c) == [(NAME, 1, ModelStatus.CHAMPION), (NAME, 2, ModelStatus.CHALLENGER)]
        assert registry.promote(c, NAME, 2, ModelStatus.CHAMPION, "bob", "better by a third") is ModelStatus.CHALLENGER
        assert statuses(c) == {1: "retired", 2: "champion", 3: "candidate"}


def test_a_rollback_brings_back_the_champion_before_and_stays_on_record(store: Store) -> None:
    with psycopg.connect(store.dsn) as c:
        for version in (1, 2, 3):
            registry.add(c, small(), "ada")
            registry.promote(c, NAME, version, ModelStatus.CHAMPION, "ada")
        assert registry.rollback(c, NAME, "bob", "early calls") == 2
        assert registry.rollback(c, NAME, "bob") == 1
        assert statuses(c) == {1: "champion", 2: "retired", 3: "retired"}
        with pytest.raises(ConflictError, match="no champion of remaining-life/pump before"):
            registry.rollback(c, NAME, "bob")
        told = [(version, actor, after, reason) for version, _, actor, _, after, reason in registry.steps(c, NAME)]
        assert (3, "bob", "retired", "version 2 took its place") in told
        assert (2, "bob", "champion", "early calls") in told


def test_what_is_not_there_is_said(store: Store) -> None:
    with psycopg.connect(store.dsn) as c, pytest.raises(NotFoundError, match="no version 7"):
        registry.promote(c, NAME, 7, ModelStatus.CHAMPION, "ada")
    with psycopg.connect(store.dsn) as c, pytest.raises(NotFoundError, match="no version 7"):
        registry.file(c, NAME, 7)
    with psycopg.connect(store.dsn) as c, pytest.raises(NotFoundError, match="no model"):
        registry.rollback(c, NAME, "ada")


def test_what_was_learned_does_not_change_and_the_record_is_append_only(store: Store) -> None:
    with psycopg.connect(store.dsn) as c:
        registry.add(c, small(), "ada")
    for statement in (
        "UPDATE servitize.model SET metrics = '{\"rmse\": 0}'",
        "UPDATE servitize.model SET file = 'another', sha256 = sha256('another')",
        "UPDATE servitize.model_step SET actor = 'nobody'",
        "DELETE FROM servitize.model_step",
    ):
        with psycopg.connect(store.dsn) as c, pytest.raises(psycopg.Error):
            c.execute(statement)


def test_the_stream_may_read_models_and_nobody_else_does(store: Store) -> None:
    with psycopg.connect(store.dsn) as c:
        registry.add(c, small(), "ada")
    with psycopg.connect(store.login(WRITER)) as c:
        assert registry.file(c, NAME, 1).data == b"a model"
        with pytest.raises((ForbiddenError, psycopg.Error)):
            registry.add(c, small(), "stream")
    for role in (API, BOARD):
        with psycopg.connect(store.login(role)) as c, pytest.raises(psycopg.errors.InsufficientPrivilege):
            c.execute("SELECT 1 FROM servitize.model")


def test_a_file_that_was_exchanged_is_not_loaded(store: Store) -> None:
    with psycopg.connect(store.dsn) as c:
        registry.add(c, small(b"signed by somebody else"), "ada")
        with pytest.raises(ForbiddenError, match="signed by another installation"):
            load(c, NAME, 1, b"another key")
        with pytest.raises(InvalidInputError, match="no model file"):
            load(c, NAME, 1, KEY)  # our signature, but no model: nothing is run


def test_a_type_that_is_not_on_the_list_is_not_made() -> None:
    with pytest.raises(ForbiddenError, match="asks for"):
        packing.load(packing.dump(np.random.default_rng))


def worn_pumps(store: Store, n: int) -> None:
    """Pumps whose bearing warms up before it fails, an hourly value each; each fails once and goes on."""
    rng = np.random.default_rng(0)
    with psycopg.connect(store.dsn) as c:
        for i in range(n):
            pump = admin.create_equipment(c, store.acme, f"worn-{i}", PUMP)
            ids = [
                r[0]
                for r in c.execute(
                    "SELECT id FROM servitize.point WHERE equipment_id = %s AND kind = 'measured' ORDER BY position",
                    (pump,),
                )
            ]
            life = int(rng.integers(70, 110))
            left = life - 1 - np.arange(life)
            warm = 40 + 30 * np.exp(-left / 15.0)
            for hour in range(life + 20):
                value = (warm[hour] if hour < life else 40.0) + rng.normal(0, 0.5)
                for point in ids:
                    c.execute(
                        "INSERT INTO servitize.reading (point_id, ts, value, quality, received_at)"
                        " VALUES (%s, %s, %s, 192, now())",
                        (point, to_datetime(T0 + hour * HOUR), value + rng.normal(0, 0.5)),
                    )
            c.execute(
                "INSERT INTO servitize.event (equipment_id, kind, ts, hash, body, received_at)"
                " VALUES (%s, 'failure', %s, %s, %s, now())",
                (pump, to_datetime(T0 + life * HOUR), f"f{i}".encode(), Jsonb({"component": "bearing1"})),
            )


def test_from_history_to_a_model_that_speaks(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    worn_pumps(store, 10)
    wanted = Wanted("pump", HOUR, tenant="acme")
    with psycopg.connect(store.dsn) as c:
        history = read(c, wanted, PUMP)
        assert history.machines == 10
        assert sum(life.failed for life in history.lives) == 10
        assert len(history.lives) == 20  # and what each has lived since
        assert history.points == ("t1", "t2")
        blend = Blend(trees=10, boosts=20, nets=1, layers=(8,), epochs=5)
        model = LifeRegressor(horizon=40.0, signals=2, regressor=blend, folds=3, unit="h", least=10)
        name, version, metrics = train(c, wanted, PUMP, key=KEY, actor="ada", model=model)
        assert (name, version) == (NAME, 1)
        assert metrics["rmse"] < 12
        assert "champion (was candidate)" in promote_command(
            c, NAME, 1, "champion", key=KEY, actor="ada", reason="first"
        )
        again = load(c, NAME, 1, KEY)
        left = again.remaining([life.until(60) for life in history.lives if life.failed])
        assert (left.p10 <= left.p90).all()
        models_command(c, NAME, as_json=True)
    assert '"champion"' in capsys.readouterr().out


def test_a_component_without_failures_and_points_that_are_not_there_are_refused(store: Store) -> None:
    worn_pumps(store, 2)
    with psycopg.connect(store.dsn) as c:
        with pytest.raises(InvalidInputError, match="0 lives that came to an end"):
            train(c, Wanted("pump", HOUR, component="bearing2"), PUMP, key=KEY, actor="ada")
        with pytest.raises(InvalidInputError, match="pressure"):
            read(c, Wanted("pump", HOUR, points=("pressure",)), PUMP)
        with pytest.raises(NotFoundError, match="no machine of type"):
            read(c, Wanted("crane", HOUR), PUMP)
