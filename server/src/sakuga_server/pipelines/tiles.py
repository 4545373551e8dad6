"""Arrays of any size through a network: tile by tile, each once."""

from contextlib import aclosing
from dataclasses import replace

import cv2
import numpy as np

from sakuga_core.options import UpscaleOptions
from sakuga_server.imaging import blending, tiling
from sakuga_server.imaging.alpha import boundary
from sakuga_server.imaging.picture import Array
from sakuga_server.networks import Net, Tile
from sakuga_server.pipelines import means
from sakuga_server.pipelines.concurrency import all_or_none, in_order
from sakuga_server.pipelines.request import SMALL_TILES_IN_FLIGHT, UpscaleRequest
from sakuga_server.pipelines.reuse import FrameMemory, Seen


class Tiled:
    """A request's network, for arrays of any size.

    Args:
        net: runs a network on one tile.
        request: names the network, and is told of the tiles.
        memory: of the frame that the arrays belong to.
    """

    def __init__(
        self, net: Net, request: UpscaleRequest[UpscaleOptions], memory: FrameMemory
    ) -> None:
        self.net, self.request, self.memory = net, request, memory

    async def colour(self, pixels: Array, wanted: Array | None = None) -> Array:
        """The network's result.

        Args:
            pixels: uint8 or uint16, (H, W) or (H, W, 3).
            wanted: uint8 (H, W), 1 where somebody sees the result; elsewhere it is 0, and tiles
                that nobody sees aren't computed.

        Returns:
            Of the same type and number of axes, `scale` times as high and wide. An array of one
            value stays of that value, unless `reference_flat` is set.
        """
        if not self.request.options.reference_flat and _is_flat(pixels):
            return self._flat(pixels)
        if self.request.facts.side is not None:
            return await self._blended(pixels, self.request.facts.side)
        tiles = self._tiles(pixels, wanted)
        nothing = np.zeros if wanted is not None else np.empty
        whole = nothing(self._larger(pixels), pixels.dtype)
        return await self._filled(whole, pixels, tiles, wanted=wanted)

    async def alpha(self, pixels: Array) -> Array:
        """The same for transparency, (H, W), of which nobody needs exact values where a pixel and
        its neighbours are fully transparent, or fully opaque; see `alpha.pin`."""
        size = self.request.alpha_tile_size
        if _is_flat(pixels):
            return self._flat(pixels, size)
        if self.request.facts.side is not None:
            return await self._blended(pixels, self.request.facts.side)
        tiles = self._tiles(pixels, boundary(pixels).view(np.uint8), size)
        height, width = self._larger(pixels)
        whole = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_NEAREST)
        return await self._filled(whole, pixels, tiles, size)

    def _larger(self, pixels: Array) -> tuple[int, ...]:
        """The shape of a result."""
        height, width, *channels = pixels.shape
        return height * self.request.facts.scale, width * self.request.facts.scale, *channels

    def _tiles(
        self, pixels: Array, wanted: Array | None, size: int | None = None
    ) -> list[tuple[tiling.Span, tiling.Span]]:
        """The tiles of a picture, less what of them nobody sees.

        Args:
            size: of the tiles; None: the request's.
        """
        tiles = self.request.split(len(pixels), pixels.shape[1], size)
        if wanted is None:
            return tiles
        facts = self.request.facts
        if facts.means and len(tiles) == 1 and wanted.any():
            return tiles  # whole it has its means by itself
        seen = [
            tiling.around(rows, columns, wanted, facts.receptive_field, facts.multiple)
            for rows, columns in tiles
        ]
        found = [each for each in seen if each is not None]
        if left_out := len(tiles) - len(found):
            self.request.tiles.finish(left_out)
        return found

    def _flat(self, pixels: Array, size: int | None = None) -> Array:
        """An array of one value, larger."""
        scale = self.request.facts.scale
        height, width = pixels.shape[:2]
        self.request.tiles.finish(self.request.count(height, width, size))
        return np.full((height * scale, width * scale, *pixels.shape[2:]), pixels[0, 0])

    async def _filled(
        self,
        whole: Array,
        pixels: Array,
        tiles: list[tuple[tiling.Span, tiling.Span]],
        size: int | None = None,
        wanted: Array | None = None,
    ) -> Array:
        """`whole` with the results of tiles of `pixels`, of that size, 0 where `wanted` is."""
        facts, scale = self.request.facts, self.request.facts.scale
        height, width = pixels.shape[:2]
        known = await self._means(pixels, size) if tiles else None

        async def one(rows: tiling.Span, columns: tiling.Span) -> None:
            target = whole[rows.target(scale), columns.target(scale)]
            inner = tiling.inner_sides(rows, columns, height, width)
            window = pixels[rows.window, columns.window]
            mask = None if wanted is None else wanted[rows.kept, columns.kept]

            async def compute() -> None:
                tile = Tile(_packed(window), inner=inner if facts.trims else None, means=known)
                async with self.request.slots:
                    result = (await self._run(tile))[0]
                top, _, left, _ = (facts.receptive_field * side * facts.trims for side in inner)
                kept = result[rows.inner(scale, top), columns.inner(scale, left)]
                target[...] = _masked(_as_kind_of(pixels, kept), mask)

            sides = (*inner, _ends(rows), _ends(columns))
            await self.memory.fill(Seen([window, mask, known], sides), target, compute)
            self.request.tiles.finish()

        await all_or_none(one(*spans) for spans in tiles)
        return whole

    async def _means(self, pixels: Array, size: int | None) -> Array | None:
        """The means of all pixels, for a network that takes them."""
        facts = self.request.facts
        if not facts.means:
            return None
        height, width = pixels.shape[:2]
        tiles = self.request.split(height, width, size)
        if len(tiles) == 1:
            return means.unknown(facts.means)
        self.request.tiles.total += len(facts.means) * len(tiles)

        async def share(rows: tiling.Span, columns: tiling.Span, known: Array, layer: int) -> Array:
            inner = tiling.inner_sides(rows, columns, height, width)
            window = _packed(pixels[rows.window, columns.window])
            async with self.request.slots:
                result = await self._run(Tile(window, inner=inner, means=known, share=layer))
            self.request.tiles.finish()
            return result

        return await means.gathered(tiles, facts.receptive_field, facts.means, share)

    async def _blended(self, pixels: Array, side: int) -> Array:
        """The same for a network of one size of tiles, which overlap."""
        height, width = pixels.shape[:2]
        layout = self.request.layout(height, width, side)
        padded, blend = layout.padded(pixels), blending.Blend(layout, pixels)
        windows = (_in_16_bits(layout.window(padded, place)) for place in layout.places)
        work = (self._remembered(window) for window in windows)
        async with aclosing(in_order(work, SMALL_TILES_IN_FLIGHT)) as results:
            for place in layout.places:
                blend.add(place, await anext(results))
                self.request.tiles.finish()
        return blend.finished()[: height * layout.scale, : width * layout.scale]

    async def _remembered(self, window: Array) -> Array:
        """The result for one tile of one size, uint16."""
        scale = self.request.facts.scale
        target = np.empty((len(window) * scale, window.shape[1] * scale, 3), np.uint16)

        async def compute() -> None:
            target[...] = (await self._run(Tile(_packed(window))))[0]

        await self.memory.fill(Seen([window]), target, compute)
        return target

    async def _run(self, tile: Tile) -> Array:
        """The network's result for one tile."""
        self.request.caller.stop_if_gone()
        tile = replace(tile, denoise=self.request.strength)
        result = await self.net(self.request.network, tile)
        self.request.tiles.computed += 1
        return result


def _is_flat(pixels: Array) -> bool:
    """Whether all pixels are equal; of most pictures the first row tells."""
    first = pixels[0, 0]
    return bool((pixels[0] == first).all() and (pixels == first).all())


def _ends(span: tiling.Span) -> tuple[int, int]:
    """Where the part that is kept begins and ends, in its window."""
    return span.keep_start - span.start, span.keep_stop - span.start


def _masked(result: Array, mask: Array | None) -> Array:
    """A result, 0 where the mask, smaller by the scale, is 0."""
    if mask is None or mask.all():
        return result
    size = (result.shape[1], result.shape[0])
    large = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    return cv2.bitwise_and(result, result, mask=large)


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
