"""What gRPC and Triton say, in this package's own terms: errors, and a model's statistics.

UNAVAILABLE has several meanings in Triton, and nested calls lose their status, so the message
decides before the status does.
"""

from typing import Any

from sakuga.local import AUTO
from sakuga_core import errors, protocol
from sakuga_core.errors import SakugaError

RESTRICTED = "protocol is restricted"  # Triton's message for a call without the key
QUEUE_TIMEOUT, QUEUE_FULL = "Request timeout expired", "maximum queue size"


def translated(status: str, text: str, model: str, url: str, tls: bool = False) -> SakugaError:
    """The error for a failed call.

    Args:
        status: gRPC's, as tritonclient writes it: `StatusCode.UNAVAILABLE`, or empty.
        text: gRPC's message.
        model: the Triton model that was called, or another word for it.
        url: the server.
        tls: whether the connection is encrypted.
    """
    if known := errors.from_message(text) or _by_text(text, model, url):
        return known
    if "DEADLINE_EXCEEDED" in status or "Deadline" in text:
        return late(url)
    if "CANCELLED" in status:
        return errors.Cancelled(f"the call to {url} was cancelled")
    if "UNAVAILABLE" in status:
        return unreachable(url, tls)
    if "UNAUTHENTICATED" in status or "PERMISSION_DENIED" in status:
        return errors.PermissionDenied(f"{url} refuses this client: {text}")
    if "RESOURCE_EXHAUSTED" in status:
        return errors.TooLarge(f"the picture is too large for one message to {url}: {text}")
    return errors.ServerError(text or status)


def late(url: str) -> SakugaError:
    """For a result that didn't come in time."""
    return errors.DeadlineExceeded(
        f"no result from {url} within server.timeout; raise it, or send a smaller picture"
    )


def unreachable(url: str, tls: bool = False) -> SakugaError:
    """For a server that doesn't answer; of `auto`, there is none on this machine."""
    if tls:
        return errors.ServerUnavailable(
            f"no server answers at {url}, or it doesn't accept the certificates of server.tls"
        )
    if url == AUTO:
        return errors.ServerUnavailable(
            "no server answers on this machine; start one with `sakuga serve`"
        )
    return errors.ServerUnavailable(
        f"no server answers at {url}; start one with `sakuga serve`, or set server.url to auto"
    )


def _by_text(text: str, model: str, url: str) -> SakugaError | None:
    if QUEUE_TIMEOUT in text:
        return errors.QueueTimeout(
            f"the queue of {model} at {url} was too long for the time allowed; "
            "raise server.timeout, or try again later"
        )
    if RESTRICTED in text:
        return errors.PermissionDenied(
            f"{url} needs its administration key; set {protocol.ADMIN_KEY}"
        )
    if QUEUE_FULL in text:
        return errors.Overloaded(f"the queue of {model} at {url} is full; try again later")
    if errors.says_crowded(text):
        return errors.Overloaded(
            f"{url} is short of shared memory for {model}; try again later, or give its /dev/shm "
            "more room"
        )
    if errors.says_died(text):
        return errors.ServerUnavailable(
            f"a process of {model} at {url} died; the server starts it again"
        )
    if errors.says_stopping(text, model):
        return errors.ServerUnavailable(f"the server at {url} is stopping")
    if errors.says_not_loaded(text):
        return errors.ModelNotLoaded(f"{model} isn't loaded at {url}")
    return None


def activity(statistics: Any) -> dict[str, float]:
    """A model's requests and batches, and the mean milliseconds of each request.

    Args:
        statistics: of one model, as Triton's protobuf has them.
    """
    done, count = statistics.inference_stats, statistics.inference_count
    per = 1e6 * max(done.success.count, 1)
    return {
        "requests": done.success.count,
        "failed": done.fail.count,
        "images": count,
        "batches": statistics.execution_count,
        "queue_ms": done.queue.ns / per,
        "compute_ms": done.compute_infer.ns / per,
    }
