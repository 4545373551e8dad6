"""The connection, on servers that accept it and never answer."""

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sakuga import DeadlineExceeded, ServerUnavailable
from sakuga.channel import CHANNEL_ARGS
from sakuga.local import split
from sakuga.triton import Triton
from sakuga_core.config.server import Server

PREFACE = b"PRI * HTTP/2.0"  # with which a client of HTTP/2 begins
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"  # an empty frame: enough for gRPC to send a call


class Silent:
    """A server that takes connections and calls, and answers none."""

    def __init__(self) -> None:
        self.url = ""
        self.opened, self.closed, self.called = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readexactly(len(PREFACE))) == PREFACE
        self.opened.set()
        writer.write(SETTINGS)
        seen = b""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                seen += data
                if b"ModelInfer" in seen or len(seen) > 1000:
                    self.called.set()
        self.closed.set()
        writer.close()


@asynccontextmanager
async def silent() -> AsyncIterator[Silent]:
    server = Silent()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()


async def test_the_deadline_is_the_total_of_all_attempts() -> None:
    async with silent() as server, Triton(Server(url=server.url, timeout=0.5, retries=5)) as triton:
        start = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"server\.timeout"):
            await triton.infer("upscale", b"picture", {})
        assert 0.5 <= time.monotonic() - start < 2  # six attempts would take three seconds


async def test_the_deadline_holds_where_nobody_listens() -> None:
    server = Server(url="127.0.0.1:9", timeout=0.2, retries=20)
    async with Triton(server) as triton:
        with pytest.raises((DeadlineExceeded, ServerUnavailable)):
            await triton.infer("upscale", b"picture", {})


async def test_a_server_that_vanished_is_noticed_long_before_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("keepalive_time_ms", "keepalive_timeout_ms", "http2.ping_timeout_ms")
    quick = {f"grpc.{name}": 100 for name in names}
    channel = [(name, quick.get(name, value)) for name, value in CHANNEL_ARGS]
    assert set(quick) <= {name for name, _ in CHANNEL_ARGS}
    monkeypatch.setattr("sakuga.triton.CHANNEL_ARGS", channel)
    settings = Server(timeout=3600, retries=0)
    async with silent() as server, Triton(settings, url=server.url) as triton:
        with pytest.raises(ServerUnavailable):  # it answers no ping either
            await triton.infer("upscale", bytes(2000), {})
        assert server.called.is_set()


async def test_a_call_is_cancelled_while_it_connects() -> None:
    async with silent() as server, Triton(Server(url=server.url)) as triton:
        call = asyncio.ensure_future(triton.infer("upscale", b"picture", {}))
        await server.opened.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_a_call_is_cancelled_while_it_waits_for_its_result() -> None:
    async with silent() as server, Triton(Server(url=server.url)) as triton:
        call = asyncio.ensure_future(triton.infer("upscale", bytes(2000), {}))
        await server.called.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_a_replaced_connection_is_closed_after_its_last_call() -> None:
    settings = Server(timeout=30, retries=0)
    async with silent() as first, silent() as second, Triton(settings) as triton:
        settings.url = first.url
        old = asyncio.ensure_future(triton.infer("upscale", bytes(2000), {}))
        await first.called.wait()
        settings.url = second.url
        new = asyncio.ensure_future(triton.infer("upscale", bytes(2000), {}))
        await second.called.wait()
        assert not first.closed.is_set()
        old.cancel()
        await asyncio.wait([old])
        del old  # whose traceback holds the call, and with it the connection
        gc.collect()
        await asyncio.wait_for(first.closed.wait(), 30)
        new.cancel()
        await asyncio.gather(new, return_exceptions=True)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("localhost:8001", ("localhost", 8001)),
        ("[::1]:8001", ("::1", 8001)),
        ("dns:///pictures:8001", ("dns:///pictures", 8001)),
        ("localhost", ("", 0)),
    ],
)
def test_addresses_of_both_kinds_are_read(url: str, parts: tuple[str, int]) -> None:
    assert split(url) == parts
