"""Colours of files: profiles, and what PNG and AVIF say instead."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from metadata_for_tests import metadata_of, png_chunks, png_with, result
from pictures import case, encoded, gradient
from sakuga_server.imaging.encode import encode
from sakuga_server.imaging.metadata import Color, Metadata, fitted
from sakuga_server.imaging.picture import Picture


def test_the_colours_of_a_pngs_own_chunks_are_kept_in_png() -> None:
    chunks = [(b"cICP", bytes((12, 13, 0, 1))), (b"gAMA", struct.pack(">I", 55555))]
    chunks += [(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))]
    chunks += [(b"sRGB", b"\1"), (b"mDCV", bytes(range(24))), (b"cLLI", bytes(range(8)))]
    data, warnings = result(metadata_of(png_with(*chunks), "png"), "png")
    assert set(chunks) <= set(png_chunks(data))
    assert warnings == []


@pytest.mark.parametrize("format", ["jpeg", "webp", "tiff", "avif"])
def test_display_p3_of_a_png_becomes_its_profile(format: str) -> None:
    data, warnings = result(metadata_of(case("cicp.png"), "png"), format)
    profile = Image.open(io.BytesIO(data)).info["icc_profile"]
    assert np.abs(_shown(profile) - _p3_as_srgb(_COLOURS)).max() <= 2
    assert "ICC profile" in warnings[0]


@pytest.mark.parametrize("format", ["gif", "bmp", "tga", "qoi"])
def test_colours_are_converted_where_a_format_holds_no_profile(format: str) -> None:
    picture = Picture(_COLOURS, None, metadata_of(case("cicp.png"), "png"))
    data = encode(picture, format, None, keep_metadata=True)
    found = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(found - _p3_as_srgb(_COLOURS)).max() <= 2
    assert picture.warnings[0].endswith("the colours were converted to sRGB")


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"sRGB", b"\0")],
        [(b"gAMA", struct.pack(">I", 45455))],
        [(b"cICP", bytes((1, 13, 0, 1)))],
        [
            (b"gAMA", struct.pack(">I", 45455)),
            (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
        ],
    ],
)
def test_colours_of_srgb_need_no_profile_and_no_words(chunks: list[tuple[bytes, bytes]]) -> None:
    data, warnings = result(metadata_of(png_with(*chunks), "png"), "webp")
    assert "icc_profile" not in Image.open(io.BytesIO(data)).info
    assert warnings == []


def test_a_linear_png_becomes_a_profile_that_shows_it_alike() -> None:
    data, _ = result(metadata_of(png_with((b"gAMA", struct.pack(">I", 100000))), "png"), "jpeg")
    shown = _shown(Image.open(io.BytesIO(data)).info["icc_profile"])
    assert np.abs(shown - _coded(_COLOURS / 255)).max() <= 2


@pytest.mark.parametrize(("transfer", "white"), [(16, 0.5806), (18, 0.75)])
def test_hdr_becomes_a_profile_with_its_numbers_beside_it(transfer: int, white: float) -> None:
    chunks = [(b"cICP", bytes((9, transfer, 0, 1)))]
    data, _ = result(metadata_of(png_with(*chunks), "png"), "jpeg")
    profile = Image.open(io.BytesIO(data)).info["icc_profile"]
    assert b"cicp" + bytes(4) + bytes((9, transfer, 0, 1)) in profile
    # Paper white, 203 cd/m², is coded so by ITU-R BT.2408, table 1.
    level = np.full((1, 1, 3), round(255 * white), np.uint8)
    assert np.abs(_converted(level, profile, "RGB").astype(int) - 255).max() <= 3


@pytest.mark.parametrize("format", ["webp", "jpeg", "png"])
@pytest.mark.parametrize("gray", [False, True])
def test_a_gray_profile_fits_the_pixels_it_is_given(format: str, gray: bool) -> None:
    source = metadata_of(case("gray-icc.jpg"), "jpeg")
    data, _ = result(source, format, gray)
    file = Image.open(io.BytesIO(data))
    profile = file.info["icc_profile"]
    assert profile[16:20] == (b"GRAY" if file.mode == "L" else b"RGB ")
    steps = np.arange(0, 256, 5, np.uint8)[None]
    expected = _converted(steps, source.icc or b"", "L")
    found = _converted(steps if file.mode == "L" else np.dstack([steps] * 3), profile, file.mode)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_a_profile_for_rgb_becomes_one_for_gray_by_its_curve() -> None:
    linear = metadata_of(png_with((b"gAMA", struct.pack(">I", 100000))), "png")
    profile = metadata_of(result(linear, "jpeg")[0], "jpeg").icc
    data, warnings = result(Metadata(icc=profile), "png", gray=True)
    kept = metadata_of(data, "png").icc or b""
    steps = np.arange(0, 256, 5, np.uint8)[None]
    shown = _converted(steps, kept, "L")[..., 1]
    assert np.abs(shown - _coded(steps / 255)).max() <= 2
    assert warnings == []


def test_dark_grays_are_converted_within_a_level() -> None:
    linear = metadata_of(png_with((b"gAMA", struct.pack(">I", 100000))), "png")
    profile = metadata_of(result(linear, "jpeg", gray=True)[0], "jpeg").icc
    steps = np.arange(256, dtype=np.uint8)[None]
    data = encode(Picture(steps, None, Metadata(icc=profile)), "bmp", None, keep_metadata=True)
    found = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    assert np.abs(found - _coded(steps / 255)).max() <= 1


def test_a_profile_for_cmyk_is_dropped_from_rgb_with_a_warning() -> None:
    gray = metadata_of(case("gray-icc.jpg"), "jpeg").icc or b""
    found, warnings = fitted(Metadata(icc=gray[:16] + b"CMYK" + gray[20:]), 1, 1, gray=False)
    assert found.icc is None
    assert warnings == ["the colour profile is for CMYK, not for RGB; it was dropped"]


def test_a_profile_of_megabytes_is_read_from_the_png_it_is_written_to() -> None:
    gray = metadata_of(case("gray-icc.jpg"), "jpeg").icc or b""
    extra = np.random.default_rng(0).bytes(1_500_000)
    profile = struct.pack(">I", len(gray) + len(extra)) + gray[4:] + extra
    data, _ = result(Metadata(icc=profile), "png", gray=True)
    assert metadata_of(data, "png").icc == profile
    data, _ = result(Metadata(icc=profile), "jpeg", gray=True)
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == profile


def test_colours_of_an_avif_that_only_its_container_tells_become_a_pngs() -> None:
    data = encoded(gradient(16, 16), "AVIF")
    at = data.index(b"nclx")
    wide = data[:at] + b"nclx" + struct.pack(">HH", 9, 16) + data[at + 8 :]
    assert metadata_of(wide, "avif").color == Color(cicp=(9, 16, 0, 1))
    assert metadata_of(data, "avif").color is None
    kept, _ = result(metadata_of(wide, "avif"), "png")
    assert (b"cICP", bytes((9, 16, 0, 1))) in list(png_chunks(kept))


# Independent arithmetic of colours

_COLOURS = np.ascontiguousarray(
    np.stack(np.meshgrid(*[np.linspace(0, 255, 5).astype(np.uint8)] * 3), -1).reshape(25, 5, 3)
)


def _linear(coded: np.ndarray) -> np.ndarray:
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def _coded(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _p3_as_srgb(colours: np.ndarray) -> np.ndarray:
    # From XYZ of Display P3 to linear sRGB, both with white D65 (CSS Color 4, section 17).
    matrix = [[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09827]]
    return _coded(_linear(colours / 255) @ np.array(matrix).T)


def _converted(pixels: np.ndarray, profile: bytes, mode: str) -> np.ndarray:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    srgb = ImageCms.createProfile("sRGB")
    image = Image.fromarray(pixels, mode)
    exact = ImageCms.Flags.NOOPTIMIZE
    shown = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB", flags=exact)
    return np.asarray(shown)


def _shown(profile: bytes) -> np.ndarray:
    return _converted(_COLOURS, profile, "RGB").astype(int)
