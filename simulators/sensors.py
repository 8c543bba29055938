"""From the true state to what the transmitter says. Sensor faults act here and only here: the physics stays healthy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.contract import BoolArray, Channel, Fault, FloatArray, IntArray
from simulators.noise import Spread, generator

_HOUR: Final = 3_600_000_000
MAX_DRIFT_PER_H: Final = 0.1
"""Share of the stated error per hour: 1 K/h of 10 K. A shorter horizon does not make a sensor drift faster."""

INSTRUMENT_FAULTS: Final[Mapping[str, Fault]] = {
    fault.mode: fault
    for fault in (
        Fault("stuck", "instrument", "value and noise frozen at the last reading", "the horizon after the onset"),
        Fault(
            "drift",
            "instrument",
            "error grows evenly, at most 1 K/h or the equal share of the stated error",
            "error of 10 K, or 8 % of the span where the point is no temperature",
        ),
        Fault(
            "bias", "instrument", "a step of 60 to 100 % of the stated error, up or down", "the horizon after the onset"
        ),
        Fault("open_circuit", "instrument", "3.6 mA, transmitter reports bad", "the horizon after the onset"),
        Fault("spikes", "instrument", "single readings off by 1 to 3 stated errors, 1 % of them", "the horizon"),
        Fault("noise", "instrument", "noise five times as large", "the horizon after the onset"),
        Fault("dropout", "instrument", "readings missing, 60 % of them", "the horizon after the onset"),
    )
}


@dataclass(frozen=True, slots=True)
class SensorFault:
    """An instrument fault bound to its column; ``size`` and ``sign`` are drawn once."""

    mode: str
    unit: int
    column: int
    onset: int
    horizon: int
    sign: float
    size: float

    @property
    def limit_at(self) -> int:
        """Closed form: the error reaches its stated size, or the horizon is over."""
        return self.onset + (
            max(self.horizon, round(_HOUR / MAX_DRIFT_PER_H)) if self.mode == "drift" else self.horizon
        )


class Sensors:
    """All transmitters of a fleet; state is the lagged value per unit and point."""

    def __init__(
        self, channels: Sequence[Channel], seeds: Sequence[int], period_s: float, faults: Sequence[SensorFault]
    ) -> None:
        spread = Spread(seeds)
        count = len(channels)
        self._sigma = np.array([c.sigma for c in channels])
        self._share = np.array([c.share for c in channels])
        self._low, self._high = np.array([c.low for c in channels]), np.array([c.high for c in channels])
        self._error = np.array([c.error for c in channels])
        self._scale = np.array([10.0**c.spec.decimals for c in channels])
        lag = np.array([c.lag_s for c in channels])
        self._lagged = np.flatnonzero(lag > 0)
        self._decay = np.exp(-period_s / lag[self._lagged])
        analogue = np.isfinite(self._low)
        self._positive = np.flatnonzero([c.positive for c in channels])
        self._offset = np.clip(spread.normal("offset", count), -2.0, 2.0) * self._sigma
        self._gain = 1.0 + 0.1 * np.clip(spread.normal("gain", count), -2.0, 2.0) * self._share
        reach = np.where(analogue, self._high - self._low, 0.0)
        self._floor = np.where(analogue, self._low - 0.025 * reach, -np.inf)
        self._ceiling = np.where(analogue, self._high + 0.03 * reach, np.inf)
        self._noise = [generator(seed, "sensor-noise") for seed in seeds]
        self._faults = [
            (fault, generator(seeds[fault.unit], "sensor-fault", fault.mode, fault.column)) for fault in faults
        ]
        self._y: FloatArray | None = None
        self._before: FloatArray | None = None
        self._frozen: dict[SensorFault, float] = {}

    def read(self, ts: IntArray, true: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Published values and bad flags for true states [n, units, points]; ``true`` is overwritten."""
        n, units, count = true.shape
        lagged = self._lagged
        if lagged.size:
            x = np.ascontiguousarray(true[:, :, lagged])
            y = x[0] if self._y is None else self._y
            gain = 1.0 - self._decay
            for k in range(n):
                y = y + gain * (x[k] - y)
                x[k] = y
            self._y = y
            true[:, :, lagged] = x
        noise = np.empty((n, units, count))
        for unit, rng in enumerate(self._noise):
            noise[:, unit] = rng.standard_normal((n, count))
        for fault, _ in self._faults:
            if fault.mode == "noise":
                noise[ts >= fault.onset, fault.unit, fault.column] *= 5.0
        noise *= np.sqrt(self._sigma**2 + (self._share * true) ** 2)
        values = true * self._gain + self._offset
        values += noise
        values[:, :, self._positive] = np.abs(values[:, :, self._positive])
        bad = np.zeros(values.shape, dtype=np.bool_)
        self._round(values)
        last = values[-1].copy()
        for fault, rng in self._faults:
            active = ts >= fault.onset
            # Random draws advance with every frame, active or not, so that cutting the time axis changes nothing.
            lot = rng.random((n, 2)) if fault.mode in ("spikes", "dropout") else None
            if active.any():
                self._apply(fault, active, ts, values, bad, lot)
        self._before = last
        return values, bad

    def _round(self, values: FloatArray) -> None:
        np.clip(values, self._floor, self._ceiling, out=values)
        values *= self._scale
        np.rint(values, out=values)
        values /= self._scale

    def _apply(
        self,
        fault: SensorFault,
        active: BoolArray,
        ts: IntArray,
        values: FloatArray,
        bad: BoolArray,
        lot: FloatArray | None,
    ) -> None:
        series = values[:, fault.unit, fault.column]
        error, at = self._error[fault.column], (fault.unit, fault.column)
        if fault.mode == "stuck":
            first = int(np.argmax(active))
            if fault not in self._frozen:
                before = series[first - 1] if first else series[0] if self._before is None else self._before[at]
                self._frozen[fault] = float(before)
            series[active] = self._frozen[fault]
        elif fault.mode == "drift":
            run = (ts[active] - fault.onset) / (fault.limit_at - fault.onset)
            series[active] += fault.sign * error * np.minimum(run, 2.0)
        elif fault.mode == "bias":
            series[active] += fault.sign * fault.size * error
        elif fault.mode == "open_circuit":
            low, high = self._low[fault.column], self._high[fault.column]
            series[active] = low - 0.025 * (high - low)
            bad[active, fault.unit, fault.column] = True
        elif fault.mode == "spikes" and lot is not None:
            hit = active & (lot[:, 0] < 0.01)
            series[hit] += fault.sign * error * (1.0 + 2.0 * lot[hit, 1])
        elif fault.mode == "dropout" and lot is not None:
            series[active & (lot[:, 0] < 0.6)] = np.nan
            return
        scale = self._scale[fault.column]
        np.clip(series, self._floor[fault.column], self._ceiling[fault.column], out=series)
        np.rint(series * scale, out=series)
        series /= scale
