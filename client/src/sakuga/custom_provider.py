"""Custom providers, which config.yaml names by their import path."""

import importlib
import inspect
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sakuga.providers import ImageProvider, TritonProvider
from sakuga.reply import Reply
from sakuga.streaming import OnProgress
from sakuga.transport import Transport
from sakuga_core.actions import ImageAction
from sakuga_core.config.schema import Config
from sakuga_core.errors import ConfigError, ProviderError, SakugaError
from sakuga_core.paths import config_folder


class CustomProvider:
    """The provider that `providers.image.ACTION.provider` names now.

    Raises:
        ConfigError: there is no such module or name, it isn't an `ImageProvider`, or config.yaml
            isn't trusted to import code.
    """

    def __init__(self, config: Config, triton: Transport, action: ImageAction) -> None:
        self.config = config
        self.action = action
        self.path = config.block(action).provider
        field = f"providers.image.{action.value}.provider"
        _check_trusted(field, config, action)
        self.provider = _made(field, config, triton, self.path)
        self._takes_progress = _takes(self.provider.process, "on_progress")
        self._calls = 0
        self._closing = False

    async def run(
        self,
        image: bytes,
        action: ImageAction | str,
        config: Mapping[str, Any] | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> Reply:
        """One picture, with a report of what is known without a server.

        Args:
            on_progress: passed on, if the provider's `process` has an argument of that name.

        Raises:
            ProviderError: it failed, or returned something else than bytes.
        """
        options = {**self.config.block(self.action).options, **(config or {})}
        start = time.perf_counter()
        async with self._in_use():
            result = await self._result(image, options, on_progress)
        milliseconds = {"total": round((time.perf_counter() - start) * 1000, 2)}
        report = {"action": self.action.value, "model": self.path, "milliseconds": milliseconds}
        return Reply(result, {**report, "warnings": [], "notes": []})

    async def _result(
        self, image: bytes, options: Mapping[str, Any], on_progress: OnProgress | None
    ) -> bytes:
        progress = {"on_progress": on_progress} if on_progress and self._takes_progress else {}
        try:
            result = await self.provider.process(image, self.action, options, **progress)
        except SakugaError:
            raise
        except Exception as error:
            raise ProviderError(
                f"provider {self.path} failed: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(result, bytes):
            kind = type(result).__name__
            raise ProviderError(f"provider {self.path} returned {kind}; allowed: bytes")
        return result

    @asynccontextmanager
    async def _in_use(self) -> AsyncIterator[None]:
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            if self._closing and not self._calls:
                await self._close()

    async def close(self) -> None:
        """Closes it after its last call: immediately, if there is none."""
        self._closing = True
        if not self._calls:
            await self._close()

    async def _close(self) -> None:
        if callable(close := getattr(self.provider, "close", None)):
            done = close()
            if hasattr(done, "__await__"):
                await done


def _takes(function: Callable[..., object], name: str) -> bool:
    """Whether a function has an argument of that name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of what isn't written in Python
        return False
    return any(each.name == name or each.kind is each.VAR_KEYWORD for each in parameters)


def _check_trusted(field: str, config: Config, action: ImageAction) -> None:
    source = config.source
    if source is None or source.trusted or config.block(action).assigned("provider"):
        return
    raise ConfigError(
        f"{source.place(field)}: {field!r} imports Python code, which isn't allowed in a "
        "config.yaml that was only found in the current folder; name the file (--config, "
        f"SAKUGA_CONFIG, or load_config(path)), or move it to {config_folder()}"
    )


def _made(field: str, config: Config, triton: Transport, path: str) -> ImageProvider:
    found = _imported(field, config, path)
    provider = found
    if isinstance(found, type):
        provider = found(config, triton) if issubclass(found, TritonProvider) else found()
    if not isinstance(provider, ImageProvider):
        raise ConfigError(
            f"{_place(config, field)}{field} is {path!r}, which has no `process`; allowed: a class "
            "or an object with `async process(image, action, config) -> bytes`"
        )
    return provider


def _imported(field: str, config: Config, path: str) -> Any:
    module, _, name = path.partition(":")
    _search_beside(config)
    try:
        found: Any = importlib.import_module(module)
        for part in name.split(".") if name else ():
            found = getattr(found, part)
    except Exception as error:  # whatever the module does when it is imported
        why = f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"{_place(config, field)}{field} is {path!r}, which can't be imported ({why})"
        ) from error
    return found


def _place(config: Config, field: str) -> str:
    return f"{config.source.place(field)}: " if config.source else ""


def _search_beside(config: Config) -> None:
    """Modules beside config.yaml are found, after all others."""
    if config.source:
        folder = str(Path(config.source.file).resolve().parent)
        if folder not in sys.path:
            sys.path.append(folder)
