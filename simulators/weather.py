"""Weather of a site: one course of temperature, air pressure and sun for all machines that stand there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from simulators.contract import FloatArray
from simulators.noise import Wander, generator


class Weather:
    """``Ta = mean + swing·sin(2π(h−9)/24) + AR(1)(τ 6 h, σ 2 K) + day-to-day AR(1)(τ 2 d, σ 2.5 K)``; hours are UTC.

    ``site_mean_c`` fixes the mean; otherwise each site has its climate (N(11, 3) °C in the yearly mean) and the season
    of the starting date (±9 K, warmest on 20 July).
    """

    def __init__(self, sites: Sequence[int], start_s: float, site_mean_c: float | None = None) -> None:
        day_of_year = datetime.fromtimestamp(start_s, UTC).timetuple().tm_yday
        season = 9.0 * np.cos(2 * np.pi * (day_of_year - 201) / 365.25)
        climate = np.array([generator(site, "climate").normal(11.0, 3.0) for site in sites])
        self.mean_c: FloatArray = climate + season if site_mean_c is None else np.full(len(sites), float(site_mean_c))
        self._hours = Wander(sites, "weather-hours", start_s, 600.0, 6 * 3600.0, 2.0)
        self._days = Wander(sites, "weather-days", start_s, 3600.0, 48 * 3600.0, 2.5)
        self._pressure = Wander(sites, "air-pressure", start_s, 3600.0, 24 * 3600.0, 6.0)
        self._clouds = Wander(sites, "clouds", start_s, 600.0, 3 * 3600.0, 0.35)

    def temperature_c(self, t: FloatArray) -> FloatArray:
        """Outdoor temperature [n, sites] in °C at seconds ``t`` [n]."""
        daily = 6.0 * np.sin(2 * np.pi * (t / 3600.0 - 9.0) / 24.0)
        return self.mean_c + daily[:, None] + self._hours.at(t) + self._days.at(t)

    def pressure_bar(self, t: FloatArray) -> FloatArray:
        """Air pressure [n, sites] in bar(a)."""
        return 1.013 + 1e-3 * self._pressure.at(t)

    def sun(self, t: FloatArray) -> FloatArray:
        """Sunshine 0–1 [n, sites], none at night."""
        height = np.maximum(np.sin(2 * np.pi * (t / 3600.0 - 6.0) / 24.0), 0.0)
        return height[:, None] * np.clip(0.6 + self._clouds.at(t), 0.0, 1.0)
