"""Questions to the server, for the commands that ask them."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sakuga.local import AUTO, recorded_key, running
from sakuga.providers import transport
from sakuga.transport import Transport, is_http
from sakuga.triton import Triton
from sakuga_core import protocol
from sakuga_core.config.schema import Config

T = TypeVar("T")


def ask(config: Config, question: Callable[[Triton], Awaitable[T]]) -> T:
    """The answer of the Triton server that config.yaml names.

    Raises:
        SakugaError: of the class that fits; see `sakuga_core.errors`.
    """

    async def answer() -> T:
        async with Triton(config.server, _key(config.server.url)) as triton:
            return await question(triton)

    return asyncio.run(answer())


def ask_any(config: Config, question: Callable[[Transport], Awaitable[T]]) -> T:
    """As `ask`, also where config.yaml names a gateway."""
    if not is_http(config.server.url):
        return ask(config, question)

    async def answer() -> T:
        async with transport(config) as gateway:
            return await question(gateway)

    return asyncio.run(answer())


def _key(url: str) -> str | None:
    """The administration key: the environment's, else that of this user's own server."""
    if key := os.environ.get(protocol.ADMIN_KEY):
        return key
    if url == AUTO:
        found = running()
        return found.key if found else None
    return recorded_key(url)
