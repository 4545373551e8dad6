"""A request for upscaling: its options, what they mean for its network, and its report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sakuga_core.networks.facts import NetworkFacts
from sakuga_core.options import UpscaleOptions
from sakuga_server.cancellation import stop_if
from sakuga_server.imaging import blending
from sakuga_server.pipelines.report import Stages

Options = TypeVar("Options", bound=UpscaleOptions)

DEFAULT_DENOISE = 0.5  # of Real-ESRGAN's own script


@dataclass
class UpscaleRequest(Generic[Options]):
    """One request: its options, and what its report will have."""

    options: Options
    model: str
    facts: NetworkFacts
    tile_size: int
    notes: list[str]
    cancelled: Callable[[], bool]
    tiles: int = 0
    stages: Stages = field(default_factory=Stages)

    @property
    def strength(self) -> float | None:
        """Of denoising; None for a network that has no such input."""
        if not self.facts.denoise:
            return None
        chosen = self.options.denoise_strength
        return DEFAULT_DENOISE if chosen is None else chosen

    @property
    def tiling(self) -> dict[str, int]:
        """The report on tiles."""
        return {
            "tiles": self.tiles,
            "tile_size": self.tile_size,
            "padding": self.facts.receptive_field,
        }

    @property
    def overlap(self) -> blending.Overlap:
        return self.options.overlap if self.options.overlapping_tiles else "none"

    def stop_if_cancelled(self) -> None:
        """
        Raises:
            Cancelled: nobody waits for the result.
        """
        stop_if(self.cancelled)


def notes_on(
    options: UpscaleOptions,
    given: Mapping[str, Any],
    model: str,
    facts: NetworkFacts,
    tile_size: int,
) -> list[str]:
    """What of the options, or of those that were `given`, doesn't do what somebody might expect."""
    notes = []
    if facts.side is None and (options.tile_size or 0) > tile_size:
        notes.append(f"tile_size is {options.tile_size}; this server allows {tile_size}")
    idle = {"denoise_strength": not facts.denoise and options.denoise_strength is not None}
    idle["tile_size"] = facts.side is not None and "tile_size" in given
    overlaps = ("overlapping_tiles", "overlap")
    idle |= {name: facts.side is None and name in given for name in overlaps}
    return notes + [f"{name} has no effect on {model}" for name in idle if idle[name]]
