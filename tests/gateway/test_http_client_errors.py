"""The Python client over HTTP: errors, limits, gateways that go, and the command line."""

import asyncio
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from gateway_for_tests import OPTIONS, TILED, U2NET, VIDEO, NewWeb, Web
from networks_for_tests import PROJECT
from pictures import encoded, pixels_of, sample
from sakuga import (
    BadImage,
    BadOption,
    Config,
    Images,
    ModelNotInstalled,
    ModelNotLoaded,
    Overloaded,
    PermissionDenied,
    ServerUnavailable,
    TooLarge,
    connect,
    connect_sync,
)
from sakuga_gateway.access import digest
from serving_for_tests import SAKUGA

KEY = "a key of a test"
LONG = sample("heroine", (0, 0, 400, 400))  # takes seconds


@pytest.mark.parametrize("on_progress", [None, lambda _: None], ids=["plain", "job"])
@pytest.mark.parametrize(
    ("data", "options", "kind", "words"),
    [
        (b"no picture", {}, BadImage, "allowed: PNG"),
        (None, {"scale": 99}, BadOption, "option 'scale' is 99; allowed: a number from 1 to 16"),
        (None, {"model": "waifu2x"}, BadOption, "'waifu2x'"),
        (None, {"model": "realesrgan-x4plus"}, ModelNotInstalled, "sakuga export"),
    ],
)
async def test_errors_are_those_of_grpc(
    images: Images,
    by_grpc: Images,
    picture: bytes,
    data: bytes | None,
    options: dict[str, Any],
    kind: type[Exception],
    words: str,
    on_progress: Any,
) -> None:
    with pytest.raises(kind, match=words) as caught:
        await images.process(data or picture, "upscale", options, on_progress=on_progress)
    with pytest.raises(kind) as expected:
        await by_grpc.process(data or picture, "upscale", options)
    assert type(caught.value) is type(expected.value)
    assert str(caught.value) == str(expected.value)


async def test_limits_of_the_gateway_are_too_large(new_web: NewWeb, picture: bytes) -> None:
    web = new_web(limits={"input_bytes": 1000})
    big = encoded(np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8))
    async with connect(web.url) as images:
        with pytest.raises(TooLarge, match="allowed: "):
            await images.upscale(big)


