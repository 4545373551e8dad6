"""What is read out of JPEG files, and decoded from it."""

import struct

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from drawn import NAMES, decoded, drawing, jpeg, psnr
from pictures import encoded, off, sample
from sakuga_server.jpeg import coefficients as jpegs
from sakuga_server.jpeg import dequantise
from slow import full


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("size", [(64, 48), (61, 45), (8, 8), (17, 33)])
def test_planes_are_decoded_as_libjpeg_does(subsampling: str, size: tuple[int, int]) -> None:
    width, height = size
    data = jpeg(sample("heroine", (100, 200, 100 + width, 200 + height)), 40, subsampling)
    stored = jpegs.read(data)
    assert stored is not None
    planes = [dequantise.inverse_dct(plane.coefficients) for plane in stored.planes]
    # libjpeg rounds samples and chroma on its way; this rounds once.
    assert off(jpegs.assembled(stored, planes), decoded(data)) <= 3


def test_gray_files_have_one_plane() -> None:
    data = jpeg(sample("lineart", (0, 0, 50, 60)), 40)
    stored = jpegs.read(data)
    assert stored is not None
    assert len(stored.planes) == 1
    pixels = jpegs.assembled(stored, [dequantise.inverse_dct(stored.planes[0].coefficients)])
    assert off(pixels, decoded(data)) <= 1


@pytest.mark.parametrize("quality", [1, 5, 10, 25, 50, 51, 75, 90, 95])
def test_the_files_own_tables_tell_its_quality(quality: int) -> None:
    stored = jpegs.read(jpeg(sample("heroine", (0, 0, 40, 40)), quality))
    assert stored is not None
    assert stored.quality == quality
    assert np.array_equal(jpegs.tables(quality), stored.planes[0].steps)


def test_what_is_no_usual_jpeg_is_left_to_the_decoder() -> None:
    pixels = sample("heroine", (0, 0, 40, 40))
    assert jpegs.read(encoded(pixels)) is None
    assert jpegs.read(jpeg(pixels, 50)[:300]) is None
    cmyk = Image.fromarray(pixels).convert("CMYK")
    assert jpegs.read(encoded(np.asarray(pixels), "WEBP")) is None
    assert jpegs.read(_file(cmyk)) is None


def _file(image: Image.Image) -> bytes:
    import io

    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def commented(data: bytes, at: int, count: int) -> bytes:
    """A file with comments at a place between its segments."""
    return data[:at] + count * (b"\xff\xfe\0\7hello") + data[at:]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("count", [1, 49, 51, 2000])
def test_what_lies_beside_the_pixels_changes_nothing(progressive: bool, count: int) -> None:
    data = encoded(sample("heroine", (0, 0, 40, 40)), "JPEG", progressive=progressive)
    expected = jpegs.read(data)
    assert expected is not None
    for at in (2, data.rindex(b"\xff\xda"), len(data) - 2):
        found = jpegs.read(commented(data, at, count))
        assert found is not None
        for plane, other in zip(found.planes, expected.planes, strict=True):
            assert np.array_equal(plane.coefficients, other.coefficients)


def test_segments_of_no_length_are_left_to_the_decoder() -> None:
    data = encoded(sample("heroine", (0, 0, 40, 40)), "JPEG")
    for marker in (*range(0xC0, 0xD0), *range(0xDA, 0xFF)):  # those between have no length
        for length in (0, 1):
            segment = struct.pack(">BBH", 0xFF, marker, length)
            for at in (2, 20, data.rindex(b"\xff\xda")):
                assert jpegs.read(data[:at] + segment + data[at:]) is None


def test_tables_that_are_missing_are_no_tables() -> None:
    data = encoded(sample("heroine", (0, 0, 40, 40)), "JPEG")
    frame = data.index(b"\xff\xc0")
    for component in range(3):
        for table in (2, 3, 4, 17, 255):
            changed = bytearray(data)
            changed[frame + 12 + 3 * component] = table
            assert jpegs.read(bytes(changed)) is None


def test_what_adobe_calls_rgb_has_no_luma() -> None:
    data = encoded(sample("heroine", (0, 0, 40, 40)), "JPEG", subsampling=0)
    for transform, is_read in ((0, False), (1, True)):
        segment = struct.pack(">HH5sHHHB", 0xFFEE, 14, b"Adobe", 100, 0, 0, transform)
        assert (jpegs.read(data[:2] + segment + data[2:]) is not None) == is_read


