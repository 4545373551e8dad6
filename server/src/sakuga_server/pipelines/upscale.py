"""The way of a picture through a super-resolution network."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar

import cv2
import numpy as np

from sakuga_core.errors import Cancelled, TooLarge
from sakuga_core.networks.facts import NetworkFacts
from sakuga_core.options import UpscaleOptions, parse_options
from sakuga_core.protocol import Inner, canonical
from sakuga_server.imaging import blending, tiling
from sakuga_server.imaging.alpha import bleed, pin
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.encode import encode
from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.imaging.resize import resize
from sakuga_server.networks import Net, Networks
from sakuga_server.pipelines.report import Stages, report
from sakuga_server.pipelines.settings import Settings

T = TypeVar("T")
Asked = TypeVar("Asked", bound=UpscaleOptions)

DEFAULT_DENOISE = 0.5  # of Real-ESRGAN's own script

# What of one picture is under way at once: enough for full batches, while memory stays bounded.
PIXELS_IN_FLIGHT, LEAST_IN_FLIGHT, TILES_IN_FLIGHT = 8 * 512**2, 2, 8
SMALL_TILES_IN_FLIGHT = 32  # of networks that take one small size


@dataclass
class Job(Generic[Asked]):
    """One request: its options, and what its report will say."""

    options: Asked
    model: str
    facts: NetworkFacts
    tile_size: int
    notes: list[str]
    cancelled: Callable[[], bool]
    tiles: int = 0
    stages: Stages = field(default_factory=Stages)

    @property
    def strength(self) -> float | None:
        """What the network is told of denoising; None where it can't be told."""
        asked = self.options.denoise_strength
        return (DEFAULT_DENOISE if asked is None else asked) if self.facts.denoise else None

    @property
    def tiling(self) -> dict[str, int]:
        """What the report says of tiles."""
        return {
            "tiles": self.tiles,
            "tile_size": self.tile_size,
            "padding": self.facts.receptive_field,
        }

    @property
    def overlap(self) -> blending.Overlap:
        return self.options.overlap if self.options.overlapping_tiles else "none"


