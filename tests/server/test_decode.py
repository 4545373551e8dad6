import io
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from pictures import chunk, encoded, encoded_16, gradient, off, png_header
from sakuga import BadImage, TooLarge
from sakuga_core.config.server import Limits
from sakuga_server.imaging import picture as in_memory
from sakuga_server.imaging.decode import decode, orient

LIMITS = Limits()
RGB = gradient(21, 34)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF"])
def test_lossless_kinds_decode_exactly(format: str) -> None:
    pixels = np.asarray(Image.fromarray(RGB).quantize(200).convert("RGB"))
    source = Image.fromarray(pixels).quantize(200) if format == "GIF" else Image.fromarray(pixels)
    file = io.BytesIO()
    source.save(file, format)
    assert off(decode(file.getvalue(), LIMITS).colour, np.asarray(source.convert("RGB"))) == 0


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_lossy_kinds_decode_as_pillow_does(format: str) -> None:
    data = encoded(RGB, format)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert off(decode(data, LIMITS).colour, expected) == 0


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_stay(suffix: str, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 13, channels), np.uint16)
    picture = decode(encoded_16(pixels[..., 0] if channels == 1 else pixels, suffix), LIMITS)
    assert picture.deep
    assert off(picture.colour, pixels[..., 0] if channels == 1 else pixels[..., :3]) == 0
    assert (picture.alpha is not None) == (channels == 4)
    if picture.alpha is not None:
        assert off(picture.alpha, pixels[..., 3]) == 0


def test_gray_stays_gray() -> None:
    picture = decode(encoded(RGB[..., 0]), LIMITS)
    assert picture.mode == "gray 8 bit"
    assert off(picture.colour, RGB[..., 0]) == 0


def test_gray_with_alpha() -> None:
    picture = decode(encoded(RGB[..., :2].copy()), LIMITS)
    assert picture.mode == "gray+alpha 8 bit"
    assert picture.alpha is not None
    assert off(picture.alpha, RGB[..., 1]) == 0


def test_16_bit_gray_with_alpha() -> None:
    gray, alpha = gradient(5, 7, np.uint16)[..., 0], gradient(5, 7, np.uint16)[..., 1]
    picture = decode(png_16_gray_alpha(gray, alpha), LIMITS)
    assert picture.mode == "gray+alpha 16 bit"
    assert off(picture.colour, gray) == 0


def test_palette_with_transparency_becomes_alpha() -> None:
    image = Image.new("P", (4, 2))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2, 1, 0, 0, 2, 1])
    file = io.BytesIO()
    image.save(file, "PNG", transparency=bytes([255, 0, 100]))
    picture = decode(file.getvalue(), LIMITS)
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[255, 0, 100, 0], [255, 255, 100, 0]]
    assert picture.colour[0, 2].tolist() == [0, 0, 255]


def test_a_single_transparent_colour_becomes_alpha() -> None:
    picture = decode(encoded(RGB, transparency=tuple(map(int, RGB[3, 4]))), LIMITS)
    assert picture.alpha is not None
    assert picture.alpha[3, 4] == 0
    assert picture.alpha[0, 0] == 255


def test_1_bit_becomes_gray() -> None:
    file = io.BytesIO()
    Image.new("1", (8, 3), 1).save(file, "PNG")
    picture = decode(file.getvalue(), LIMITS)
    assert picture.mode == "gray 8 bit"
    assert picture.colour.min() == 255


