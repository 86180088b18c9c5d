"""Traces by OpenTelemetry: off unless an endpoint is set."""

from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON


def provider(service: str, endpoint: Any | None) -> TracerProvider:
    """A tracer provider that exports to the OTLP/HTTP endpoint, or samples nothing when there is none."""
    made = TracerProvider(
        sampler=ALWAYS_ON if endpoint else ALWAYS_OFF,
        resource=Resource.create({"service.name": f"kompetensnav-{service}"}),
        shutdown_on_exit=bool(endpoint),
    )
    if endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=str(endpoint))))
    return made
