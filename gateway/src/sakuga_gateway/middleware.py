"""What holds for every request: security headers, CORS, and bounds on its body and its caller's
pace."""

import asyncio
import logging
import time
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sakuga_core.config import restart
from sakuga_core.config.gateway import Gateway
from sakuga_core.config.schema import Config
from sakuga_core.errors import TooLarge
from sakuga_core.live import follow_edits
from sakuga_core.logs import request_id
from sakuga_core.protocol import REQUEST_ID
from sakuga_gateway import problems

log = logging.getLogger("sakuga.gateway")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types lit-html sakuga"
)
SECURITY = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_ALLOWED = ("Authorization", "X-Api-Key", "Prefer", "Idempotency-Key", "Last-Event-ID", REQUEST_ID)
FORM_BYTES = 2**20  # of a request beside its picture
SLOWEST = 8 * 1024  # bytes a second that a body must come with, once `read_timeout` has passed
PIECE = 256 * 1024  # bytes of an answer that go out before the caller has taken those before


class Outermost:
    """Answers that go wrong become problems, and browsers are told what they may do with any."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_begun = False

        async def add(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                message["headers"] = _secured(message.get("headers", ()))
            await send(message)

        try:
            await self.app(scope, receive, add)
        except Exception as error:
            if not is_begun:
                await problems.response(error, scope["path"])(scope, receive, add)
            else:  # the connection is closed, so the caller sees that a part is missing
                log.warning("an answer was cut short: %s", error)


def _secured(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """An answer's headers with SECURITY; a policy of its own stays."""
    own = {name.lower() for name, _ in headers}
    return [*headers, *(row for row in SECURITY if row[0] not in own)]


class Identified:
    """Gives every request an id, the caller's where it sends one: logs have it, Triton gets it, and
    the answer names it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with request_id(Headers(scope=scope).get(REQUEST_ID, "")) as known:

            async def named(message: Message) -> None:
                if message["type"] == "http.response.start":
                    header = (REQUEST_ID.lower().encode(), known.encode())
                    message["headers"] = [*message.get("headers", ()), header]
                await send(message)

            await self.app(scope, receive, named)


class Heads:
    """Answers HEAD as GET, without the body, which isn't made any further."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "HEAD":
            await self.app(scope, receive, send)
            return

        async def head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})

        await self.app({**scope, "method": "GET"}, receive, head)


class Following:
    """Follows edits of config.yaml, before anything asks what is in it."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        self.app, self.config = app, config
        self.held = restart.Held(config, restart.GATEWAY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if follow_edits(self.config):
            for name in self.held.restore():
                log.warning("%s takes effect when the gateway is started again", name)
        await self.app(scope, receive, send)


class Cors:
    """Lets pages of the sites in `gateway.origins` read the answers."""

    def __init__(self, app: ASGIApp, config: Config, exposed: tuple[str, ...]) -> None:
        self.app, self.config, self.exposed = app, config, exposed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origins = self.config.gateway.origins
        app = self._opened(origins) if origins else self.app
        await app(scope, receive, send)

    def _opened(self, origins: list[str]) -> ASGIApp:
        return _Opened(
            self.app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST", "PUT", "DELETE"),
            allow_headers=_ALLOWED,
            expose_headers=self.exposed,
        )


class _Opened(CORSMiddleware):
    """Starlette's, whose refusals are problems."""

    def preflight_response(self, request_headers: Headers) -> Response:
        made = super().preflight_response(request_headers)
        if made.status_code < 400:
            return made
        answer = problems.response(problems.forbidden(bytes(made.body).decode()), "")
        answer.headers["Vary"] = made.headers["vary"]
        return answer


class Bounds:
    """Bodies that are too large or compressed are refused, the former before they are read where
    their length is told; callers who send too slowly are let go."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        self.app, self.config = app, config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self._most(scope["path"])
        try:
            _check_head(Headers(scope=scope), most)
        except (problems.Refusal, TooLarge) as error:
            await problems.response(error, scope["path"])(scope, receive, send)
            return
        await self.app(scope, _Body(receive, self.config.gateway, most), _in_pieces(send))

    def _most(self, path: str) -> int:
        """Bytes that a body may have. Base64, as some interfaces have it, takes a third more."""
        if path.startswith("/v1/jobs"):
            return self.config.gateway.body_bytes
        factor = 1 if path.startswith("/v1/") else 1.4
        return int(self.config.limits.input_bytes * factor) + FORM_BYTES


class _Body:
    """What a request's `receive` gives, within bounds."""

    def __init__(self, receive: Receive, settings: Gateway, most: int) -> None:
        self._receive, self._settings, self._most = receive, settings, most
        self._read, self._is_whole = 0, False
        self._start: float | None = None

    async def __call__(self) -> Message:
        """
        Raises:
            Refusal: the caller is too slow.
            TooLarge: it sends too much.
        """
        if self._is_whole:  # what is left is that the caller goes, which it does when it likes
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._seconds())
        except TimeoutError:
            raise problems.timed_out(
                f"the body comes too slowly; allowed: {self._settings.read_timeout:g} seconds for "
                f"each part, and {SLOWEST} bytes a second"
            ) from None
        self._read += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._read > self._most:
            raise TooLarge(_too_large(self._read, self._most))
        return message

    def _seconds(self) -> float:
        """That the next part may take."""
        patience, now = self._settings.read_timeout, time.monotonic()
        self._start = self._start or now
        return max(0.0, min(patience, self._start + patience + self._read / SLOWEST - now))


def _in_pieces(send: Send) -> Send:
    """A `send` for bodies of any size, which waits for the caller to take them."""

    async def sent(message: Message) -> None:
        body = memoryview(message.get("body", b""))
        if len(body) > PIECE:
            for start in range(0, len(body), PIECE):
                piece = body[start : start + PIECE]
                await send({"type": message["type"], "body": piece, "more_body": True})
            message = {**message, "body": b""}
        await send(message)

    return sent


def _check_head(headers: Headers, most: int) -> None:
    """
    Raises:
        TooLarge: the body's length, where it is told, is over `most`.
        Refusal: its length is no number, it is compressed, or the Host isn't clear.
    """
    if len(headers.getlist("host")) != 1:
        raise problems.bad_request("the request has no Host, or several; allowed: one")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and len(length) < 20):
        raise problems.bad_request(f"Content-Length is {length[:40]!r}; allowed: a whole number")
    if int(length) > most:
        raise TooLarge(_too_large(int(length), most))
    for name, allowed in (("Content-Encoding", "identity"), ("Transfer-Encoding", "chunked")):
        if (coding := ", ".join(headers.getlist(name)) or allowed).lower() != allowed:
            raise problems.unsupported(
                f"{name} is {coding[:40]!r}; allowed: {allowed}, as picture files are compressed"
            )


def _too_large(size: int, most: int) -> str:
    return f"the request's body has {size} bytes or more; allowed: {most}"
