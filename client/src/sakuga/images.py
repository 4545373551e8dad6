"""One entry point for every action: `Images` sends each picture to the provider of its action."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sakuga.artifacts import ArtifactFixProvider
from sakuga.calls import ActionCall, ActionMethods
from sakuga.custom_provider import CustomProvider
from sakuga.inputs import ImageFile, file_bytes, named
from sakuga.local import LocalServer
from sakuga.providers import TritonProvider, transport
from sakuga.reply import Reply
from sakuga.streaming import OnProgress
from sakuga.transport import Transport, is_http
from sakuga_core import actions
from sakuga_core.actions import ACTIONS, ImageAction
from sakuga_core.config.file import load_config
from sakuga_core.config.schema import Config
from sakuga_core.live import follow_edits

# Actions whose provider does more than send a picture.
PROVIDERS: Mapping[ImageAction, type[TritonProvider]] = {
    provider.action: provider for provider in (ArtifactFixProvider,)
}


class Images(ActionMethods[ActionCall]):
    """Every action of the connected server, and those of custom providers. Made by `connect`.

    An assignment to `config`, or a change of its file, takes effect with the next call.

    Args:
        config: the settings in effect.
        triton: the connection, which is closed with this.
    """

    def __init__(self, config: Config, triton: Transport) -> None:
        self.config = config
        self.triton = triton
        self._custom: dict[ImageAction, CustomProvider] = {}
        self._providers = {
            action: PROVIDERS.get(action, TritonProvider)(config, triton, action=action)
            for action in ACTIONS
        }

    async def process(
        self,
        image: ImageFile,
        action: ImageAction | str,
        config: Mapping[str, Any] | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> bytes:
        """Applies `action` to one picture.

        Args:
            image: an encoded file, as bytes or the path of one.
            action: an `ImageAction` or its string.
            config: the action's options, over those of config.yaml.
            on_progress: called in this event loop with the `Progress` of the request: tiles, or
                frames of an animated picture. After a retry they begin again. Servers and custom
                providers that tell none never call it, and neither does `rembg` for a single
                picture, which has no parts.

        Returns:
            An encoded file, PNG unless `format` says otherwise; for `raw` see `Reply.pixels`.

        Raises:
            TypeError: `image` is neither bytes nor a path.
            SakugaError: of the class that fits; see `sakuga_core.errors`.
            Exception: whatever `on_progress` raises, which ends the work.
        """
        return (await self.run(image, action, config, on_progress=on_progress)).result

    async def run(
        self,
        image: ImageFile,
        action: ImageAction | str,
        config: Mapping[str, Any] | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> Reply:
        """Like `process`, with the server's report beside the picture.

        Returns:
            The picture, and what was done: see `Reply`.

        Raises:
            TypeError: `image` is neither bytes nor a path.
            SakugaError: of the class that fits; see `sakuga_core.errors`.
        """
        action = actions.find(action).name
        data = await asyncio.to_thread(file_bytes, image)
        follow_edits(self.config)
        provider = await self._custom_provider(action) or self._providers[action]
        with named(image):
            return await provider.run(data, action, config, on_progress=on_progress)

    def _call(self, action: ImageAction) -> ActionCall:
        return ActionCall(self.run, action)

    async def _custom_provider(self, action: ImageAction) -> CustomProvider | None:
        """The custom provider of an action, if config.yaml names one; a replaced one is closed
        after its last call."""
        path = self.config.block(action).provider
        current = self._custom.get(action)
        if current and current.path == path:
            return current
        made = CustomProvider(self.config, self.triton, action) if path else None
        if current:
            del self._custom[action]
        if made:
            self._custom[action] = made
        if current:
            await current.close()
        return made

    async def close(self) -> None:
        """Closes the custom providers and the connection."""
        try:
            while self._custom:
                await self._custom.popitem()[1].close()
        finally:
            await self.triton.close()


@asynccontextmanager
async def connect(
    config: Config | str | Path | None = None,
    *,
    url: str | None = None,
    key: str | None = None,
    local: LocalServer | None = None,
) -> AsyncIterator[Images]:
    """A connection to the server, open for the length of an `async with`.

    Where `server.url` is `auto`, that is the server which answers on this machine, else the
    embedded one, started for so long. Where it begins with http, that is a gateway (`sakuga web`),
    whose own config.yaml holds for what neither this configuration nor a call sets.

    Args:
        config: a Config, or the path of a config.yaml; if unset, as `load_config()` finds it; or
            the address of a gateway, http://host:port, with the defaults of all settings.
        url: host:port of Triton's gRPC, or http://host:port of a gateway; replaces the one in
            `config`.
        key: of a gateway; if unset, that of the environment, SAKUGA_KEY. gRPC needs none.
        local: a server for `auto` that was prepared before; if unset, as `config` says.

    Raises:
        ConfigError: the configuration can't be used. A missing server is reported by the first
            call.
    """
    settings, url = _settings(config, url)
    images = Images(settings, transport(settings, url, key, local))
    try:
        yield images
    finally:
        await images.close()


def _settings(config: Config | str | Path | None, url: str | None) -> tuple[Config, str | None]:
    """The configuration of a connection, and the address that replaces the one in it."""
    if isinstance(config, Config):
        return config, url
    if isinstance(config, str) and is_http(config):
        return Config(), url or config
    return load_config(config), url
