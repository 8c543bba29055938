"""Samples as they lie in the table: small, and back to float32.

``i16`` (routine and short-lived ones): per channel the mean is taken off and the rest rounded to 65,535 steps of the
largest deviation, so an error is at most 1/65,534 of that, 96 dB below it. ``f32`` (references): bit for bit. Either
way bytes of equal weight lie together (the upper ones of neighbours hardly differ), then zstd.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import zstandard
from numpy.typing import NDArray

from core.parcels import Retention, Waveform

I16: Final = "i16"
F32: Final = "f32"
_STEPS: Final = 32_767
_LEVEL: Final = 1
"""Of zstd: noise does not get smaller by trying harder."""


@dataclass(frozen=True, slots=True)
class Packed:
    """``channels``: of each its name, unit, orientation, gap and, of ``i16``, scale and offset."""

    encoding: str
    channels: list[dict[str, Any]]
    data: bytes
    tacho: bytes | None


def pack(waveform: Waveform) -> Packed:
    """The samples by their retention."""
    lossless = waveform.retention in (Retention.REFERENCE, Retention.EVIDENCE)
    channels: list[dict[str, Any]] = [
        {"name": c.name, "unit": c.unit, "orientation": c.orientation, "gap": c.gap} for c in waveform.channels
    ]
    samples = waveform.samples
    if lossless:
        planes = _planes(np.ascontiguousarray(samples, "<f4"))
    else:
        offset = samples.mean(axis=1, dtype=np.float64)
        apart = samples - offset[:, None]
        scale = np.maximum(np.abs(apart).max(axis=1), 1e-30) / _STEPS
        planes = _planes(np.rint(apart / scale[:, None]).astype("<i2"))
        for told, s, o in zip(channels, scale.tolist(), offset.tolist(), strict=True):
            told |= {"scale": s, "offset": o}
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    tacho = np.ascontiguousarray(waveform.tacho, "<f8").tobytes()
    return Packed(
        F32 if lossless else I16, channels, compressor.compress(planes), compressor.compress(tacho) if tacho else None
    )


def unpack(encoding: str, channels: Sequence[Mapping[str, Any]], samples: int, data: bytes) -> NDArray[np.float32]:
    """float32 [channel, samples]."""
    dtype = np.dtype("<f4" if encoding == F32 else "<i2")
    raw = zstandard.ZstdDecompressor().decompress(data)
    shape = len(channels), samples
    values = np.ascontiguousarray(np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, -1).T).view(dtype).reshape(shape)
    if encoding == F32:
        return np.asarray(values, np.float32)
    scale = np.array([c["scale"] for c in channels])[:, None]
    offset = np.array([c["offset"] for c in channels])[:, None]
    return np.asarray(values * scale + offset, np.float32)


def unpack_tacho(data: bytes | None) -> NDArray[np.float64]:
    """Seconds after the first sample at which the shaft's mark passed."""
    return np.frombuffer(zstandard.ZstdDecompressor().decompress(data), "<f8") if data else np.empty(0)


def _planes(values: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values.reshape(-1).view(np.uint8).reshape(-1, values.itemsize).T).tobytes()
