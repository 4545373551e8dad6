"""CMYK colours, and TIFF files of every layout."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from pictures import (
    cmyk_profile,
    encoded,
    gradient,
    inked,
    off,
    saved,
    tiff,
)
from sakuga import BadImage, TooLarge
from sakuga_core.config.server import Limits
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.reading import tiff as tiff_pages
from small_pictures import ALPHA, GRAY, LIMITS, RGB, RGB_16, RGBA, RNG, deep, pillows, shown

pytestmark = pytest.mark.usefixtures("small_strips")


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