class Upscale:
    """Decode, tile, network, join, scale, encode.

    Args:
        net: runs a network on one tile.
        settings: networks, default options and limits.
    """

    def __init__(self, net: Net, settings: Settings[NetworkFacts]) -> None:
        self.net = net
        self.settings = settings

    @classmethod
    def from_parameters(
        cls, networks: Networks, parameters: Mapping[str, Mapping[str, str]]
    ) -> Self:
        """From the parameters of its config.pbtxt."""
        return cls(networks.upscale, Settings[NetworkFacts].from_parameters(parameters))

    async def __call__(
        self,
        data: bytes,
        options: Mapping[str, Any],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> tuple[bytes, dict[str, Any]]:
        """Upscales one encoded picture.

        Args:
            data: an encoded file; see `decode`.
            options: of `UpscaleOptions`, over the defaults of the settings.
            cancelled: asked before each tile; True ends the work.

        Returns:
            The upscaled picture as an encoded file, and the report.

        Raises:
            SakugaError: BadOption, BadImage, TooLarge or ModelNotLoaded.
        """
        job = self.job(UpscaleOptions, options, cancelled)
        with job.stages("total"):
            with job.stages("decode"):
                picture = decode(data, self.settings.limits)
                self.target(picture, job)
            result = await self.upscaled(picture, job)
            with job.stages("encode"):
                asked = job.options
                encoded = encode(result, asked.format, asked.quality, asked.keep_metadata)
        sizes = (len(data), len(encoded))
        said = report(job, "upscale", picture, result, job.stages, sizes)
        return encoded, said | job.tiling

    async def upscaled(self, picture: Picture, job: Job[Any]) -> Picture:
        """The picture at the scale asked for."""
        width, height = self.target(picture, job)
        with job.stages("network"):
            large = await self._upscale(picture, job)
        with job.stages("resize"):
            return _resized(large, width, height, job.options.reference_resize)

    def job(
        self, kind: type[Asked], values: Mapping[str, Any], cancelled: Callable[[], bool]
    ) -> Job[Asked]:
        """A request's options, over the defaults, and what they mean for its network.

        Raises:
            BadOption: an option is unknown or not allowed.
        """
        own = parse_options(kind, values).model_dump(exclude_unset=True)
        options = parse_options(kind, self.settings.defaults | own)
        model = canonical(options.model or "")
        facts = self.settings.network(model)
        most = self.settings.limits.tile_size
        tile_size = facts.side or min(options.tile_size or most, most)
        notes = _notes(options, own, model, facts, tile_size)
        return Job(options, model, facts, tile_size, notes, cancelled)

    def target(self, picture: Picture, job: Job[Any]) -> tuple[int, int]:
        """Width and height of the result, rounded down as Real-ESRGAN does.

        Raises:
            TooLarge: over the limit; nothing has been done yet.
        """
        scale, own, most = job.options.scale, job.facts.scale, self.settings.limits.output_pixels
        factor = max(own, scale or own)  # the network's result exists at its own scale first
        if picture.width * picture.height * factor**2 > most:
            raise TooLarge(
                f"{picture.width}x{picture.height} at scale {factor} has more than {most} pixels, "
                "the most this server makes"
            )
        factor = scale or own
        return int(picture.width * factor), int(picture.height * factor)

    async def _upscale(self, picture: Picture, job: Job[Any]) -> Picture:
        """The picture at the network's own scale; its warnings go on."""
        if picture.alpha is None:
            colour, alpha = await self._tiled(picture.colour, job), None
        elif job.options.reference_alpha:
            colour = await self._tiled(picture.colour, job)
            alpha = await self._tiled(picture.alpha, job)
        else:
            visible = bleed(picture.colour, picture.alpha)
            work = [self._tiled(visible, job), self._alpha(picture.alpha, job)]
            colour, alpha = await _all_or_none(work)
        return Picture(colour, alpha, picture.metadata, picture.warnings)

    async def _alpha(self, alpha: Array, job: Job[Any]) -> Array:
        scale = job.facts.scale
        if alpha.min() == alpha.max():
            height, width = alpha.shape
            return np.full((height * scale, width * scale), alpha.flat[0])
        return pin(await self._tiled(alpha, job), alpha, scale)

    async def _tiled(self, pixels: Array, job: Job[Any]) -> Array:
        """(H, W) or (H, W, 3) through the network, tile by tile, into one array of its kind."""
        if job.facts.side is not None:
            return await self._blended(pixels, job, job.facts.side)
        scale, padding = job.facts.scale, job.facts.receptive_field
        height, width = pixels.shape[:2]
        whole = np.empty((height * scale, width * scale, *pixels.shape[2:]), pixels.dtype)
        places = asyncio.Semaphore(in_flight(job.tile_size))

        async def one(rows: tiling.Span, columns: tiling.Span) -> None:
            inner = tiling.inner_sides(rows, columns, height, width)
            top, _, left, _ = (padding * side * job.facts.trims for side in inner)
            async with places:
                result = await self._run(pixels[rows.window, columns.window], job, inner)
                kept = result[rows.inner(scale, top), columns.inner(scale, left)]
                whole[rows.target(scale), columns.target(scale)] = _as_kind_of(pixels, kept)

        tiles = list(tiling.split(height, width, job.tile_size, padding, job.facts.multiple))
        job.tiles += len(tiles)
        await _all_or_none(one(rows, columns) for rows, columns in tiles)
        return whole

    async def _blended(self, pixels: Array, job: Job[Any], side: int) -> Array:
        """The same for a network of one size of tiles, which overlap."""
        height, width = pixels.shape[:2]
        layout = blending.layout(height, width, side, job.facts.scale, job.overlap)
        padded, blend = layout.padded(pixels), blending.Blend(layout, pixels)
        windows = (layout.window(padded, place) for place in layout.places)
        job.tiles += len(layout.places)
        work = (self._run(_in_16_bits(window), job) for window in windows)
        async with aclosing(_in_order(work, SMALL_TILES_IN_FLIGHT)) as results:
            for place in layout.places:
                blend.add(place, await anext(results))
        return blend.finished()[: height * layout.scale, : width * layout.scale]

    async def _run(self, window: Array, job: Job[Any], inner: Inner | None = None) -> Array:
        """The network's result for one tile, (scale·H, scale·W, 3)."""
        if job.cancelled():
            raise Cancelled("the caller has gone; the work was stopped")
        inner = inner if job.facts.trims else None
        results = await self.net(job.model, _packed(window), job.strength, inner)
        result: Array = results[0]
        return result


def in_flight(tile_size: int) -> int:
    """How many tiles of one picture are under way at once."""
    return max(LEAST_IN_FLIGHT, min(TILES_IN_FLIGHT, PIXELS_IN_FLIGHT // tile_size**2))


def _notes(
    options: UpscaleOptions, own: Mapping[str, Any], model: str, facts: NetworkFacts, tile_size: int
) -> list[str]:
    """What of the options, or of the request's `own`, doesn't do what somebody might expect."""
    notes = []
    if facts.side is None and (options.tile_size or 0) > tile_size:
        notes.append(f"tile_size is {options.tile_size}; this server allows {tile_size}")
    idle = {"denoise_strength": not facts.denoise and options.denoise_strength is not None}
    idle["tile_size"] = facts.side is not None and "tile_size" in own
    idle |= {name: facts.side is None and name in own for name in ("overlapping_tiles", "overlap")}
    return notes + [f"{name} has no effect on {model}" for name in idle if idle[name]]


async def _all_or_none(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Runs them all; the first failure stops the rest, so no tile outlives its picture."""
    tasks = [asyncio.ensure_future(w) for w in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _in_order(
    work: Iterable[Coroutine[Any, Any, T]], at_once: int
) -> AsyncGenerator[T, None]:
    """Runs them, so many at once, and gives their results in order; when it is closed, none runs
    on."""
    tasks: deque[asyncio.Future[T]] = deque()
    try:
        for each in work:
            tasks.append(asyncio.ensure_future(each))
            if len(tasks) == at_once:
                yield await tasks.popleft()
        while tasks:
            yield await tasks.popleft()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _in_16_bits(window: Array) -> Array:
    """For results in 16 bits, which are rounded once, after blending."""
    return window if window.dtype == np.uint16 else window.astype(np.uint16) * blending.STEPS


def _packed(window: Array) -> Array:
    """A window as the networks take it: (1, H, W, 3), or 6 for 16 bits, high bytes first."""
    if window.ndim == 2:
        window = np.repeat(window[..., None], 3, axis=2)
    if window.dtype == np.uint16:
        window = np.concatenate((window >> 8, window & 255), axis=2).astype(np.uint8)
    return np.ascontiguousarray(window)[None]


def _as_kind_of(pixels: Array, result: Array) -> Array:
    """A network's result as `pixels` are: of their type, and gray where they are gray."""
    result = result.astype(pixels.dtype, copy=False)
    return cv2.cvtColor(result, cv2.COLOR_RGB2GRAY) if pixels.ndim == 2 else result


def _resized(large: Picture, width: int, height: int, reference: bool) -> Picture:
    colour = resize(large.colour, width, height, reference)
    alpha = None if large.alpha is None else resize(large.alpha, width, height, reference)
    return Picture(colour, alpha, large.metadata, large.warnings)
