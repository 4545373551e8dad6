"""Files that are truncated, lie, or are too large, and those changed at random: each gives an error
that is the caller's, and nothing else."""

import contextlib
import io
import random
import re
import struct
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from pictures import (
    bomb,
    case,
    chunk,
    encoded,
    encoded_16,
    png_header,
    psd,
    sample,
    saved,
    tiff,
)
from sakuga import BadImage, TooLarge
from sakuga_core.config.server import Limits
from sakuga_core.errors import BadInput
from sakuga_server.imaging import sequence
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.metadata.raw import Budget
from sakuga_server.imaging.metadata.read import _tried
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.reading import checks
from sakuga_server.imaging.reading import tiff as tiff_pages

LIMITS = Limits()
WIDTH, HEIGHT = 96, 64
RGB = sample("sunset", (0, 0, WIDTH, HEIGHT)).copy()
RGBA = np.dstack((RGB, RGB[..., 0]))
RGB_16 = RGB.astype(np.uint16) * 257
LINES = Image.fromarray(RGB[..., 0] > 99)
SQUARE = Image.fromarray(RGB[:64, :64])

COUNT = 20  # of variants of each kind


def heic() -> bytes:
    pytest.importorskip("pillow_heif").register_heif_opener()
    return encoded(RGB, "HEIF")


MADE: dict[str, Callable[[], bytes]] = {
    "png": lambda: encoded(RGB),
    "png-16": lambda: encoded_16(RGB_16),
    "png-palette": lambda: saved(Image.fromarray(RGB).quantize(50), "PNG", transparency=3),
    "jpeg": lambda: encoded(RGB, "JPEG"),
    "jpeg-progressive": lambda: encoded(RGB, "JPEG", progressive=True),
    "jpeg-cmyk": lambda: saved(Image.fromarray(RGBA, "CMYK"), "JPEG"),
    "webp": lambda: encoded(RGB, "WEBP"),
    "webp-lossless": lambda: encoded(RGBA, "WEBP", lossless=True),
    "gif": lambda: encoded(RGB, "GIF"),
    "avif": lambda: encoded(RGBA, "AVIF"),
    "tiff": lambda: tiff(RGB),
    "tiff-16-lzw": lambda: tiff(RGB_16, compression="lzw", predictor=True, rowsperstrip=8),
    "tiff-planes": lambda: tiff(
        RGB.transpose(2, 0, 1).copy(),
        photometric="rgb",
        planarconfig="separate",
        compression="zlib",
    ),
    "tiff-tiles": lambda: tiff(RGB_16, compression="zlib", tile=(16, 32)),
    "tiff-cmyk": lambda: tiff(RGBA, photometric="separated", compression="packbits"),
    "tiff-jpeg": lambda: tiff(RGB, compression="jpeg", tile=(16, 16)),
    "tiff-fax": lambda: saved(LINES, "TIFF", compression="group4"),
    "tiff-palette": lambda: saved(Image.fromarray(RGB).quantize(16), "TIFF"),
    "bmp": lambda: encoded(RGB, "BMP"),
    "tga": lambda: encoded(RGB, "TGA"),
    "tga-rle": lambda: encoded(RGBA, "TGA", compression="tga_rle"),
    "qoi": lambda: imagecodecs.qoi_encode(RGB),
    "heic": heic,
    "jxl": lambda: imagecodecs.jpegxl_encode(RGB),
    "jxl-16": lambda: imagecodecs.jpegxl_encode(RGB_16, lossless=True),
    "psd": lambda: psd(RGBA),
    "ico": lambda: saved(SQUARE, "ICO", sizes=[(64, 64)]),
    "ico-bmp": lambda: saved(SQUARE, "ICO", sizes=[(64, 64)], bitmap_format="bmp"),
}


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return {name: make() for name, make in MADE.items()}


def refused(data: bytes, limits: Limits = LIMITS) -> str:
    """What the error says; it is the caller's, and its text is short and without our insides."""
    with pytest.raises((BadImage, TooLarge)) as caught:
        decode(data, limits)
    text = str(caught.value)
    assert 20 < len(text) < 300
    assert " at 0x" not in text
    assert "site-packages" not in text
    return text


