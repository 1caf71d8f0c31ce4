"""Makes a span of its own with OpenTelemetry's SDK, below the call that it runs in."""

import json
import os
import sys

if sys.argv[1:] == ["--describe"]:
    print(json.dumps({"contract_version": "1.1", "commands": [
        {"name": "work", "description": "Works, and tells of it", "parameters": [{"name": "secret", "type": "string"}]},
        {"name": "environment", "description": "Says which trace it is part of"},
    ]}))
    sys.exit()

if sys.argv[1:2] == ["environment"]:
    print(json.dumps({name: os.environ.get(name) for name in ("TRACEPARENT", "TRACESTATE")}))
    sys.exit()

from opentelemetry import trace  # noqa: E402  (the SDK is imported only where it is used)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: E402
from opentelemetry.sdk.resources import Resource  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: E402

carrier = {name: os.environ[name.upper()] for name in ("traceparent", "tracestate") if name.upper() in os.environ}
provider = TracerProvider(resource=Resource.create({"service.name": "traced-plugin"}))
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
above = TraceContextTextMapPropagator().extract(carrier)
with trace.get_tracer("traced").start_as_current_span("plugin work", context=above):
    print("done")
provider.shutdown()
