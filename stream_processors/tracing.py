"""Where a record spent its time on the way through a cluster: OpenTelemetry spans of ingest and of the workers.

Told by OpenTelemetry's own variables, so that one setting serves all services of an installation: where
``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``) is set, spans go there by HTTP;
``OTEL_TRACES_SAMPLER`` (with ``OTEL_TRACES_SAMPLER_ARG``) says how many, one in a hundred where it says nothing.
Without an endpoint nothing is made and nothing is loaded.

A span is of a record, which holds thousands of readings, never of a reading. The record carries its span's name over
Kafka in the header that W3C Trace Context defines, so both ends of the way are one trace.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

HEADER: Final = "traceparent"
SHARE: Final = 0.01
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SAMPLED: Final = b"-01"


def tracing(service: str, environ: Mapping[str, str] = os.environ) -> Tracing | None:
    """None where nobody asked for traces. ``service`` is the process's name in them (``OTEL_SERVICE_NAME`` wins)."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or not any(environ.get(name) for name in _ENDPOINTS):
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    name = environ.get("OTEL_SERVICE_NAME") or service
    sampler = None if environ.get("OTEL_TRACES_SAMPLER") else ParentBased(TraceIdRatioBased(SHARE))
    provider = TracerProvider(sampler=sampler, resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


class Tracing:
    """Spans of records on one topic. Every call costs microseconds and none raises for want of a collector."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("servitize")

    def publish(self, topic: str, partition: int, readings: int, waited: float) -> Publication:
        """A record is given to Kafka, ``waited`` seconds after the first of its readings was there."""
        from opentelemetry.trace import SpanKind

        span = self._tracer.start_span(
            f"{topic} publish",
            kind=SpanKind.PRODUCER,
            attributes={**_place(topic, partition), "servitize.readings": readings, "servitize.waited_s": waited},
        )
        return Publication(span)

    def process(self, topic: str, partition: int, offset: int, readings: int, traces: Sequence[bytes]) -> Span:
        """Records from ``offset`` on go through the core together and into one transaction: a span under the first
        one's, linked to the others'. It is ended by who knows that they are stored."""
        from opentelemetry.trace import Link, SpanKind, get_current_span

        contexts = [_context(trace) for trace in traces]
        return self._tracer.start_span(
            f"{topic} process",
            context=contexts[0],
            kind=SpanKind.CONSUMER,
            links=[Link(get_current_span(context).get_span_context()) for context in contexts[1:]],
            attributes={
                **_place(topic, partition),
                "messaging.kafka.offset": offset,
                "messaging.batch.message_count": len(traces),
                "servitize.readings": readings,
            },
        )

    def close(self) -> None:
        """Send what waits; a collector that does not answer is not waited for long."""
        self._provider.force_flush(2_000)
        self._provider.shutdown()


class Publication:
    """A record's span until Kafka has it; ``header`` None where it was not sampled."""

    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def header(self) -> tuple[str, bytes] | None:
        context = self._span.get_span_context()
        if not context.trace_flags.sampled:
            return None
        return HEADER, f"00-{context.trace_id:032x}-{context.span_id:016x}-01".encode()

    def confirmed(self) -> None:
        self._span.end()


def sampled(header: bytes) -> bool:
    """Whether what this header names is recorded."""
    return header.endswith(_SAMPLED)


def _place(topic: str, partition: int) -> dict[str, str]:
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(partition),
    }


def _context(trace: bytes) -> Context:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({HEADER: trace.decode("ascii", "replace")})
