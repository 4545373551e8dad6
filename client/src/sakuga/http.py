"""HTTP: the only importer of httpx in the client."""

import asyncio
import random
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from sakuga import answers, tracing
from sakuga.channel import Connection
from sakuga.retry import Deadline
from sakuga.transport import is_http
from sakuga_core import errors
from sakuga_core.config.server import TLS, Server
from sakuga_core.logs import current_id
from sakuga_core.protocol import REQUEST_ID

T = TypeVar("T")

CONNECT_SECONDS = 10
PROBLEM_BYTES = 64 * 1024  # that are read of an answer that isn't a success
NO_HTTP = "illegal "  # request line, status line: what h11 says of an answer that isn't HTTP
IDLE_CONNECTIONS = 8  # that are kept, for seconds


class Throttled(Exception):
    """The caller is over its limits, and was told when to come back."""

    def __init__(self, seconds: int, error: errors.SakugaError) -> None:
        super().__init__(str(error))
        self.seconds, self.error = seconds, error


async def unhurried(call: Callable[[Deadline], Awaitable[T]], deadline: Deadline) -> T:
    """What a call gives, made again whenever the gateway says to come back later.

    Raises:
        Overloaded: that would be after the deadline.
    """
    while True:
        try:
            return await call(deadline)
        except Throttled as throttled:
            pause = throttled.seconds + random.uniform(0, 1)  # not all calls at once
            if pause >= deadline.left:
                raise throttled.error from None
        await asyncio.sleep(pause)


@dataclass(frozen=True)
class Answer:
    """An answer whose body is still to be read."""

    response: httpx.Response
    url: str

    @property
    def content_type(self) -> str:
        return str(self.response.headers.get("content-type", ""))

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Its body, as it comes.

        Raises:
            ServerUnavailable: the connection broke.
        """
        with _translated(self.url):
            async for chunk in self.response.aiter_bytes():
                yield chunk

    async def lines(self) -> AsyncGenerator[str, None]:
        """Its lines, as they come.

        Raises:
            ServerUnavailable: the connection broke.
        """
        with _translated(self.url):
            async for line in self.response.aiter_lines():
                yield line

    async def whole(self, most: float = float("inf")) -> bytes:
        """Its body, as far as it has `most` bytes."""
        file = BytesIO()
        async with aclosing(self.chunks()) as chunks:
            async for chunk in chunks:
                file.write(chunk)
                if file.tell() > most:
                    break
        return file.getvalue()


class _Client(httpx.AsyncClient):
    async def close(self) -> None:
        await self.aclose()


class Http:
    """Requests to a gateway, from one event loop.

    Args:
        server: how it is reached. A change takes effect with the next request.
        key: of this caller; empty: none.
        url: replaces the one in `server`.

    Raises:
        ConfigError: the address or the key can't be used.
    """

    def __init__(self, server: Server, key: str, url: str | None = None) -> None:
        self._server, self._url = server, url
        self._headers = _headers(key)
        self._current: tuple[tuple[object, ...], Connection[_Client]] | None = None
        _check(self._address)

    @property
    def _address(self) -> str:
        return self._url or self._server.url

    @property
    def url(self) -> str:
        """The address as configured, without a user's name and password."""
        parts = urlsplit(self._address)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @asynccontextmanager
    async def answered(
        self, method: str, path: str, silence: float | None = None, **request: Any
    ) -> AsyncIterator[Answer]:
        """An answer that is a success.

        Args:
            method: HTTP's.
            path: below the address.
            silence: seconds after which a silent connection counts as broken; None: never.
            request: see `httpx.AsyncClient.build_request`.

        Raises:
            SakugaError: it isn't a success, or there is none.
            Throttled: the caller is over its limits for the moment.
        """
        connection = await self._connection()
        known = {REQUEST_ID: current_id()} if current_id() else {}
        request["headers"] = {**tracing.headers(), **known, **request.get("headers", {})}
        request["timeout"] = httpx.Timeout(None, connect=CONNECT_SECONDS, read=silence)
        async with connection.used() as client:
            with _translated(self.url):
                response = await client.send(
                    client.build_request(method, path, **request), stream=True
                )
            try:
                answer = Answer(response, self.url)
                if not response.is_success:
                    raise _refusal(response, await answer.whole(PROBLEM_BYTES), self.url)
                yield answer
            finally:
                await response.aclose()

    async def _connection(self) -> "Connection[_Client]":
        # Made at first use: it belongs to the event loop it was made in.
        tls = self._server.tls
        key = (self._address, tls.ca, tls.certificate, tls.key)
        if self._current and self._current[0] == key:
            return self._current[1]
        _check(self._address)
        client = _Client(
            base_url=self._address,
            headers=self._headers,
            verify=_trusted(tls),
            limits=httpx.Limits(max_keepalive_connections=IDLE_CONNECTIONS),
        )
        before, self._current = self._current, (key, connection := Connection(client))
        if before:
            await before[1].replace()
        return connection

    async def close(self) -> None:
        """Closes all connections."""
        current, self._current = self._current, None
        if current:
            await current[1].client.close()


def _headers(key: str) -> dict[str, str]:
    """
    Raises:
        ConfigError: the key can't be sent; the message doesn't reveal it.
    """
    if not (key.isascii() and key.isprintable()):
        raise errors.ConfigError(
            "the key of the gateway has letters that HTTP can't send; allowed: printable ASCII"
        )
    # Not as Authorization, which belongs to the user of an address with a password.
    return {"User-Agent": "sakuga", **({"X-Api-Key": key} if key else {})}


def _check(url: str) -> None:
    """
    Raises:
        ConfigError: it is no address of a gateway.
    """
    try:
        parts = urlsplit(url)
        good = is_http(url) and parts.hostname and not (parts.query or parts.fragment)
        _ = parts.port, httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        good = False
    if not good:
        shown = url.rpartition("@")[2]
        raise errors.ConfigError(
            f"server.url is {shown!r}; allowed for a gateway: http://host:port, https://host:port"
        )


def _trusted(tls: TLS) -> ssl.SSLContext | bool:
    """Whose certificates are accepted; True: those that httpx comes with.

    Raises:
        ConfigError: a file can't be used.
    """
    if tls.ca is None:
        return True
    try:
        context = ssl.create_default_context(cafile=None if tls.of_system else tls.ca)
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:  # also of ssl
        raise errors.ConfigError(
            f"server.tls: 'ca', 'certificate' or 'key' can't be used ({error})"
        ) from error
    return context


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """
    Raises:
        ServerUnavailable: a request of the block failed before it was answered, or while it was.
    """
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise errors.ServerUnavailable(
            f"no gateway answers at {url} ({_reason(error)}); start one with `sakuga web`, or set "
            "server.url to auto"
        ) from error
    except (httpx.TransportError, httpx.DecodingError) as error:
        what = f"the connection to {url} broke ({_reason(error)})"
        if isinstance(error, httpx.RemoteProtocolError) and NO_HTTP in str(error):
            what = f"{url} doesn't speak HTTP; for Triton's gRPC, server.url is host:port"
        raise errors.ServerUnavailable(what) from error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _refusal(response: httpx.Response, body: bytes, url: str) -> Exception:
    error = answers.error_of(response.status_code, body, url)
    seconds = response.headers.get("retry-after", "")
    if response.status_code == 429 and seconds.isascii() and seconds.isdigit():
        return Throttled(int(seconds), error)
    return error
