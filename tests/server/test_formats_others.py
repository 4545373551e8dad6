"""Formats besides PNG, JPEG and TIFF."""

import sys

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from pictures import (
    encoded,
    gradient,
    off,
    psd,
    saved,
)
from sakuga import BadImage, BadOption
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.encode import check_size
from sakuga_server.imaging.picture import orient
from sakuga_server.imaging.reading import jxl, pillow, qoi
from small_pictures import ALPHA, GRAY, LIMITS, RGB, RGB_16, RGBA, pillows, shown

pytestmark = pytest.mark.usefixtures("small_strips")


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
    pillow.has_plugin.cache_clear()
    try:
        with pytest.raises(BadImage, match=r"pip install 'sakuga-server\[formats\]'"):
            decode(data, LIMITS)
        with pytest.raises(BadOption, match=r"pip install 'sakuga-server\[formats\]'"):
            check_size("heic" if name == "HEIF" else "jxl", 1, 1)
    finally:
        pillow.has_plugin.cache_clear()
