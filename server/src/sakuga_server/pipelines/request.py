"""A request for upscaling: its options, what they mean for its network, and its report."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar

from sakuga_core.networks.facts import NetworkFacts
from sakuga_core.options import UpscaleOptions
from sakuga_core.progress import Progress
from sakuga_core.protocol import LONGER
from sakuga_server.caller import NOBODY, Caller
from sakuga_server.imaging import blending, tiling
from sakuga_server.imaging.sequence import Sequence
from sakuga_server.pipelines.family import Networks
from sakuga_server.pipelines.report import Stages
from sakuga_server.pipelines.reuse import Memory
from sakuga_server.pipelines.tile_size import tile_sizes

Options = TypeVar("Options", bound=UpscaleOptions)

DEFAULT_DENOISE = 0.5  # of Real-ESRGAN's own script

# What of one request is under way at once: enough for full batches, while memory stays bounded.
PIXELS_IN_FLIGHT, LEAST_IN_FLIGHT, TILES_IN_FLIGHT = 8 * 512**2, 2, 8
SMALL_TILES_IN_FLIGHT = 32  # of networks that take one small size

# Frames of a request that are worked on at once: enough small ones for full batches.
LEAST_FRAMES, MOST_FRAMES = 2, 8
FRAMES_LOOKED_AT = 32  # of an animation, to choose the size of its tiles


@dataclass
class Tiles:
    """How many tiles of a request there are, and how many are done."""

    caller: Caller
    told: bool = True
    """Whether the caller gets them as the request's progress."""
    total: int = 0
    done: int = 0
    computed: int = 0

    def finish(self, count: int = 1) -> None:
        self.done += count
        if self.told:
            self.caller.progress(Progress("tiles", self.done, max(self.done, self.total)))


@dataclass
class UpscaleRequest(Generic[Options]):
    """One request: its options, and what its report will have."""

    options: Options
    model: str
    """As it was asked for: a network, or a family."""
    network: str
    facts: NetworkFacts
    """Of the network."""
    tile_size: int
    notes: list[str]
    caller: Caller = NOBODY
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What of the options differs from the server's defaults."""
    family: Networks = field(default_factory=dict)
    """Where a family was asked for, and no picture has chosen yet: its networks."""
    stages: Stages = field(default_factory=Stages)
    memory: Memory | None = None
    """Of frames and pages; None for a single picture."""
    scales: list[float] = field(default_factory=list)
    """Of the passes, where there are several."""

    def __post_init__(self) -> None:
        self.tiles = Tiles(self.caller)
        self._fit_tiles()

    def _fit_tiles(self) -> None:
        """To what the network's memory allows."""
        size = min(self.tile_size, self.facts.tile_size or self.tile_size)
        if size < min(self.tile_size, self.asked.get("tile_size") or 0):
            self.notes.append(f"tile_size is {self.tile_size}; {self.network} allows {size}")
        self.use_tiles_of(size, size)

    def choose(self, network: str) -> None:
        """Takes a network of the family for all pictures of the request."""
        self.network, self.facts = network, self.family[network]
        self.family = {}
        self._fit_tiles()
        strength, level = self.asked.get("denoise_strength"), self.facts.denoise_level
        if strength is not None and self.options.denoise_level is None:
            self.notes.append(f"denoise_strength {strength:g} is denoise_level {level} here")

    def expect(self, source: Sequence) -> int:
        """Prepares for several pictures; how many of them are worked on at once."""
        self.tiles.told = False
        width, height = source.sizes[0]
        if source.moves:
            pictures = islice(source.pictures(), FRAMES_LOOKED_AT)
            self.use_tiles_of(*tile_sizes(pictures, len(source.sizes), self))
        tiles = self.count(height, width)
        at_once = max(LEAST_FRAMES, min(MOST_FRAMES, -(-2 * self.in_flight // tiles)))
        self.memory = Memory(at_once + LEAST_FRAMES)
        return at_once

    def use_tiles_of(self, size: int, alpha: int) -> None:
        """Has smaller tiles than the request's options ask for, of colours and of transparency."""
        self.tile_size, self.alpha_tile_size = size, alpha
        self.slots = asyncio.Semaphore(self.in_flight)

    def split(
        self, height: int, width: int, size: int | None = None
    ) -> list[tuple[tiling.Span, tiling.Span]]:
        """The tiles of a picture, as (rows, columns), of the request's size or another one."""
        facts, size = self.facts, size or self.tile_size
        # Whole, a picture has its means at once; so it may be longer than other tiles, not larger.
        side = size + 2 * facts.receptive_field
        longest = LONGER * side
        if facts.means and height * width <= side**2 and max(height, width) <= longest:
            size = max(height, width)
        return list(tiling.split(height, width, size, facts.receptive_field, facts.multiple))

    def layout(self, height: int, width: int, side: int) -> blending.Layout:
        """Tiles of one size of a picture, which overlap."""
        return blending.layout(height, width, side, self.facts.scale, self.overlap)

    def count(self, height: int, width: int, size: int | None = None) -> int:
        """How many tiles an array of that size has."""
        if self.facts.side:
            return len(self.layout(height, width, self.facts.side).places)
        return len(self.split(height, width, size))

    @property
    def in_flight(self) -> int:
        """How many tiles are under way at once."""
        return SMALL_TILES_IN_FLIGHT if self.facts.side else in_flight(self.tile_size)

    @property
    def strength(self) -> float | None:
        """Of denoising; None for a network that has no such input."""
        if not self.facts.denoise:
            return None
        chosen = self.options.denoise_strength
        return DEFAULT_DENOISE if chosen is None else chosen

    @property
    def tiling(self) -> dict[str, Any]:
        """The report on tiles."""
        return {
            "tiles": self.tiles.done,
            "tiles_computed": self.tiles.computed,
            "tile_size": self.tile_size,
            "padding": self.facts.receptive_field,
            **({"network": self.network} if self.network != self.model and not self.family else {}),
            **({"passes": self.scales} if len(self.scales) > 1 else {}),
        }

    @property
    def overlap(self) -> blending.Overlap:
        return self.options.overlap if self.options.overlapping_tiles else "none"


def in_flight(tile_size: int) -> int:
    """How many tiles of one size are under way at once."""
    return max(LEAST_IN_FLIGHT, min(TILES_IN_FLIGHT, PIXELS_IN_FLIGHT // tile_size**2))


def notes_on(
    options: UpscaleOptions,
    given: Mapping[str, Any],
    model: str,
    facts: NetworkFacts,
    tile_size: int,
) -> list[str]:
    """What of the options, or of those that were `given`, doesn't do what somebody might expect.

    Args:
        given: what a caller asked for, and the configuration doesn't ask for in every request.
    """
    notes = []
    if facts.side is None and (options.tile_size or 0) > tile_size:
        notes.append(f"tile_size is {options.tile_size}; this server allows {tile_size}")
    is_family = facts.family == model  # and not one of its networks, which has a level already
    denoises = {"denoise_strength": facts.denoise or is_family, "denoise_level": is_family}
    there = (None, facts.denoise_level)
    idle = {n: not denoises[n] and given.get(n) not in there for n in denoises}
    idle["tile_size"] = facts.side is not None and "tile_size" in given
    overlaps = ("overlapping_tiles", "overlap")
    idle |= {name: facts.side is None and name in given for name in overlaps}
    return notes + [f"{name} has no effect on {model}" for name in idle if idle[name]]
