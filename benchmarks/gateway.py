"""The gateway against gRPC: what HTTP adds to a call, to many callers, and in memory.

`python benchmarks/gateway.py [--runs N]`; about six minutes on two cores.
"""

import argparse
import asyncio
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from measure import store
from upscale import Loop, drawn, served, temporary_repository

from gateway_for_tests import Web
from pictures import encoded
from sakuga import Images, Reply, load_config

VIDEO, U2NET = "realesr-animevideov3", "u2net"
CASES = {
    f"{VIDEO}, 256²": ("upscale", VIDEO, 256, {}),
    f"{U2NET}, 256², without matting": ("rembg", U2NET, 256, {"alpha_matting": "false"}),
}
CLIENTS, FOR_CLIENTS = 64, 256
LARGE_MB = 50
NOTES = [
    "One Triton for both. gRPC is the Python client in this process; HTTP is Python's "
    "`http.client` on a connection that is kept, with the picture as the body, and for many "
    "callers aiohttp. Calls take turns. `added` is the difference of what either costs beside the "
    "work itself, whose time the server's report tells: the medians of so many calls.",
    f"Many callers: {CLIENTS} at once, each sends its next picture when its last one is back, "
    f"{FOR_CLIENTS} pictures of 64² in all; both sides in turn, twice, and the better of each.",
    "Memory: the growth of a new gateway's peak while one result (a BMP) is computed and sent, and "
    "while the result of a job is fetched: the first time, and the second.",
]


class Http:
    """Calls of the gateway, one after the other, on one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def __call__(self, action: str, model: str, picture: bytes, options: dict[str, Any]) -> Reply:
        query = "&".join(f"{name}={value}" for name, value in {"model": model, **options}.items())
        headers = {"Content-Type": "image/png"}
        self._connection.request("POST", f"/v1/{action}?{query}", picture, headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return Reply(body, json.loads(answer.getheader("Sakuga-Report", "{}")))


def added(images: Images, loop: Loop, http: Http, runs: int) -> Iterator[dict[str, Any]]:
    """What HTTP adds to each call."""
    for what, (action, model, side, options) in CASES.items():
        picture = encoded(drawn(side))

        def grpc() -> Reply:
            return loop(images.run(picture, action, {"model": model, **options}))  # noqa: B023

        def by_http() -> Reply:
            return http(action, model, picture, options)  # noqa: B023

        for _ in range(3):
            assert grpc().result == by_http().result
        pairs = [(timed(grpc), timed(by_http)) for _ in range(runs)]
        (direct, beside), (whole, beside_http) = (
            [statistics.median(each) for each in zip(*side, strict=True)]
            for side in zip(*pairs, strict=True)
        )
        more = beside_http - beside
        row = {"what": what, "grpc_ms": round(direct, 1), "http_ms": round(whole, 1)}
        row |= {"added_ms": round(more, 2), "ratio": round(whole / direct, 3)}
        print(row, flush=True)
        yield row


def timed(call: Callable[[], Reply]) -> tuple[float, float]:
    """Milliseconds of a call, and those of them that aren't the server's work."""
    start = time.perf_counter()
    reply = call()
    whole = 1000 * (time.perf_counter() - start)
    return whole, whole - reply.report["milliseconds"]["total"]


async def rate(send: Callable[[], Awaitable[object]]) -> float:
    """Pictures a second of many callers at once."""
    left = iter(range(FOR_CLIENTS))

    async def caller() -> None:
        for _ in left:
            await send()

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CLIENTS)))
    return FOR_CLIENTS / (time.perf_counter() - start)


def many(images: Images, loop: Loop, web: Web) -> dict[str, Any]:
    """The rates of many callers, by gRPC and by HTTP."""
    picture = encoded(drawn(64))
    url = f"{web.url}/v1/upscale?model={VIDEO}"

    async def by_http() -> float:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CLIENTS)) as session:

            async def send() -> None:
                async with session.post(url, data=picture) as answer:
                    assert answer.status == 200, await answer.text()
                    await answer.read()

            return await rate(send)

    async def by_grpc() -> float:
        return await rate(lambda: images.process(picture, "upscale", {"model": VIDEO}))

    rounds = [(loop(by_grpc()), loop(by_http())) for _ in range(2)]
    direct, whole = (max(side) for side in zip(*rounds, strict=True))
    row = {"grpc_per_s": round(direct, 2), "http_per_s": round(whole, 2)}
    row |= {"ratio": round(direct / whole, 3)}
    print(row, flush=True)
    return row


def memory(web: Web) -> list[dict[str, Any]]:
    """The growth of the gateway's peak, for a result of LARGE_MB."""
    side = int((LARGE_MB * 2**20 / 3) ** 0.5) // 4
    picture = encoded(np.zeros((side, side, 3), np.uint8))  # of one colour: its pixels are quick
    options = {"format": "bmp", "scale": "4"}
    plain = growth(web, lambda http: len(http("upscale", VIDEO, picture, options).result))
    location = job_of(web, picture, options)
    job = growth(web, lambda http: fetched(web, location))
    return [{"what": "plain call", **plain}, {"what": "result of a job", **job}]


