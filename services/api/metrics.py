"""Prometheus metrics of one API process, and of the flow of telemetry as the database counts it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


class Metrics:
    """Counters of one app, in a registry of its own: two apps in one process (tests) do not share figures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "servitize_api_requests_total", "Answers given", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "servitize_api_request_seconds",
            "Time to the answer's first byte",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.streams = Gauge("servitize_api_streams", "Event streams open", registry=self.registry)
        self.streamed = Counter("servitize_api_streamed_events_total", "Events sent to streams", registry=self.registry)
        self.numbered = Counter(
            "servitize_outbox_numbered_total", "Events numbered by this process's sequencer", registry=self.registry
        )
        self.shelves = Counter("servitize_shelves_expired_total", "Shelves that ran out", registry=self.registry)
        self.failures = Counter(
            "servitize_background_failures_total",
            "Rounds of a background task that failed",
            ["task"],
            registry=self.registry,
        )

    def render(self, rows: Iterable[Mapping[str, Any]], pool: Mapping[str, int]) -> bytes:
        """Exposition text: this process's figures, its pool's, and ``rows`` (name, help, type, labels, value) from
        the database."""
        snapshot = CollectorRegistry()
        snapshot.register(_Given([*_pool_families(pool), *_families(rows)]))
        return generate_latest(self.registry) + generate_latest(snapshot)


class _Given(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _pool_families(stats: Mapping[str, int]) -> list[Metric]:
    size = GaugeMetricFamily("servitize_api_pool_connections", "Connections of the pool", labels=["state"])
    size.add_metric(["idle"], stats.get("pool_available", 0))
    size.add_metric(["busy"], stats.get("pool_size", 0) - stats.get("pool_available", 0))
    waiting = GaugeMetricFamily("servitize_api_pool_waiting", "Requests waiting for a connection")
    waiting.add_metric([], stats.get("requests_waiting", 0))
    return [size, waiting]


def _families(rows: Iterable[Mapping[str, Any]]) -> list[Metric]:
    found: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for row in rows:
        labels: Mapping[str, str] = row["labels"] or {}
        family = found.get(row["name"])
        if family is None:
            make = CounterMetricFamily if row["type"] == "counter" else GaugeMetricFamily
            family = found[row["name"]] = make(row["name"], row["help"], labels=sorted(labels))
        family.add_metric([str(labels[name]) for name in sorted(labels)], float(row["value"]))
    return list(found.values())


class Measure:
    """Counts and times every answer by route template, never by path: ids in labels would grow without bound."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unrouted")
                method = scope["method"] if route != "unrouted" else "any"
                self._metrics.requests.labels(method, route, message["status"]).inc()
                self._metrics.seconds.labels(method, route).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, counted)
