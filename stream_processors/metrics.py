"""Figures of a worker or an ingest for Prometheus, and whether all is well, over HTTP.

``/metrics``: lag, counters and state. ``/healthz``: 200, or 503 with the reason, for whoever restarts or pages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

COUNTERS: Final = {
    "commits": "Transactions committed",
    "stored": "Readings stored",
    "records": "Records of the log stepped, or given to it",
    "replayed": "Records stepped through for their state alone",
    "skipped": "Records that Kafka delivered although they are stored",
    "above": "Records that Kafka delivered ahead of their turn",
    "sought": "Times a partition was sent to its place",
    "fencings": "Partitions lost to another worker",
    "rebalances": "Assignments of the group",
    "put_aside": "Records put aside as dead letters",
    "published": "Events published from the outbox",
    "resent": "Records sent to Kafka again",
}
GAUGES: Final = {
    "lag": "Records in the log that are in no table yet",
    "unconfirmed": "Readings Kafka has not confirmed",
}


class Collector:
    """``status`` gives the document that the process also writes to its status file."""

    def __init__(self, status: Callable[[], Mapping[str, Any]]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        said = self._status()
        for name, text in COUNTERS.items():
            if name in said:
                yield CounterMetricFamily(f"servitize_{name}", text, value=float(said[name]))
        for name, text in GAUGES.items():
            if name in said:
                yield GaugeMetricFamily(f"servitize_{name}", text, value=float(said[name]))
        if "connected" in said:
            yield GaugeMetricFamily("servitize_connected", "To the broker", value=float(said["connected"]))
        if "partitions" in said:
            by_partition = said.get("lag_by_partition", {})
            lag = GaugeMetricFamily("servitize_partition_lag", "The same by partition held", labels=["partition"])
            for partition in said["partitions"]:
                lag.add_metric([str(partition)], float(by_partition.get(str(partition), 0)))
            yield lag
            stopped = GaugeMetricFamily("servitize_partition_stopped", "1: it cannot go on", labels=["partition"])
            for partition in said.get("stopped", {}):
                stopped.add_metric([str(partition)], 1.0)
            yield stopped


def trouble(said: Mapping[str, Any]) -> str | None:
    """Why not all is well; None if it is."""
    for partition, reason in said.get("stopped", {}).items():
        return f"partition {partition} has stopped: {reason}"
    return None


class MetricsServer:
    """A thread that answers on ``host:port`` (0: any free one, see :attr:`port`) from the start until :meth:`close`."""

    def __init__(self, host: str, port: int, status: Callable[[], Mapping[str, Any]]) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Collector(status))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
                elif self.path == "/healthz":
                    problem = trouble(status())
                    self._answer(503 if problem else 200, (problem or "ok").encode() + b"\n", "text/plain")
                else:
                    self._answer(404, b"/metrics or /healthz\n", "text/plain")

            def _answer(self, code: int, body: bytes, kind: str) -> None:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing: it is asked every few seconds."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
