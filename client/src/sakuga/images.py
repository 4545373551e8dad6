"""One door for every action: `images` sends each picture to the provider of its action."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sakuga.artifacts import ArtifactFixProvider
from sakuga.config import Config, load_config
from sakuga.provider import (
    AuraSRProvider,
    RealESRGANProvider,
    RembgProvider,
    TritonProvider,
    as_action,
)
from sakuga.triton import Reply, Triton
from sakuga.wire import ImageAction


class Images:
    """Every action that the connected server offers. Made by `connect`."""

    def __init__(self, config: Config, triton: Triton) -> None:
        self.config = config
        self.triton = triton
        providers = (RealESRGANProvider, RembgProvider, ArtifactFixProvider, AuraSRProvider)
        self._providers: dict[ImageAction, TritonProvider] = {
            kind.action: kind(config, triton) for kind in providers
        }

    async def process(
        self,
        image: bytes,
        action: ImageAction | str,
        config: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Does `action` to one picture.

        Args:
            image: an encoded file: PNG, JPEG, WebP, BMP, TIFF or GIF (its first frame).
            action: an `ImageAction` or its string.
            config: the action's options, over those of config.yaml.

        Returns:
            An encoded file.

        Raises:
            SakugaError: of the class that fits; see `sakuga.errors`.
        """
        return (await self.run(image, action, config)).result

    async def run(
        self,
        image: bytes,
        action: ImageAction | str,
        config: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Like `process`, with the server's report beside the picture."""
        return await self._providers[as_action(action)].run(image, action, config)


@asynccontextmanager
async def connect(
    config: Config | str | Path | None = None, *, url: str | None = None
) -> AsyncIterator[Images]:
    """A connection to the server, open for the length of an `async with`.

    Args:
        config: a Config, or the path of a config.yaml; left out, as `load_config()` finds it.
        url: host:port of Triton's gRPC; goes before the one in `config`.

    Raises:
        ConfigError: the configuration can't be used. A missing server is noticed by the first call.
    """
    settings = config if isinstance(config, Config) else load_config(config)
    triton = Triton(url or settings.server.url, settings.server.timeout)
    try:
        yield Images(settings, triton)
    finally:
        await triton.close()