def test_cmyk_becomes_rgb() -> None:
    data = encoded(RGB, "PNG")
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("CMYK").save(file, "JPEG", quality=100)
    picture = decode(file.getvalue(), LIMITS)
    assert picture.mode == "rgb 8 bit"
    assert np.abs(picture.colour.astype(int) - RGB).mean() < 6


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_as_pillow_does(orientation: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a heroine", orientation
    data = encoded(RGB, format, exif=exif)
    loaded = Image.open(io.BytesIO(data))
    loaded.load()  # which turns a TIFF, and takes its tag away
    expected = np.asarray(ImageOps.exif_transpose(loaded))
    picture = decode(data, LIMITS)
    assert off(picture.colour, expected) == 0
    assert picture.orientation == orientation
    kept = Image.Exif()
    kept.load(picture.metadata.exif or b"")
    assert kept[0x010E] == "a heroine"
    assert kept.get(0x0112, 1) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_16_bit_tiff_is_turned_as_its_8_bit_twin(orientation: int) -> None:
    gray = np.ascontiguousarray(RGB[..., 0])
    files = [
        encoded(pixels, "TIFF", tiffinfo={0x0112: orientation})
        for pixels in (gray, gray.astype(np.uint16) * 257)
    ]
    shallow, deep = (decode(data, LIMITS).colour for data in files)
    assert off(deep, shallow.astype(np.uint16) * 257) == 0


def test_a_cmyk_tiffs_own_layout_is_no_exif() -> None:
    file = io.BytesIO()
    Image.fromarray(RGB).convert("CMYK").save(file, "TIFF", tiffinfo={0x010E: "a heroine"})
    kept = Image.Exif()
    kept.load(decode(file.getvalue(), LIMITS).metadata.exif or b"")
    assert set(kept) - {0x0112} == {0x010E}


def test_an_orientation_out_of_range_is_none() -> None:
    assert off(orient(RGB, 42), RGB) == 0


def test_a_tiffs_own_layout_is_no_exif() -> None:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "TIFF", tiffinfo={0x010E: "a heroine"})
    kept = Image.Exif()
    kept.load(decode(file.getvalue(), LIMITS).metadata.exif or b"")
    assert set(kept) - {0x0112} == {0x010E}


def test_icc_is_kept() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert decode(encoded(RGB, icc_profile=profile), LIMITS).metadata.icc == profile


@pytest.mark.parametrize("format", ["GIF", "PNG", "TIFF", "WEBP"])
def test_the_first_of_several_frames_is_used_with_a_warning(format: str) -> None:
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, format, save_all=True, append_images=frames[1:])
    picture = decode(file.getvalue(), LIMITS)
    assert (np.abs(picture.colour.astype(int) - (255, 0, 0)) <= 3).all()
    assert "first" in picture.warnings[0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_strips_are_what_pillow_makes_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(in_memory, "STRIP", 500)
    image = Image.fromarray(RGB).convert(mode)
    file = io.BytesIO()
    image.save(file, "PNG", **({"transparency": 3} if mode == "P" else {}))
    picture = decode(file.getvalue(), LIMITS)
    transparent = "A" if mode in ("LA", "P", "RGBA") else ""
    gray = mode in ("1", "L", "LA")
    whole = Image.open(file).convert(("L" if gray else "RGB") + transparent)
    expected = np.asarray(whole).reshape(*RGB.shape[:2], -1)
    found = picture.colour if picture.alpha is None else np.dstack((picture.colour, picture.alpha))
    assert off(found.reshape(expected.shape), expected) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_sides_of_one_pixel(size: tuple[int, int]) -> None:
    assert off(decode(encoded(gradient(*size)), LIMITS).colour, gradient(*size)) == 0


@pytest.mark.parametrize("data", [b"\0", b"not a picture at all", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(BadImage):
        decode(data, LIMITS)


def test_nothing_is_refused() -> None:
    with pytest.raises(BadImage, match="empty"):
        decode(b"", LIMITS)


def test_other_kinds_are_refused() -> None:
    with pytest.raises(BadImage, match="PNG, JPEG"):
        decode(encoded(RGB, "PPM"), LIMITS)


def test_floating_point_is_refused() -> None:
    with pytest.raises(BadImage, match="16 bits"):
        decode(encoded(RGB[..., 0].astype(np.float32), "TIFF"), LIMITS)


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(TooLarge, match="allowed: 100"):
        decode(encoded(RGB), Limits(input_bytes=100))


def png_16_gray_alpha(gray: np.ndarray, alpha: np.ndarray) -> bytes:
    rows = np.stack((gray, alpha), axis=-1).astype(">u2").reshape(gray.shape[0], -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = png_header(gray.shape[1], gray.shape[0], 16, 4)
    return header + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def test_pillows_own_limit_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert decode(encoded(gradient(9, 9)), Limits()).width == 9  # more than twice as many
    assert Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(BadImage):
        decode(b"nothing of the kind", Limits())
    assert Image.MAX_IMAGE_PIXELS == 10
