"""What a server has done, by Triton's statistics."""

from typing import Any


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
