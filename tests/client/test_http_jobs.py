"""Calls with progress over HTTP: jobs of a gateway, on servers that tests write themselves."""

import asyncio
import json
from typing import Any

import pytest

from sakuga import (
    Cancelled,
    Progress,
    ServerError,
)
from written_gateway import UPSCALE, answer, problem, reached


def event(kind: str, number: int, data: dict[str, Any]) -> str:
    return f"id: {number}\r\nevent: {kind}\r\ndata: {json.dumps(data)}\r\n\r\n"


def streamed(*lines: str) -> bytes:
    """An answer that ends with its connection."""
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    return (head + "".join(lines)).encode()


TILE = {"number": 0, "unit": "tiles", "total": 2}
STATE = {"id": "j", "pictures": [{"error": None, "state": "succeeded", "report": {"model": "m"}}]}
RESULT = answer(200, b"result")
TAKEN, ENDED = answer(202, b'{"id": "j"}'), answer(200, json.dumps(STATE).encode())


async def test_a_call_with_progress_is_a_job_whose_events_are_followed_on() -> None:
    begun = streamed(": ping\r\n\r\n", event("progress", 7, {**TILE, "done": 1}))
    rest = streamed(event("progress", 8, {**TILE, "done": 2}), event("finished", 9, {}))
    seen: list[Progress] = []
    async with reached(TAKEN, begun, rest, ENDED, RESULT, ENDED) as (
        server,
        gateway,
    ):
        reply = await gateway.run(UPSCALE, b"picture", {}, on_progress=seen.append)
    assert reply == (b"result", {"model": "m"})
    assert seen == [Progress("tiles", 1, 2), Progress("tiles", 2, 2)]
    lines = [head.split(" HTTP")[0] for head in server.heads]
    assert lines == [
        "POST /v1/jobs?action=upscale",
        *["GET /v1/jobs/j/events"] * 2,
        "GET /v1/jobs/j",
        "GET /v1/jobs/j/result",
        "DELETE /v1/jobs/j",
    ]
    assert "last-event-id: 0\r\n" in server.heads[1].lower()
    assert "last-event-id: 7\r\n" in server.heads[2].lower()


async def test_a_job_whose_answer_was_lost_isnt_taken_twice() -> None:
    ended = streamed(event("finished", 1, {}))
    async with reached(TAKEN[:-3], TAKEN, ended, ENDED, RESULT, ENDED) as (
        server,
        gateway,
    ):
        await gateway.run(UPSCALE, b"picture", {}, on_progress=lambda _: None)
    keys = [
        line.split(": ")[1]
        for head in server.heads
        for line in head.lower().splitlines()
        if line.startswith("idempotency-key")
    ]
    assert len(keys) == 2
    assert len(set(keys)) == 1


async def test_a_job_that_nobody_waits_for_is_cancelled() -> None:
    begun = streamed(event("progress", 7, {**TILE, "done": 1}))

    def broken(progress: Progress) -> None:
        raise KeyError("mine")

    async with reached(TAKEN, begun, ENDED) as (server, gateway):
        with pytest.raises(KeyError, match="mine"):
            await gateway.run(UPSCALE, b"picture", {}, on_progress=broken)
    assert server.heads[-1].startswith("DELETE /v1/jobs/j ")


async def test_a_job_is_cancelled_that_is_being_taken_when_its_caller_goes() -> None:
    async with reached(TAKEN, ENDED) as (server, gateway):
        server.answering.clear()
        call = asyncio.ensure_future(
            gateway.run(UPSCALE, b"picture", {}, on_progress=lambda _: None)
        )
        await server.came.wait()
        call.cancel()
        await asyncio.sleep(0)
        server.answering.set()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert server.heads[-1].startswith("DELETE /v1/jobs/j ")


async def test_closing_cancels_jobs() -> None:
    begun = asyncio.Event()
    tile = streamed(event("progress", 7, {**TILE, "done": 1}), ": open")
    async with reached(TAKEN, tile, ENDED) as (server, gateway):
        call = asyncio.ensure_future(
            gateway.run(UPSCALE, b"picture", {}, on_progress=lambda _: begun.set())
        )
        await begun.wait()
        await gateway.close()
        with pytest.raises(Cancelled, match="the connection was closed"):
            await call
    assert server.heads[-1].startswith("DELETE /v1/jobs/j ")


async def test_a_job_that_was_lost_is_said_to_be() -> None:
    lost = problem(404, "BadInput")
    async with reached(TAKEN, lost, lost) as (server, gateway):
        with pytest.raises(ServerError, match=r"one store, gateway\.jobs"):
            await gateway.run(UPSCALE, b"picture", {}, on_progress=lambda _: None)
    assert len(server.heads) == 3
