"""Errors as callers see them: problem details (RFC 9457), with the names of Python's classes."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from sakuga_core.errors import (
    BadInput,
    Cancelled,
    ConfigError,
    Overloaded,
    PermissionDenied,
    QueueTimeout,
    SakugaError,
    ServerError,
    ServerUnavailable,
    by_name,
)

log = logging.getLogger("sakuga.gateway")

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5  # after which a caller may try again, where nothing tells better
METHODS = ("GET", "POST", "PUT", "DELETE")  # of all routes
DETAIL = 4000  # letters of an error; callers have values and names of any length
GONE = 499  # as nginx has it: nobody takes the answer

# What isn't told to callers: it may name files of this machine.
_INTERNAL = "the request failed; the gateway's log has the reason"
_CONFIG = "the gateway's configuration can't be used as it is; its log has the reason"


class Refusal(Exception):
    """An error with a status of HTTP's that isn't the one of its class."""

    def __init__(
        self, status: int, error: SakugaError, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(str(error))
        self.status, self.error, self.headers = status, error, dict(headers or {})


def bad_request(message: str) -> Refusal:
    """The request itself isn't HTTP as it should be."""
    return Refusal(400, BadInput(message))


def not_found(message: str) -> Refusal:
    return Refusal(404, BadInput(message))


def conflict(message: str, headers: Mapping[str, str] | None = None) -> Refusal:
    return Refusal(409, BadInput(message), headers)


def unsupported(message: str) -> Refusal:
    """The body is of a type that isn't taken."""
    return Refusal(415, BadInput(message), {"Accept-Post": "image/*, multipart/form-data"})


def timed_out(message: str) -> Refusal:
    """The caller was too slow."""
    return Refusal(408, BadInput(message), {"Connection": "close"})


def gone() -> Refusal:
    """The caller has gone."""
    return Refusal(GONE, Cancelled("the caller has gone"))


def too_large_head(most: int) -> Refusal:
    """The request has too many bytes before its body."""
    return Refusal(431, BadInput(f"the head of the request is too large; allowed: {most} bytes"))


def no_connection(most: int) -> Refusal:
    """All connections that may be open are."""
    headers = {"Retry-After": str(RETRY_SECONDS), "Connection": "close"}
    return Refusal(503, Overloaded(f"{most} connections are open"), headers)


def unauthorized() -> Refusal:
    message = "a key is needed; allowed: `Authorization: Bearer KEY` or `X-Api-Key: KEY`"
    return Refusal(401, PermissionDenied(message), {"WWW-Authenticate": "Bearer"})


def forbidden(message: str) -> Refusal:
    return Refusal(403, PermissionDenied(message))


def too_many(message: str, seconds: float) -> Refusal:
    """The caller is over its limits."""
    return Refusal(429, Overloaded(message), {"Retry-After": str(max(1, round(seconds)))})


def as_refusal(error: Exception) -> Refusal:
    """Any error as callers may see it."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        return Refusal(error.status_code, BadInput(str(error.detail)), error.headers)
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, ClientDisconnect):
        return gone()
    if isinstance(error, ConfigError):
        log.error("%s", error)
        return Refusal(500, ServerError(_CONFIG))
    if isinstance(error, SakugaError):
        is_passing = isinstance(error, ServerUnavailable | QueueTimeout)
        headers = {"Retry-After": str(RETRY_SECONDS)} if is_passing else None
        return Refusal(error.http_status, error, headers)
    log.error("a request failed", exc_info=error)
    return Refusal(500, ServerError(_INTERNAL))


def _invalid(error: RequestValidationError) -> Refusal:
    """A part of the path, or a header, isn't as it should be."""
    first = error.errors()[0]
    message = f"{first['loc'][-1]!r} is {str(first['input'])[:80]!r}: {first['msg']}"
    return not_found(message) if first["loc"][0] == "path" else bad_request(message)


def details(refusal: Refusal) -> dict[str, object]:
    """The members of a problem; `error` is the name of the class in Python."""
    name = type(refusal.error).__name__
    return {
        "type": f"urn:sakuga:error:{name}",
        "title": name,
        "status": refusal.status,
        "detail": plain(str(refusal.error)),
        "error": name,
    }


def plain(text: str) -> str:
    """A text that holds what callers sent as any answer can have it."""
    text = text if len(text) <= DETAIL else f"{text[:DETAIL]}…"
    return text.encode("utf-8", "backslashreplace").decode()


# Interfaces whose errors have a form of their own, by how their paths begin.
FORMS: dict[str, Callable[[Refusal], JSONResponse]] = {}


def response(error: Exception, path: str) -> JSONResponse:
    """The answer to a request that failed."""
    refusal = as_refusal(error)
    for start, form in FORMS.items():
        if path.startswith(start):
            return form(refusal)
    return JSONResponse(
        details(refusal), refusal.status, headers=refusal.headers, media_type=MEDIA_TYPE
    )


def on_the_wire(refusal: Refusal, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The whole answer to what isn't HTTP enough to reach the app; the connection ends with it."""
    body = json.dumps(details(refusal)).encode()
    about = (b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))
    lines = [b"%b: %b" % each for each in (*about, *headers, (b"connection", b"close"))]
    status = f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}".encode()
    return b"\r\n".join([status, *lines, b"", body])


def install(app: FastAPI) -> None:
    """Has an app answer every error with a problem; those that nobody expects are left to the
    outermost middleware."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, HTTPException) and error.status_code == 405:
            error.headers = {"Allow": _methods(request)}
        return response(error, request.url.path)

    for kind in (Refusal, SakugaError, HTTPException, RequestValidationError, ClientDisconnect):
        app.add_exception_handler(kind, handle)


def _methods(request: Request) -> str:
    """Those that a path takes, of all its routes; Starlette has those of the first."""
    taken = [
        method
        for method in METHODS
        for route in request.app.routes
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    ]
    return ", ".join([*taken, *(["HEAD"] if "GET" in taken else [])])


def repeated(problem: Mapping[str, object]) -> Refusal:
    """A problem that was kept, as it was told before."""
    kind = by_name(problem["error"]) or ServerError
    status = problem["status"]
    assert isinstance(status, int)
    return Refusal(status, kind(str(problem["detail"])))
