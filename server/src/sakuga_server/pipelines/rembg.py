"""The way of a picture through a segmentation network: its background is removed."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Self

from sakuga_core.errors import BadOption
from sakuga_core.networks.facts import SegmenterFacts
from sakuga_core.options import RembgOptions, parse_options
from sakuga_core.protocol import canonical
from sakuga_server.caller import NOBODY, Caller
from sakuga_server.imaging import mask_file
from sakuga_server.imaging.picture import Array, Picture, rgb
from sakuga_server.imaging.samples import to_8_bit
from sakuga_server.matting import closed_form
from sakuga_server.matting import mask as masks
from sakuga_server.matting.mask import Window
from sakuga_server.networks import Networks, SegmentNet
from sakuga_server.pipelines.files import Work, from_file_to_file
from sakuga_server.pipelines.foreground import Found, refined
from sakuga_server.pipelines.rembg_request import RembgRequest
from sakuga_server.pipelines.settings import Settings


class Rembg:
    """Decode, resize, network, mask, matting, encode.

    Args:
        net: runs a network on one picture.
        settings: networks, default options and limits.
    """

    def __init__(self, net: SegmentNet, settings: Settings[SegmenterFacts]) -> None:
        self.net, self.settings = net, settings

    @classmethod
    def from_parameters(
        cls, networks: Networks, parameters: Mapping[str, Mapping[str, str]]
    ) -> Self:
        """From the parameters of its config.pbtxt; compiles what it needs."""
        closed_form.warm_up()
        return cls(networks.segment, Settings[SegmenterFacts].from_parameters(parameters))

    async def __call__(
        self, data: bytes, options: Mapping[str, Any], caller: Caller = NOBODY
    ) -> tuple[bytes, dict[str, Any]]:
        """Removes the background of one encoded picture: a still one, every frame, or every page.

        Args:
            data: an encoded file; see `decode`.
            options: of `RembgOptions`, over the defaults of the settings.
            caller: who waits for the result.

        Returns:
            The foreground, or the mask, as an encoded file, and the report.

        Raises:
            SakugaError: BadOption, BadImage, TooLarge or ModelNotLoaded.
        """
        request = self._request_of(options, caller)
        work = Work("rembg", lambda *size: size, partial(self._one, request=request))
        return await from_file_to_file(data, request, work, self.settings.limits)

    def _request_of(self, values: Mapping[str, Any], caller: Caller) -> RembgRequest:
        given = parse_options(RembgOptions, values).model_dump(exclude_unset=True)
        options = parse_options(RembgOptions, self.settings.defaults | given)
        model = canonical(options.model or "")
        facts = self.settings.network(model)
        if options.preprocess == "letterbox" and not facts.letterbox:
            raise BadOption(f"option 'preprocess' is 'letterbox'; allowed for {model}: rembg")
        mask = mask_file.read(options.mask, self.settings.limits)
        unusual = frozenset(self.settings.unusual(given))
        return RembgRequest(options, model, facts, unusual, mask, caller)

    async def _one(self, picture: Picture, request: RembgRequest) -> Picture:
        """One picture, or frame."""
        with request.stages("prepare"):
            square, window, corrections = await asyncio.to_thread(_prepared, picture, request)
        request.finish(step=1)
        with request.stages("network"):
            letterbox = request.letterbox if request.facts.letterbox else None
            prediction = await self.net(request.model, square, letterbox)
        request.finish(step=2)
        found = Found(prediction[0], window, corrections)
        result = await asyncio.to_thread(refined, picture, found, request)
        request.finish(step=3)
        return result


def _prepared(picture: Picture, request: RembgRequest) -> tuple[Array, Window, Array | None]:
    """The network's input, uint8 (1, side, side, 3); where in it the picture lies; and how the
    caller corrects the mask, uint8 (H, W)."""
    side = request.facts.side
    size = (picture.width, picture.height)
    window = masks.letterbox(side, *size) if request.letterbox else masks.whole(side)
    shallow = to_8_bit(picture.colour) if picture.deep else picture.colour
    square = masks.square(rgb(shallow), side, window)
    if request.mask is None:
        return square, window, None
    return square, window, mask_file.brightness(request.mask, picture, masks.UNKNOWN)
