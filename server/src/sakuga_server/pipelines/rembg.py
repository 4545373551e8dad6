"""Background removal of pictures with several frames or pages: one by one, by the ensembles."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

from sakuga_core.networks.facts import SegmenterFacts
from sakuga_core.options import RembgOptions, parse_options
from sakuga_core.protocol import canonical
from sakuga_server.caller import NOBODY, Caller
from sakuga_server.imaging.encode import encode
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.sequence import Sequence
from sakuga_server.networks import Networks, Remover
from sakuga_server.pipelines.files import Work, from_file_to_file
from sakuga_server.pipelines.report import Stages
from sakuga_server.pipelines.settings import Settings

# Frames that are worked on at once: one is prepared, one is in the network, one is refined.
AT_ONCE = 3


@dataclass
class RembgRequest:
    """One request."""

    options: RembgOptions
    model: str
    caller: Caller
    notes: list[str] = field(default_factory=list)
    stages: Stages = field(default_factory=Stages)

    def expect(self, source: Sequence) -> int:
        return AT_ONCE


class Rembg:
    """Removes the background of every frame, or page.

    Args:
        remove: removes that of one picture.
        settings: networks, default options and limits.
    """

    def __init__(self, remove: Remover, settings: Settings[SegmenterFacts]) -> None:
        self.remove, self.settings = remove, settings

    @classmethod
    def from_parameters(
        cls, networks: Networks, parameters: Mapping[str, Mapping[str, str]]
    ) -> Self:
        """From the parameters of its config.pbtxt."""
        return cls(networks.rembg, Settings[SegmenterFacts].from_parameters(parameters))

    async def __call__(
        self, data: bytes, options: Mapping[str, Any], caller: Caller = NOBODY
    ) -> tuple[bytes, dict[str, Any]]:
        """Removes the background of one encoded picture.

        Args:
            data: an encoded file; see `decode`.
            options: of `RembgOptions`, over the defaults of the settings.
            caller: who waits for the result.

        Returns:
            The foreground, or the mask, as an encoded file, and the report.

        Raises:
            SakugaError: BadOption, BadImage, TooLarge or ModelNotLoaded.
        """
        given = parse_options(RembgOptions, options).model_dump(exclude_unset=True)
        chosen = parse_options(RembgOptions, self.settings.defaults | given)
        model = canonical(chosen.model or "")
        self.settings.network(model)
        request = RembgRequest(chosen, model, caller)
        one = partial(self._one, request=request)
        work = Work("rembg", lambda *size: size, one)
        return await from_file_to_file(data, request, work, self.settings.limits)

    async def _one(self, picture: Picture, request: RembgRequest) -> Picture:
        request.caller.stop_if_gone()
        chosen = request.options.model_dump(mode="json", exclude_unset=True)
        # Metadata goes past the ensemble, which is given the fastest lossless file.
        image = await asyncio.to_thread(encode, picture, "png", None, keep_metadata=False)
        result, report = await self.remove(request.model, image, chosen)
        request.notes.extend(note for note in report["notes"] if note not in request.notes)
        return replace(result, metadata=picture.metadata, format=picture.format)
