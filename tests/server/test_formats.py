"""Every format and variant that is read, against the samples its file was made of, or against
another decoder."""

import io
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
import simplejpeg
import tifffile
from PIL import Image

from pictures import (
    case,
    chunk,
    encoded,
    encoded_16,
    inked,
    off,
    png,
    psd,
    tiff,
)
from sakuga_core.formats import FORMATS
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.picture import Picture
from small_pictures import LIMITS, RGB, RGB_16, RNG, pillows, shown

pytestmark = pytest.mark.usefixtures("small_strips")


# PNG


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("depth", "colour_type"),
    [(bits, 0) for bits in (1, 2, 4, 8, 16)] + [(bits, t) for bits in (8, 16) for t in (2, 4, 6)],
)
def test_png_of_every_depth(depth: int, colour_type: int, interlaced: bool) -> None:
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    samples = RNG.integers(0, 1 << depth, (13, 19, channels))
    full = 65535 if depth == 16 else 255
    expected = (samples * full // ((1 << depth) - 1)).astype(np.uint16 if depth == 16 else np.uint8)
    found = shown(png(samples, depth, colour_type, interlaced=interlaced))
    assert off(found.reshape(expected.shape), expected) == 0


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_png_with_a_palette_and_transparency(depth: int, interlaced: bool) -> None:
    colours = RNG.integers(0, 256, (1 << depth, 3), np.uint8)
    alphas = RNG.integers(0, 256, 1 << depth, np.uint8)
    alphas[-1] = 255  # which tRNS leaves out
    samples = RNG.integers(0, 1 << depth, (13, 19, 1))
    tables = chunk(b"PLTE", colours.tobytes()), chunk(b"tRNS", alphas[:-1].tobytes())
    found = shown(png(samples, depth, 3, *tables, interlaced=interlaced))
    assert off(found[..., :3], colours[samples[..., 0]]) == 0
    assert off(found[..., 3], alphas[samples[..., 0]]) == 0


@pytest.mark.parametrize(("depth", "colour_type"), [(2, 0), (8, 0), (16, 0), (8, 2), (16, 2)])
def test_png_with_a_transparent_colour(depth: int, colour_type: int) -> None:
    samples = RNG.integers(0, 1 << depth, (13, 19, 1 if colour_type == 0 else 3))
    key = samples[3, 4]
    picture = decode(
        png(samples, depth, colour_type, chunk(b"tRNS", key.astype(">u2").tobytes())), LIMITS
    )
    assert picture.alpha is not None
    full = 65535 if depth == 16 else 255
    assert np.array_equal(picture.alpha, np.where((samples == key).all(axis=-1), 0, full))


def test_png_whose_transparency_has_a_wrong_checksum_loses_it_with_a_warning() -> None:
    whole = chunk(b"tRNS", b"\0\0\0\0\0\0")
    picture = decode(png(RGB, 8, 2, whole[:-1] + bytes((whole[-1] ^ 1,))), LIMITS)
    assert picture.alpha is None
    assert "transparency" in picture.warnings[0]


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
@pytest.mark.parametrize("size", [2_000_000, 40_000_000])
def test_png_with_large_metadata(kind: bytes, size: int) -> None:
    data = png(RGB, 8, 2, chunk(kind, b"name\0\0" + zlib.compress(bytes(size))))
    assert off(shown(data), RGB) == 0


# JPEG


@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"subsampling": "4:1:1"},
        {"subsampling": "4:2:0"},
        {"subsampling": "4:2:2"},
        {"restart_marker_rows": 1},
        {"restart_marker_blocks": 1, "progressive": True},
        {"optimize": True, "quality": 30},
    ],
)
def test_jpeg_decodes_as_pillow_does(options: dict[str, object]) -> None:
    data = encoded(RGB, "JPEG", **options)
    assert off(shown(data), pillows(data)) == 0


@pytest.mark.parametrize("subsampling", ["411", "440", "422"])
def test_jpeg_of_every_sampling_that_has_a_name(subsampling: str) -> None:
    data = simplejpeg.encode_jpeg(RGB, colorsubsampling=subsampling)
    assert off(shown(data), pillows(data)) == 0


@pytest.mark.parametrize("name", ["2x1-1x2", "4x2-1x1"])
def test_jpeg_of_other_samplings(name: str) -> None:
    data = case(f"sampled-{name}.jpg")
    assert off(shown(data), pillows(data)) == 0


def test_jpeg_with_arithmetic_coding() -> None:
    data = case("arithmetic.jpg")
    assert off(shown(data), pillows(data)) == 0


def test_jpeg_that_stores_rgb() -> None:
    data = imagecodecs.jpeg8_encode(RGB, 95, colorspace="RGB", outcolorspace="RGB")
    assert off(shown(data), pillows(data)) == 0


def test_jpeg_without_loss() -> None:
    assert off(shown(imagecodecs.jpeg8_encode(RGB, lossless=True)), RGB) == 0


def test_jpeg_of_12_bits_keeps_them() -> None:
    pixels = (RGB_16 >> 4).astype(np.uint16)
    found = shown(imagecodecs.jpeg8_encode(pixels, 98, bitspersample=12))
    assert found.dtype == np.uint16
    assert np.abs(found.astype(int) - RGB_16).mean() < 300