def job_of(web: Web, picture: bytes, options: dict[str, str]) -> str:
    """The location of a job that has finished."""
    from gateway_for_tests import finished, submitted

    with web.client() as client:
        location = submitted(client, picture, model=VIDEO, **options)
        assert finished(client, location)["state"] == "succeeded"
    return location


def fetched(web: Web, location: str) -> int:
    """Fetches a result; gives its size."""
    with web.client() as client, client.stream("GET", f"{location}/result") as answer:
        return sum(len(part) for part in answer.iter_bytes())


def growth(web: Web, work: Callable[[Http], int]) -> dict[str, float]:
    """By how much the peak of a new gateway grows, while it gives a result of a size: for the first
    time, and later, when it uses again what gRPC and Python have kept of that."""
    web.end()
    web.start()
    http = Http(web.port)
    http("upscale", VIDEO, encoded(drawn(16)), {})
    size, first = _grown(web, http, work)
    _, later = _grown(web, http, work)
    row = {"result_mb": size, "first_mb": first, "later_mb": later}
    row |= {"first": first / size, "later": later / size}
    row = {name: round(value, 2) for name, value in row.items()}
    print(row, flush=True)
    return row


def _grown(web: Web, http: Http, work: Callable[[Http], int]) -> tuple[float, float]:
    """The size of a result, and the growth of the gateway's peak, in megabytes."""
    assert web.process
    status = Path(f"/proc/{web.process.pid}/status")
    Path(f"/proc/{web.process.pid}/clear_refs").write_text("5")  # its peak is what it has now
    before = _kilobytes(status, "VmRSS")
    size = work(http) / 2**20
    return size, (_kilobytes(status, "VmHWM") - before) / 1024


def _kilobytes(status: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if name in line)


@contextmanager
def gateway(triton: str) -> Iterator[Web]:
    with tempfile.TemporaryDirectory() as folder:
        settings = {"in_flight": CLIENTS, "max_in_flight": CLIENTS}
        web = Web(Path(folder), triton, settings)
        web.start()
        try:
            yield web
        finally:
            web.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="calls of each side")
    runs = parser.parse_args().runs
    loop, config = Loop(), load_config()
    config.server.in_flight = CLIENTS
    config.providers.image.upscale.model, config.providers.image.rembg.model = VIDEO, U2NET
    server = served(config, loop)
    with temporary_repository(config), server as (images, triton), gateway(triton.url) as web:
        calls = list(added(images, loop, Http(web.port), runs))
        callers = many(images, loop, web)
        peaks = memory(web)
    table = [
        "| a call | gRPC, ms | HTTP, ms | added, ms | ratio |",
        "|---|---|---|---|---|",
        *(
            f"| {r['what']} | {r['grpc_ms']} | {r['http_ms']} | {r['added_ms']} | {r['ratio']} |"
            for r in calls
        ),
        "",
        f"| {CLIENTS} callers | gRPC, pictures/s | HTTP, pictures/s | ratio |",
        "|---|---|---|---|",
        f"| {VIDEO}, 64² | {callers['grpc_per_s']} | {callers['http_per_s']} "
        f"| {callers['ratio']} |",
        "",
        "| memory | result, MB | peak grew by, MB | ratio | later by, MB | ratio |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r['what']} | {r['result_mb']} | {r['first_mb']} | {r['first']} "
            f"| {r['later_mb']} | {r['later']} |"
            for r in peaks
        ),
    ]
    found = {"calls": calls, "callers": callers, "memory": peaks}
    store("gateway", "HTTP against gRPC", found, table, NOTES)


if __name__ == "__main__":
    sys.exit(main())
