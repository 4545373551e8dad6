"""The way of a picture through a super-resolution network."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Self

from sakuga_core.options import UpscaleOptions, overridden, parse_options
from sakuga_core.protocol import canonical
from sakuga_server.caller import NOBODY, Caller
from sakuga_server.imaging import gray
from sakuga_server.imaging.alpha import bleed, pin, seen
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.resize import resize
from sakuga_server.networks import Net, Networks
from sakuga_server.pipelines import family, sizes
from sakuga_server.pipelines.concurrency import all_or_none
from sakuga_server.pipelines.files import Work, from_file_to_file
from sakuga_server.pipelines.request import Options, UpscaleRequest, notes_on
from sakuga_server.pipelines.reuse import FrameMemory, Memory
from sakuga_server.pipelines.settings import UpscaleSettings, differing
from sakuga_server.pipelines.tile_size import tile_sizes
from sakuga_server.pipelines.tiles import Tiled


class Upscale:
    """Decode, tile, network, join, scale, encode.

    Args:
        net: runs a network on one tile.
        settings: networks, default options and limits.
    """

    def __init__(self, net: Net, settings: UpscaleSettings) -> None:
        self.net = net
        self.settings = settings

    @classmethod
    def from_parameters(
        cls, networks: Networks, parameters: Mapping[str, Mapping[str, str]]
    ) -> Self:
        """From the parameters of its config.pbtxt."""
        return cls(networks.upscale, UpscaleSettings.from_parameters(parameters))

    async def __call__(
        self, data: bytes, options: Mapping[str, Any], caller: Caller = NOBODY
    ) -> tuple[bytes, dict[str, Any]]:
        """Upscales one encoded picture: a still one, every frame, or every page.

        Args:
            data: an encoded file; see `decode`.
            options: of `UpscaleOptions`, over the defaults of the settings.
            caller: who waits for the result.

        Returns:
            The upscaled picture as an encoded file, and the report.

        Raises:
            SakugaError: BadOption, BadImage, TooLarge or ModelNotLoaded.
        """
        request = self.request_of(UpscaleOptions, options, caller)
        work = Work("upscale", self.sizing(request), partial(self.upscaled, request=request))
        encoded, about = await from_file_to_file(data, request, work, self.settings.limits)
        return encoded, about | request.tiling

    def sizing(self, request: UpscaleRequest[Any]) -> sizes.Sizing:
        """The size of a result, by that of the picture."""

        def size(width: int, height: int) -> sizes.Size:
            return self._plan(width, height, request).result

        return size

    def request_of(
        self, kind: type[Options], values: Mapping[str, Any], caller: Caller
    ) -> UpscaleRequest[Options]:
        """A request's options, over the defaults, and what they mean for its network.

        Raises:
            BadOption: an option is unknown or not allowed.
        """
        given = parse_options(kind, values).model_dump(exclude_unset=True)
        model = canonical(given.get("model") or self.settings.defaults.get("model", ""))
        networks = self.settings.candidates(model)
        network, facts = next(iter(networks.items()))
        defaults = self.settings.defaults_for(model, facts)
        options = parse_options(kind, {**overridden(defaults, given), "model": model})
        most = self.settings.limits.tile_size
        tile_size = facts.side or min(options.tile_size or most, most)
        asked = differing(given, defaults)
        notes = notes_on(options, asked, model, facts, tile_size)
        candidates = networks if facts.family == model else {}
        return UpscaleRequest(
            options, model, network, facts, tile_size, notes, caller, asked, candidates
        )

    async def upscaled(self, picture: Picture, request: UpscaleRequest[Any]) -> Picture:
        """One picture, or frame, at the size that the request asks for."""
        plan = self._plan(picture.width, picture.height, request)
        request.scales = plan.scales(picture.width)
        if request.memory is None and picture.alpha is not None:
            request.use_tiles_of(*tile_sizes([picture], 1, request))
        large = gray.detected(picture) if request.options.preserve_gray else picture
        with request.stages("network"):
            large = await self._passes(large, plan, request)
        with request.stages("resize"):
            return gray.like(picture, _resized(large, plan.result, request))

    async def _passes(
        self, picture: Picture, plan: sizes.Plan, request: UpscaleRequest[Any]
    ) -> Picture:
        """The picture as the last pass gives it."""
        # Of a single picture nothing is remembered longer: it would be in memory once more.
        memory = (request.memory or Memory()).frame()
        for size in plan.sizes[:-1]:
            picture = _resized(await self._pass(picture, request, memory), size, request)
        return await self._pass(picture, request, memory)

    def _plan(self, width: int, height: int, request: UpscaleRequest[Any]) -> sizes.Plan:
        """
        Raises:
            BadOption, TooLarge: see `sizes.plan`.
        """
        if request.family:  # the first picture chooses
            scale = family.native(request.family)
            factor = sizes.factor(width, height, request.options, scale)
            request.choose(family.chosen(request.family, factor, request.options))
        most = self.settings.limits.output_pixels
        return sizes.plan(width, height, request.options, request.facts.scale, most)

    async def _pass(
        self, picture: Picture, request: UpscaleRequest[Any], memory: FrameMemory
    ) -> Picture:
        """The picture at the network's own scale; its warnings go on."""
        tiled = Tiled(self.net, request, memory)
        request.tiles.total += request.count(picture.height, picture.width)
        if picture.alpha is not None:
            size = request.alpha_tile_size
            request.tiles.total += request.count(picture.height, picture.width, size)
        if picture.alpha is None:
            colour, alpha = await tiled.colour(picture.colour), None
        elif request.options.reference_alpha:
            colour = await tiled.colour(picture.colour)
            alpha = await tiled.colour(picture.alpha)
        else:
            visible = bleed(picture.colour, picture.alpha)
            work = [tiled.colour(visible, seen(picture.alpha)), tiled.alpha(picture.alpha)]
            colour, alpha = await all_or_none(work)
            pin(alpha, picture.alpha)
        return replace(picture, colour=colour, alpha=alpha)


def _resized(picture: Picture, size: sizes.Size, request: UpscaleRequest[Any]) -> Picture:
    layers = (picture.colour, picture.alpha)
    reference = request.options.reference_resize
    colour, alpha = (None if each is None else resize(each, *size, reference) for each in layers)
    assert colour is not None
    return replace(picture, colour=colour, alpha=alpha)
