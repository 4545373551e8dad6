"""How much memory a picture takes beside its result: docs/reference/copies.md, measured.

numpy, bytes and OpenCV's results are counted; Pillow's own pictures aren't.
"""

import tracemalloc
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from networks_for_tests import nearest
from pictures import encoded, encoded_16, gradient
from sakuga_core.options import Format
from sakuga_server.imaging import picture as in_memory
from sakuga_server.imaging.encode import encode
from sakuga_server.imaging.picture import Picture
from sakuga_server.pipelines.settings import Settings
from sakuga_server.pipelines.upscale import Upscale

SIDE = 1000
SLACK = 1_150_000  # bytes that don't grow with the picture: zlib-ng's state on two threads, strips
NOISE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 4), np.uint8)
FLAT = gradient(SIDE, SIDE)


@pytest.fixture(autouse=True)
def _small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what strips take doesn't hide what grows with the picture."""
    monkeypatch.setattr(in_memory, "STRIP", 1 << 14)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1})


def peak(work: Callable[[], bytes]) -> tuple[int, int]:
    """Bytes that `work` holds at most, over what there was before, and those that it returns."""
    tracemalloc.start()
    try:
        size = len(work())
        return tracemalloc.get_traced_memory()[1], size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("format", ["png", "raw"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_result_takes_no_second_picture_and_no_second_file(
    channels: int, dtype: type, format: Format
) -> None:
    pixels = NOISE.astype(dtype)
    colour = pixels[..., 0].copy() if channels < 3 else pixels[..., :3].copy()
    source = Picture(colour, pixels[..., 3].copy() if channels in (2, 4) else None)
    took, size = peak(lambda: encode(source, format, None, True))
    assert took < 1.125 * size + SLACK


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_16_bits_and_transparency_take_no_floats_of_full_size(format: Format) -> None:
    source = Picture(FLAT.astype(np.uint16) * 257, FLAT[..., 0].astype(np.uint16) * 257)
    shallow = source.width * source.height * 4
    took, _ = peak(lambda: encode(source, format, 80, True))
    assert took < {"png": 0.5, "jpeg": 2.2, "webp": 2.2}[format] * shallow + SLACK


@pytest.mark.parametrize("deep", [False, True])
async def test_a_picture_takes_little_more_than_its_result(settings: Settings, deep: bool) -> None:
    source = gradient(640, 640)
    data = encoded_16(source.astype(np.uint16) * 257) if deep else encoded(source)
    options = {"tile_size": 64, "model": "realesr-animevideov3"}
    work: Awaitable[tuple[bytes, object]] = Upscale(nearest, settings)(data, options)
    tracemalloc.start()
    try:
        file, _ = await work
        took = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    result = 16 * source.nbytes * (2 if deep else 1)
    assert took < 1.15 * result + len(file) + 3_000_000
