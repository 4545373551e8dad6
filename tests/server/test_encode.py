import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from metadata_for_tests import png_chunks, tiff_stream
from pictures import encoded, gradient, off, pixels_of, sample
from sakuga import TooLarge
from sakuga_core.config.server import Limits
from sakuga_core.options import Format
from sakuga_server.imaging import png
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.encode import encode
from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.png import FILTERS
from sakuga_server.imaging.samples import over_white, to_8_bit

LIMITS = Limits()


def picture(gray: bool = False, alpha: bool = False, deep: bool = False) -> Picture:
    pixels = gradient(20, 30, np.uint16 if deep else np.uint8)
    colour = pixels[..., 0] if gray else pixels
    return Picture(np.ascontiguousarray(colour), pixels[..., 1].copy() if alpha else None)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("gray", [False, True])
def test_png_keeps_everything(gray: bool, alpha: bool, deep: bool) -> None:
    source = picture(gray, alpha, deep)
    back = decode(encode(source, "png", None, True), LIMITS)
    colour = back.colour[..., 0] if gray and back.colour.ndim == 3 else back.colour
    assert off(colour, source.colour) == 0
    assert back.deep == deep
    if source.alpha is not None and back.alpha is not None:
        assert off(back.alpha, source.alpha) == 0
    assert (back.alpha is None) == (source.alpha is None)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("gray", [False, True])
def test_raw_is_the_pixels_themselves(
    small_strips: None, gray: bool, alpha: bool, deep: bool
) -> None:
    source = picture(gray, alpha, deep)
    layers = (source.colour, source.alpha) if alpha else (source.colour,)
    data = encode(source, "raw", None, True)
    found = np.frombuffer(data, "<u2" if deep else "u1").reshape(20, 30, (1 if gray else 3) + alpha)
    assert off(found, np.dstack(layers)) == 0
    assert found.shape[-1] == source.channels
    assert source.warnings == []


def test_raw_says_which_metadata_it_leaves_out() -> None:
    source = picture()
    source.metadata = Metadata(srgb_profile(), tiff_stream([(0x010E, 2, 2, b"a\0")]))
    assert encode(source, "raw", None, keep_metadata=False) == source.colour.tobytes()
    assert source.warnings == []
    encode(source, "raw", None, keep_metadata=True)
    assert source.warnings == ["raw can't store ICC profile, EXIF; dropped"]


def test_raw_pixels_that_no_message_carries_are_refused() -> None:
    pixels = np.broadcast_to(np.uint16(0), (16384, 16384, 4))  # 2 GiB, which take two bytes
    with pytest.raises(TooLarge, match="2147483648 bytes"):
        encode(Picture(pixels[..., :3], pixels[..., 3]), "raw", None, True)


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pngs_strips_are_one_stream(
    monkeypatch: pytest.MonkeyPatch, small_strips: None, filter: int, channels: int, dtype: type
) -> None:
    monkeypatch.setattr(png, "FILTERS", (filter,))
    pixels = np.random.default_rng(2).integers(0, np.iinfo(dtype).max, (31, 23, 4), dtype)
    colour = pixels[..., 0] if channels < 3 else pixels[..., :3]
    source = Picture(colour, pixels[..., 3] if channels in (2, 4) else None)
    data = encode(source, "png", None, True)
    stream = b"".join(body for kind, body in png_chunks(data) if kind == b"IDAT")
    assert len(zlib.decompress(stream)) == 31 * (1 + 23 * channels * pixels.itemsize)
    back = decode(data, LIMITS)
    assert off(back.colour, colour) == 0
    if source.alpha is not None and back.alpha is not None:
        assert off(back.alpha, source.alpha) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (70, 1), (9, 7)])
def test_small_pngs_are_what_others_read(size: tuple[int, int]) -> None:
    pixels = gradient(*size)
    data = encode(Picture(pixels), "png", None, True)
    assert off(pixels_of(data), pixels) == 0
    assert off(np.asarray(Image.open(io.BytesIO(data))), pixels) == 0


@pytest.mark.parametrize("name", ["heroine", "lineart", "sunset"])
def test_pngs_are_at_most_a_tenth_larger_than_pillows(name: str) -> None:
    pixels = cv2.resize(sample(name), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    assert len(encode(Picture(pixels), "png", None, True)) < 1.1 * len(encoded(pixels))


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_webp_is_lossless_without_a_quality(gray: bool, alpha: bool) -> None:
    source = picture(gray, alpha)
    back = decode(encode(source, "webp", None, True), LIMITS)
    assert off(back.colour[..., 0] if gray else back.colour, source.colour) == 0
    if source.alpha is not None and back.alpha is not None:
        assert off(back.alpha, source.alpha) == 0


def test_jpeg_has_whole_chroma() -> None:
    data = encode(picture(), "jpeg", None, True)
    assert Image.open(io.BytesIO(data)).layer[0][1:3] == (1, 1)  # type: ignore[attr-defined]


def test_jpeg_lays_transparency_over_white_and_says_so() -> None:
    source = Picture(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8))
    back = decode(encode(source, "jpeg", None, True), LIMITS)
    assert back.colour.min() >= 254
    assert "transparency" in source.warnings[0]


def test_jpeg_rounds_half_transparent_colours_strip_by_strip(
    small_strips: None,
) -> None:
    alpha = gradient(40, 50)[..., 2]
    flat = over_white(gradient(40, 50), alpha)
    share = alpha[..., None] / 255
    expected = gradient(40, 50) * share + 255 * (1 - share)
    assert np.abs(flat - expected).max() <= 0.51


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_16_bits_become_8_with_a_warning(format: Format) -> None:
    source = picture(deep=True)
    back = decode(encode(source, format, None, True), LIMITS)
    assert not back.deep
    assert np.abs(back.colour.astype(int) - to_8_bit(source.colour)).max() <= 4
    assert "8 bits" in source.warnings[0]


def test_to_8_bit_rounds_to_the_nearest() -> None:
    levels = np.arange(65536, dtype=np.uint16)
    assert off(to_8_bit(levels), np.rint(levels / 257).astype(np.uint8)) == 0


@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_metadata_is_written_and_can_be_left_out(format: Format) -> None:
    profile = srgb_profile()
    exif = Image.Exif()
    exif[0x010E] = "a heroine"
    source = picture()
    source.metadata = Metadata(profile, exif.tobytes().removeprefix(b"Exif\0\0"))
    kept = Image.open(io.BytesIO(encode(source, format, None, keep_metadata=True)))
    assert kept.info["icc_profile"] == profile
    assert kept.getexif()[0x010E] == "a heroine"
    bare = Image.open(io.BytesIO(encode(source, format, None, keep_metadata=False)))
    assert "icc_profile" not in bare.info
    assert not bare.getexif()


def test_exif_too_long_for_jpeg_is_left_out_with_a_warning() -> None:
    source = picture()
    source.metadata = Metadata(None, tiff_stream([(0x010E, 2, 70000, b"a" * 69999 + b"\0")]))
    assert not Image.open(io.BytesIO(encode(source, "jpeg", None, True))).getexif()
    assert "EXIF" in source.warnings[0]


def test_a_picture_too_long_for_its_format_is_refused() -> None:
    with pytest.raises(TooLarge, match="16383"):
        encode(Picture(np.zeros((1, 16384, 3), np.uint8)), "webp", None, True)


def srgb_profile() -> bytes:
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
