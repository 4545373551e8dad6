"""A gateway whose answers a test writes."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sakuga.answers import PARTS
from sakuga.gateway import Gateway
from sakuga_core.actions import ACTIONS, ImageAction
from sakuga_core.config.server import Server

UPSCALE = ACTIONS[ImageAction.UPSCALE]
URL = "http://host:8080"


def parts(result: bytes, report: dict[str, Any], boundary: str = "b") -> bytes:
    """An answer of a gateway."""
    return (
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"\r\n\r\n'.encode()
        + result
        + f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="report"\r\n\r\n'
        f"{json.dumps(report)}\r\n--{boundary}--\r\n".encode()
    )


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """As HTTP has it."""
    fields = {"content-length": str(len(body)), "connection": "close", **headers}
    lines = [
        f"HTTP/1.1 {status} Any",
        *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


GOOD = answer(200, parts(b"result", {"model": "m"}), content_type=f"{PARTS}; boundary=b")


def problem(status: int, error: str, **headers: str) -> bytes:
    body = json.dumps({"status": status, "detail": "words", "error": error}).encode()
    return answer(status, body, content_type="application/problem+json", **headers)


class Written:
    """A server that sends what a test wrote, one answer a request, and keeps the requests."""

    def __init__(self, *answers: bytes) -> None:
        self.answers, self.heads, self.bodies = list(answers), list[str](), list[bytes]()
        self.url = ""
        self.came, self.gone = asyncio.Event(), asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
            self.heads.append(head)
            self.bodies.append(await reader.readexactly(int(fields.get("content-length", 0))))
            self.came.set()
            await self.answering.wait()
            if self.answers:
                writer.write(self.answers.pop(0))
                await writer.drain()
            else:
                await reader.read()  # until the client goes
                self.gone.set()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.gone.set()
        finally:
            writer.close()


@asynccontextmanager
async def written(
    *answers: bytes, certificate: ssl.SSLContext | None = None
) -> AsyncIterator[Written]:
    server = Written(*answers)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=certificate)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"https://localhost:{port}" if certificate else f"http://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listening.close()


@asynccontextmanager
async def reached(*answers: bytes, **settings: Any) -> AsyncIterator[tuple[Written, Gateway]]:
    """Such a server, and a connection to it."""
    async with (
        written(*answers) as server,
        Gateway(Server(url=server.url, **settings), "key") as gateway,
    ):
        yield server, gateway
