"""Mapping profiles: foreign topics and payloads become readings; a wrong profile names the place."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from core import quality as q
from core.time import from_datetime
from formats.decoded import Decoded, DecodeLimits
from formats.mapping import Mapping
from formats.paths import Budget, PathTooCostlyError
from formats.paths import Path as JsonPath
from formats.profile import ProfileError, bundled, check_profile, parse_profile

NOW = 1_800_000_000_000_000
_LARGE = DecodeLimits(max_bytes=10_000_000)

PRESS: dict[str, Any] = {
    "profile": "press",
    "topic": "plant/{line}/{machine}/data",
    "equipment": "press-{line}-{machine}",
    "type": "press",
    "rows": "samples",
    "time": {"path": "t", "format": "%d.%m.%Y %H:%M:%S", "zone": "Europe/Vienna"},
    "decimal": ",",
    "sequence": "n",
    "points": [
        {"path": "values.p", "point": "pressure", "unit": "psi"},
        {"path": "values.t", "point": "temperature", "unit": "Cel"},
        {"path": "extra[?key=='speed'].value | [0]", "point": "speed"},
    ],
    "events": [{"kind": "fault", "when": "fault", "body": {"code": "fault.code"}}],
}


def bind(document: dict[str, Any], topic: str) -> Mapping:
    profile = parse_profile(document)
    segments = profile.match(topic)
    assert segments is not None
    return profile.bind(segments)


def decode(document: dict[str, Any], topic: str, payload: Any, **options: Any) -> Decoded:
    data = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return bind(document, topic).decode(data, received_at=NOW, **options)


def cells(decoded: Decoded) -> dict[str, list[float]]:
    (block,) = decoded.blocks
    return {
        name: [float(v) for i, v in enumerate(block.value[:, j]) if block.present is None or block.present[i, j]]
        for j, name in enumerate(block.names)
    }


class TestTopics:
    def test_segments_name_the_equipment(self) -> None:
        assert bind(PRESS, "plant/a/7/data").equipment == "press-a-7"

    def test_the_filter_has_a_wildcard_for_each_segment(self) -> None:
        assert parse_profile(PRESS).filter == "plant/+/+/data"

    @pytest.mark.parametrize("topic", ["plant/a/7", "plant/a/7/data/x", "plant/a/b/7/data", "Plant/a/7/data", ""])
    def test_other_topics_are_not_taken(self, topic: str) -> None:
        assert parse_profile(PRESS).match(topic) is None

    def test_signs_of_regular_expressions_mean_nothing(self) -> None:
        profile = parse_profile(PRESS | {"topic": "a.b*(c)/{line}/{machine}"})
        assert profile.match("a.b*(c)/1/2") is not None
        assert profile.match("aXb*(c)/1/2") is None


class TestRows:
    def test_paths_times_decimals_and_units(self) -> None:
        row = {
            "t": "01.07.2026 12:00:00",
            "values": {"p": "1.000", "t": "21,5"},
            "extra": [{"key": "speed", "value": 3}],
        }
        decoded = decode(PRESS, "plant/a/7/data", {"samples": [row | {"values": {"p": "1,25", "t": "21,5"}, "n": 4}]})
        assert cells(decoded) == {"pressure": [1.25], "temperature": [21.5], "speed": [3.0]}
        assert decoded.blocks[0].units == ("psi", "Cel", None)
        assert decoded.blocks[0].ts.tolist() == [from_datetime(datetime(2026, 7, 1, 10, tzinfo=UTC))]
        assert decoded.sequences == [4]

    def test_a_point_that_is_not_there_is_no_reading(self) -> None:
        decoded = decode(PRESS, "plant/a/7/data", {"samples": [{"t": "01.07.2026 12:00:00", "values": {"p": 1}}]})
        assert cells(decoded) == {"pressure": [1.0], "temperature": [], "speed": []}
        assert not decoded.refusals

    def test_a_bad_value_leaves_its_neighbours(self) -> None:
        row = {
            "t": "01.07.2026 12:00:00",
            "values": {"p": "broken", "t": "1.234,5"},
            "extra": [{"key": "speed", "value": 1}],
        }
        decoded = decode(PRESS, "plant/a/7/data", {"samples": [row]})
        assert cells(decoded)["speed"] == [1.0]
        assert [(r.reason, r.readings, r.payload) for r in decoded.refusals] == [("not-a-number", 2, None)]

    def test_a_bad_time_refuses_its_row(self) -> None:
        rows = [{"t": "2026-07-01", "values": {"p": 1, "t": 2}}, {"t": "01.07.2026 12:00:00", "values": {"p": 3}}]
        decoded = decode(PRESS, "plant/a/7/data", {"samples": rows})
        assert cells(decoded)["pressure"] == [3.0]
        assert [(r.reason, r.readings) for r in decoded.refusals] == [("bad-timestamp", 2)]

    def test_events_beside_readings(self) -> None:
        row = {"t": "01.07.2026 12:00:00", "fault": {"code": "E7"}}
        decoded = decode(PRESS, "plant/a/7/data", {"samples": [row]})
        assert [(event.kind, event.body) for event in decoded.events] == [("fault", {"code": "E7"})]

    @pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[" * 100_000])
    def test_what_is_not_json(self, payload: bytes) -> None:
        assert [r.reason for r in decode(PRESS, "plant/a/7/data", payload).refusals] == ["not-json"]

    @pytest.mark.parametrize("payload", [b"{}", b'{"samples":[]}', b'{"samples":[{"t":"01.07.2026 12:00:00"}]}', b"7"])
    def test_what_says_nothing(self, payload: bytes) -> None:
        assert [r.reason for r in decode(PRESS, "plant/a/7/data", payload).refusals] == ["no-values"]


BARE: dict[str, Any] = {
    "profile": "bare",
    "topic": "home/{device}/{signal}",
    "equipment": "{device}",
    "payload": "number",
    "decimal": ",",
    "points": [{"path": "@", "point": "{signal}"}],
}


class TestOneValuePerTopic:
    @pytest.mark.parametrize(("payload", "value"), [(b"21,5", 21.5), (b" -3 ", -3.0), (b"true", 1.0), (b"1e3", 1000.0)])
    def test_a_bare_number(self, payload: bytes, value: float) -> None:
        decoded = decode(BARE, "home/boiler/temperature", payload)
        assert cells(decoded) == {"temperature": [value]}
        assert decoded.blocks[0].ts.tolist() == [NOW]
        assert decoded.blocks[0].quality is not None
        assert decoded.blocks[0].quality.tolist() == [[q.UNCERTAIN | q.RECEIPT_TIME]]

    @pytest.mark.parametrize("payload", [b"", b"on fire", b"1.5", b"nan", b"\xff", b"1 2", b"9" * 5000])
    def test_anything_else_is_refused(self, payload: bytes) -> None:
        decoded = decode(BARE, "home/boiler/temperature", payload)
        assert len(decoded.refusals) == 1
        assert not decoded.blocks

    def test_retained_it_is_ignored_and_counted(self) -> None:
        decoded = decode(BARE, "home/boiler/temperature", b"21,5", retained=True)
        assert decoded.ignored == 1
        assert not decoded.blocks


LINES: dict[str, Any] = {
    "profile": "lines",
    "topic": "csv/{device}",
    "equipment": "{device}",
    "payload": "csv",
    "csv": {"delimiter": ";", "columns": ["t", "a", "b"]},
    "time": {"path": "t", "format": "epoch_s"},
    "points": [{"path": "a", "point": "a"}, {"path": "b", "point": "b"}],
}


class TestCsv:
    def test_lines_are_rows(self) -> None:
        decoded = decode(LINES, "csv/x", b"1;1.5;2\r\n2;;4\r\n3;5\r\n")
        assert cells(decoded) == {"a": [1.5], "b": [2.0, 4.0]}
        assert [(r.reason, r.payload) for r in decoded.refusals] == [("length-mismatch", b"3;5")]


class TestBundled:
    def test_every_example_is_valid(self) -> None:
        assert {bundled(name).type_key for name in ("skab", "azure_pdm", "wind_scada", "metropt3")} == {
            "skab-testbed",
            "azure-pdm-machine",
            "wind-turbine-scada",
            "metro-apu",
        }

    def test_wind_scada_reads_its_own_times_and_columns(self) -> None:
        profile = bundled("wind_scada")
        mapping = profile.bind(profile.match("wind_scada/t1") or {})
        row = {"Date/Time": "31 12 2018 23:50", "LV ActivePower (kW)": 2820.4, "Wind Direction (°)": 80.5}
        decoded = mapping.decode(orjson.dumps(row), received_at=NOW)
        assert np.array_equal(decoded.blocks[0].value[:, [0, 3]], [[2820.4, 80.5]])

    def test_azure_tables_are_readings_or_events(self) -> None:
        profile = bundled("azure_pdm")
        mapping = profile.bind(profile.match("azure_pdm/7/errors") or {})
        row = {"datetime": "2015-01-03 07:00:00", "machineID": "7", "errorID": "error1"}
        (event,) = mapping.decode(orjson.dumps(row), received_at=NOW).events
        assert (mapping.equipment, event.kind, event.body) == ("azure-pdm-7", "error", {"error": "error1"})

    def test_an_unknown_name_lists_the_known(self) -> None:
        with pytest.raises(ProfileError) as caught:
            bundled("nosuch")
        assert "skab" in caught.value.hint


class TestChecks:
    @pytest.mark.parametrize(
        ("change", "where"),
        [
            ({"topic": "servitize/v1/{line}/{machine}"}, "topic"),
            ({"topic": "$SYS/{line}/{machine}"}, "topic"),
            ({"topic": "plant/+/{line}/{machine}"}, "topic"),
            ({"topic": "plant/x{line}/{machine}"}, "topic"),
            ({"topic": "plant/{line}/{line}"}, "topic"),
            ({"equipment": "{nosuch}"}, "equipment"),
            ({"equipment": "{line!r}"}, "equipment"),
            ({"equipment": "{line.__class__}"}, "equipment"),
            ({"equipment": "{"}, "equipment"),
            ({"points": [{"path": "a b", "point": "p"}]}, "points/0/path"),
            ({"points": [{"path": "a", "point": "p", "unit": "furlong"}]}, "points/0/unit"),
            ({"points": [{"path": "a" * 301, "point": "p"}]}, "points/0/path"),
            ({"points": [{"path": "a", "point": "{x}"}]}, "points/0/point"),
            ({"time": {"path": "t", "zone": "Mars/Olympus"}}, "time/zone"),
            ({"time": {"path": "t", "format": "%d %m", "zone": "UTC"}}, None),
            ({"time": {"path": "t", "format": "dd.mm", "zone": "UTC"}}, "time/format"),
            ({"time": {"path": "t", "format": "%d.%m.%Y"}}, "time"),
            ({"payload": "csv"}, "csv"),
            ({"surprise": 1}, ""),
            ({"decimal": ";"}, "decimal"),
        ],
    )
    def test_a_mistake_is_named_with_its_place(self, change: dict[str, Any], where: str | None) -> None:
        if where is None:
            parse_profile(PRESS | change)
            return
        with pytest.raises(ProfileError) as caught:
            parse_profile(PRESS | change)
        assert caught.value.where == where

    @pytest.mark.parametrize("text", ["- a", "profile: [", "", "\0"])
    def test_a_file_that_is_none(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "p.yaml"
        file.write_text(text)
        with pytest.raises(ProfileError):
            check_profile(file)
        with pytest.raises(ProfileError):
            check_profile(tmp_path / "nosuch.yaml")


class TestCosts:
    def test_a_list_that_doubles_is_stopped(self) -> None:
        with pytest.raises(PathTooCostlyError):
            JsonPath("[@,@]" + "|[@,@][]" * 36)([1], Budget())

    def test_a_walk_over_everything_is_stopped(self) -> None:
        document = PRESS | {"rows": "samples[*]", "points": [{"path": "xs[*].ys[*].z | [0]", "point": "p"}]}
        payload = {"samples": [{"t": "01.07.2026 12:00:00", "xs": [{"ys": [{"z": 1}] * 300}] * 30}] * 80}
        assert [r.reason for r in decode(document, "plant/a/7/data", payload, limits=_LARGE).refusals] == [
            "path-too-costly"
        ]
