"""Every format and variant that is read, against the samples its file was made of, or against
another decoder."""

import io
import struct
import sys
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
import simplejpeg
import tifffile
from PIL import Image, ImageCms

from pictures import (
    case,
    chunk,
    cmyk_profile,
    encoded,
    encoded_16,
    gradient,
    inked,
    off,
    png,
    psd,
    saved,
    tiff,
)
from sakuga import BadImage, TooLarge
from sakuga_core.config.server import Limits
from sakuga_core.formats import FORMATS
from sakuga_server.imaging import picture as in_memory
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.picture import Picture, orient
from sakuga_server.imaging.reading import jxl, pillow, qoi
from sakuga_server.imaging.reading import tiff as tiff_pages

LIMITS = Limits()
RGB = gradient(21, 34)
RGB_16 = gradient(21, 34, np.uint16)
ALPHA = np.ascontiguousarray(RGB[::-1, ::-1, 2])
RGBA = np.dstack((RGB, ALPHA))
GRAY = np.ascontiguousarray(RGB[..., 0])
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that each picture has several."""
    monkeypatch.setattr(in_memory, "STRIP", 1000)


def shown(data: bytes) -> np.ndarray:
    """A file's pixels, with alpha as the last channel where there is one."""
    picture = decode(data, LIMITS)
    return picture.colour if picture.alpha is None else np.dstack((picture.colour, picture.alpha))


def pillows(data: bytes, mode: str = "RGB") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


def deep(pixels: np.ndarray) -> np.ndarray:
    """The same colours in 16 bits."""
    return pixels.astype(np.uint16) * 257


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


# Inks


def plainly(inks: np.ndarray) -> np.ndarray:
    light = 1 - inks / np.iinfo(inks.dtype).max
    return np.rint(light[..., :3] * light[..., 3:] * np.iinfo(inks.dtype).max).astype(inks.dtype)


