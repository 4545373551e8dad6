"""Files whose content is damaged, or changed at random: each gives a picture or an error that is
the caller's, and nothing else."""

import io
import random
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from bad_files import COUNT, HEIGHT, LIMITS, MADE, RGB, WIDTH, put, refused
from lying import lying_jpeg
from pictures import (
    case,
    chunk,
    png_header,
    tiff,
)
from sakuga import BadImage
from sakuga_core.errors import BadInput
from sakuga_server.imaging import sequence
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.metadata.raw import Budget
from sakuga_server.imaging.metadata.read import _tried
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.reading import checks
from sakuga_server.imaging.reading import tiff as tiff_pages

# Other lies


def test_a_png_whose_stream_ends_early_is_refused() -> None:
    raw = b"".join(b"\0" + row.tobytes() for row in RGB)
    for rows in range(0, HEIGHT, HEIGHT // COUNT):
        body = zlib.compress(raw[: rows * (1 + 3 * WIDTH)])
        assert refused(png_header(WIDTH, HEIGHT) + chunk(b"IDAT", body) + chunk(b"IEND", b""))


def test_a_jpeg_whose_scan_ends_early_is_refused(made: dict[str, bytes]) -> None:
    for name in ("jpeg", "jpeg-progressive", "jpeg-cmyk"):
        data = made[name]
        start = data.rindex(b"\xff\xda") + 14
        for part in range(1, COUNT + 1):
            cut = start + (len(data) - 2 - start) * part // (COUNT + 2)
            assert refused(data[:cut] + b"\xff\xd9")


def test_a_jpeg_of_another_sampling_that_is_too_short_is_refused() -> None:
    data = lying_jpeg(case("sampled-4x2-1x1.jpg"), 4000, 4000)
    assert "can't hold" in refused(data)


def test_a_jpeg_of_endless_scans_is_refused(made: dict[str, bytes]) -> None:
    data = made["jpeg-progressive"]
    last = data[data.rindex(b"\xff\xda") : -2]
    assert "scans" in refused(data[:-2] + 200 * last + data[-2:])


@pytest.mark.parametrize("marker", [b"\xff\xfe\0\2", b"\xff", b"\xff\0", b"\xff\x01"])
def test_a_jpeg_of_endless_markers_is_refused(marker: bytes, made: dict[str, bytes]) -> None:
    data = made["jpeg"]
    assert "markers" in refused(data[:2] + marker * 200_000 + data[2:])


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
                assert outcome(put(data, entry + 2, "<HI", kind, number))


def outcome(data: bytes) -> Picture | BadInput:
    """What a file gives: a picture or an error of the caller's; any other is raised."""
    try:
        return decode(data, LIMITS)
    except BadInput as error:
        return error


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


@pytest.mark.parametrize("number", [2**32, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_big_tiff_of_offsets_and_counts_beyond_any_file_is_refused(number: int) -> None:
    data = tiff(RGB, bigtiff=True)
    (first,) = struct.unpack_from("<Q", data, 8)
    assert outcome(data).format == "tiff"
    for at in (8, first):
        assert refused(put(data, at, "<Q", number))
    (count,) = struct.unpack_from("<Q", data, first)
    assert outcome(put(data, first + 8 + 20 * count, "<Q", number))


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
        assert outcome(mutated(made[name], chance))


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
    assert refused(case(name))


def test_a_png_without_its_palette_is_refused_with_the_reason() -> None:
    assert "no palette" in refused(case("palette-without-plte.png"))


def test_a_jpeg_that_claims_more_than_it_has_is_refused_with_the_reason() -> None:
    assert "ends before" in refused(case("header-says-4000.jpg"))
