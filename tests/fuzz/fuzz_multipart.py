"""Bodies of HTTP requests: pictures and values, or a refusal."""

import json
from collections.abc import Coroutine
from typing import Any

from starlette.requests import Request

import fuzzing
from pictures import encoded, gradient
from raw_http import BOUNDARY, END, FORM, part
from sakuga_core.errors import SakugaError
from sakuga_gateway import problems, requests
from sakuga_gateway.problems import Refusal

PICTURE = encoded(gradient(4, 4))
IMAGE = part(b"image", PICTURE, b"a.png", b"Content-Type: image/png")
MOST = 3  # pictures of a request


def check(data: bytes) -> None:
    """The first line is the Content-Type, and the query; the second how long pieces are."""
    kind, _, rest = data.partition(b"\n")
    kind, _, query = kind.partition(b"?")
    piece, body = 1 + (rest[0] if rest else 0) * 8, rest[1:]
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)][:2000]
    try:
        sent = _finished(requests.read(_request(kind.strip(), query, pieces), MOST))
    except Exception as error:
        _refused(error)
    else:
        assert 0 < len(sent.uploads) <= MOST
        for upload in sent.uploads:
            assert upload.name.isprintable()
            assert len(upload.name) <= requests.NAME_LENGTH
            assert upload.data in body or piece < len(body)


def _refused(error: Exception) -> None:
    """It is the caller's fault, and said in a problem."""
    refusal = problems.as_refusal(error)
    assert isinstance(error, Refusal | SakugaError) or refusal.status < 500, repr(error)
    assert 400 <= refusal.status < 500, repr(error)
    json.dumps(problems.details(refusal), ensure_ascii=False).encode()


def _request(kind: bytes, query: bytes, pieces: list[bytes]) -> Request:
    left = iter(pieces)

    async def receive() -> dict[str, Any]:
        body = next(left, None)
        return {"type": "http.request", "body": body or b"", "more_body": body is not None}

    about = {"type": "http", "headers": [(b"content-type", kind)], "app": None}
    return Request({**about, "query_string": query.strip(), "path": "/", "method": "POST"}, receive)


def _finished(work: Coroutine[Any, Any, requests.Sent]) -> requests.Sent:
    """The result of what waits for nothing, as everything is in memory."""
    try:
        work.send(None)
    except StopIteration as end:
        found: requests.Sent = end.value
        return found
    raise AssertionError("it waits")


def seeds() -> list[bytes]:
    values = part(b"scale", b"2"), part(b"regions", b"[1,2,3,4]"), part(b"options", b'{"a": 1}')
    forms = [
        (IMAGE, *values),
        (IMAGE, IMAGE, part(b"mask", PICTURE, b"m.png")),
        (part(b"image", b"x", "é%22.png".encode()), part(b"a", b"\xff")),
        (IMAGE, part(b"x", b"y" * 300, None, b"X-A: b", b"Content-Transfer-Encoding: base64")),
    ]
    bodies = [FORM + b"\n\xff" + b"".join((*parts, END)) for parts in forms]
    quoted = b'multipart/form-data; boundary="%b"; charset=utf-8?scale=2&a=[1]\n\1' % BOUNDARY
    return [*bodies, quoted + IMAGE + END, b"image/png?scale=2&scale=3\n\x05" + PICTURE]


TARGET = fuzzing.Target(
    "multipart",
    check,
    seeds,
    ("sakuga_gateway.requests", "starlette.formparsers", "python_multipart"),
)

if __name__ == "__main__":
    fuzzing.main(TARGET)
