"""Providers of the user's own, which config.yaml names by their import path."""

import importlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sakuga.providers import ImageProvider, TritonProvider
from sakuga.triton import Reply, Triton
from sakuga_core.actions import ImageAction
from sakuga_core.config.schema import Config
from sakuga_core.errors import ConfigError, ProviderError, SakugaError


class CustomProvider:
    """The provider that `providers.image.ACTION.provider` names now.

    Raises:
        ConfigError: there is no such module or name, or it isn't an `ImageProvider`.
    """

    def __init__(self, config: Config, triton: Triton, action: ImageAction) -> None:
        self.config = config
        self.action = action
        self.path = self._block.provider
        self.provider = _made(f"providers.image.{action.value}.provider", config, triton, self.path)

    @property
    def _block(self) -> Any:
        return getattr(self.config.providers.image, self.action.value)

    async def run(
        self, image: bytes, action: ImageAction | str, config: Mapping[str, Any] | None = None
    ) -> Reply:
        """One picture, with a report of what can be said of a provider that isn't ours.

        Raises:
            ProviderError: it failed, or gave something else than bytes.
        """
        options, start = {**self._block.options, **(config or {})}, time.perf_counter()
        try:
            result = await self.provider.process(image, self.action, options)
        except SakugaError:
            raise
        except Exception as error:
            raise ProviderError(
                f"provider {self.path} failed: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(result, bytes):
            kind = type(result).__name__
            raise ProviderError(f"provider {self.path} gave {kind}; allowed: bytes")
        taken = {"total": round((time.perf_counter() - start) * 1000, 2)}
        told = {"action": self.action.value, "model": self.path, "milliseconds": taken}
        return Reply(result, {**told, "warnings": [], "notes": []})

    async def close(self) -> None:
        if callable(close := getattr(self.provider, "close", None)):
            done = close()
            if hasattr(done, "__await__"):
                await done


def _made(field: str, config: Config, triton: Triton, path: str) -> ImageProvider:
    found = _imported(field, config, path)
    provider = found
    if isinstance(found, type):
        ours = issubclass(found, TritonProvider)
        provider = found(config, triton) if ours else found()
    if not isinstance(provider, ImageProvider):
        raise ConfigError(
            f"{field} is {path!r}, which has no `process`; allowed: a class or an object with "
            "`async process(image, action, config) -> bytes`"
        )
    return provider


def _imported(field: str, config: Config, path: str) -> Any:
    module, _, name = path.partition(":")
    _search_beside(config)
    try:
        found: Any = importlib.import_module(module)
        for part in name.split(".") if name else ():
            found = getattr(found, part)
    except Exception as error:  # whatever their module does when it is imported
        why = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{field} is {path!r}, which can't be imported ({why})") from error
    return found


def _search_beside(config: Config) -> None:
    """Modules beside config.yaml are found, after all others."""
    if config.source:
        folder = str(Path(config.source.file).resolve().parent)
        if folder not in sys.path:
            sys.path.append(folder)
