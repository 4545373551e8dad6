"""The synchronous twin of `connect`, for scripts and notebooks: it waits for `Images`, whose event
loop runs in a thread."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self, TypeVar

from sakuga.calls import ActionCall, ActionMethods, WaitingCall
from sakuga.forks import Origin
from sakuga.images import Images, connect
from sakuga.inputs import ImageFile
from sakuga.reply import Reply
from sakuga.streaming import OnProgress
from sakuga_core.actions import ImageAction
from sakuga_core.config.schema import Config
from sakuga_core.errors import Cancelled
from sakuga_core.progress import Progress

T = TypeVar("T")


class Background:
    """A connection that is open in the event loop of a thread."""

    def __init__(self, connection: AbstractAsyncContextManager[Images]) -> None:
        self._opened: concurrent.futures.Future[Images] = concurrent.futures.Future()
        self._closed: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._origin = Origin()
        self._thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
        self._thread.start()
        self.images = self._opened.result()

    def _run(self, connection: AbstractAsyncContextManager[Images]) -> None:
        try:
            asyncio.run(self._open(connection))  # which cancels whatever is left at the end
            self._closed.set_result(None)
        except BaseException as error:  # is raised where somebody waits for it
            waiting = self._closed if self._opened.done() else self._opened
            waiting.set_exception(error)

    async def _open(self, connection: AbstractAsyncContextManager[Images]) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with connection as images:
            self._opened.set_result(images)
            await self._end.wait()

    def wait(
        self,
        function: Callable[..., Coroutine[Any, Any, T]],
        *args: Any,
        on_progress: OnProgress | None = None,
        **options: Any,
    ) -> T:
        """What a coroutine function gives in that event loop, called with what follows it.

        Args:
            on_progress: called in this thread.

        Raises:
            RuntimeError: the connection is closed, or another process's.
            Cancelled: it is closed meanwhile.
            BaseException: what the function, `on_progress` or a signal raises, which ends the work.
        """
        self._origin.check()
        if not self._thread.is_alive():
            raise RuntimeError("the connection is closed")
        steps: SimpleQueue[Progress | None] = SimpleQueue()
        work = function(*args, on_progress=steps.put if on_progress else None, **options)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        future.add_done_callback(lambda _: steps.put(None))
        try:
            while on_progress and (progress := steps.get()):
                on_progress(progress)
            return future.result()
        except concurrent.futures.CancelledError:
            raise Cancelled("the connection was closed") from None
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Closes the connection; work in flight is cancelled. Another process's stays open."""
        if not self._origin.is_here():
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._closed.result()


class SyncImages(ActionMethods[WaitingCall]):
    """`Images` whose methods wait; any thread may call them. Made by `connect_sync`.

    Args:
        background: the connection, in the event loop of a thread.
    """

    def __init__(self, background: Background) -> None:
        self._background = background
        self._images = background.images

    @property
    def config(self) -> Config:
        """The configuration in effect; see `Images.config`."""
        return self._images.config

    def process(
        self,
        image: ImageFile,
        action: ImageAction | str,
        config: Mapping[str, Any] | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> bytes:
        """As `Images.process`; `on_progress` is called in this thread.

        Raises:
            RuntimeError: the connection is closed, or another process's.
            Cancelled: it is closed meanwhile.
        """
        return self.run(image, action, config, on_progress=on_progress).result

    def run(
        self,
        image: ImageFile,
        action: ImageAction | str,
        config: Mapping[str, Any] | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> Reply:
        """As `Images.run`; `on_progress` is called in this thread.

        Raises:
            RuntimeError: the connection is closed, or another process's.
            Cancelled: it is closed meanwhile.
        """
        run = self._images.run
        return self._background.wait(run, image, action, config, on_progress=on_progress)

    def _call(self, action: ImageAction) -> WaitingCall:
        return WaitingCall(ActionCall(self._images.run, action), self._background.wait)

    def close(self) -> None:
        """Closes the connection, and ends the embedded server if one was started for it; calls in
        other threads end with `Cancelled`."""
        self._background.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def connect_sync(
    config: Config | str | Path | None = None, *, url: str | None = None, key: str | None = None
) -> SyncImages:
    """As `connect`, for programs without an event loop; also inside of one, as in notebooks.

    It is open until its `with` block ends or `close` is called.

    Args:
        config: a Config, or the path of a config.yaml; if unset, as `load_config()` finds it; or
            the address of a gateway, http://host:port, with the defaults of all settings.
        url: host:port of Triton's gRPC, or http://host:port of a gateway; replaces the one in
            `config`.
        key: of a gateway; if unset, that of the environment, SAKUGA_KEY. gRPC needs none.

    Raises:
        ConfigError: the configuration can't be used. A missing server is reported by the first
            call.
    """
    return SyncImages(Background(connect(config, url=url, key=key)))