def inks_in(format: str, inks: np.ndarray, icc: bytes | None) -> bytes:
    if format == "TIFF":
        return tiff(inks, photometric="separated", iccprofile=icc)
    options = {"icc_profile": icc} if icc else {}
    return saved(Image.fromarray(inks, "CMYK"), format, **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inks_without_a_profile_become_rgb_with_a_warning(dtype: type) -> None:
    inks = inked(gradient(21, 34, dtype))
    picture = decode(inks_in("TIFF", inks, None), LIMITS)
    assert off(picture.colour, plainly(inks)) <= 1
    assert any("profile" in warning for warning in picture.warnings)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inks_go_through_their_own_profile(dtype: type) -> None:
    inks = inked(RGB)
    icc = cmyk_profile()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    turned = ImageCms.profileToProfile(
        Image.fromarray(inks, "CMYK"), source, srgb, outputMode="RGB"
    )
    expected = np.asarray(turned)
    stored = inks if dtype is np.uint8 else deep(inks)
    picture = decode(inks_in("TIFF", stored, icc), LIMITS)
    assert picture.colour.dtype == dtype
    levels = picture.colour / (1 if dtype is np.uint8 else 257)
    assert np.abs(levels - expected).max() < 1.6
    assert np.abs(expected.astype(int) - plainly(inks)).max() > 20  # so the profile was used
    assert picture.metadata.icc is None  # the pixels are sRGB's now
    assert picture.warnings == []


def test_a_jpegs_inks_go_through_their_own_profile() -> None:
    inks = inked(RGB)
    flat = decode(inks_in("TIFF", inks, cmyk_profile()), LIMITS).colour
    found = decode(
        saved(
            Image.fromarray(inks, "CMYK"),
            "JPEG",
            quality=98,
            subsampling=0,
            icc_profile=cmyk_profile(),
        ),
        LIMITS,
    )
    assert np.abs(found.colour.astype(int) - flat).mean() < 3


def test_inks_with_a_profile_of_another_kind_become_rgb_with_a_warning() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    inks = inked(RGB)
    for icc in (profile, cmyk_profile()[:400]):
        picture = decode(inks_in("TIFF", inks, icc), LIMITS)
        assert off(picture.colour, plainly(inks)) <= 1
        assert any("profile" in warning for warning in picture.warnings)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inks_with_transparency(dtype: type) -> None:
    full = gradient(21, 34, dtype)
    inks = np.dstack((inked(full), full[..., 1]))
    data = tiff(inks, photometric="separated", extrasamples=["unassalpha"])
    found = shown(data)
    assert off(found[..., :3], plainly(inks[..., :4])) <= 1
    assert off(found[..., 3], full[..., 1]) == 0


# TIFF


COMPRESSIONS = [None, "lzw", "zlib", "packbits", "lzma", "zstd"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("layout", ["strips", "tiles"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_tiff_however_it_is_laid_out(
    compression: str | None, layout: str, planes: str, dtype: type
) -> None:
    pixels = RNG.integers(0, np.iinfo(dtype).max, (45, 70, 3), dtype, endpoint=True)
    stored = pixels.transpose(2, 0, 1).copy() if planes == "separate" else pixels
    cut = {"tile": (16, 32)} if layout == "tiles" else {"rowsperstrip": 7}
    data = tiff(stored, photometric="rgb", planarconfig=planes, compression=compression, **cut)
    assert off(shown(data), pixels) == 0


@pytest.mark.parametrize("compression", ["lzw", "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("pixels", [RGB, RGB_16, GRAY], ids=["rgb", "rgb16", "gray"])
def test_tiff_with_a_predictor_in_either_byte_order(
    pixels: np.ndarray, order: str, big: bool, compression: str
) -> None:
    data = tiff(pixels, compression=compression, predictor=True, byteorder=order, bigtiff=big)
    assert off(shown(data), pixels) == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_whose_white_is_zero(dtype: type) -> None:
    gray = gradient(21, 34, dtype)[..., 0].copy()
    assert off(shown(tiff(np.iinfo(dtype).max - gray, photometric="miniswhite")), gray) == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_tiff_of_gray_with_transparency(dtype: type, planes: str) -> None:
    pixels = gradient(21, 34, dtype)[..., :2].copy()
    stored = pixels.transpose(2, 0, 1).copy() if planes == "separate" else pixels
    data = tiff(stored, photometric="minisblack", planarconfig=planes, extrasamples=["unassalpha"])
    assert decode(data, LIMITS).mode.startswith("gray+alpha")
    assert off(shown(data), pixels) == 0


@pytest.mark.parametrize("kind", ["gray", "rgb"])
def test_associated_alpha_is_divided_out_alike_in_8_and_16_bits(kind: str) -> None:
    colour = RGB if kind == "rgb" else RGB[..., :1]
    alpha = np.maximum(ALPHA, 40)
    photometric = "rgb" if kind == "rgb" else "minisblack"

    def read(full: int, dtype: type) -> np.ndarray:
        share = alpha[..., None] / 255
        pixels = np.dstack((np.rint(colour / 255 * share * full), np.rint(share * full)))
        options = {"photometric": photometric, "extrasamples": ["assocalpha"]}
        return shown(tiff(pixels.astype(dtype), **options))

    shallow, fine = read(255, np.uint8), read(65535, np.uint16)
    expected = np.dstack((colour, alpha))
    assert off(shallow, expected) <= 255 / 40  # what rounding to 8 bits costs
    assert np.abs(fine / 257 - expected).max() < 0.2
    assert fine.dtype == np.uint16


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_unspecified_extra_channels_are_dropped_with_a_warning(
    photometric: str, dtype: type
) -> None:
    colours = 3 if photometric == "rgb" else 1
    full = gradient(21, 34, dtype)
    pixels = np.dstack((full[..., :colours], full[..., 2], full[..., 0]))
    extra = ["unspecified", "unspecified"]
    picture = decode(tiff(pixels, photometric=photometric, extrasamples=extra), LIMITS)
    assert picture.alpha is None
    assert off(picture.colour.reshape(21, 34, -1), pixels[..., :colours]) == 0
    assert "2 extra channels" in picture.warnings[0]


def test_transparency_behind_another_extra_channel_is_found() -> None:
    pixels = np.dstack((RGB, GRAY, ALPHA))
    data = tiff(pixels, photometric="rgb", extrasamples=["unspecified", "unassalpha"])
    assert off(shown(data), RGBA) == 0


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt", "raw", "packbits"])
def test_tiff_of_1_bit(compression: str) -> None:
    image = Image.fromarray(GRAY > 99)
    expected = np.where(GRAY > 99, 255, 0).astype(np.uint8)
    assert off(shown(saved(image, "TIFF", compression=compression)), expected) == 0


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("photometric", [0, 1, 3])
def test_tiff_of_few_bits(bits: int, photometric: int) -> None:
    samples = RNG.integers(0, 1 << bits, (9, 16), np.uint8)
    rows = np.unpackbits(samples[..., None], axis=-1)[..., 8 - bits :].reshape(9, -1)
    colours = RNG.integers(0, 256, (3, 1 << bits)).astype(np.uint16)
    data = few_bits(np.packbits(rows, axis=1).tobytes(), bits, photometric, colours * 257)
    if photometric == 3:
        expected = colours.astype(np.uint8).T[samples]
    else:
        levels = samples if photometric else (1 << bits) - 1 - samples
        expected = (levels * (255 // ((1 << bits) - 1))).astype(np.uint8)
    assert off(shown(data), expected) == 0


def few_bits(body: bytes, bits: int, photometric: int, colours: np.ndarray) -> bytes:
    """A TIFF of 16x9 samples of less than 8 bits."""
    at = 8 + 2 + 10 * 12 + 4
    tags = {256: 16, 257: 9, 258: bits, 259: 1, 262: photometric, 273: at, 277: 1, 278: 9}
    tags[279] = len(body)
    entries = [struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags.items()]
    entries.append(struct.pack("<HHII", 320, 3, colours.size, at + len(body)))
    head = struct.pack("<4sIH", b"II*", 8, len(entries))
    return b"".join((head, *entries, bytes(4), body, colours.astype("<u2").tobytes()))


@pytest.mark.parametrize("spread", [1, 256, 257])
def test_tiff_with_a_palette_of_8_bits(spread: int) -> None:
    colours = RNG.integers(0, 256, (3, 256)).astype(np.uint16)
    indices = RNG.integers(0, 256, (21, 34), np.uint8)
    data = tiff(indices, photometric="palette", colormap=colours * np.uint16(spread))
    assert off(shown(data), colours.astype(np.uint8).T[indices]) == 0


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
def test_tiff_with_jpegs_compression(photometric: str) -> None:
    options = {"subsampling": (2, 2)} if photometric == "ycbcr" else {}
    data = tiff(RGB, photometric=photometric, compression="jpeg", tile=(16, 16), **options)
    assert off(shown(data), pillows(data)) == 0
    assert off(shown(data), tifffile.imread(io.BytesIO(data))) <= 2


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (RGB.astype(np.float32), "floating-point samples of 32 bits"),
        (GRAY.astype(np.float16), "floating-point samples of 16 bits"),
        (GRAY.astype(np.int16), "signed samples of 16 bits"),
        (GRAY.astype(np.uint32), "samples of 32 bits"),
    ],
)
def test_tiff_of_other_numbers_is_refused_with_the_reason(pixels: np.ndarray, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        decode(tiff(pixels), LIMITS)


def test_tiff_of_lab_colours_is_refused_with_the_reason() -> None:
    with pytest.raises(BadImage, match="photometric interpretation"):
        decode(tiff(RGB, photometric="cielab"), LIMITS)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["raw", "jpeg"])
def test_tiff_is_turned_once_whoever_decodes_it(compression: str, orientation: int) -> None:
    data = saved(
        Image.fromarray(RGB), "TIFF", compression=compression, tiffinfo={0x0112: orientation}
    )
    assert off(shown(data), pillows(data)) == 0


def pages(*pictures: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for pixels in pictures:
            writer.write(pixels, metadata=None, **options)
    return file.getvalue()


def test_pages_of_a_tiff_are_read_one_by_one() -> None:
    data = pages(RGB, RGB_16[:9], GRAY[:, :5], GRAY > 99)  # tifffile's ones are black
    assert tiff_pages.pages(data, LIMITS) == [(34, 21), (34, 9), (5, 21), (34, 21)]
    expected = (RGB, RGB_16[:9], GRAY[:, :5], (GRAY <= 99) * np.uint8(255))
    for page, pixels in zip(tiff_pages.pictures(data, LIMITS), expected, strict=True):
        assert off(page.colour, pixels) == 0
    assert "first" in decode(data, LIMITS).warnings[0]


def test_sizes_of_pages_are_those_of_upright_pictures() -> None:
    data = saved(Image.fromarray(RGB), "TIFF", tiffinfo={0x0112: 6})
    (picture,) = tiff_pages.pictures(data, LIMITS)
    assert tiff_pages.pages(data, LIMITS) == [(picture.width, picture.height)] == [(21, 34)]


def test_smaller_copies_of_pages_are_no_pages() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(RGB, metadata=None)
        writer.write(RGB[::2, ::2], metadata=None, subfiletype=1)
        writer.write(RGB_16, metadata=None)
    data = file.getvalue()
    assert len(tiff_pages.pages(data, LIMITS)) == 2
    first, second = tiff_pages.pictures(data, LIMITS)
    assert off(first.colour, RGB) == 0
    assert off(second.colour, RGB_16) == 0


def test_a_page_has_its_own_profile() -> None:
    first = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(RGB, metadata=None, iccprofile=first)
        writer.write(inked(RGB), metadata=None, photometric="separated", iccprofile=cmyk_profile())
        writer.write(RGB, metadata=None)
    found = list(tiff_pages.pictures(file.getvalue(), LIMITS))
    assert [page.metadata.icc for page in found] == [first, None, None]
    assert not any(page.warnings for page in found)


def test_what_is_no_tiff_has_no_pages() -> None:
    assert tiff_pages.pages(encoded(RGB), LIMITS) == []


def test_pages_are_limited_before_they_are_decoded() -> None:
    data = pages(GRAY, GRAY, GRAY)
    with pytest.raises(TooLarge, match="more than 2 pages"):
        tiff_pages.pages(data, Limits(frames=2))
    with pytest.raises(TooLarge, match="together"):
        tiff_pages.pages(data, Limits(animation_pixels=2 * GRAY.size))
    with pytest.raises(TooLarge, match="34x21"):
        tiff_pages.pages(data, Limits(input_pixels=GRAY.size - 1))


# The others


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("options", [{"lossless": True, "exact": True}, {"quality": 80}])
def test_webp_decodes_as_pillow_does(mode: str, options: dict[str, object]) -> None:
    data = encoded(RGB if mode == "RGB" else RGBA, "WEBP", **options)
    assert off(shown(data), pillows(data, mode)) == 0


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_avif_decodes_as_pillow_does(mode: str) -> None:
    data = encoded(RGB if mode == "RGB" else RGBA, "AVIF", quality=90)
    assert off(shown(data), pillows(data, mode)) == 0


def test_avif_of_10_bits_is_read_with_a_warning() -> None:
    data = imagecodecs.avif_encode((RGB_16 >> 6).astype(np.uint16), 100, bitspersample=10)
    picture = decode(data, LIMITS)
    assert np.abs(picture.colour.astype(int) - RGB).mean() < 4
    assert "10 bits" in picture.warnings[0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_bmp_decodes_exactly(mode: str) -> None:
    image = (
        Image.fromarray(RGB).quantize(200) if mode == "P" else Image.fromarray(RGB).convert(mode)
    )
    expected = np.asarray(image.convert("L" if mode in ("1", "L") else "RGB"))
    assert off(shown(saved(image, "BMP")), expected) == 0


@pytest.mark.parametrize("compression", [None, "tga_rle"])
@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
def test_tga_decodes_exactly(mode: str, compression: str | None) -> None:
    image = Image.fromarray(RGBA if mode[-1] == "A" else RGB)
    image = image.quantize(200) if mode == "P" else image.convert(mode)
    expected = np.asarray(image.convert("RGB" if mode == "P" else mode))
    data = saved(image, "TGA", compression=compression)
    assert decode(data, LIMITS).format == "tga"
    assert off(shown(data), expected) == 0


@pytest.mark.parametrize("pixels", [GRAY, RGB], ids=["gray", "rgb"])
@pytest.mark.parametrize("layers", [None, 1, -2])
def test_psd_is_read_flattened(pixels: np.ndarray, layers: int | None) -> None:
    assert off(shown(psd(pixels, layers)), pixels) == 0


def test_psd_laid_over_white_gets_its_colours_back() -> None:
    """Photoshop stores the flattened picture over white, as psd-tools' own files show."""
    share = ALPHA[..., None] / 255
    over_white = np.rint(RGB * share + 255 * (1 - share)).astype(np.uint8)
    found = shown(psd(np.dstack((over_white, ALPHA)), layers=-1))
    assert off(found[..., 3], ALPHA) == 0
    firm = ALPHA > 127
    assert np.abs(found[..., :3][firm].astype(int) - RGB[firm]).max() <= 1


def test_a_saved_selection_of_a_psd_is_no_transparency() -> None:
    for layers in (None, 3):
        picture = decode(psd(RGBA, layers), LIMITS)
        assert picture.alpha is None
        assert off(picture.colour, RGB) == 0
        assert "extra channel" in picture.warnings[0]


def test_psd_of_16_bits_is_refused_with_the_reason() -> None:
    with pytest.raises(BadImage, match="16 bits"):
        decode(psd(RGB, depth=16), LIMITS)


def test_psd_without_a_flattened_picture_is_refused_with_what_to_do() -> None:
    body = b"\0\0\0\1\0" + bytes(14)
    resource = b"8BIM\x04\x21\0\0" + len(body).to_bytes(4, "big") + body + b"\0"
    with pytest.raises(BadImage, match="Maximize Compatibility"):
        decode(psd(RGB, resources=resource), LIMITS)
    with_picture = resource.replace(b"\0\0\0\1\0", b"\0\0\0\1\1")
    assert off(shown(psd(RGB, resources=with_picture)), RGB) == 0


@pytest.mark.parametrize("pixels", [RGB, RGBA], ids=["rgb", "rgba"])
def test_qoi_decodes_exactly(pixels: np.ndarray) -> None:
    assert off(shown(saved(Image.fromarray(pixels), "QOI")), pixels) == 0


def test_qoi_that_ends_like_the_sign_of_missing_pixels_is_read() -> None:
    for sign in qoi._SIGNS:
        pixels = RGBA.copy()
        pixels[-1, -1] = tuple(sign)
        assert off(shown(imagecodecs.qoi_encode(pixels)), pixels) == 0


def test_the_largest_picture_of_an_icon_is_read() -> None:
    image = Image.fromarray(np.tile(RGBA, (4, 3, 1))[:64, :64])
    data = saved(image, "ICO", sizes=[(16, 16), (64, 64), (32, 32)])
    assert off(shown(data), np.asarray(image)) == 0


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_heic_decodes_as_its_plugin_does(mode: str) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    data = encoded(RGB if mode == "RGB" else RGBA, "HEIF", quality=95)
    assert decode(data, LIMITS).format == "heic"
    assert off(shown(data), pillows(data, mode)) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_once(orientation: int) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(RGB, "HEIF", quality=95, exif=exif.tobytes())
    assert off(shown(data), pillows(data)) == 0
    assert np.abs(shown(data).astype(int) - orient(RGB, orientation)).mean() < 6


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_jpeg_xl_without_loss_decodes_exactly(channels: int, dtype: type) -> None:
    pytest.importorskip("pillow_jxl")
    full = gradient(21, 34, dtype)
    pixels = np.dstack((full, full[::-1, ::-1, 0]))[..., :channels]
    data = imagecodecs.jpegxl_encode(np.ascontiguousarray(pixels.squeeze()), lossless=True)
    assert decode(data, LIMITS).format == "jxl"
    assert off(shown(data), pixels.squeeze()) == 0


@pytest.mark.parametrize("size", [(8, 8), (256, 256), (300, 400), (41, 7), (16, 9), (1, 5000)])
@pytest.mark.parametrize("deep", [False, True])
def test_the_size_of_a_jpeg_xl_is_known_before_its_pixels(
    size: tuple[int, int], deep: bool
) -> None:
    pixels = gradient(*size, np.uint16 if deep else np.uint8)
    header = jxl.header(imagecodecs.jpegxl_encode(pixels, lossless=True))
    assert (header.height, header.width) == size
    assert header.bits == (16 if deep else 8)
    assert not header.floating


@pytest.mark.parametrize(("name", "module"), [("HEIF", "pillow_heif"), ("JXL", "pillow_jxl")])
def test_a_format_whose_packages_are_missing_is_refused_with_what_to_do(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(module)
    __import__("pillow_heif").register_heif_opener()
    data = encoded(RGB, "HEIF") if name == "HEIF" else imagecodecs.jpegxl_encode(RGB)
    monkeypatch.setitem(sys.modules, module, None)
    pillow._has_plugin.cache_clear()
    try:
        with pytest.raises(BadImage, match=r"pip install 'sakuga-server\[formats\]'"):
            decode(data, LIMITS)
    finally:
        pillow._has_plugin.cache_clear()


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
