"""Recordings as people have them: npz, csv, wav, mat. Channels, rate and speed, as far as the file says."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from core.errors import InvalidInputError

FloatArray = NDArray[np.float64]

KINDS: Final = (".npz", ".npy", ".csv", ".txt", ".tsv", ".wav", ".mat")

_RATE_NAMES: Final = ("rate", "fs", "sr", "sampling_rate", "sample_rate", "samplingrate", "samplerate")
_SPEED_NAMES: Final = ("rpm", "speed", "speed_rpm", "shaft_rpm")


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """``channels`` by name; ``rate`` Hz, ``speed`` r/min, ``shaft`` Hz are NaN where the file does not say."""

    path: Path
    channels: dict[str, FloatArray]
    rate: float = float("nan")
    speed: float = float("nan")

    def channel(self, wanted: str | None) -> tuple[str, FloatArray]:
        """One by name (or the first); a short name also finds ``X097_DE_time``. Raises where there is none."""
        if wanted is None:
            return next(iter(self.channels.items()))
        for name, samples in self.channels.items():
            parts = {part.lower() for part in re.split(r"[^A-Za-z0-9]+", name)}
            if name.lower() == wanted.lower() or wanted.lower() in parts:
                return name, samples
        raise InvalidInputError(
            f"{self.path.name} has no channel {wanted!r}", hint=f"there are {', '.join(self.channels)}"
        )


def read(path: Path) -> Recording:
    """Read by the name's ending; raises :class:`~core.errors.InvalidInputError` for what is no recording."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise InvalidInputError(f"{path.name}: {kind or 'no ending'} is not read", hint=", ".join(KINDS))
    try:
        if kind in (".npz", ".npy"):
            found = _numpy(path)
        elif kind == ".wav":
            found = _wav(path)
        elif kind == ".mat":
            found = _matlab(path)
        else:
            found = _text(path)
    except InvalidInputError:
        raise
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, BadZipFile, MatReadError) as error:
        raise InvalidInputError(f"{path.name} cannot be read: {error}", hint="is it complete?") from error
    if not found.channels:
        raise InvalidInputError(
            f"{path.name} has no channel of samples", hint="a channel is a list of 64 numbers or more"
        )
    return found


def _numpy(path: Path) -> Recording:
    loaded = np.load(path, allow_pickle=False)
    arrays = {"samples": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    return _from_arrays(path, arrays)


def _from_arrays(path: Path, arrays: dict[str, Any]) -> Recording:
    channels: dict[str, FloatArray] = {}
    rate = speed = float("nan")
    for name, value in arrays.items():
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            continue
        plain = name.lower().rsplit(".", 1)[-1]
        if array.size == 1:
            if plain in _RATE_NAMES:
                rate = float(array.reshape(-1)[0])
            elif plain in _SPEED_NAMES or re.fullmatch(r"x\d+rpm", plain):
                speed = float(array.reshape(-1)[0])
            continue
        squeezed = np.squeeze(array).astype(np.float64)
        if squeezed.ndim == 1 and len(squeezed) >= 64:
            channels[name] = squeezed
        elif squeezed.ndim == 2 and max(squeezed.shape) >= 64 and min(squeezed.shape) <= 32:
            rows = squeezed if squeezed.shape[0] < squeezed.shape[1] else squeezed.T
            channels |= {f"{name}_{i + 1}": row for i, row in enumerate(rows)}
    return Recording(path, channels, rate, speed)


def _matlab(path: Path) -> Recording:
    """Version 5 files. CWRU: ``X097_DE_time``, ``X097RPM``; MFPT: ``bearing`` with ``gs``, ``sr``, ``rate`` (shaft,
    Hz)."""
    from scipy.io import loadmat

    loaded = {k: v for k, v in loadmat(path, squeeze_me=True, struct_as_record=False).items() if not k.startswith("__")}
    bearing = loaded.get("bearing")
    if bearing is not None and hasattr(bearing, "gs"):
        samples = np.asarray(bearing.gs, dtype=np.float64).reshape(-1)
        rate = float(np.asarray(getattr(bearing, "sr", np.nan)).reshape(-1)[0])
        shaft = float(np.asarray(getattr(bearing, "rate", np.nan)).reshape(-1)[0])
        return Recording(path, {"gs": samples}, rate, 60 * shaft)
    flat: dict[str, Any] = {}
    for name, value in loaded.items():
        fields = getattr(value, "_fieldnames", None)
        if fields:
            flat |= {f"{name}.{field}": getattr(value, field) for field in fields}
        else:
            flat[name] = value
    return _from_arrays(path, flat)


def _wav(path: Path) -> Recording:
    """PCM of 8 to 32 bits as shares of full scale, or floats."""
    from scipy.io import wavfile

    rate, data = wavfile.read(path)
    samples = np.atleast_2d(np.asarray(data).T)
    if data.dtype.kind == "u":
        scaled = (samples.astype(np.float64) - 128) / 128
    elif data.dtype.kind == "i":
        scaled = samples.astype(np.float64) / float(np.iinfo(data.dtype).max)
    else:
        scaled = samples.astype(np.float64)
    return Recording(path, {f"channel_{i + 1}": row for i, row in enumerate(scaled)}, float(rate))


def _text(path: Path) -> Recording:
    """Columns of numbers, with or without a row of names; a column named time (s) gives the rate."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        sample = file.read(4096)
        file.seek(0)
        delimiter = max(",;\t", key=sample.count)
        if sample.count(delimiter) == 0:
            delimiter = " "
        first = next(csv.reader([sample.splitlines()[0] if sample else ""], delimiter=delimiter), [])
    cells = [cell.strip() for cell in first if cell.strip() or delimiter != " "]
    named = any(not _is_number(cell) for cell in cells if cell)
    data = np.genfromtxt(
        path, delimiter=None if delimiter == " " else delimiter, skip_header=1 if named else 0, encoding="utf-8-sig",
        invalid_raise=False,
    )  # fmt: skip
    data = data.reshape(len(data), -1) if data.ndim else np.empty((0, 0))
    if len(data) < 64:
        raise InvalidInputError(f"{path.name} has {len(data)} rows", hint="a recording has 64 samples or more")
    names = cells if named and len(cells) == data.shape[1] else [f"column_{i + 1}" for i in range(data.shape[1])]
    channels, rate = {}, float("nan")
    for name, column in zip(names, data.T, strict=True):
        if re.fullmatch(r"(time|t|seconds|zeit)(\s*[\[(]?s[\])]?)?", name.strip().lower()):
            step = float(np.nanmedian(np.diff(column)))
            rate = 1 / step if step > 0 else rate
        elif np.isfinite(column).mean() > 0.5:
            channels[name] = column
    return Recording(path, channels, rate)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