async def test_keys(new_web: NewWeb, picture: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    web = new_web(settings={"keys": [{"name": "test", "sha256": digest(KEY)}]})
    options = OPTIONS["upscale"]
    for key in (None, "another"):
        async with connect(web.url, key=key) as images:
            for on_progress in (None, lambda _: None):
                with pytest.raises(PermissionDenied, match="SAKUGA_KEY"):
                    await images.upscale(picture, on_progress=on_progress, **options)
    async with connect(web.url, key=KEY) as images:
        assert await images.upscale(picture, **options)
        assert await images.upscale(picture, on_progress=lambda _: None, **options)
    monkeypatch.setenv("SAKUGA_KEY", KEY)
    with connect_sync(web.url) as waiting:
        assert waiting.upscale(picture, **options)


async def test_who_is_over_the_gateways_limits_waits(new_web: NewWeb, picture: bytes) -> None:
    web = new_web(settings={"in_flight": 1})
    async with connect(web.url) as images:
        await asyncio.gather(*(images.upscale(picture, **OPTIONS["upscale"]) for _ in range(3)))
    hurried = Config()
    hurried.server.timeout = 4  # Retry-After says 5
    async with connect(web.url) as first, connect(hurried, url=web.url) as second:
        long = asyncio.ensure_future(first.upscale(LONG, **TILED))
        async with httpx.AsyncClient(base_url=web.url) as client:
            while "in_work 1.0" not in (await client.get("/metrics")).text:
                assert not long.done()
        with pytest.raises(Overloaded, match="of this caller"):
            await second.upscale(picture)
        long.cancel()
        await asyncio.gather(long, return_exceptions=True)


async def test_a_full_gateway_is_overloaded_at_once(new_web: NewWeb, picture: bytes) -> None:
    web = new_web(settings={"max_in_flight": 1})
    async with connect(web.url) as images, httpx.AsyncClient(base_url=web.url) as client:
        long = asyncio.ensure_future(images.upscale(LONG, **TILED))
        while "in_work 1.0" not in (await client.get("/metrics")).text:
            assert not long.done()
        with pytest.raises(Overloaded, match="1 pictures are already in flight"):
            await images.upscale(picture)
        long.cancel()
        await asyncio.gather(long, return_exceptions=True)


async def test_only_what_somebody_sets_is_sent(
    new_web: NewWeb, picture: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = new_web()  # whose config.yaml says VIDEO, where the default is another network
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("realesrgan: {scale: 3, model: realesrgan-x4plus}")
    async with connect(web.url) as images:
        reply = await images.run(picture, "upscale")
        assert reply.report["model"] == VIDEO
        assert pixels_of(reply.result).shape == (192, 160, 3)
        images.config.providers.image.upscale.scale = 2
        assert pixels_of(await images.upscale(picture)).shape == (96, 80, 3)
        assert pixels_of(await images.upscale(picture, scale=1)).shape == (48, 40, 3)
    async with connect("config.yaml", url=web.url) as images:
        with pytest.raises(ModelNotLoaded):
            await images.upscale(picture)
        assert pixels_of(await images.upscale(picture, model=VIDEO)).shape == (144, 120, 3)


async def test_a_gateway_that_goes_is_unavailable_and_found_again(
    new_web: NewWeb, picture: bytes
) -> None:
    web, config = new_web(), Config()
    config.server.retries = 1
    async with connect(config, url=web.url) as images:
        before = await images.upscale(picture)
        web.kill()
        for on_progress in (None, lambda _: None):
            with pytest.raises(ServerUnavailable, match="no gateway answers at http"):
                await images.upscale(picture, on_progress=on_progress)
        web.start()
        assert await images.upscale(picture) == before


def test_the_example_of_the_page_on_python_runs(web: Web, tmp_path: Path) -> None:
    page = (PROJECT / "docs/guides/python.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```py\n(.*?)```", page, re.DOTALL)
    (tmp_path / "samples").mkdir()
    Image.fromarray(sample("sunset", (0, 0, 90, 80))).save(tmp_path / "samples" / "sunset.png")
    code = example.replace("http://127.0.0.1:8080", web.url)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert Image.open(tmp_path / "sunset-2x.png").size == (180, 160)


def run(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [SAKUGA, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_the_command_line_takes_the_address(web: Web, picture: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture)
    flags = ("upscale", "a.png", "--model", VIDEO, "--scale", "2", "-o")
    by_flag = run(tmp_path, "--url", web.url, *flags, "flag.png")
    assert by_flag.returncode == 0, by_flag.stderr
    by_environment = run(tmp_path, *flags, "environment.png", SAKUGA_URL=web.url)
    assert by_environment.returncode == 0, by_environment.stderr
    (tmp_path / "config.yaml").write_text(f"server: {{url: '{web.url}'}}")
    assert run(tmp_path, *flags, "file.png").returncode == 0
    results = {(tmp_path / f"{name}.png").read_bytes() for name in ("flag", "environment", "file")}
    assert len(results) == 1
    assert Image.open(io.BytesIO(results.pop())).size == (80, 96)


def test_questions_are_answered_as_far_as_a_gateway_can(web: Web, tmp_path: Path) -> None:
    listed = json.loads(run(tmp_path, "--url", web.url, "models", "--json").stdout)
    assert listed[U2NET]["loaded"]
    assert "loaded" in run(tmp_path, "--url", web.url, "models").stdout
    status = run(tmp_path, "--url", web.url, "status")
    assert status.stdout == f"Gateway at {web.url}: ready\n"
    for command in (
        ("models", "load", VIDEO),
        ("models", "unload", VIDEO),
        ("models", "--measure"),
    ):
        refused = run(tmp_path, "--url", web.url, *command)
        assert refused.returncode == 1
        assert "allowed" in refused.stderr
        assert "gateway" in refused.stderr
