"""Traces over several services: the W3C's trace context, from the caller to Triton."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from sakuga_core.errors import BadOption

# https://www.w3.org/TR/trace-context/#traceparent-header
TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_headers: ContextVar[dict[str, str] | None] = ContextVar("sakuga_trace_headers", default=None)


@contextmanager
def trace_context(traceparent: str, tracestate: str | None = None) -> Iterator[None]:
    """Pictures that are sent inside belong to that trace: Triton's own traces have it as parent.

    Programs that use OpenTelemetry don't need this: its current span is taken by itself.

    Args:
        traceparent: as the W3C writes it, `00-<trace, 32 hex>-<span, 16 hex>-<flags, 2 hex>`.
        tracestate: what vendors add to it.

    Raises:
        BadOption: that isn't a traceparent.
    """
    if not TRACEPARENT.fullmatch(traceparent):
        allowed = "00-, 32 hexadecimal digits, -, 16 of them, -, 2 of them, in lower case"
        raise BadOption(f"traceparent is {traceparent!r}; allowed: {allowed}")
    headers = {"traceparent": traceparent} | ({"tracestate": tracestate} if tracestate else {})
    token = _headers.set(headers)
    try:
        yield
    finally:
        _headers.reset(token)


def headers() -> dict[str, str]:
    """Of the trace that this call belongs to: `trace_context`, else OpenTelemetry's current span,
    where that is installed; else none."""
    return _headers.get() or _of_opentelemetry()


def _of_opentelemetry() -> dict[str, str]:
    carrier: dict[str, str] = {}
    if propagator := _propagator():
        propagator.inject(carrier)
    return carrier


@cache
def _propagator() -> Any:
    try:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError:
        return None
    return TraceContextTextMapPropagator()
