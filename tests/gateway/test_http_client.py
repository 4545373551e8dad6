"""The Python client over HTTP: the same as over gRPC, by another address."""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gateway_for_tests import OPTIONS, TILED, VIDEO
from pictures import gradient, off, pixels_of, sample
from sakuga import (
    ArtifactFixProvider,
    AutoDetector,
    Images,
    Region,
    Reply,
    SyncImages,
    fix_artifacts,
    inpaint_regions,
)

LONG = sample("heroine", (0, 0, 400, 400))  # takes seconds


def told(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what differs between two calls."""
    return {name: value for name, value in report.items() if name != "milliseconds"}


@pytest.mark.parametrize("action", OPTIONS)
async def test_every_action_gives_what_grpc_gives(
    images: Images, by_grpc: Images, picture: bytes, action: str
) -> None:
    found = await images.run(picture, action, OPTIONS[action])
    expected = await by_grpc.run(picture, action, OPTIONS[action])
    assert found.result == expected.result
    assert told(found.report) == told(expected.report)
    assert found.report["milliseconds"]


@pytest.mark.parametrize("action", OPTIONS)
async def test_with_progress_it_is_the_same(
    images: Images, by_grpc: Images, picture: bytes, action: str
) -> None:
    found = await images.run(picture, action, OPTIONS[action], on_progress=lambda _: None)
    expected = await by_grpc.run(picture, action, OPTIONS[action])
    assert found.result == expected.result
    assert told(found.report) == told(expected.report)


async def test_pictures_of_every_kind_give_the_same_kind(
    images: Images, by_grpc: Images, picture: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(picture)
    pixels, options = gradient(48, 40), OPTIONS["upscale"]
    expected = await by_grpc.upscale(picture, **options)
    assert await images.upscale(memoryview(picture), **options) == expected
    reply = await images.upscale(tmp_path / "a.png", **options)
    assert isinstance(reply, Reply)
    assert reply.save(tmp_path / "b.png").read_bytes() == expected
    for dtype in (np.uint8, np.uint16):
        array = await images.upscale(pixels.astype(dtype), **options)
        assert array.dtype == dtype
        assert off(array, await by_grpc.upscale(pixels.astype(dtype), **options)) == 0
    image = await images.upscale(Image.fromarray(pixels), **options)
    assert off(np.asarray(image), pixels_of(expected)) == 0


async def test_raw_pixels_come_with_and_without_progress(images: Images, picture: bytes) -> None:
    options = {**OPTIONS["upscale"], "format": "raw"}
    plain = await images.run(picture, "upscale", options)
    followed = await images.run(picture, "upscale", options, on_progress=lambda _: None)
    expected = pixels_of(await images.upscale(picture, **OPTIONS["upscale"]))
    assert off(plain.pixels[0], expected) == off(followed.pixels[0], expected) == 0


def test_the_synchronous_twin_does_the_same(twin: SyncImages, picture: bytes) -> None:
    threads = set()
    result = twin.upscale(
        LONG, on_progress=lambda _: threads.add(threading.current_thread()), **TILED
    )
    assert result.shape[2] == 3
    assert threads == {threading.current_thread()}
    assert twin.rembg(gradient(30, 20)).shape == (30, 20, 4)


async def test_long_options_travel_in_a_form(
    images: Images, by_grpc: Images, picture: bytes
) -> None:
    mask = np.zeros((48, 40), bool)
    mask[10:16, 10:20] = True
    plain = {"restore": False, "detector": "none", "result": "restored", "inpaint": "opencv"}
    for options in ({"mask": mask}, {"regions": [[1, 1 + i % 40, 3, 3] for i in range(250)]}):
        found = await images.fix_artifacts(picture, **plain, **options)
        assert found == await by_grpc.fix_artifacts(picture, **plain, **options)
        followed = await images.fix_artifacts(
            picture, **plain, **options, on_progress=lambda _: None
        )
        assert followed == found


async def test_a_report_that_no_header_could_have_comes_whole(
    images: Images, by_grpc: Images, picture: bytes
) -> None:
    regions = [Region(box=(1, 1 + i % 40, 3, 3)) for i in range(250)]
    options = {"regions": regions, "detector": "none", "result": "regions"}
    for on_progress in (None, lambda _: None):
        found = await images.run(picture, "fix_artifacts", options, on_progress=on_progress)
        assert len(json.dumps(found.report)) > 8 * 1024
        assert told(found.report) == told(
            (await by_grpc.run(picture, "fix_artifacts", options)).report
        )


class Fixed:
    async def detect(self, image: bytes) -> list[Region]:
        return [Region(box=(10, 10, 8, 8))]


async def test_custom_detectors_and_step_by_step_repair(
    images: Images, by_grpc: Images, picture: bytes
) -> None:
    options = {**OPTIONS["fix_artifacts"], "inpaint": "opencv"}
    results = []
    for connected in (images, by_grpc):
        connected.config.providers.image.upscale.model = VIDEO
        transport = connected.triton
        provider = ArtifactFixProvider(connected.config, transport, Fixed())
        whole = await provider.process(picture, config=options)
        steps = await fix_artifacts(picture, connected, Fixed(), options)
        part = await inpaint_regions(picture, await Fixed().detect(b""), "opencv", triton=transport)
        results.append((whole, steps, part, await AutoDetector(transport).detect(picture)))
    assert results[0] == results[1]