@pytest.mark.parametrize("side", [65500, 65535])
@pytest.mark.parametrize("tall", [False, True])
def test_jpeg_of_the_longest_sides(side: int, tall: bool) -> None:
    pixels = np.full((side, 2, 3) if tall else (2, side, 3), 200, np.uint8)
    found = shown(imagecodecs.jpeg8_encode(pixels, 95))
    assert off(found, pixels) <= 1


@pytest.mark.parametrize("stored", ["CMYK", "YCCK"])
def test_jpeg_of_inks_as_adobe_stores_them(stored: str) -> None:
    inks = inked(RGB)
    data = imagecodecs.jpeg8_encode(255 - inks, 98, colorspace="CMYK", outcolorspace=stored)
    assert b"Adobe" in data
    difference = np.abs(shown(data).astype(int) - RGB)
    assert difference.mean() < 3


def test_jpeg_with_bytes_between_its_segments_is_read_with_a_warning() -> None:
    data = encoded(RGB, "JPEG")
    at = data.index(b"\xff\xdb")
    picture = decode(data[:at] + b"\0\1\2" + data[at:], LIMITS)
    assert off(picture.colour, pillows(data)) == 0
    assert "extraneous" in picture.warnings[0]


def test_jpeg_without_its_end_marker_is_read_with_a_warning() -> None:
    data = encoded(RGB, "JPEG")
    picture = decode(data[:-2], LIMITS)
    assert off(picture.colour, pillows(data)) == 0
    assert "end" in picture.warnings[0]


def test_jpeg_with_a_lost_restart_marker_is_read_with_a_warning() -> None:
    data = encoded(np.tile(RGB, (4, 1, 1)), "JPEG", restart_marker_rows=1)
    picture = decode(data.replace(b"\xff\xd1", b"\xff\xd2"), LIMITS)
    assert "damaged" in picture.warnings[0]


# What each says of itself


MADE: dict[str, Callable[[], bytes]] = {
    "png": lambda: encoded(RGB),
    "jpeg": lambda: encoded(RGB, "JPEG"),
    "webp": lambda: encoded(RGB, "WEBP"),
    "gif": lambda: encoded(RGB, "GIF"),
    "avif": lambda: encoded(RGB, "AVIF"),
    "tiff": lambda: tiff(RGB),
    "bmp": lambda: encoded(RGB, "BMP"),
    "tga": lambda: encoded(RGB, "TGA"),
    "qoi": lambda: imagecodecs.qoi_encode(RGB),
    "heic": lambda: encoded(RGB, "HEIF"),
    "jxl": lambda: imagecodecs.jpegxl_encode(RGB),
    "psd": lambda: psd(RGB),
    "ico": lambda: encoded(RGB, "ICO"),
}


def test_every_format_has_its_test() -> None:
    assert set(MADE) == {row.name for row in FORMATS}


@pytest.mark.parametrize("name", MADE)
def test_a_picture_knows_its_format_by_its_content(name: str) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    picture: Picture = decode(MADE[name](), LIMITS)
    assert picture.format == name
    assert picture.warnings == []


@pytest.mark.parametrize("name", ["cicp.png", "gray-icc.jpg"])
def test_colours_of_another_space_stay_as_they_are_with_what_says_so(name: str) -> None:
    picture = decode(case(name), LIMITS)
    expected = np.asarray(Image.open(io.BytesIO(case(name))))
    assert off(picture.colour, expected) == 0
    assert picture.metadata.icc is not None or picture.metadata.color is not None


# The cases


def test_planar16_is_read_as_the_interleaved_file() -> None:
    expected = tifffile.imread(io.BytesIO(case("planar16.tif")))
    assert off(shown(case("planar16.tif")), expected.transpose(1, 2, 0).copy()) == 0


def test_gray16_trns_keeps_its_transparency() -> None:
    picture = decode(case("gray16-trns.png"), LIMITS)
    assert picture.alpha is not None
    assert set(np.unique(picture.alpha)) == {0, 65535}


def test_assoc16_is_read_as_its_8_bit_twin() -> None:
    found = shown(case("assoc16.tif"))
    stored = tifffile.imread(io.BytesIO(case("assoc16.tif")))
    shallow = (stored.astype(np.uint32) // 257).astype(np.uint8)
    twin = shown(tiff(shallow, photometric="rgb", extrasamples=["assocalpha"]))
    assert np.abs(found / 257 - twin).max() <= 2
    share = stored[..., 3:].astype(float) / 65535
    assert np.abs(found[..., :3] - stored[..., :3] / share).max() < 1


@pytest.mark.parametrize("name", ["png-ztxt-1200k.png", "png-bad-crc-text.png"])
def test_metadata_never_costs_the_pixels_of_a_png(name: str) -> None:
    expected = imagecodecs.png_decode(case(name))
    picture = decode(case(name), LIMITS)
    assert off(picture.colour, expected) == 0
    assert bool(picture.warnings) == ("crc" in name)


def test_plain_avif_is_read() -> None:
    assert off(shown(case("plain.avif")), pillows(case("plain.avif"))) == 0


def test_an_exif_tag_of_an_unusual_type_never_costs_the_pixels() -> None:
    data = case("exif-software-rational.jpg")
    assert off(shown(data), simplejpeg.decode_jpeg(data)) == 0


def test_16_bit_colours_equal_those_of_opencv() -> None:
    pixels = RNG.integers(0, 65536, (13, 19, 4), np.uint16)
    assert off(shown(encoded_16(pixels)), pixels) == 0