def test_the_transform_is_the_dct() -> None:
    plane = np.random.default_rng(0).normal(0, 50, (16, 24)).astype(np.float32)
    blocks = dequantise.forward_dct(plane)
    assert np.allclose(blocks[1, 2], dctn(plane[8:16, 16:24], norm="ortho"), atol=1e-3)
    assert np.allclose(dequantise.inverse_dct(blocks), plane, atol=1e-3)


@pytest.mark.parametrize("quality", [10, 30, 50])
def test_every_coefficient_stays_near_the_middle_of_its_interval(quality: int) -> None:
    stored = jpegs.read(jpeg(sample("heroine", (100, 200, 228, 328)), quality))
    assert stored is not None
    for plane in stored.planes:
        smooth = dequantise.smoothest(plane.coefficients, plane.steps)
        # Cutting samples at black and white may move a coefficient farther; elsewhere none moves.
        inside = (np.abs(smooth) < 127).reshape(len(plane.coefficients), 8, -1, 8).all(axis=(1, 3))
        moved = np.abs(dequantise.forward_dct(smooth) - plane.coefficients)[inside]
        assert inside.any()
        assert (moved <= dequantise.REACH * plane.steps + 1e-2).all()
        assert moved.max() > 0.1 * plane.steps.min()


def test_the_kernels_do_what_the_equations_say() -> None:
    stored = jpegs.read(jpeg(sample("heroine", (100, 200, 148, 240)), 30, "4:4:4"))
    assert stored is not None
    plane = stored.planes[0]
    found = dequantise.smoothest(plane.coefficients, plane.steps)
    assert np.abs(found - _smoothest(plane.coefficients, plane.steps)).max() < 0.01


def _smoothest(coefficients: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Chambolle and Pock's algorithm for Huber total variation, as they write it."""
    sigma, tau, alpha = dequantise.DUAL, dequantise.PRIMAL, dequantise.SOFT
    least = coefficients - dequantise.REACH * steps
    most = coefficients + dequantise.REACH * steps
    x = dequantise.inverse_dct(coefficients.astype(np.float64))
    ahead, dual = x.copy(), np.zeros((2, *x.shape))
    for _ in range(dequantise.STEPS):
        slope = np.zeros_like(dual)
        slope[0, :-1], slope[1, :, :-1] = np.diff(ahead, axis=0), np.diff(ahead, axis=1)
        dual = (dual + sigma * slope) / (1 + sigma * alpha)
        dual /= np.maximum(1, np.sqrt((dual**2).sum(axis=0)))
        divergence = dual[0] + dual[1]
        divergence[1:] -= dual[0, :-1]
        divergence[:, 1:] -= dual[1, :, :-1]
        possible = np.clip(x + tau * divergence, -128, 127)
        new = dequantise.inverse_dct(np.clip(dequantise.forward_dct(possible), least, most))
        ahead, x = 2 * new - x, new
    return x.clip(-128, 127)


@pytest.mark.parametrize(
    ("quality", "subsampling", "names"),
    [
        (10, "4:2:0", NAMES[::4]),
        *(full(*each, NAMES[::2]) for each in ((10, "4:2:0"), (30, "4:4:4"), (50, "4:2:0"))),
    ],
)
def test_decoding_comes_nearer_to_the_original(
    quality: int, subsampling: str, names: tuple[str, ...]
) -> None:
    gains = {}
    for name in names:
        original = drawing(name)
        data = jpeg(original, quality, subsampling)
        stored = jpegs.read(data)
        assert stored is not None
        gains[name] = psnr(dequantise.decode(stored), original) - psnr(decoded(data), original)
    assert np.mean(list(gains.values())) > 0.5
    assert sum(gain > 0 for gain in gains.values()) >= 0.9 * len(gains), gains


def test_at_the_highest_quality_nothing_much_changes() -> None:
    data = jpeg(sample("heroine", (100, 200, 228, 328)), 100, "4:4:4")
    stored = jpegs.read(data)
    assert stored is not None
    assert psnr(dequantise.decode(stored), decoded(data)) > 45
