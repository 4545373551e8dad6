"""The way of a picture through a super-resolution network."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any, Self

import cv2
import numpy as np

from sakuga_core.errors import TooLarge
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
from sakuga_server.pipelines.concurrency import all_or_none, in_order
from sakuga_server.pipelines.report import report
from sakuga_server.pipelines.request import Options, UpscaleRequest, notes_on
from sakuga_server.pipelines.settings import Settings

# What of one picture is under way at once: enough for full batches, while memory stays bounded.
PIXELS_IN_FLIGHT, LEAST_IN_FLIGHT, TILES_IN_FLIGHT = 8 * 512**2, 2, 8
SMALL_TILES_IN_FLIGHT = 32  # of networks that take one small size


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
            cancelled: called before each tile; True ends the work.

        Returns:
            The upscaled picture as an encoded file, and the report.

        Raises:
            SakugaError: BadOption, BadImage, TooLarge or ModelNotLoaded.
        """
        request = self.request_of(UpscaleOptions, options, cancelled)
        with request.stages("total"):
            with request.stages("decode"):
                picture = decode(data, self.settings.limits)
                self.target(picture, request)
            result = await self.upscaled(picture, request)
            with request.stages("encode"):
                chosen = request.options
                encoded = encode(result, chosen.format, chosen.quality, chosen.keep_metadata)
        sizes = (len(data), len(encoded))
        about = report(request, "upscale", picture, result, request.stages, sizes)
        return encoded, about | request.tiling

    async def upscaled(self, picture: Picture, request: UpscaleRequest[Any]) -> Picture:
        """The picture at the scale of the request."""
        width, height = self.target(picture, request)
        with request.stages("network"):
            large = await self._upscale(picture, request)
        with request.stages("resize"):
            return _resized(large, width, height, request.options.reference_resize)

    def request_of(
        self, kind: type[Options], values: Mapping[str, Any], cancelled: Callable[[], bool]
    ) -> UpscaleRequest[Options]:
        """A request's options, over the defaults, and what they mean for its network.

        Raises:
            BadOption: an option is unknown or not allowed.
        """
        given = parse_options(kind, values).model_dump(exclude_unset=True)
        options = parse_options(kind, self.settings.defaults | given)
        model = canonical(options.model or "")
        facts = self.settings.network(model)
        most = self.settings.limits.tile_size
        tile_size = facts.side or min(options.tile_size or most, most)
        notes = notes_on(options, given, model, facts, tile_size)
        return UpscaleRequest(options, model, facts, tile_size, notes, cancelled)

    def target(self, picture: Picture, request: UpscaleRequest[Any]) -> tuple[int, int]:
        """Width and height of the result, rounded down as Real-ESRGAN does.

        Raises:
            TooLarge: over the limit; nothing has been done yet.
        """
        scale, native, most = (
            request.options.scale,
            request.facts.scale,
            self.settings.limits.output_pixels,
        )
        factor = max(native, scale or native)  # the network's result exists at its own scale first
        if picture.width * picture.height * factor**2 > most:
            raise TooLarge(
                f"{picture.width}x{picture.height} at scale {factor} has more than {most} pixels, "
                "the most this server makes"
            )
        factor = scale or native
        return int(picture.width * factor), int(picture.height * factor)

    async def _upscale(self, picture: Picture, request: UpscaleRequest[Any]) -> Picture:
        """The picture at the network's own scale; its warnings go on."""
        if picture.alpha is None:
            colour, alpha = await self._tiled(picture.colour, request), None
        elif request.options.reference_alpha:
            colour = await self._tiled(picture.colour, request)
            alpha = await self._tiled(picture.alpha, request)
        else:
            visible = bleed(picture.colour, picture.alpha)
            work = [self._tiled(visible, request), self._alpha(picture.alpha, request)]
            colour, alpha = await all_or_none(work)
        return Picture(colour, alpha, picture.metadata, picture.warnings)

    async def _alpha(self, alpha: Array, request: UpscaleRequest[Any]) -> Array:
        scale = request.facts.scale
        if alpha.min() == alpha.max():
            height, width = alpha.shape
            return np.full((height * scale, width * scale), alpha.flat[0])
        return pin(await self._tiled(alpha, request), alpha, scale)

    async def _tiled(self, pixels: Array, request: UpscaleRequest[Any]) -> Array:
        """(H, W) or (H, W, 3) through the network, tile by tile, into one array of its kind."""
        if request.facts.side is not None:
            return await self._blended(pixels, request, request.facts.side)
        scale, padding = request.facts.scale, request.facts.receptive_field
        height, width = pixels.shape[:2]
        whole = np.empty((height * scale, width * scale, *pixels.shape[2:]), pixels.dtype)
        places = asyncio.Semaphore(in_flight(request.tile_size))

        async def one(rows: tiling.Span, columns: tiling.Span) -> None:
            inner = tiling.inner_sides(rows, columns, height, width)
            top, _, left, _ = (padding * side * request.facts.trims for side in inner)
            async with places:
                result = await self._run(pixels[rows.window, columns.window], request, inner)
                kept = result[rows.inner(scale, top), columns.inner(scale, left)]
                whole[rows.target(scale), columns.target(scale)] = _as_kind_of(pixels, kept)

        tiles = list(
            tiling.split(height, width, request.tile_size, padding, request.facts.multiple)
        )
        request.tiles += len(tiles)
        await all_or_none(one(rows, columns) for rows, columns in tiles)
        return whole

    async def _blended(self, pixels: Array, request: UpscaleRequest[Any], side: int) -> Array:
        """The same for a network of one size of tiles, which overlap."""
        height, width = pixels.shape[:2]
        layout = blending.layout(height, width, side, request.facts.scale, request.overlap)
        padded, blend = layout.padded(pixels), blending.Blend(layout, pixels)
        windows = (layout.window(padded, place) for place in layout.places)
        request.tiles += len(layout.places)
        work = (self._run(_in_16_bits(window), request) for window in windows)
        async with aclosing(in_order(work, SMALL_TILES_IN_FLIGHT)) as results:
            for place in layout.places:
                blend.add(place, await anext(results))
        return blend.finished()[: height * layout.scale, : width * layout.scale]

    async def _run(
        self, window: Array, request: UpscaleRequest[Any], inner: Inner | None = None
    ) -> Array:
        """The network's result for one tile, (scale·H, scale·W, 3)."""
        request.stop_if_cancelled()
        inner = inner if request.facts.trims else None
        results = await self.net(request.model, _packed(window), request.strength, inner)
        result: Array = results[0]
        return result


def in_flight(tile_size: int) -> int:
    """How many tiles of one picture are under way at once."""
    return max(LEAST_IN_FLIGHT, min(TILES_IN_FLIGHT, PIXELS_IN_FLIGHT // tile_size**2))


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
