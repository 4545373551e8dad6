"""EXIF: what of it is true of a result, and what stays as it was."""

import io
import struct

import pytest
from PIL import Image

from metadata_for_tests import (
    EXIF,
    directory,
    exif_of,
    jpeg_with,
    metadata_of,
    pointer,
    result,
    tiff_stream,
)
from pictures import case, encoded, gradient
from sakuga_server.imaging.metadata import Metadata, Text, orientation


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "avif"])
@pytest.mark.parametrize("kind", ["H", "I"])
def test_exif_tells_the_size_of_the_result(format: str, kind: str) -> None:
    size = {"H": 3, "I": 4}[kind]
    below = tiff_stream([(t, size, 1, struct.pack("<" + kind, 9)) for t in (0xA002, 0xA003)])[8:]
    exif = tiff_stream([(0x8769, 4, 1, struct.pack("<I", 26))], more=below)
    data, _ = result(metadata_of(jpeg_with((0xE1, EXIF + exif)), "jpeg"), format)
    stream = data if format == "tiff" else exif_of(data)
    found = directory(stream, pointer(stream, 0x8769))
    order = "<" if stream[:1] == b"I" else ">"
    sizes = [struct.unpack(order + "I", found[tag][2])[0] for tag in (0xA002, 0xA003)]
    assert sizes == [40, 30]


def test_the_orientation_becomes_1_and_the_thumbnail_goes() -> None:
    thumbnail = encoded(gradient(8, 8), "JPEG")
    first = tiff_stream([(0x0112, 3, 1, b"\6\0"), (0x010E, 2, 6, b"a rock")])
    second = tiff_stream([(0x0201, 4, 1, struct.pack("<I", 100)), (0x0202, 4, 1, b"\0\1\0\0")])[8:]
    first = first[:34] + struct.pack("<I", len(first)) + first[38:]  # where the next directory is
    source = jpeg_with((0xE1, EXIF + first + second + thumbnail))
    assert orientation(source, "jpeg", None) == 6
    stream = metadata_of(source, "jpeg").exif or b""
    assert directory(stream) == {0x0112: (3, 1, b"\1\0"), 0x010E: (2, 6, b"a rock")}
    assert b"\xff\xd8" not in stream


def test_a_makers_note_stays_at_the_offset_that_its_own_offsets_count_from() -> None:
    note = b"NOTE" + bytes(range(100))
    below = tiff_stream([(0x9286, 7, 20, b"c" * 20), (0x927C, 7, len(note), note)])[8:]
    entries = [(0x010E, 2, 40, b"d" * 40), (0x8769, 4, 1, struct.pack("<I", 78))]
    exif = tiff_stream(entries, more=below)
    exif = exif[:78] + _moved(below, 70)
    at = exif.index(note)
    data, _ = result(metadata_of(jpeg_with((0xE1, EXIF + exif)), "jpeg"), "jpeg")
    assert exif_of(data).index(note) == at
    grown = metadata_of(jpeg_with((0xE1, EXIF + exif)), "jpeg")
    more = Metadata(exif=grown.exif, text=(Text("Author", "somebody" * 9),), dpi=(300, 300))
    data, _ = result(more, "webp")
    assert exif_of(data).index(note) == at
    assert Image.open(io.BytesIO(data)).getexif()[0x013B] == "somebody" * 9


def test_gps_goes_through_every_format_with_exif() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1], exif.get_ifd(0x8825)[2] = "N", (35.0, 40.0, 52.5)
    source = jpeg_with((0xE1, EXIF + exif.tobytes().removeprefix(EXIF)))
    for kind in ("webp", "png", "avif", "tiff", "jpeg"):
        data, _ = result(metadata_of(source, "jpeg"), kind)
        found = Image.open(io.BytesIO(data)).getexif().get_ifd(0x8825)
        assert (found[1], tuple(map(float, found[2]))) == ("N", (35.0, 40.0, 52.5))


def test_a_tiff_gives_the_tags_that_describe_it_and_none_of_its_structure() -> None:
    file = io.BytesIO()
    info = {0x010E: "a drawing", 0x013B: "somebody", 0x0131: "Pen 2", 33723: b"\x1c\2\x50\0\1x"}
    Image.fromarray(gradient(9, 9)).save(
        file, "TIFF", tiffinfo=info, dpi=(150, 75), compression="tiff_lzw"
    )
    found = metadata_of(file.getvalue(), "tiff")
    assert set(directory(found.exif or b"")) == {0x010E, 0x013B, 0x0131}
    assert found.dpi == (150, 75)
    assert found.iptc == b"\x1c\2\x50\0\1x"


def test_an_odd_tag_of_exif_is_kept_as_it_is() -> None:
    source = case("exif-software-rational.jpg")
    data, warnings = result(metadata_of(source, "jpeg"), "png")
    assert directory(exif_of(data))[0x0131] == directory(exif_of(source))[0x0131]
    assert warnings == []


def _moved(below: bytes, by: int) -> bytes:
    """A directory whose values lie so many bytes farther."""
    (count,) = struct.unpack_from("<H", below)
    moved = bytearray(below)
    for n in range(count):
        kind, values = struct.unpack_from("<HI", below, 4 + 12 * n)
        if kind == 7 and values > 4:
            (at,) = struct.unpack_from("<I", below, 10 + 12 * n)
            struct.pack_into("<I", moved, 10 + 12 * n, at + by)
    return bytes(moved)
