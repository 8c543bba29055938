"""Parcels in the tables: once however often they come, samples as they were, gone when they are due and not before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import psycopg
import pytest

from core.outcome import Outcome
from core.parcels import Channel, CycleRecord, Retention, Waveform
from core.telemetry import StreamRecord, TelemetryBatch
from core.time import DAY, SECOND
from storage import retention
from storage.migrate import WRITER
from storage.waveforms import unpack, unpack_tacho
from tests.integration.storage.helpers import T0, Committer, Store

pytestmark = pytest.mark.integration

NOTHING = TelemetryBatch.empty(T0)


def waveform(equipment: int, kept: Retention = Retention.ROUTINE, ts: int = T0) -> Waveform:
    samples = np.random.default_rng(5).normal(3.0, 2.0, (2, 4_096)).astype(np.float32)
    channels = Channel("x", "um", 45.0, -10.0), Channel("y", "um")
    return Waveform(equipment, ts, 4_096.0, channels, samples, 1_490.0, np.array([0.1, 0.2]), retention=kept)


def commit(c: Committer, **parcels: tuple[object, ...]) -> None:
    unit = replace(c.unit(), record=StreamRecord(NOTHING, **parcels), outcome=Outcome(NOTHING, NOTHING))  # type: ignore[arg-type]
    c.writer.commit([unit])


def test_what_comes_twice_is_there_once(store: Store) -> None:
    cycle = CycleRecord(store.ours, "start", "bearing1", T0, T0 + SECOND, {"peak": 2.5})
    with Committer(store) as c:
        for _ in range(2):
            commit(c, waveforms=(waveform(store.ours),), cycles=(cycle, replace(cycle, values={"peak": 3.0})))
    assert store.one("SELECT count(*) FROM servitize.waveform") == 1
    assert store.all("SELECT values->>'peak' FROM servitize.cycle ORDER BY 1") == [("2.5",), ("3.0",)]
    counted = dict(store.all("SELECT name, count FROM servitize.conservation"))
    assert (counted["storage.waveforms_in"], counted["storage.waveforms_stored"]) == (2, 1)
    assert (counted["storage.cycles_in"], counted["storage.cycles_stored"]) == (4, 2)


@pytest.mark.parametrize(("kept", "error"), [(Retention.ROUTINE, 1.0 / 65_534), (Retention.REFERENCE, 0.0)])
def test_samples_come_back_as_exactly_as_promised(store: Store, kept: Retention, error: float) -> None:
    given = waveform(store.ours, kept)
    with Committer(store) as c:
        commit(c, waveforms=(given,))
    ((encoding, channels, n, data, tacho),) = store.all(
        "SELECT encoding, channels, samples, data, tacho FROM servitize.waveform"
    )
    back = unpack(encoding, channels, n, data)
    largest = np.abs(given.samples - given.samples.mean(axis=1, keepdims=True)).max()
    assert np.abs(back - given.samples).max() <= error * largest * 1.01
    assert unpack_tacho(tacho).tolist() == [0.1, 0.2]
    assert channels[0]["orientation"] == 45.0
    assert len(data) < given.samples.nbytes * (0.55 if error else 1.0)


def test_a_tenant_sees_its_own(store: Store) -> None:
    with Committer(store) as c:
        commit(c, waveforms=(waveform(store.ours), waveform(store.theirs)))
    with store.api(store.acme) as connection:
        assert connection.execute("SELECT equipment_id FROM servitize.waveform").fetchall() == [(store.ours,)]
    with store.api(store.acme) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM servitize.waveform")


def test_samples_go_by_their_class_and_evidence_stays(store: Store) -> None:
    with Committer(store) as c:
        commit(c, waveforms=tuple(waveform(store.ours, kept, T0 + n) for n, kept in enumerate(Retention)))
        commit(c, cycles=(CycleRecord(store.ours, "start", "bearing1", T0, T0, {}),))
    with psycopg.connect(store.login(WRITER), autocommit=True) as connection:
        assert {e.kind: e.rows for e in retention.plan(connection)} == {"waveform_short": 1, "waveform_routine": 1}
        with psycopg.connect(store.dsn) as owner:
            owner.execute("SET ROLE servitize_owner")
            retention.set_policy(owner, "cycle", 30 * DAY)
        assert {e.kind for e in retention.apply(connection)} == {"waveform_short", "waveform_routine", "cycle"}
    kept = store.all("SELECT retention FROM servitize.waveform ORDER BY 1")
    assert kept == [("evidence",), ("reference",)]
