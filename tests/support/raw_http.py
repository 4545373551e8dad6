"""HTTP byte by byte: requests as no client library would send them, and whatever comes back."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

HOST = "127.0.0.1"
SECONDS = 60  # that an answer may take; a test that waits so long has failed
BOUNDARY = b"b0undary"


@dataclass(frozen=True)
class Answer:
    """An answer; without a status the connection was closed instead."""

    status: int | None
    headers: dict[str, str]
    body: bytes

    @property
    def is_problem(self) -> bool:
        return self.headers.get("content-type") == "application/problem+json"


CLOSED = Answer(None, {}, b"")


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, port), timeout=SECONDS) as connection:
        yield connection


def answer_on(connection: socket.socket, method: str = "GET") -> Answer:
    """The next answer on a connection."""
    response = HTTPResponse(connection, method=method)
    try:
        response.begin()
        body = response.read()
    except (HTTPException, ConnectionError):
        return CLOSED
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body)


def exchange(port: int, data: bytes) -> Answer:
    """What comes back for some bytes, of which the gateway may refuse to read the rest."""
    with connected(port) as connection:
        sender = threading.Thread(target=_send, args=(connection, data), daemon=True)
        sender.start()
        try:
            return answer_on(connection)
        finally:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            sender.join()


def _send(connection: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        connection.sendall(data)


def request(
    line: str | bytes,
    body: bytes = b"",
    *headers: str | bytes,
    kind: str | bytes | None = None,
    length: str | int | None = "right",
    host: str | None = "localhost",
) -> bytes:
    """A request as bytes.

    Args:
        line: method and path, such as `POST /v1/upscale`.
        kind: its Content-Type.
        length: its Content-Length; "right": as it should be; None: none.
        host: None: no Host.
    """
    lines = [_bytes(line) + b" HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host}".encode())
    if kind is not None:
        lines.append(b"Content-Type: " + _bytes(kind))
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length == 'right' else length}".encode())
    return b"\r\n".join([*lines, *map(_bytes, headers), b"", b""]) + body


def chunked(*chunks: bytes) -> bytes:
    """A body in chunks, with its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in (*chunks, b""))


def part(name: bytes, data: bytes, filename: bytes | None = None, *headers: bytes) -> bytes:
    """A part of a form."""
    file = b"" if filename is None else b'; filename="%b"' % filename
    head = [b'Content-Disposition: form-data; name="%b"%b' % (name, file), *headers]
    return b"--%b\r\n%b\r\n\r\n%b\r\n" % (BOUNDARY, b"\r\n".join(head), data)


FORM = b"multipart/form-data; boundary=" + BOUNDARY
END = b"--" + BOUNDARY + b"--\r\n"


def form(line: str, *parts: bytes, end: bytes = END, kind: bytes = FORM) -> bytes:
    """A request with a form."""
    return request(line, b"".join(parts) + end, kind=kind)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
