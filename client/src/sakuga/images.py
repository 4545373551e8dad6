"""One door for every action: `images` sends each picture to the provider of its action."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sakuga.artifacts import ArtifactFixProvider
from sakuga.custom_provider import CustomProvider
from sakuga.providers import (
    AuraSRProvider,
    RealESRGANProvider,
    RembgProvider,
    TritonProvider,
    as_action,
)
from sakuga.triton import Reply, Triton
from sakuga_core.actions import ImageAction
from sakuga_core.config.file import load_config, refresh
from sakuga_core.config.schema import Config


class Images:
    """Every action that the connected server offers, and those of providers of one's own. Made by
    `connect`.

    An assignment to `config`, or a change of its file, takes effect with the next call.
    """

    def __init__(self, config: Config, triton: Triton) -> None:
        self.config = config
        self.triton = triton
        self._plugged: dict[ImageAction, CustomProvider] = {}
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
        action = as_action(action)
        refresh(self.config)
        provider = await self._own(action) or self._providers[action]
        return await provider.run(image, action, config)

    async def _own(self, action: ImageAction) -> CustomProvider | None:
        """The provider of the user's own for an action, if config.yaml names one."""
        block = getattr(self.config.providers.image, action.value)
        plugged = self._plugged.get(action)
        if plugged and plugged.path != block.provider:
            await self._plugged.pop(action).close()
            plugged = None
        if plugged is None and block.provider:
            plugged = self._plugged[action] = CustomProvider(self.config, self.triton, action)
        return plugged

    async def close(self) -> None:
        for plugged in self._plugged.values():
            await plugged.close()
        await self.triton.close()


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
    triton = Triton(settings.server, url=url)
    images = Images(settings, triton)
    try:
        yield images
    finally:
        await images.close()
