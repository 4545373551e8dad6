"""Providers: whoever turns one picture into another. The Protocol, and Triton's."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from sakuga.triton import Reply, Triton
from sakuga_core import protocol
from sakuga_core.actions import ImageAction
from sakuga_core.config.file import load_config, refresh
from sakuga_core.config.schema import Config
from sakuga_core.errors import BadOption, ModelNotInstalled, ModelNotLoaded

# After config.yaml changed, the server may take so many seconds longer than a client to load what
# it names now; the client asks again at this interval.
SWAP_SECONDS = 30
ASK_AGAIN_SECONDS = 0.2
LOADS = 3  # times that a network which is unloaded again and again is asked for


@runtime_checkable
class ImageProvider(Protocol):
    """What an application needs to know of any provider, ours or its own."""

    async def process(
        self,
        image: bytes,
        action: ImageAction | str,
        config: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Does `action` to `image`, an encoded file; gives an encoded file back."""
        ...


def as_action(action: ImageAction | str) -> ImageAction:
    try:
        return ImageAction(action)
    except ValueError:
        allowed = ", ".join(a.value for a in ImageAction)
        raise BadOption(f"action is {action!r}; allowed: {allowed}") from None


class TritonProvider(ABC):
    """One action, done by a Triton server, as config.yaml says at the time of each call.

    Args:
        config: left out, as `load_config()` finds it.
        triton: a connection to share; left out, one of its own to `config.server.url`.
    """

    action: ClassVar[ImageAction]

    def __init__(self, config: Config | None = None, triton: Triton | None = None) -> None:
        self.config = config or load_config()
        self.triton = triton or Triton(self.config.server)
        self._owns_triton = triton is None

    @abstractmethod
    async def _send(self, image: bytes, options: Mapping[str, Any]) -> Reply:
        """One picture to the Triton model that does the action, with the caller's options."""

    async def process(
        self,
        image: bytes,
        action: ImageAction | str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Does the provider's action to one picture.

        Args:
            image: an encoded file: PNG, JPEG, WebP, BMP, TIFF or GIF (its first frame).
            action: the provider's own; may be left out.
            config: the action's options, over those of config.yaml.

        Returns:
            An encoded file, PNG unless `format` says otherwise.

        Raises:
            SakugaError: of the class that fits; see `sakuga.errors`.
        """
        return (await self.run(image, action, config)).result

    async def run(
        self,
        image: bytes,
        action: ImageAction | str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Like `process`, with the server's report beside the picture."""
        if action is not None and as_action(action) is not self.action:
            name = type(self).__name__
            raise BadOption(f"action is {action!r}; {name} allows: {self.action.value}")
        refresh(self.config)
        return await self._once_swapped(image, config or {})

    async def _once_swapped(self, image: bytes, options: Mapping[str, Any]) -> Reply:
        """Sends a picture; where config.yaml has just named another model, waits until the server
        has loaded it."""
        source = None if options.get("model") else self.config.source
        while True:
            try:
                return await self._send(image, options)
            except ModelNotLoaded as error:
                gone = isinstance(error, ModelNotInstalled)
                if gone or source is None or abs(source.age) > SWAP_SECONDS:
                    raise
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def close(self) -> None:
        if self._owns_triton:
            await self.triton.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class RealESRGANProvider(TritonProvider):
    """Upscales pictures; options: `options.UpscaleOptions`."""

    action = ImageAction.UPSCALE

    async def _send(self, image: bytes, options: Mapping[str, Any]) -> Reply:
        full = self.config.options_for("upscale", options)
        return await self.triton.infer(protocol.UPSCALE, image, full)


class AuraSRProvider(TritonProvider):
    """Upscales pictures and invents fine detail; options: `options.UpscaleOptions`."""

    action = ImageAction.ENHANCE

    async def _send(self, image: bytes, options: Mapping[str, Any]) -> Reply:
        full = self.config.options_for("enhance", options)
        return await self.triton.infer(protocol.UPSCALE, image, full)


class RembgProvider(TritonProvider):
    """Cuts figures out of their background; options: `options.RembgOptions`."""

    action = ImageAction.REMBG

    async def _send(self, image: bytes, options: Mapping[str, Any]) -> Reply:
        full = self.config.options_for("rembg", options)
        model = full["model"]
        for _ in range(LOADS):
            try:
                return await self.triton.infer(protocol.ensemble(model), image, full)
            except ModelNotLoaded:
                # To Triton, a misspelt name and one not loaded are the same; this tells, or loads.
                await self.triton.load_on_demand(model, "segment")
        return await self.triton.infer(protocol.ensemble(model), image, full)
