"""What models say of the stream, in the tables; who speaks, in the registry; and what turned out to be true."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from core.errors import ForbiddenError, InvalidInputError
from core.learned import Drift, ModelScore, Prognosis
from core.registry import RegistrySnapshot
from core.time import DAY, HOUR, to_datetime
from models import packing
from models.types import from_document
from storage import models as registry
from storage import retention
from storage.migrate import WRITER
from storage.models import ModelStatus, NewModel
from storage.registry import Registry
from stream_processors.checkpoint import Basis
from tests.integration.storage.helpers import T0, Committer, Store
from workbench.train.compare import comparison

pytestmark = pytest.mark.integration

KEY = b"this installation's"
NAME = "remaining-life/pump"


def told(store: Store, at: int, p50: float, *, version: int = 1, champion: bool = True) -> Prognosis:
    return Prognosis(
        store.ours, "bearing1", at, NAME, version, champion, p50 / 2, p50, 2 * p50, "h", 200.0,
        (at + DAY, at + 2 * DAY, None),
    )  # fmt: skip


def lives(store: Store) -> list[tuple[Any, ...]]:
    return store.all(
        "SELECT component, version, servitize.to_us(at), p10, p50, p90, servitize.to_us(date_p50), date_p90"
        " FROM servitize.remaining_life"
    )


def test_the_newest_of_the_champion_stands_and_all_are_kept(store: Store) -> None:
    with Committer(store) as c:
        c.commit(prognoses=(told(store, T0, 90.0), told(store, T0, 50.0, version=2, champion=False)))
        c.commit(prognoses=(told(store, T0 + 2 * HOUR, 80.0), told(store, T0 + HOUR, 85.0)))
        c.commit(prognoses=(told(store, T0 + HOUR, 85.0),))
    at = T0 + 2 * HOUR
    assert lives(store) == [("bearing1", 1, at, 40.0, 80.0, 160.0, at + 2 * DAY, None)]
    assert store.one("SELECT count(*) FROM servitize.prognosis") == 4


def test_an_endless_horizon_is_no_number(store: Store) -> None:
    endless = Prognosis(store.ours, "", T0, NAME, 1, True, 1.0, 2.0, 3.0, "h", float("inf"))
    with Committer(store) as c:
        c.commit(prognoses=(endless,))
    assert store.all("SELECT horizon, date_p10 FROM servitize.remaining_life") == [(None, None)]


def test_scores_and_drifts_are_stored_once(store: Store) -> None:
    score = ModelScore(
        store.ours, "bearing1", T0, "normal/pump", 3, False, 1.7, "raised", text="t1 up", contributions={"t1": 0.9}
    )
    drift = Drift(store.ours, NAME, 1, True, T0 - 7 * DAY, T0, 0.4, True, {"t1": 0.4})
    with Committer(store) as c:
        c.commit(scores=(score,), drifts=(drift,))
        c.commit(scores=(score,), drifts=(drift,))
    assert store.all("SELECT score, change, concern, contributions FROM servitize.model_score") == [
        (1.7, "raised", "machine", {"t1": 0.9})
    ]
    assert store.all("SELECT index, drifted, points FROM servitize.model_drift") == [(0.4, True, {"t1": 0.4})]


def test_an_instrument_that_turns_out_to_be_the_machine_is_cleared_and_raised_at_once(store: Store) -> None:
    cleared = ModelScore(store.ours, "bearing1", T0, "normal/pump", 3, True, 1.7, "cleared", "instrument")
    raised = ModelScore(store.ours, "bearing1", T0, "normal/pump", 3, True, 1.7, "raised", "machine")
    with Committer(store) as c:
        c.commit(scores=(cleared, raised))
    assert sorted(store.all("SELECT concern, change FROM servitize.model_score")) == [
        ("instrument", "cleared"),
        ("machine", "raised"),
    ]


class TestRetention:
    """On each engine: what models said goes after a while, but what they are judged by, and what still holds, stays."""

    def said(self, store: Store, ages: tuple[int, ...]) -> int:
        """A prognosis, a look and drift that many days ago; now."""
        now: int = store.one("SELECT servitize.to_us(now())")
        with Committer(store) as c:
            for age in ages:
                at = now - age * DAY
                look = ModelScore(store.ours, "bearing1", at, "normal/pump", 1, True, 0.4)
                c.commit(
                    prognoses=(told(store, at, 90.0),), scores=(look,),
                    drifts=(Drift(store.ours, NAME, 1, True, at - 7 * DAY, at, 0.1, False),),
                )  # fmt: skip
        return now

    def left(self, store: Store) -> dict[str, list[int]]:
        """Ages in days, oldest first."""
        return {
            table: [
                age
                for (age,) in store.all(
                    f"SELECT round(extract(epoch FROM now() - at) / 86400)::int FROM servitize.{table} ORDER BY at"
                )
            ]
            for table in ("prognosis", "model_score", "model_drift")
        }

    def apply(self, store: Store) -> dict[str, int]:
        with psycopg.connect(store.login(WRITER), autocommit=True) as connection:
            planned = {e.kind: e.rows for e in retention.plan(connection)}
            assert {e.kind: e.rows for e in retention.apply(connection)} == planned
            assert retention.apply(connection) == []
        return planned

    def test_by_itself_after_a_year_and_a_month_and_drift_after_three(self, engine_store: Store) -> None:
        store = engine_store
        self.said(store, (1200, 1100, 500, 390, 3))
        assert self.apply(store) == {"prognosis": 3, "model_score": 3, "model_drift": 2}
        assert self.left(store) == {
            "prognosis": [390, 3], "model_score": [390, 3], "model_drift": [500, 390, 3],
        }  # fmt: skip
        assert store.one("SELECT count FROM servitize.conservation WHERE name = 'retention.prognosis'") == 3
        assert len(lives(store)) == 1

    def test_what_led_to_a_failure_on_record_stays_as_long_as_the_record(self, engine_store: Store) -> None:
        store = engine_store
        now = self.said(store, (540, 520, 505, 495))
        with psycopg.connect(store.dsn) as c:
            c.execute(
                "INSERT INTO servitize.confirmed_outcome (equipment_id, at, verdict, source, recorded_by)"
                " VALUES (%s, %s, 'failure', 'person', 'ada')",
                (store.ours, to_datetime(now - 500 * DAY)),
            )
        assert self.apply(store) == {"prognosis": 2, "model_score": 2}
        assert self.left(store)["prognosis"] == self.left(store)["model_score"] == [520, 505]
        with psycopg.connect(store.dsn) as c:
            found = comparison(c, NAME)["lives"]
            c.execute("UPDATE servitize.confirmed_outcome SET withdrawn_at = now(), withdrawn_by = 'bob'")
        assert [(row["told"], row["judged"]) for row in found] == [(2, 2)]
        assert self.apply(store) == {"prognosis": 2, "model_score": 2}

    def test_an_alarm_of_a_model_that_stands_and_the_last_look_at_drift_stay(self, store: Store) -> None:
        now = self.said(store, (1300, 1250))
        with Committer(store) as c:
            for days, change in ((1000, "raised"), (900, "cleared"), (800, "raised")):
                at = now - days * DAY
                c.commit(scores=(ModelScore(store.ours, "bearing1", at, "normal/pump", 1, True, 1.2, change),))
        assert self.apply(store) == {"prognosis": 2, "model_score": 4, "model_drift": 1}
        assert self.left(store) == {"prognosis": [], "model_score": [800], "model_drift": [1250]}

    def test_an_instruments_alarm_that_became_the_machines_stands_as_the_machines(self, store: Store) -> None:
        at = self.said(store, ()) - 800 * DAY
        with Committer(store) as c:
            for concern, change in (("instrument", "cleared"), ("machine", "raised")):
                c.commit(scores=(ModelScore(store.ours, "bearing1", at, "normal/pump", 1, True, 1.2, change, concern),))
        assert self.apply(store) == {"model_score": 1}
        assert store.all("SELECT concern, change FROM servitize.model_score") == [("machine", "raised")]

    def test_another_policy_counts_but_none_before_it_is_known_who_was_right(self, store: Store) -> None:
        self.said(store, (45, 35, 3))
        with psycopg.connect(store.dsn) as owner:
            for kind in ("prognosis", "model_score"):
                with owner.transaction(), pytest.raises(InvalidInputError, match="30 days at least"):
                    retention.set_policy(owner, kind, 29 * DAY)
            retention.set_policy(owner, "prognosis", 40 * DAY, tenant_id=store.acme)
            retention.set_policy(owner, "model_drift", 5 * DAY)
        assert self.apply(store) == {"prognosis": 1, "model_drift": 2}


class TestDriftIsTold:
    """Once per machine and model until it is over, to those who manage the machine."""

    def window(self, store: Store, week: int, index: float, *, version: int = 1, champion: bool = True) -> Drift:
        at = T0 + week * 7 * DAY
        points = {"t1": index / 2, "t2": index}
        return Drift(store.ours, NAME, version, champion, at - 7 * DAY, at, index, index > 0.25, points)

    def heard(self, store: Store) -> list[tuple[Any, ...]]:
        return store.all(
            "SELECT t.slug, o.payload->>'event', (o.payload->>'at')::bigint FROM servitize.outbox o"
            " JOIN servitize.tenant t ON t.id = o.tenant_id WHERE o.kind = 'model_drift' ORDER BY o.id"
        )

    def test_once_until_it_is_over(self, store: Store) -> None:
        weeks = (0.1, 0.3, 0.4, 0.1, 0.1, 0.5)
        windows = [self.window(store, n, index) for n, index in enumerate(weeks)]
        with Committer(store) as c:
            for window in windows:
                c.commit(drifts=(window,))
            c.commit(drifts=tuple(windows))
        assert self.heard(store) == [
            ("acme", "drifted", windows[1].at), ("acme", "over", windows[3].at), ("acme", "drifted", windows[5].at),
        ]  # fmt: skip
        assert store.all("SELECT servitize.to_us(since), index, cleared_at FROM servitize.drift_notice") == [
            (windows[5].since, 0.5, None)
        ]

    def test_it_says_what_moved_most_and_what_to_do(self, store: Store) -> None:
        with Committer(store) as c:
            c.commit(drifts=(self.window(store, 1, 0.3),))
        (payload,) = store.all("SELECT payload FROM servitize.outbox WHERE kind = 'model_drift'")[0]
        assert payload["title"] == "pump-1 sends something else than remaining-life/pump@1 learned from, t2 most"
        assert payload["open"] is True
        assert "priority" not in payload
        assert payload["subject"] == f"drift/{NAME}/{store.ours}"

    def test_nobody_hears_of_a_challengers_and_a_new_version_is_told_of_anew(self, store: Store) -> None:
        with Committer(store) as c:
            c.commit(drifts=(self.window(store, 1, 0.3), self.window(store, 1, 0.6, version=2, champion=False)))
            c.commit(drifts=(self.window(store, 2, 0.4, version=2),))
        assert [event for _, event, _ in self.heard(store)] == ["drifted", "drifted"]

    def test_who_only_uses_the_machine_hears_and_sees_nothing(self, store: Store) -> None:
        with psycopg.connect(store.dsn) as c:
            c.execute(
                "INSERT INTO servitize.equipment_grant (equipment_id, tenant_id, rights) VALUES (%s, %s, 'operate')",
                (store.ours, store.bolt),
            )
        with Committer(store) as c2:
            c2.commit(drifts=(self.window(store, 1, 0.3),))
        with psycopg.connect(store.dsn) as c:
            c.execute("SELECT servitize.sequence_outbox()")
        for tenant, seen in ((store.acme, 1), (store.bolt, 0)):
            with store.api(tenant) as connection:
                for table in ("drift_notice", "outbox"):
                    assert connection.execute(f"SELECT count(*) FROM servitize.{table}").fetchone() == (seen,)

    def test_a_second_one_who_manages_it_hears_too(self, store: Store) -> None:
        with psycopg.connect(store.dsn) as c:
            c.execute(
                "INSERT INTO servitize.equipment_grant (equipment_id, tenant_id, rights) VALUES (%s, %s, 'manage')",
                (store.ours, store.bolt),
            )
        with Committer(store) as c2:
            c2.commit(drifts=(self.window(store, 1, 0.3),))
        assert sorted(slug for slug, _, _ in self.heard(store)) == ["acme", "bolt"]


def test_only_who_may_see_the_machine_sees_what_models_say_of_it(store: Store) -> None:
    with Committer(store) as c:
        c.commit(prognoses=(told(store, T0, 90.0),))
    for tenant, seen in ((store.acme, 1), (store.bolt, 0)):
        with store.api(tenant) as connection:
            for table in ("prognosis", "remaining_life"):
                assert connection.execute(f"SELECT count(*) FROM servitize.{table}").fetchone() == (seen,)


class TestRegistry:
    @pytest.fixture
    def port(self, store: Store) -> Iterator[Registry]:
        def opened(data: bytes, signature: bytes) -> bytes:
            packing.verify(data, signature, KEY)
            return data

        with psycopg.connect(store.dsn) as c:
            for data, key in ((b"one", KEY), (b"two", KEY), (b"three", b"somebody else's")):
                registry.add(
                    c,
                    NewModel(
                        NAME, "remaining-life", "pump", (T0, T0 + HOUR), 3, {"points": ["t1"], "step_us": HOUR}, "1",
                        {}, {"reference": {"t1": {"edges": [1.0], "shares": [0.5, 0.5]}}},
                        data, packing.sign(data, key),
                    ),
                    "ada",
                )  # fmt: skip
        with ConnectionPool(store.login(WRITER), min_size=1, max_size=1, open=True) as pool:
            yield Registry(pool, lambda document: from_document({**document, "components": []}), opened)

    def promote(self, store: Store, version: int, to: ModelStatus = ModelStatus.CHAMPION) -> None:
        with psycopg.connect(store.dsn) as c:
            registry.promote(c, NAME, version, to, "ada")

    def at_work(self, snapshot: RegistrySnapshot) -> list[tuple[int, bool, bytes]]:
        return [(m.version, m.champion, m.estimator) for m in snapshot.models]

    def test_a_promotion_is_a_change_of_the_registry(self, store: Store, port: Registry) -> None:
        before = port.load()
        assert before.models == ()
        self.promote(store, 1)
        self.promote(store, 2, ModelStatus.CHALLENGER)
        assert port.version() > before.version
        now = port.load()
        assert self.at_work(now) == [(1, True, b"one"), (2, False, b"two")]
        assert now.models[0].features["step_us"] == HOUR
        assert now.models[0].reference["t1"]["edges"] == [1.0]

    def test_one_that_is_not_ours_is_left_out(self, store: Store, port: Registry) -> None:
        self.promote(store, 3)
        self.promote(store, 2, ModelStatus.CHALLENGER)
        assert self.at_work(port.load()) == [(2, False, b"two")]
        with pytest.raises(ForbiddenError):
            packing.verify(b"three", packing.sign(b"three", b"somebody else's"), KEY)

    def test_what_was_processed_with_a_model_is_replayed_with_it(self, store: Store, port: Registry) -> None:
        self.promote(store, 1)
        basis = Basis.of(port.load())
        self.promote(store, 2)
        now = port.load()
        assert not basis.means_the_same(now)
        assert self.at_work(basis.as_it_was(now)) == [(1, True, b"one")]


class TestOutcomes:
    AT = datetime(2024, 2, 3, 4, 5, tzinfo=UTC)

    def record(self, store: Store, tenant: int, **changes: Any) -> tuple[int, bool]:
        facts = {
            "equipment": store.ours, "component": "bearing1", "mode": "bearing_wear", "at": self.AT,
            "verdict": "failure", "found": "spalled", "source": "person", "reference": "", "who": "ada", **changes,
        }  # fmt: skip
        with store.api(tenant) as connection:
            row = connection.execute(
                "SELECT id, fresh FROM servitize.record_outcome(%(equipment)s, %(component)s, %(mode)s, %(at)s,"
                " %(verdict)s, %(found)s, %(source)s, %(reference)s, %(who)s)",
                facts,
            ).fetchone()
        assert row is not None
        return row[0], row[1]

    def test_the_same_label_again_is_the_same_row_and_a_better_word_replaces_it(self, store: Store) -> None:
        first, fresh = self.record(store, store.acme)
        assert fresh
        assert self.record(store, store.acme) == (first, False)
        assert self.record(store, store.acme, found="spalled inner race") == (first, True)
        assert store.all("SELECT found, recorded_by FROM servitize.confirmed_outcome") == [
            ("spalled inner race", "ada")
        ]

    def test_one_that_was_wrong_stays_on_record_and_counts_no_more(self, store: Store) -> None:
        number, _ = self.record(store, store.acme)
        with store.api(store.acme) as connection:
            connection.execute("SELECT servitize.withdraw_outcome(%s, 'bob')", (number,))
        assert store.all("SELECT withdrawn_by FROM servitize.confirmed_outcome") == [("bob",)]

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"component": "gone"}, "SV400"),
            ({"at": to_datetime(T0).replace(year=2200)}, "SV400"),
            ({"equipment": 10_000}, "SV404"),
        ],
    )
    def test_what_cannot_be_is_refused(self, store: Store, changes: dict[str, Any], code: str) -> None:
        with pytest.raises(psycopg.Error) as refused:
            self.record(store, store.acme, **changes)
        assert refused.value.sqlstate == code

    def test_nobody_labels_what_is_not_theirs(self, store: Store) -> None:
        with pytest.raises(psycopg.Error) as refused:
            self.record(store, store.bolt)
        assert refused.value.sqlstate == "SV404"
