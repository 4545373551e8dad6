"""Metadata that is damaged, or made to do harm: it costs neither the pixels nor the process."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from metadata_for_tests import (
    EXIF,
    SIZES,
    XMP,
    directory,
    directory_at,
    exif_of,
    jpeg_with,
    png_with,
    pointer,
    result,
    tiff_stream,
)
from pictures import case
from sakuga_server.imaging.metadata import (
    Metadata,
    Text,
    fitted,
    orientation,
    png_chunks,
    read,
    translated,
)

# What cameras and programs write, and every type of TIFF 6.0, BigTIFF and EXIF 3.0, with one that
# nobody has defined.
MAIN = (0x010E, 0x010F, 0x0110, 0x0112, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x013E)
MAIN = (*MAIN, 0x013F, 0x0211, 0x0213, 0x4746, 0x8298, 0x9C9B, 0xEA1C)
BELOW = (0x829A, 0x829D, 0x8827, 0x9000, 0x9003, 0x9004, 0x9101, 0x9201, 0x920A, 0x927C, 0x9286)
BELOW = (*BELOW, 0xA001, 0xA002, 0xA003, 0xA217, 0xA405, 0xA434)
TYPES = (*SIZES, 0, 14, 16, 17, 18, 200)


def exif_in_jpeg(stream: bytes) -> bytes:
    return jpeg_with((0xE1, EXIF + stream))


@pytest.mark.filterwarnings("ignore:Metadata Warning")  # Pillow's, of the odd tags
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "avif", "tiff"])
def test_every_tag_of_every_type_leaves_its_pixels_and_its_neighbours(
    kind: int, count: int, format: str
) -> None:
    value = bytes(range(1, 1 + count * SIZES.get(kind, 1)))
    below = [(tag, kind, count, value) for tag in BELOW]
    outside = len(value) + len(value) % 2 if len(value) > 4 else 0
    at = 8 + 2 + 12 * (len(MAIN) + 1) + 4 + outside * len(MAIN)
    main = [(tag, kind, count, value) for tag in MAIN]
    more = directory_at(at, below)
    stream = tiff_stream([*main, (0x8769, 4, 1, struct.pack("<I", at))], more=more)
    source = exif_in_jpeg(stream)
    found, warnings = read(source, "jpeg", None)
    data, _ = result(found, format)
    assert np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).shape == (30, 40, 3)
    if kind not in SIZES:
        assert warnings == ["parts of the file's EXIF are damaged; they were dropped"]
        return
    assert warnings == []
    kept = directory(found.exif or b"")
    untouched = set(MAIN) - {0x0112, 0x011A, 0x011B, 0x0128}
    assert {tag: kept[tag] for tag in untouched} == dict.fromkeys(untouched, (kind, count, value))
    assert kept[0x0112] == (3, 1, b"\1\0")
    if format in ("png", "jpeg", "webp"):
        written = exif_of(data)
        photo = directory(written, pointer(written, 0x8769))
        untouched = set(BELOW) - {0xA002, 0xA003}
        assert {t: photo[t] for t in untouched} == dict.fromkeys(untouched, (kind, count, value))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (3, b"\6\0", 6),
        (4, b"\6\0\0\0", 6),
        (1, b"\6", 6),
        (3, b"\x09\0", 1),
        (3, b"\0\0", 1),
        (2, b"6\0", 1),
        (5, b"\6\0\0\0\1\0\0\0", 1),
        (7, b"\6\0", 1),
        (12, bytes(8), 1),
    ],
)
def test_the_orientation_is_a_whole_number_of_1_to_8(
    kind: int, value: bytes, expected: int
) -> None:
    source = exif_in_jpeg(tiff_stream([(0x0112, kind, len(value) // SIZES[kind], value)]))
    assert orientation(source, "jpeg", None) == expected


@pytest.mark.parametrize(
    "stream",
    [
        tiff_stream([(0x8769, 4, 1, struct.pack("<I", 8))]),  # below itself
        tiff_stream([(0x8769, 4, 1, struct.pack("<I", 8)), (0x8825, 4, 1, struct.pack("<I", 8))]),
        tiff_stream([(0x010E, 2, 0xFFFFFFFF, b"xxxxx")]),
        tiff_stream([(0x010E, 12, 0x20000001, b"xxxxx")]),
        tiff_stream([(0x8769, 4, 1, struct.pack("<I", 0xFFFFFFF0))]),
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\4\0\0\0" + bytes(20),
        b"II*\0\x08\0\0\0\xff\xff" + bytes(30),
        b"II*\0",
        b"II+\0\x08\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(64),
        b"not a TIFF header",
        b"",
    ],
)
@pytest.mark.parametrize("format", ["jpeg", "tiff"])
def test_broken_and_circular_directories_end(stream: bytes, format: str) -> None:
    source = exif_in_jpeg(stream) if format == "jpeg" else stream
    found, _ = read(source, format, None)
    assert orientation(source, format, None) in range(1, 9)
    assert len(found.exif or b"") < 2 * len(stream) + 100


def test_tags_that_share_a_value_do_not_multiply_it() -> None:
    shared = b"x" * 60_000
    entries = b"".join(struct.pack("<HHII", tag, 2, 60_000, 14 + 12 * 400) for tag in range(400))
    stream = b"II*\0\x08\0\0\0" + struct.pack("<H", 400) + entries + bytes(4) + shared
    source = b"".join((b"II*\0", struct.pack("<I", 8), stream[8:]))
    tracemalloc.start()
    found, warnings = read(png_with((b"eXIf", source)), "png", None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.exif or b"") < len(source)
    assert warnings
    assert peak < 5_000_000


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_bomb_is_dropped_with_a_warning_and_no_memory(kind: bytes) -> None:
    bomb = zlib.compress(bytes(40 << 20), 9)
    heads = {b"zTXt": b"key\0\0", b"iTXt": b"key\0\1\0\0\0", b"iCCP": b"key\0\0"}
    source = png_with(*[(kind, heads[kind] + bomb)] * 20, (b"tEXt", b"Author\0somebody"))
    del bomb
    tracemalloc.start()
    found, warnings = read(source, "png", None, limit=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == Metadata(text=(Text("Author", "somebody"),))
    assert len(warnings) == 1
    assert "limits.metadata_bytes" in warnings[0]
    assert peak < 10_000_000


def test_what_is_over_the_limit_is_named_and_the_rest_kept() -> None:
    source = png_with(
        (b"tEXt", b"first\0" + b"a" * 300),
        (b"tEXt", b"long\0" + b"b" * 3000),
        (b"eXIf", tiff_stream([(0x010E, 2, 6, b"a rock")])),
    )
    found, warnings = read(source, "png", None, limit=3000)
    assert [t.keyword for t in found.text] == ["first"]
    assert found.exif is not None
    (warning,) = warnings
    assert "PNG text 'long'" in warning
    assert "3000 bytes" in warning


def test_the_limit_is_one_for_all_parts_together() -> None:
    texts = [(b"tEXt", b"text%d\0" % n + b"a" * 1000) for n in range(10)]
    found, warnings = read(png_with(*texts), "png", None, limit=10_000)
    assert 3 <= len(found.text) < 10
    assert len(found.text) + len(warnings) == 10


def test_countless_texts_and_warnings_are_bounded() -> None:
    many, warnings = read(png_with(*[(b"tEXt", b"a\0b")] * 11_000), "png", None)
    assert len(many.text) == 10_000
    assert len(warnings) == 1
    wrong = png_with(*[(b"gAMA", bytes(n)) for n in range(5, 100)])
    _, warnings = read(wrong, "png", None)
    assert len(warnings) <= 21


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"<x:xmpmeta",
        b"\xff\xfe<",
        b"\x80" * 99,
        b"<a>" * 100_000,
        b"<a>" * 500 + b"</a>" * 500,
        b'<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><a>&d;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>&unknown;</a>",
        b"<a/><b/>",
    ],
)
def test_xmp_that_is_no_sound_xml_is_dropped_with_a_warning(packet: bytes) -> None:
    found, warnings = read(jpeg_with((0xE1, XMP + packet[:60_000])), "jpeg", None)
    assert found.xmp is None
    assert len(warnings) == (1 if packet else 0)


@pytest.mark.parametrize(
    "profile",
    [
        b"x" * 10,
        b"x" * 200,
        bytes(36) + b"acsp" + bytes(100),
        b"\xff" * 4 + bytes(32) + b"acsp" * 40,
    ],
)
def test_a_broken_profile_is_dropped_with_a_warning(profile: bytes) -> None:
    source = png_with((b"iCCP", b"x\0\0" + zlib.compress(profile)))
    found, warnings = read(source, "png", None)
    assert found.icc is None
    assert "ICC profile" in warnings[0]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"gAMA", bytes(4)),
        (b"gAMA", b"\1"),
        (b"cHRM", bytes(32)),
        (b"cHRM", struct.pack(">8I", 31270, 32900, *[30000, 30000] * 3)),
        (b"cICP", bytes((9, 16, 9, 1))),
        (b"sRGB", b"\x09"),
        (b"mDCV", b"\1"),
        (b"iTXt", b"key\0"),
        (b"tEXt", b"\0no keyword"),
        (b"zTXt", b"key\0\0not deflated"),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n  4\nnot hexadecimal\n")),
    ],
)
def test_a_damaged_chunk_is_dropped_with_a_warning(kind: bytes, body: bytes) -> None:
    found, warnings = read(png_with((kind, body)), "png", None)
    assert found == Metadata()
    assert len(warnings) == 1


def test_a_profile_of_which_a_part_is_missing_is_dropped_with_a_warning() -> None:
    found, warnings = read(jpeg_with((0xE2, b"ICC_PROFILE\0\2\2abc")), "jpeg", None)
    assert found.icc is None
    assert warnings == [
        "the file's ICC profile is damaged (1 of 2 parts are there); it was dropped"
    ]


def rich(format: str) -> bytes:
    """A file with all that its format holds."""
    found, _ = read(case("meta.png"), "png", None)
    more = Metadata(found.icc, found.exif, found.xmp, b"\x1c\2\x50\0\1x", b"comment", found.dpi)
    data, _ = result(more, format)
    return data


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif", "avif", "tiff", "bmp"])
def test_truncated_and_mutated_files_raise_nothing(format: str) -> None:
    data, plain, random = rich(format), png_with(), np.random.default_rng(3)
    image = Image.open(io.BytesIO(data))
    for length in range(0, len(data), max(1, len(data) // 150)):
        assert len(read(data[:length], format, image)) == 2
        assert orientation(data[:length], format, image) in range(1, 9)
    for _ in range(200):
        mutated = bytearray(data)
        for at in random.integers(0, len(data), 6):
            mutated[at] = random.integers(0, 256)
        found, _ = read(bytes(mutated), format, image)
        fitting, _ = fitted(found, 40, 30, gray=False)
        chunks = png_chunks(translated(fitting, "png")[0])
        assert read(plain[:33] + chunks + plain[33:], "png", None)[1] == []
