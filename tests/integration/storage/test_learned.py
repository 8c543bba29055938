"""What models say of the stream, in the tables; who speaks, in the registry; and what turned out to be true."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from core.errors import ForbiddenError
from core.learned import Drift, ModelScore, Prognosis
from core.registry import RegistrySnapshot
from core.time import DAY, HOUR, to_datetime
from models import packing
from models.types import from_document
from storage import models as registry
from storage.migrate import WRITER
from storage.models import ModelStatus, NewModel
from storage.registry import Registry
from stream_processors.checkpoint import Basis
from tests.integration.storage.helpers import T0, Committer, Store

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
