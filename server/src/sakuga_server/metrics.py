"""What a server counts beside Triton's own metrics, for Prometheus: one row each.

Labels have few values: names of actions, networks and errors, never what a caller wrote.
"""

from dataclasses import dataclass
from typing import Literal

OK = "ok"  # the outcome of a picture that was returned
UNKNOWN = "unknown"  # the model of a request that names none there is

# Upper bounds in seconds, from a small picture on a GPU to a large one on a CPU.
SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

QUEUE = "queue"
# Stages of a report that are observed; QUEUE comes before them.
STAGES = ("decode", "network", "encode", "total")


@dataclass(frozen=True)
class Metric:
    """A metric, which has a value for each combination of its labels."""

    name: str
    about: str
    labels: tuple[str, ...]
    kind: Literal["counter", "histogram"] = "counter"

    @property
    def samples(self) -> tuple[str, ...]:
        """The names under which Prometheus has it."""
        ends = ("_bucket", "_sum", "_count") if self.kind == "histogram" else ("",)
        return tuple(f"{self.name}{end}" for end in ends)


PICTURES = Metric(
    "sakuga_pictures_total",
    "Answered pictures, by outcome: ok, or the class of the error",
    ("action", "model", "outcome"),
)
TILES = Metric(
    "sakuga_tiles_total",
    "Tiles of returned pictures, as in their reports",
    ("action", "model"),
)
TILES_COMPUTED = Metric(
    "sakuga_tiles_computed_total",
    "Tiles of returned pictures that a network computed",
    ("action", "model"),
)
PIXELS = Metric(
    "sakuga_pixels_total",
    "Pixels of returned pictures, all frames together; direction is input or output",
    ("action", "model", "direction"),
)
STAGE_SECONDS = Metric(
    "sakuga_stage_seconds",
    "Seconds of returned pictures, by stage: queue, decode, network, encode, total",
    ("action", "stage"),
    "histogram",
)
RETRIED = Metric(
    "sakuga_retried_total", "Requests that are retries of a failed request", ("action",)
)
HEALED = Metric(
    "sakuga_healed_total", "Times a model was loaded again because a process died", ("model",)
)
RESTARTS = Metric(
    "sakuga_restarts_total",
    "Restarts of Triton; reason is died, or cleared for the remains of dead processes",
    ("reason",),
)

METRICS = (PICTURES, TILES, TILES_COMPUTED, PIXELS, STAGE_SECONDS, RETRIED, HEALED, RESTARTS)
