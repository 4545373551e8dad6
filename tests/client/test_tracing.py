import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from sakuga import BadOption, trace_context
from sakuga.tracing import headers

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_headers_are_those_of_the_context_and_of_no_other() -> None:
    assert headers() == {}
    with trace_context(PARENT, "vendor=1"):
        assert headers() == {"traceparent": PARENT, "tracestate": "vendor=1"}
    assert headers() == {}


def test_opentelemetrys_current_span_is_taken_where_none_is_given() -> None:
    _, trace_id, span_id, _ = PARENT.split("-")
    context = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(1))
    with trace.use_span(NonRecordingSpan(context)):
        assert headers() == {"traceparent": PARENT}


@pytest.mark.parametrize("wrong", ["", PARENT.upper(), PARENT[:-1], "00-" + "0" * 32 + PARENT[35:]])
def test_what_is_no_traceparent_is_refused(wrong: str) -> None:
    with pytest.raises(BadOption, match="traceparent is"), trace_context(wrong):
        pass
