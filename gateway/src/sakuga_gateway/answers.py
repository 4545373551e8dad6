"""Finished pictures as answers: the file itself, JSON, or several parts."""

import base64
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import Headers

from sakuga import Reply
from sakuga_core.formats import BY_NAME, HEAD, recognised
from sakuga_gateway.requests import wants

REPORT = "Sakuga-Report"
REPORT_BYTES = 8 * 1024  # that a header may have; proxies take no more
CHUNK = 256 * 1024  # bytes that go to a caller at a time
RAW = "application/octet-stream"
_END = b'"}}'  # of JSON whose last member is the picture
_MULTIPART = ("multipart/form-data", "multipart/mixed")


@dataclass(frozen=True)
class Answer:
    """A result as a file: its bytes, and how it is called."""

    data: bytes
    name: str
    media_type: str
    report: dict[str, Any]


def answer_of(reply: Reply, name: str) -> Answer:
    """A result as a file.

    Args:
        reply: of the server.
        name: of the file that was sent.
    """
    suffix, media_type = _kind(reply)
    return Answer(reply.result, stem(name) + suffix, media_type, reply.report)


def _kind(reply: Reply) -> tuple[str, str]:
    if "shape" in reply.report.get("output", {}):
        return ".raw", RAW
    named = reply.report.get("output", {}).get("format")
    found = recognised(reply.result[:HEAD]) or BY_NAME.get(named)  # TGA has no mark
    return (found.suffixes[0], found.media_type) if found else (".bin", RAW)


def stem(name: str) -> str:
    """The name of a caller's file without folders, suffix, and what terminals or headers would
    obey."""
    last = PureWindowsPath(PurePosixPath(name).name).stem
    plain = "".join(c for c in last if c.isprintable() and c not in '"\\/')
    return plain[:120].strip(". ") or "picture"


def response(answer: Answer, headers: Headers) -> Response:
    """The answer as its caller wants it: the file, or by `Accept` as JSON or as parts."""
    if wants(headers, "application/json"):
        return _as_json(answer)
    if wants(headers, *_MULTIPART):
        return _as_parts(answer)
    return file_response(answer)


def file_response(answer: Answer) -> Response:
    """The file itself, with its report in a header where that has room."""
    headers = report_header(answer.report)
    return stream(_chunks(answer.data), len(answer.data), answer.name, answer.media_type, headers)


def report_header(report: Any) -> dict[str, str]:
    """A report as a header, where that has room for it."""
    text = json.dumps(report).replace("\x7f", "\\u007f")  # the one such character that JSON leaves
    return {REPORT: text} if len(text) <= REPORT_BYTES else {}


def stream(
    chunks: AsyncIterator[bytes | memoryview] | Iterator[bytes],
    size: int | None,
    name: str,
    media_type: str,
    headers: dict[str, str] | None = None,
) -> StreamingResponse:
    """A file in parts.

    Args:
        size: in bytes, if it is known.
        name: under which browsers save it.
    """
    sized = {} if size is None else {"Content-Length": str(size)}
    return StreamingResponse(
        chunks,
        media_type=media_type,
        headers={"Content-Disposition": disposition(name), **sized, **(headers or {})},
    )


def disposition(name: str) -> str:
    """The header Content-Disposition (RFC 6266), also for those who read ASCII alone, as curl."""
    plain = "".join(c if c.isascii() and c not in '%"\\' else "_" for c in name)
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def _chunks(data: bytes) -> AsyncIterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(data), CHUNK):
        yield view[start : start + CHUNK]


def _as_json(answer: Answer) -> Response:
    image = {"name": answer.name, "media_type": answer.media_type, "base64": ""}
    text = json.dumps({"report": answer.report, "image": image}).encode()
    start, end = text[: -len(_END)], text[-len(_END) :]

    async def parts() -> AsyncIterator[bytes]:
        yield start
        for place in range(0, len(answer.data), 3 * CHUNK):
            yield base64.b64encode(answer.data[place : place + 3 * CHUNK])
        yield end

    size = len(text) + (len(answer.data) + 2) // 3 * 4
    headers = {"Content-Length": str(size)}
    return StreamingResponse(parts(), media_type="application/json", headers=headers)


def _as_parts(answer: Answer) -> Response:
    boundary = secrets.token_hex(16)
    name = disposition(answer.name).partition("; ")[2]
    image = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; {name}\r\n'
        f"Content-Type: {answer.media_type}\r\n\r\n"
    )
    report = (
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="report"\r\n'
        f"Content-Type: application/json\r\n\r\n{json.dumps(answer.report)}\r\n--{boundary}--\r\n"
    )

    async def parts() -> AsyncIterator[bytes | memoryview]:
        yield image.encode()
        async for chunk in _chunks(answer.data):
            yield chunk
        yield report.encode()

    size = len(image.encode()) + len(answer.data) + len(report.encode())
    kind = f"multipart/form-data; boundary={boundary}"
    return StreamingResponse(parts(), media_type=kind, headers={"Content-Length": str(size)})
