"""A synchronous twin of `connect`, for scripts and notebooks."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sakuga.images import Images, connect
from sakuga.reply import Reply
from sakuga_core.actions import ImageAction
from sakuga_core.config.schema import Config

T = TypeVar("T")


class BlockingImages:
    """`Images` whose methods wait; any thread may call them. Made by `connect_blocking`."""

    def __init__(self, images: Images, loop: asyncio.AbstractEventLoop) -> None:
        self._images, self._loop = images, loop

    @property
    def config(self) -> Config:
        """The configuration in effect; see `Images.config`."""
        return self._images.config

    def process(
        self, image: bytes, action: ImageAction | str, config: Mapping[str, Any] | None = None
    ) -> bytes:
        """As `Images.process`."""
        return self.run(image, action, config).result

    def run(
        self, image: bytes, action: ImageAction | str, config: Mapping[str, Any] | None = None
    ) -> Reply:
        """As `Images.run`."""
        return _waited(self._images.run(image, action, config), self._loop)


@contextmanager
def connect_blocking(
    config: Config | str | Path | None = None, *, url: str | None = None
) -> Iterator[BlockingImages]:
    """As `connect`, for programs without an event loop; also inside of one, as in notebooks."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sakuga", daemon=True)
    thread.start()
    try:
        connection = connect(config, url=url)
        images = _waited(connection.__aenter__(), loop)
        try:
            yield BlockingImages(images, loop)
        finally:
            _waited(connection.__aexit__(None, None, None), loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _waited(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """The result of a coroutine on that loop; interrupting the wait cancels it."""
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
