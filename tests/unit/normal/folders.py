"""Small folders with the naming of the public data sets, and a truth of our own in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def skab(folder: Path, rows: int = 600) -> Path:
    """Two files in two subsets: flow sinks by four standard deviations from row 450 to 550."""
    for name, seed in (("valve1/0", 1), ("other/3", 2)):
        rng = np.random.default_rng(seed)
        values = rng.normal([1.0, 20.0, 30.0], [0.1, 0.5, 1.0], (rows, 3))
        anomaly = (np.arange(rows) >= 450) & (np.arange(rows) < 550)
        values[anomaly, 2] -= 4.0
        write(folder / f"{name}.csv", _skab_rows(values, anomaly), ";")
    return folder


def healthy(path: Path, rows: int = 2400) -> Path:
    """A long recording without labels."""
    values = np.random.default_rng(3).normal([1.0, 20.0, 30.0], [0.1, 0.5, 1.0], (rows, 3))
    return write(path, _skab_rows(values, None), ";")


def _skab_rows(values: np.ndarray, anomaly: np.ndarray | None) -> list[list[object]]:
    head: list[object] = ["datetime", "Current", "Temperature", "Flow"]
    start = np.datetime64("2020-03-09T10:00:00")
    rows: list[list[object]] = [head + (["anomaly", "changepoint"] if anomaly is not None else [])]
    for k, row in enumerate(values):
        at = str(start + np.timedelta64(k, "s")).replace("T", " ")
        rows.append([at, *row.round(4).tolist(), *([float(anomaly[k]), 0.0] if anomaly is not None else [])])
    return rows


def azure(folder: Path, machines: int = 4, hours: int = 700) -> Path:
    """Each fails once: a channel shifts two days before, an error comes one day before. Errors also come alone."""
    rng = np.random.default_rng(4)
    start = np.datetime64("2015-01-01T06:00:00")
    tables: dict[str, list[list[object]]] = {
        "telemetry": [["datetime", "machineID", "volt", "rotate"]],
        "errors": [["datetime", "machineID", "errorID"]],
        "maint": [["datetime", "machineID", "comp"]],
        "failures": [["datetime", "machineID", "failure"]],
        "machines": [["machineID", "model", "age"]],
    }

    def at(hour: int) -> str:
        return str(start + np.timedelta64(hour, "h")).replace("T", " ")

    for m in range(1, machines + 1):
        values = rng.normal([170.0, 450.0], [15.0, 50.0], (hours, 2))
        failure = 250 + 60 * m
        values[failure - 48 : failure, m % 2] += 2.5 * [15.0, 50.0][m % 2]
        tables["telemetry"] += [[at(h), m, *row.round(3).tolist()] for h, row in enumerate(values)]
        tables["errors"] += [[at(failure - 24), m, "error1"], [at(100), m, "error2"]]
        tables["maint"] += [[at(-500), m, "comp1"], [at(failure), m, "comp1"]]
        tables["failures"].append([at(failure), m, "comp1"])
        tables["machines"].append([m, "model1", 5])
    for name, rows in tables.items():
        write(folder / f"PdM_{name}.csv", rows)
    return folder


def ims(folder: Path, name: str = "test9", rows: int = 1400) -> Path:
    """Two bearings, a snapshot per 10 minutes; the second grows loud and impulsive in the last 100 hours."""
    rng = np.random.default_rng(5)
    start = np.datetime64("2003-10-22T12:00:00")
    head: list[object] = ["file_index", "timestamp", "filename"]
    head += [f"Bearing{b}_ch1_{f}" for b in (1, 2) for f in ("rms", "std", "max", "kurt")]
    worn = np.clip((np.arange(rows) - (rows - 600)) / 600, 0, 1)
    table: list[list[object]] = [head]
    for k in range(rows):
        at = str(start + np.timedelta64(10 * k, "m"))
        row: list[object] = [k, at.replace("T", " "), at]
        for wear in (0.0, worn[k]):
            std = 0.1 * (1 + wear) * np.exp(0.02 * rng.normal())
            row += [std, std, std * (6 + 6 * wear) * np.exp(0.05 * rng.normal()), 0.5 + 8 * wear + 0.1 * rng.normal()]
        table.append(row)
    write(folder / f"{name}_features.csv", table)
    return folder


def metropt3(folder: Path, windows: int = 240) -> Path:
    """Four features that go together; in an anomalous window one of them does not."""
    rng = np.random.default_rng(6)
    common = rng.normal(size=(windows, 1))
    values = common + 0.1 * rng.normal(size=(windows, 4))
    anomaly = np.arange(windows) % 12 == 0
    values[anomaly, 2] += 2.0
    rows: list[list[object]] = [["TP2_mean", "TP3_mean", "H1_mean", "Oil_mean", "is_anomaly", "fold"]]
    rows += [[*v.tolist(), str(bool(a)).lower(), k % 3] for k, (v, a) in enumerate(zip(values, anomaly, strict=True))]
    write(folder / "agg_train.csv", rows)
    return folder


def write(path: Path, rows: list[list[object]], mark: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(mark.join(str(cell) for cell in row) for row in rows) + "\n", encoding="utf-8")
    return path
