"""The Python client over HTTP with progress: jobs, which end with their calls."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from PIL import Image

from gateway_for_tests import TILED, NewWeb, Web
from pictures import encoded, sample
from sakuga import (
    BadImage,
    Cancelled,
    Config,
    DeadlineExceeded,
    Images,
    Progress,
    connect,
    connect_sync,
)

LONG = sample("heroine", (0, 0, 240, 240))  # takes seconds


async def test_progress_grows_to_its_end(images: Images) -> None:
    seen: list[Progress] = []
    data = encoded(LONG)
    reply = await images.run(data, "upscale", TILED, on_progress=seen.append)
    done = [each.done for each in seen]
    assert done == sorted(set(done))
    assert {(each.unit, each.total) for each in seen} == {("tiles", reply.report["tiles"])}


def counts(web: Web) -> Counter[str]:
    """The pictures of jobs, by state."""
    lines = httpx.get(f"{web.url}/metrics").text.splitlines()
    found = [line for line in lines if line.startswith("sakuga_gateway_job_pictures{")]
    return Counter({line.split('"')[1]: int(float(line.split()[-1])) for line in found})


@contextmanager
def one_more(web: Web, state: str | None) -> Iterator[None]:
    """The only picture that the block leaves in the store is one in this state, or none at all."""
    before = counts(web)
    yield
    more = counts(web) - before
    assert more == ({state: 1} if state else {})
    assert not before - counts(web)


async def test_what_has_ended_is_removed(web: Web, images: Images, picture: bytes) -> None:
    with one_more(web, None):
        await images.upscale(picture, on_progress=lambda _: None)
        with pytest.raises(BadImage):
            await images.upscale(b"no picture", on_progress=lambda _: None)


async def test_a_cancelled_call_ends_its_job(web: Web, images: Images) -> None:
    begun, data = asyncio.Event(), encoded(LONG)
    with one_more(web, "cancelled"):
        call = asyncio.ensure_future(
            images.process(data, "upscale", TILED, on_progress=lambda _: begun.set())
        )
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_an_exception_of_the_callback_ends_the_job(web: Web, images: Images) -> None:
    def broken(progress: Progress) -> None:
        raise httpx.ReadError("mine")

    with one_more(web, "cancelled"), pytest.raises(httpx.ReadError, match="mine"):
        await images.upscale(LONG, **TILED, on_progress=broken)


async def test_a_deadline_ends_the_job(web: Web) -> None:
    config, pixels = Config(), sample("heroine")
    config.server.timeout = 1.5
    with one_more(web, "cancelled"):
        async with connect(config, url=web.url) as images:
            with pytest.raises(DeadlineExceeded, match=r"server\.timeout"):
                await images.upscale(pixels, **TILED, on_progress=lambda _: None)


def test_closing_ends_the_calls_of_other_threads_and_their_jobs(web: Web) -> None:
    images, errors, begun = connect_sync(web.url), [], threading.Event()

    def call() -> None:
        try:
            images.upscale(LONG, **TILED, on_progress=lambda _: begun.set())
        except Exception as error:
            errors.append(error)

    with one_more(web, "cancelled"):
        thread = threading.Thread(target=call)
        thread.start()
        assert begun.wait(60)
        images.close()
        thread.join()
    assert [type(error) for error in errors] == [Cancelled]


def test_an_interrupt_ends_the_job(web: Web, tmp_path: Path) -> None:
    Image.fromarray(LONG).save(tmp_path / "a.png")
    code = f"""
from sakuga import connect_sync
with connect_sync({web.url!r}) as images:
    images.upscale("a.png", on_progress=lambda _: print("begun", flush=True), **{TILED!r})
"""
    with one_more(web, "cancelled"):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors


async def test_a_plain_call_that_is_cancelled_ends_the_work(web: Web, images: Images) -> None:
    call = asyncio.ensure_future(images.upscale(LONG, **TILED))
    async with httpx.AsyncClient(base_url=web.url) as client:
        while "in_work 1.0" not in (await client.get("/metrics")).text:
            assert not call.done()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        while "in_work 0.0" not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("with_progress", [False, True])
async def test_a_call_outlives_its_gateway(
    new_web: NewWeb, with_progress: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sakuga.retry.random.uniform", lambda _, longest: longest)
    web, config = new_web(), Config()
    config.server.retries = 20
    seen: list[Progress] = []
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def progress(each: Progress) -> None:
        seen.append(each)
        begun.set()

    async with connect(config, url=web.url) as images:
        data = encoded(LONG)
        expected = await images.process(data, "upscale", TILED)
        on_progress = progress if with_progress else None
        call = asyncio.ensure_future(
            images.process(data, "upscale", TILED, on_progress=on_progress)
        )
        async with httpx.AsyncClient(base_url=web.url) as client:
            while not with_progress and "in_work 1.0" not in (await client.get("/metrics")).text:
                assert not call.done()
        if with_progress:
            await begun.wait()
        web.kill()
        await loop.run_in_executor(None, web.start)
        assert await call == expected
    assert not +counts(web)