@pytest.mark.parametrize("name", MADE)
def test_truncated_files_are_refused(name: str, made: dict[str, bytes]) -> None:
    data = made[name]
    assert isinstance(decode(data, LIMITS), Picture)
    for part in range(1, COUNT + 1):
        refused(data[: len(data) * part // (COUNT + 1)])


# Files that claim another size


def put(data: bytes, at: int, form: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, at, *values)
    return bytes(changed)


def lying_png(data: bytes, width: int, height: int) -> bytes:
    body = struct.pack(">II", width, height) + data[24:29]
    return data[:8] + chunk(b"IHDR", body) + data[33:]


def lying_jpeg(data: bytes, width: int, height: int) -> bytes:
    at = next(data.index(mark) for mark in (b"\xff\xc0", b"\xff\xc2") if mark in data)
    return put(data, at + 5, ">HH", height, width)


def lying_webp(data: bytes, width: int, height: int) -> bytes:
    if b"VP8 " in data:
        return put(data, data.index(b"\x9d\x01\x2a") + 3, "<HH", width, height)
    at = data.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", data, at)
    return put(data, at, "<I", bits >> 28 << 28 | (height - 1) << 14 | width - 1)


def lying_gif(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\x2c\0\0\0\0")
    return put(put(data, 6, "<HH", width, height), at + 5, "<HH", width, height)


def lying_heif(data: bytes, width: int, height: int) -> bytes:
    for found in re.finditer(b"ispe", data):
        data = put(data, found.end() + 4, ">II", width, height)
    return data


def lying_tiff(data: bytes, width: int, height: int) -> bytes:
    for tag, value in ((256, width), (257, height)):
        heads = (struct.pack("<HHI", tag, kind, 1) for kind in (3, 4))
        at = next(data.index(head) for head in heads if head in data)
        data = put(data, at, "<HHII", tag, 4, 1, value)
    return data


def lying_icon(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\x89PNG")
    return data[:at] + lying_png(data[at:], width, height)


def lying_bmp_icon(data: bytes, width: int, height: int) -> bytes:
    return put(put(data, 6, "<BB", width & 255, height & 255), 22 + 4, "<ii", width, 2 * height)


LIES: dict[str, Callable[[bytes, int, int], bytes]] = {
    "png": lying_png,
    "png-16": lying_png,
    "png-palette": lying_png,
    "jpeg": lying_jpeg,
    "jpeg-progressive": lying_jpeg,
    "jpeg-cmyk": lying_jpeg,
    "webp": lying_webp,
    "webp-lossless": lying_webp,
    "gif": lying_gif,
    "avif": lying_heif,
    "tiff": lying_tiff,
    "tiff-16-lzw": lying_tiff,
    "tiff-planes": lying_tiff,
    "tiff-tiles": lying_tiff,
    "tiff-cmyk": lying_tiff,
    "tiff-jpeg": lying_tiff,
    "tiff-fax": lying_tiff,
    "tiff-palette": lying_tiff,
    "bmp": lambda data, width, height: put(data, 18, "<ii", width, height),
    "tga": lambda data, width, height: put(data, 12, "<HH", width, height),
    "tga-rle": lambda data, width, height: put(data, 12, "<HH", width, height),
    "qoi": lambda data, width, height: put(data, 4, ">II", width, height),
    "heic": lying_heif,
    "psd": lambda data, width, height: put(data, 14, ">II", height, width),
    "ico": lying_icon,
    "ico-bmp": lying_bmp_icon,
}
# libavif scales what it decodes to the size that the container claims.
SCALED = {"avif"}


@pytest.mark.parametrize("name", sorted(set(LIES) - SCALED))
def test_files_that_claim_more_rows_than_they_have_are_refused(
    name: str, made: dict[str, bytes]
) -> None:
    for more in range(1, COUNT + 1):
        refused(LIES[name](made[name], WIDTH, HEIGHT + 16 * more))


@pytest.mark.parametrize("name", sorted(LIES))
def test_files_that_claim_too_many_pixels_are_refused_before_they_are_decoded(
    name: str, made: dict[str, bytes]
) -> None:
    for step in range(COUNT):
        side = 16383 - 500 * step  # from the longest that WebP can claim
        refused(LIES[name](made[name], side, side))


@pytest.mark.parametrize("name", MADE)
def test_files_over_the_limits_are_refused(name: str, made: dict[str, bytes]) -> None:
    with pytest.raises(TooLarge, match="pixels; allowed"):
        decode(made[name], Limits(input_pixels=WIDTH * HEIGHT // 2))
    with pytest.raises(TooLarge, match="bytes; allowed"):
        decode(made[name], Limits(input_bytes=len(made[name]) - 1))
    assert decode(made[name], Limits(input_pixels=WIDTH * HEIGHT)).height == HEIGHT


def jxl_header(width: int, height: int, *fields: tuple[int, int]) -> bytes:
    """A JPEG XL file that ends after its header.

    Args:
        fields: numbers after the size, and their bits.
    """
    total, at = 0, 0
    side = [(3, 2), (height - 1, 30), (0, 3), (3, 2), (width - 1, 30)]
    for value, bits in ((0, 1), *side, *fields):
        total |= value << at
        at += bits
    return b"\xff\x0a" + total.to_bytes(32, "little")


def test_a_jpeg_xl_is_checked_before_its_decoder_sees_it() -> None:
    pytest.importorskip("pillow_jxl")
    for step in range(COUNT):
        with pytest.raises(TooLarge, match=f"{5000 + step}x{60000 - step}"):
            decode(jxl_header(5000 + step, 60000 - step, (1, 1)), LIMITS)
    plain, whole_numbers = (0, 1), (0, 1)
    fields = plain, plain, whole_numbers, (0, 2), (0, 1), (3, 2), (2999, 12)
    with pytest.raises(BadImage, match="3000 channels"):
        decode(jxl_header(90, 80, *fields), LIMITS)
    with pytest.raises(BadImage, match="floating-point"):
        decode(jxl_header(90, 80, plain, plain, (1, 1), (0, 2), (0, 4), (0, 1), (0, 2)), LIMITS)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(TooLarge, match="60000x60000"):
        decode(bomb(), LIMITS)


# Other lies


def test_a_png_whose_stream_ends_early_is_refused() -> None:
    raw = b"".join(b"\0" + row.tobytes() for row in RGB)
    for rows in range(0, HEIGHT, HEIGHT // COUNT):
        body = zlib.compress(raw[: rows * (1 + 3 * WIDTH)])
        refused(png_header(WIDTH, HEIGHT) + chunk(b"IDAT", body) + chunk(b"IEND", b""))


def test_a_jpeg_whose_scan_ends_early_is_refused(made: dict[str, bytes]) -> None:
    for name in ("jpeg", "jpeg-progressive", "jpeg-cmyk"):
        data = made[name]
        start = data.rindex(b"\xff\xda") + 14
        for part in range(1, COUNT + 1):
            cut = start + (len(data) - 2 - start) * part // (COUNT + 2)
            refused(data[:cut] + b"\xff\xd9")


def test_a_jpeg_of_another_sampling_that_is_too_short_is_refused() -> None:
    data = lying_jpeg(case("sampled-4x2-1x1.jpg"), 4000, 4000)
    assert "can't hold" in refused(data)


def test_a_jpeg_of_endless_scans_is_refused(made: dict[str, bytes]) -> None:
    data = made["jpeg-progressive"]
    last = data[data.rindex(b"\xff\xda") : -2]
    assert "scans" in refused(data[:-2] + 200 * last + data[-2:])


@pytest.mark.parametrize("components", [0, 2, 5])
def test_a_jpeg_of_a_strange_number_of_components_is_refused(components: int) -> None:
    body = struct.pack(">BHHB", 8, 64, 96, components) + bytes((1, 0x11, 0)) * components
    head = b"\xff\xd8\xff\xc0" + struct.pack(">H", 2 + len(body)) + body
    assert "components" in refused(head + b"\xff\xda\0\2" + bytes(64))


def test_tiff_tags_of_other_types_are_refused_or_read() -> None:
    """Every common tag of a page with every type, counted as one and as many."""
    data = tiff(RGB)
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        for kind in range(20):
            for number in (0, 1, 1000, 2**32 - 1):
                survives(put(data, entry + 2, "<HI", kind, number))


def survives(data: bytes) -> None:
    """A picture or an error of the caller's."""
    with contextlib.suppress(BadInput):
        assert isinstance(decode(data, LIMITS), Picture)


def test_a_tiff_of_huge_tiles_is_refused() -> None:
    data = tiff(RGB, tile=(16, 16))
    for tag in (322, 323):
        head = next(h for k in (3, 4) if (h := struct.pack("<HHI", tag, k, 1)) in data)
        data = put(data, data.index(head), "<HHII", tag, 4, 1, 65536)
    assert "65536x65536" in refused(data)


def test_a_tiff_of_many_channels_is_refused() -> None:
    pixels = np.zeros((9, 7, 12), np.uint8)
    assert "12 samples" in refused(tiff(pixels, photometric="rgb", planarconfig="contig"))


def test_a_tiff_whose_pages_go_in_circles_has_each_page_once() -> None:
    data = tiff(RGB)
    (first,) = struct.unpack_from("<I", data, 4)
    data = put(data, next_page_at(data, first), "<I", first)
    assert tiff_pages.pages(data, LIMITS) == [(WIDTH, HEIGHT)]
    (warning,) = decode(data, LIMITS).warnings
    assert "list of pages is damaged: it leads back to a page" in warning


def next_page_at(data: bytes, page: int) -> int:
    """Where a page's directory says where the next one is."""
    (count,) = struct.unpack_from("<H", data, page)
    return page + 2 + 12 * count


def two_pages() -> tuple[bytes, int, int]:
    """A TIFF of two pages, and where their directories are."""
    image, file = Image.fromarray(RGB), io.BytesIO()
    image.save(file, "TIFF", save_all=True, append_images=[image])
    data = file.getvalue()
    (first,) = struct.unpack_from("<I", data, 4)
    (second,) = struct.unpack_from("<I", data, next_page_at(data, first))
    return data, first, second


def test_a_tiff_whose_last_page_leads_to_its_first_is_read_with_a_warning() -> None:
    data, first, second = two_pages()
    whole, looped = (
        sequence.read(each, LIMITS)
        for each in (data, put(data, next_page_at(data, second), "<I", first))
    )
    assert whole is not None
    assert looped is not None
    assert len(looped.sizes) == len(list(looped.pictures())) == 2
    assert whole.warnings == []
    assert "it leads back to a page" in " / ".join(looped.warnings)


def test_a_tiff_whose_list_of_pages_breaks_off_is_read_with_a_warning() -> None:
    data = tiff(RGB)
    (first,) = struct.unpack_from("<I", data, 4)
    end = next_page_at(data, first)
    moved = put(data, 4, "<I", len(data)) + data[first:end]  # nothing behind its last entry
    (warning,) = decode(moved, LIMITS).warnings
    assert "list of pages is damaged: it breaks off" in warning


def test_a_tiff_with_a_damaged_second_page_still_has_its_first() -> None:
    data = tiff(RGB)
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    data = put(data, at + 2 + 12 * count, "<I", len(data) + 99)
    picture = decode(data, LIMITS)
    assert np.array_equal(picture.colour, RGB)
    assert "only the first page was read" in picture.warnings[0]
    with pytest.raises(BadImage, match="TIFF file is truncated"):
        tiff_pages.pages(data, LIMITS)


# Files changed at random


@pytest.mark.parametrize("name", MADE)
def test_files_changed_at_random_give_a_picture_or_the_callers_error(
    name: str, made: dict[str, bytes]
) -> None:
    chance = random.Random(name)
    for _ in range(40):
        survives(mutated(made[name], chance))


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Some bytes replaced, half of the time only in the first 300; or a piece moved."""
    changed = bytearray(data)
    span = len(data) if chance.random() < 0.5 else min(300, len(data))
    if chance.random() < 0.2:
        source, target = chance.randrange(len(data)), chance.randrange(len(data))
        changed[target : target + 9] = data[source : source + 9]
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(4, span)] = chance.choice(
            (0, 1, 127, 128, 255, chance.randrange(256))
        )
    return bytes(changed)


# Whose fault an error is


def test_a_fault_of_our_own_isnt_called_the_files(
    monkeypatch: pytest.MonkeyPatch, made: dict[str, bytes]
) -> None:
    def broken(*_: object) -> None:
        raise IndexError("a fault of ours")

    monkeypatch.setattr("sakuga_server.imaging.reading.samples.pixels", broken)
    for name in ("png", "jpeg", "tiff", "bmp"):
        with pytest.raises(IndexError):
            decode(made[name], LIMITS)


def test_a_librarys_insides_arent_told() -> None:
    for error in (
        IndexError("list index out of range"),
        AssertionError(),
        KeyError("x"),
        OSError(),
    ):
        with pytest.raises(BadImage, match="its structure makes no sense"), checks.blaming("PNG"):
            raise error
    with pytest.raises(BadImage, match="Decompressed data too large"), checks.blaming("PNG"):
        raise ValueError("Decompressed data too large")


def test_a_librarys_long_reason_is_cut_between_words() -> None:
    words = "points to file position " * 9
    with pytest.raises(BadImage) as caught, checks.blaming("HEIC"):
        raise ValueError(words)
    reason = str(caught.value).partition(": ")[2]
    assert len(reason) <= checks.MOST_LETTERS
    assert reason.endswith("…")
    assert reason[-2:-1].strip()
    assert words.startswith(reason[:-1] + " ")


def test_the_reason_of_damaged_metadata_is_cut_between_words() -> None:
    def fails() -> None:
        raise ValueError("points to file position " * 9)

    budget = Budget(1000)
    _tried("EXIF", fails, budget)
    assert re.search(r" (points|to|file|position)…\)", budget.warnings[0])


# The cases


@pytest.mark.parametrize(
    "name",
    ["palette-without-plte.png", "broken.gif.bin", "broken-cmyk.tif.bin", "header-says-4000.jpg"],
)
def test_what_libraries_stumble_over_is_refused(name: str) -> None:
    refused(case(name))


def test_a_png_without_its_palette_is_refused_with_the_reason() -> None:
    assert "no palette" in refused(case("palette-without-plte.png"))


def test_a_jpeg_that_claims_more_than_it_has_is_refused_with_the_reason() -> None:
    assert "ends before" in refused(case("header-says-4000.jpg"))
