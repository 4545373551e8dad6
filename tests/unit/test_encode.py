import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from pictures import gradient, off
from sakuga import TooLarge
from sakuga.config import Limits
from sakuga.options import Format
from sakuga_server.pipelines.decode import decode
from sakuga_server.pipelines.encode import encode, to_8_bit
from sakuga_server.pipelines.picture import Metadata, Picture

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


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_webp_is_lossless_without_a_quality(gray: bool, alpha: bool) -> None:
    source = picture(gray, alpha)
    back = decode(encode(source, "webp", None, True), LIMITS)
    assert off(back.colour[..., 0] if gray else back.colour, source.colour) == 0
    if source.alpha is not None and back.alpha is not None:
        assert off(back.alpha, source.alpha) == 0


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_a_lower_quality_is_smaller(format: Format) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    sizes = [len(encode(Picture(noisy), format, quality, True)) for quality in (20, 95)]
    assert sizes[0] < sizes[1]


def test_jpeg_has_whole_chroma() -> None:
    data = encode(picture(), "jpeg", None, True)
    assert Image.open(io.BytesIO(data)).layer[0][1:3] == (1, 1)  # type: ignore[attr-defined]


def test_jpeg_lays_transparency_over_white_and_says_so() -> None:
    source = Picture(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8))
    back = decode(encode(source, "jpeg", None, True), LIMITS)
    assert back.colour.min() >= 254
    assert "transparency" in source.warnings[0]


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_16_bits_become_8_and_it_is_said(format: Format) -> None:
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
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
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


def test_exif_too_long_for_jpeg_is_left_out_and_said() -> None:
    source = picture()
    source.metadata = Metadata(None, b"MM\0*" + bytes(70000))
    assert not Image.open(io.BytesIO(encode(source, "jpeg", None, True))).getexif()
    assert "EXIF" in source.warnings[0]


def test_a_picture_too_long_for_its_format_is_refused() -> None:
    with pytest.raises(TooLarge, match="16383"):
        encode(Picture(np.zeros((1, 16384, 3), np.uint8)), "webp", None, True)
