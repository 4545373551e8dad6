"""uvicorn, with limits on connections: how many, how large a head may be, and how slow a caller."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sakuga_core.config.gateway import Gateway
from sakuga_gateway import problems
from sakuga_gateway.middleware import SECURITY, Outermost

HEAD_BYTES = 64 * 1024
CHUNK_BYTES = 16  # that each part of a body may have besides what is in it
KEEP_ALIVE_SECONDS = 75  # longer than proxies keep idle connections, mostly for 60
LINGER_SECONDS = 5  # for which the rest of a body that was refused is thrown away


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, which by itself waits for ever for the head of a request, for the rest of
    a body that nobody reads, and for a caller that takes nothing."""

    settings: Gateway
    _is_surplus = False  # whether there were as many connections as may be
    _is_head = False  # whether the head of a request is coming
    _left = HEAD_BYTES  # that a request may still have besides its body
    _timer: asyncio.TimerHandle | None = None  # for what has to come
    _stalled: asyncio.TimerHandle | None = None  # for what has to be taken

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._is_surplus = len(self.connections) > self.settings.connections
        self._wait(self.settings.read_timeout)

    def data_received(self, data: bytes) -> None:
        if self.cycle and self.cycle.response_complete and not self.cycle.more_body:
            self._wait(self.settings.read_timeout)
        self._left -= len(data)
        super().data_received(data)
        if self._left < 0:
            self._refuse(problems.too_large_head(HEAD_BYTES))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_head, self._left = True, HEAD_BYTES
        self._wait(self.settings.read_timeout)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_head:  # what follows a body in chunks is no part of the head that was checked
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_head = False
        self._end()
        self.app = self._app()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._left = min(HEAD_BYTES, self._left + len(body) + CHUNK_BYTES)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self.cycle.response_complete:
            self.cycle.more_body = False
            self._end()
            self._wait(KEEP_ALIVE_SECONDS)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect_taken()
        elif self.cycle.response_complete and self.cycle.more_body:
            self._wait(LINGER_SECONDS)

    def timeout_keep_alive_handler(self) -> None:
        self._expect_taken()
        super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_taken()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._taken()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self._refuse(problems.bad_request("the request isn't HTTP as it should be"))

    def _app(self) -> ASGIApp:
        """What answers a request."""
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
            return _refusing(problems.too_large_head(HEAD_BYTES))
        if self._is_surplus:
            return _refusing(problems.no_connection(self.settings.connections))
        app: ASGIApp = self.config.loaded_app
        return app

    def _refuse(self, refusal: problems.Refusal) -> None:
        """Ends the connection, with an answer if none is under way."""
        if self.transport.is_closing():
            return
        if not (self.cycle and self.cycle.response_started and not self.cycle.response_complete):
            self.transport.write(problems.on_the_wire(refusal, SECURITY))
        self.transport.close()
        self._expect_taken()

    def _wait(self, seconds: float) -> None:
        """Ends the connection, unless what has to come does in time."""
        if self._timer is None:
            self._timer = self.loop.call_later(seconds, self._late)

    def _end(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self._is_head:
            self._refuse(problems.timed_out("the head of the request comes too slowly"))
        self.transport.close()
        self._expect_taken()

    def _expect_taken(self) -> None:
        """Drops the connection, unless the caller takes what was sent in time."""
        if self._stalled is None and self.transport.get_write_buffer_size():
            self._stalled = self.loop.call_later(self.settings.write_timeout, self.transport.abort)

    def _taken(self) -> None:
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None


def _refusing(error: problems.Refusal) -> ASGIApp:
    return Outermost(problems.response(error, ""))


class Server(uvicorn.Server):
    """A server for an app.

    Args:
        settings: followed while it runs, but for address and port.
        on_start: called once it takes connections.
    """

    def __init__(self, app: ASGIApp, settings: Gateway, on_start: Callable[[], object]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                http=type("Protocol", (Protocol,), {"settings": settings}),
                ws="none",
                lifespan="off",
                log_config=None,  # its lines go where all go
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=settings.exit_timeout,
            )
        )
        self._on_start = on_start

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's; but a signal that has ended it isn't raised again, as the store of jobs is
        still to be closed."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, and says so."""
        await super().startup(sockets)
        if self.started:
            self._on_start()
