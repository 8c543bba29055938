"""Recordings as messages: each sensor cell is one reading, in the form the profile reads."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from core.errors import InvalidInputError
from workbench.replay.command import parse_speed
from workbench.replay.publisher import paced
from workbench.replay.recordings import load_profile, read, recording_name

SKAB = (
    "datetime;Accelerometer1RMS;Accelerometer2RMS;Current;Pressure;Temperature;Thermocouple;Voltage;"
    "Volume Flow RateRMS;anomaly;changepoint\r\n"
    "2020-03-09 10:14:33;0.0265878;0.0401113;1.3302;0.054711;79.3366;26.0199;233.062;32.0;0.0;0.0\r\n"
    "2020-03-09 10:14:34;0.0261697;;1.35399;nan;79.5158;26.0258;236.04;32.0;1.0;0.0\r\n"
)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_is_a_message_and_labels_are_no_sensors(tmp_path: Path) -> None:
    recording = read([write(tmp_path, "valve1/0.csv", SKAB)], load_profile("skab"))
    assert recording.equipment == ("skab-valve1-0",)
    assert [message.topic for message in recording.messages] == ["skab/valve1-0"] * 2
    assert [message.cells for message in recording.messages] == [8, 6]
    row = orjson.loads(recording.messages[0].payload)
    assert (row["Voltage"], row["datetime"]) == (233.062, "2020-03-09 10:14:33")


def test_a_folder_stands_for_its_tables(tmp_path: Path) -> None:
    for name in ("valve1/0.csv", "valve1/2.csv", "other/1.csv"):
        write(tmp_path, name, SKAB)
    recording = read([tmp_path], load_profile("skab"))
    assert recording.equipment == ("skab-other-1", "skab-valve1-0", "skab-valve1-2")
    assert recording.cells == 3 * 14


def test_machines_named_in_the_data_are_the_equipment(tmp_path: Path) -> None:
    write(
        tmp_path,
        "PdM_telemetry.csv",
        "datetime,machineID,volt,rotate,pressure,vibration\n"
        "2015-01-01 06:00:00,1,176.2,418.5,113.1,45.1\n"
        "2015-01-01 06:00:00,2,162.9,402.7,95.5,43.4\n",
    )
    write(tmp_path, "PdM_errors.csv", "datetime,machineID,errorID\n2015-01-03 07:00:00,1,error1\n")
    write(tmp_path, "PdM_machines.csv", "machineID,model,age\n1,model3,18\n")
    recording = read([tmp_path], load_profile("azure_pdm"))
    assert recording.equipment == ("azure-pdm-1", "azure-pdm-2")
    assert (recording.cells, recording.events) == (8, 1)
    assert [message.topic for message in recording.messages][-1] == "azure_pdm/1/pdm-errors"


def test_units_in_column_names_are_no_obstacle(tmp_path: Path) -> None:
    text = (
        "Date/Time,LV ActivePower (kW),Wind Speed (m/s),Theoretical_Power_Curve (KWh),Wind Direction (°)\n"
        "01 01 2018 00:00,380.047790527343,5.31133604049682,416.328907824861,259.994903564453\n"
    )
    recording = read([write(tmp_path, "T1.csv", text)], load_profile("wind_scada"))
    assert recording.equipment == ("wind-t1",)
    assert recording.cells == 4
    assert recording.messages[0].ts == 1_514_764_800_000_000


def test_rows_of_all_files_stand_in_order_of_time(tmp_path: Path) -> None:
    write(tmp_path, "a/1.csv", SKAB)
    write(tmp_path, "b/2.csv", SKAB.replace("2020-03-09", "2019-03-09"))
    times = [message.ts for message in read([tmp_path], load_profile("skab")).messages]
    assert times == sorted(times)


def test_a_limit_counts_rows_per_file(tmp_path: Path) -> None:
    write(tmp_path, "a/1.csv", SKAB)
    write(tmp_path, "b/2.csv", SKAB)
    assert len(read([tmp_path], load_profile("skab"), limit=1).messages) == 2


def test_the_wrong_profile_and_missing_files_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, "valve1/0.csv", SKAB)
    with pytest.raises(InvalidInputError, match="no row that the profile wind_scada can read"):
        read([path], load_profile("wind_scada"))
    with pytest.raises(InvalidInputError, match="is not there"):
        read([tmp_path / "nosuch.csv"], load_profile("skab"))
    with pytest.raises(InvalidInputError):
        read([write(tmp_path, "x.csv", "")], load_profile("skab"))


def test_names_of_recordings_fit_a_topic() -> None:
    assert recording_name(Path("metropt3/first_1000_rows.csv")) == "first-1000-rows"
    assert recording_name(Path("data/T1.csv")) == "t1"


class TestSpeed:
    def test_words(self) -> None:
        assert parse_speed("max") is None
        assert parse_speed("60") == 60.0

    @pytest.mark.parametrize("text", ["0", "-1", "fast", "nan", "inf", ""])
    def test_no_speed(self, text: str) -> None:
        with pytest.raises(InvalidInputError):
            parse_speed(text)

    def test_pauses_follow_the_recording_and_are_bounded(self) -> None:
        clock, slept = [100.0], []

        def sleep(seconds: float) -> None:
            slept.append(round(seconds, 3))
            clock[0] += seconds

        times = [0, 1_000_000, 3_000_000, 3_000_000, 2_000_000, 90_000_000_000]
        assert len(list(paced(times, 10.0, now=lambda: clock[0], sleep=sleep))) == 6
        assert slept == [0.1, 0.2, 1.0]

    def test_at_once(self) -> None:
        slept: list[float] = []
        assert len(list(paced([0, 10**12], None, sleep=slept.append))) == 2
        assert slept == []
