"""A record's way from ingest to its commit is one trace, at whoever collects them."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.cluster import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.integration, pytest.mark.timeout(300)]


class Collector:
    """Takes OTLP by HTTP as a real one does; ``spans`` with the name of the service that sent each."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        collected = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    named = {a.key: a.value.string_value for a in resource.resource.attributes}
                    for scope in resource.scope_spans:
                        collected.extend((named["service.name"], span) for span in scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    made = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
    yield made
    made.server.shutdown()


def attribute(span: Span, key: str) -> str | int:
    value = next(a.value for a in span.attributes if a.key == key)
    return value.string_value or value.int_value


def test_a_record_is_followed_from_ingest_to_its_commit(cluster: Cluster, collector: Collector) -> None:
    cluster.start("ingest-0", "worker-0")
    begin = int(time.time() * 1000) - 60_000
    with cluster.publisher("device") as publisher:
        for frame in range(20):
            payload = {"ts": begin + frame * 100, "values": {"p0": 1.0, "p1": 2.0}}
            publisher.publish("servitize/v1/acme/rig-3/telemetry", json.dumps(payload).encode())
        publisher.drain()
    cluster.settle(lambda: cluster.one("SELECT count(*) FROM servitize.reading") == 40, 60)

    def processed() -> list[Span]:
        of_the_worker = [span for service, span in collector.spans if service == "servitize-worker"]
        return [span for span in of_the_worker if attribute(span, "servitize.readings")]

    cluster.settle(lambda: sum(int(attribute(span, "servitize.readings")) for span in processed()) == 40, 30)
    published = {span.span_id: span for service, span in collector.spans if service == "servitize-ingest"}
    assert processed()
    for span in processed():
        sender = published[span.parent_span_id]
        assert span.trace_id == sender.trace_id
        assert sender.start_time_unix_nano <= span.start_time_unix_nano < span.end_time_unix_nano
        assert attribute(span, "messaging.destination.partition.id") == attribute(
            sender, "messaging.destination.partition.id"
        )
    assert sum(int(attribute(span, "servitize.readings")) for span in processed()) == 40
