"""Providers: whoever turns one picture into another. The Protocol, and Triton's."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from sakuga import wire
from sakuga.config import Config, UpscaleBlock, load_config
from sakuga.errors import BadOption
from sakuga.triton import Reply, Triton
from sakuga.wire import ImageAction


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


class RealESRGANProvider:
    """Enlarges pictures with the super-resolution networks of a Triton server.

    Args:
        config: left out, as `load_config()` finds it.
        triton: a connection to share; left out, one of its own to `config.server.url`.
    """

    def __init__(self, config: Config | None = None, triton: Triton | None = None) -> None:
        self.config = config or load_config()
        self.triton = triton or Triton(self.config.server.url, self.config.server.timeout)
        self._owns_triton = triton is None

    async def process(
        self,
        image: bytes,
        action: ImageAction | str = ImageAction.UPSCALE,
        config: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Enlarges one picture.

        Args:
            image: an encoded file: PNG, JPEG, WebP, BMP, TIFF or GIF (its first frame).
            action: `upscale`.
            config: options of `wire.UpscaleOptions`, over those of config.yaml.

        Returns:
            An encoded file, PNG unless `format` says otherwise.

        Raises:
            SakugaError: of the class that fits; see `sakuga.errors`.
        """
        return (await self.run(image, action, config)).result

    async def run(
        self,
        image: bytes,
        action: ImageAction | str = ImageAction.UPSCALE,
        config: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Like `process`, with the server's report beside the picture."""
        options = self.config.upscale_options(self._block(action), config or {})
        return await self.triton.infer(wire.UPSCALE, image, options)

    def _block(self, action: ImageAction | str) -> UpscaleBlock:
        if as_action(action) is not ImageAction.UPSCALE:
            raise BadOption(f"action is {action!r}; {type(self).__name__} allows: upscale")
        return self.config.providers.image.upscale

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
