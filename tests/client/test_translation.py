"""gRPC's and Triton's errors as Sakuga's own."""

import pytest

from sakuga.translation import translated
from sakuga_core import errors
from sakuga_core.errors import BadOption, SakugaError

URL = "gpu:8001"


@pytest.mark.parametrize(
    ("status", "text", "kind", "part"),
    [
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", errors.DeadlineExceeded, "server.timeout"),
        ("", "Deadline Exceeded", errors.DeadlineExceeded, "server.timeout"),
        ("CANCELLED", "CANCELLED", errors.Cancelled, "was cancelled"),
        ("UNAVAILABLE", "Request timeout expired", errors.QueueTimeout, "queue of upscale"),
        ("UNAVAILABLE", "Exceeds maximum queue size", errors.Overloaded, "is full"),
        (
            "INTERNAL",
            "Failed to increase the shared memory pool size for key 'x' to 9 bytes.",
            errors.Overloaded,
            "more room",
        ),
        ("UNAVAILABLE", "failed to connect to all addresses", errors.ServerUnavailable, "serve"),
        (
            "UNAVAILABLE",
            "Request for unknown model: 'rembg_u2net' is not found",
            errors.ModelNotLoaded,
            "isn't loaded",
        ),
        (
            "UNAVAILABLE",
            "Request for unknown model: 'upscale' has no available versions",
            errors.ServerUnavailable,
            "is stopping",
        ),
        (
            "UNAVAILABLE",
            "This protocol is restricted, expecting header 'triton-grpc-protocol-admin'",
            errors.PermissionDenied,
            "SAKUGA_ADMIN_KEY",
        ),
        ("UNAUTHENTICATED", "no token", errors.PermissionDenied, "no token"),
        ("PERMISSION_DENIED", "not you", errors.PermissionDenied, "not you"),
        ("RESOURCE_EXHAUSTED", "Received message larger than max", errors.TooLarge, "too large"),
        ("INTERNAL", "something broke", errors.ServerError, "something broke"),
        ("UNKNOWN", "", errors.ServerError, "UNKNOWN"),
    ],
)
def test_each_status_has_its_class(
    status: str, text: str, kind: type[SakugaError], part: str
) -> None:
    found = translated(status and f"StatusCode.{status}", text, "upscale", URL)
    assert type(found) is kind
    assert part in str(found)
    assert URL in str(found) or kind in (errors.ServerError, errors.ModelNotLoaded)


def test_an_error_of_the_server_keeps_its_class_whatever_the_status_of_the_nested_call() -> None:
    error = BadOption("option 'scale' is 7; allowed: a number from 1 to 4")
    for status in ("INVALID_ARGUMENT", "INTERNAL"):
        text = f"Failed to process the request: {error.to_message()}"
        found = translated(f"StatusCode.{status}", text, "upscale", URL)
        assert type(found) is BadOption
        assert str(found) == str(error)


def test_with_tls_a_missing_server_may_be_a_refused_certificate() -> None:
    found = translated("StatusCode.UNAVAILABLE", "Ssl handshake failed", "upscale", URL, tls=True)
    assert "certificates of server.tls" in str(found)
