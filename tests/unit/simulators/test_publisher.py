"""The publisher writes the native JSON telemetry, one message per equipment and instant."""

import json

import numpy as np
import pytest

from core.errors import InvalidInputError
from core.time import SECOND
from simulators.fleet import CompressorTrainFleet, FaultPlan, Frames, PointSpec
from simulators.publisher import Publisher

POINTS = [PointSpec("a.t", "a", "Cel", "", 1), PointSpec("a.n", "a", "1", "", 0), PointSpec("b.p", "b", "bar", "", 3)]


def frames(*rows, bad=()):
    values = np.array(rows, dtype=float)[:, None, :]
    flags = np.zeros(values.shape, dtype=bool)
    for at in bad:
        flags[at] = True
    ts = np.arange(1, len(rows) + 1, dtype=np.int64) * 10 * SECOND
    return Frames(ts, values, flags)


def test_topic_time_values_and_sequence():
    publisher = Publisher(POINTS, "acme", ["ct-1"], first_seq=7)
    first, second = publisher.messages(frames([45.1, 2.0, 1.5], [45.2, 2.0, -0.0]))
    assert first.topic == "servitize/v1/acme/ct-1/telemetry"
    assert json.loads(first.payload) == {"ts": 10_000, "values": {"a.t": 45.1, "a.n": 2, "b.p": 1.5}, "seq": 7}
    assert json.loads(second.payload)["seq"] == 8
    assert b"-0" not in second.payload
    assert second.ts == 20 * SECOND
    assert publisher.seq == (9,)


def test_values_are_written_at_the_resolution_of_the_sensor():
    (message,) = Publisher(POINTS, "t", ["e"]).messages(frames([0.1 + 0.2, 1.0, 2 / 3]))
    assert message.payload == b'{"ts":10000,"values":{"a.t":0.3,"a.n":1,"b.p":0.667},"seq":0}'


def test_what_was_not_published_is_left_out_and_a_broken_transmitter_says_so():
    (message,) = Publisher(POINTS, "t", ["e"]).messages(frames([np.nan, 1.0, -0.1], bad=[(0, 0, 2)]))
    assert json.loads(message.payload)["values"] == {"a.n": 1, "b.p": {"v": -0.1, "q": "bad"}}


def test_frames_of_another_fleet_are_refused():
    with pytest.raises(InvalidInputError):
        list(Publisher(POINTS, "t", ["e", "f"]).messages(frames([1.0, 1.0, 1.0])))


def test_a_fleet_goes_through_whole():
    start = 1_773_619_200 * SECOND
    plan = FaultPlan(1, "gearbox", "open_circuit", start, 10 * SECOND, "gearbox.temperature_hs")
    fleet = CompressorTrainFleet([1, 2], start, faults=[plan])
    messages = list(Publisher(fleet.POINTS, "demo", ["ct-1", "ct-2"]).messages(fleet.advance(3)))
    assert [message.topic.split("/")[3] for message in messages] == ["ct-1", "ct-2"] * 3
    values = json.loads(messages[1].payload)["values"]
    assert set(values) == {point.key for point in fleet.POINTS}
    assert values["gearbox.temperature_hs"] == {"v": -55.0, "q": "bad"}
