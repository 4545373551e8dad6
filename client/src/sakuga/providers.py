"""Providers: whatever turns one picture into another. The protocol, and those that Triton
serves."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from sakuga.inputs import ImageFile, file_bytes, named
from sakuga.local import LocalServer
from sakuga.reply import Reply
from sakuga.retry import Deadline
from sakuga.streaming import OnProgress
from sakuga.transport import Transport, is_http
from sakuga.triton import Triton
from sakuga_core import actions
from sakuga_core.actions import ImageAction
from sakuga_core.config.file import load_config
from sakuga_core.config.schema import Config
from sakuga_core.errors import BadOption, DeadlineExceeded, ModelNotInstalled, ModelNotLoaded
from sakuga_core.live import follow_edits

# Seconds: how long after a change of config.yaml a client waits for the server to load the model
# that it names now, and how often it tries.
SWAP_SECONDS = 30
POLL_SECONDS = 0.2


def transport(
    config: Config,
    url: str | None = None,
    key: str | None = None,
    local: LocalServer | None = None,
) -> Transport:
    """The transport to the server of a configuration: HTTP where its address begins so, else gRPC.

    Args:
        url: replaces the one in `config`.
        key: of a gateway; if unset, SAKUGA_KEY of the environment. Over gRPC there is none.
        local: the server for `auto`; if unset, as `config` says.

    Raises:
        ConfigError: a gateway's address or key can't be used.
    """
    if is_http(url or config.server.url):
        from sakuga.gateway import Gateway  # imports httpx, which gRPC doesn't need

        return Gateway(config.server, key, url)
    return Triton(config.server, url=url, local=local or LocalServer(config))


@runtime_checkable
class ImageProvider(Protocol):
    """What an application needs of a provider, ours or a custom one."""

    async def process(
        self,
        image: bytes,
        action: ImageAction | str,
        config: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Applies an action to one picture.

        Args:
            image: an encoded file.
            action: an `ImageAction` or its string.
            config: the action's options.

        Returns:
            An encoded file.
        """
        ...


class TritonProvider:
    """An action on a Triton server, with the options of config.yaml at the time of each call.

    Args:
        config: if unset, as `load_config()` finds it.
        triton: a connection to share; if unset, its own, to `config.server.url`.
        action: what it does; subclasses set theirs.
    """

    action: ClassVar[ImageAction]

    def __init__(
        self,
        config: Config | None = None,
        triton: Transport | None = None,
        *,
        action: ImageAction | None = None,
    ) -> None:
        self.config = config or load_config()
        self.triton = triton or transport(self.config)
        self.row = actions.find(action or self.action)
        self._owns_triton = triton is None

    async def process(
        self,
        image: ImageFile,
        action: ImageAction | str | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> bytes:
        """Applies the provider's action to one picture.

        Args:
            image: an encoded file, as bytes or the path of one.
            action: the provider's; may be omitted.
            config: the action's options, over those of config.yaml.
            on_progress: as for `Images.process`.

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
        action: ImageAction | str | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> Reply:
        """Like `process`, with the server's report beside the picture.

        Raises:
            TypeError: `image` is neither bytes nor a path.
            BadOption: `action` isn't the provider's.
            SakugaError: of the class that fits; see `sakuga_core.errors`.
        """
        if action is not None and actions.find(action) is not self.row:
            name = type(self).__name__
            raise BadOption(f"action is {str(action)!r}; allowed for {name}: {self.row.name.value}")
        data = await asyncio.to_thread(file_bytes, image)
        follow_edits(self.config)
        options = await self._request(data, config or {})
        deadline = Deadline(self.config.server.timeout)
        with named(image):
            return await self._once_swapped(_Request(data, options, deadline, on_progress))

    async def _request(self, image: bytes, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options to send, before those of config.yaml are added."""
        return options

    async def _once_swapped(self, request: "_Request") -> Reply:
        """Sends a picture; where config.yaml has just named another model, waits until the server
        has loaded it."""
        source = None if request.options.get("model") else self.config.source
        while True:
            try:
                return await self._send(request)
            except ModelNotLoaded as error:
                missing = isinstance(error, ModelNotInstalled)
                if missing or source is None or abs(source.age) > SWAP_SECONDS:
                    raise
                if request.deadline.left < POLL_SECONDS:
                    raise DeadlineExceeded(f"no result within server.timeout: {error}") from error
            await asyncio.sleep(POLL_SECONDS)

    async def _send(self, request: "_Request") -> Reply:
        """One picture to the server, with the options of config.yaml as it is now."""
        options = self.triton.options_for(self.config, self.row, request.options)
        return await self.triton.run(
            self.row, request.image, options, request.deadline, request.on_progress
        )

    async def close(self) -> None:
        """Closes the connection, if it is the provider's own."""
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


@dataclass(frozen=True)
class _Request:
    """A picture to send."""

    image: bytes
    options: Mapping[str, Any]
    """Before those of config.yaml are added."""
    deadline: Deadline
    on_progress: OnProgress | None


class RealESRGANProvider(TritonProvider):
    """Upscales pictures; options: `UpscaleOptions`."""

    action = ImageAction.UPSCALE


class AuraSRProvider(TritonProvider):
    """Upscales pictures and generates fine detail; options: `UpscaleOptions`."""

    action = ImageAction.ENHANCE


class RembgProvider(TritonProvider):
    """Removes the background of pictures; options: `RembgOptions`."""

    action = ImageAction.REMBG
