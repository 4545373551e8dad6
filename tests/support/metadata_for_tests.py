"""Files with metadata, made and looked into without the server: chunks, segments, directories; and
the way through the server that all tests of metadata go."""

import io
import struct
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image

from pictures import chunk, encoded, gradient
from sakuga_server.imaging.encode import encode
from sakuga_server.imaging.metadata import Metadata, read
from sakuga_server.imaging.picture import Picture

EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"  # what APP1 of a JPEG begins with

Entry = tuple[int, int, int, bytes]  # tag, type, count, value

# Bytes of one value of each type of TIFF 6.0 and EXIF 3.0.
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}


def plugin(format: str) -> None:
    """Skips the test where a format needs `sakuga-server[formats]`, which isn't installed."""
    if format == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if format == "jxl":
        pytest.importorskip("pillow_jxl")


def tiff_stream(entries: list[Entry], order: str = "<", more: bytes = b"") -> bytes:
    """EXIF from its TIFF header on, with one directory, and some bytes behind it."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8) + directory_at(8, entries, order) + more


def directory_at(at: int, entries: list[Entry], order: str = "<") -> bytes:
    """A directory that lies at an offset, with its values behind it."""
    start = at + 2 + 12 * len(entries) + 4
    table, values = struct.pack(order + "H", len(entries)), b""
    for tag, kind, count, value in entries:
        table += struct.pack(order + "HHI", tag, kind, count)
        if len(value) <= 4:
            table += value.ljust(4, b"\0")
        else:
            table += struct.pack(order + "I", start + len(values))
            values += value + bytes(len(value) % 2)
    return table + bytes(4) + values


def directory(stream: bytes, at: int | None = None) -> dict[int, tuple[int, int, bytes]]:
    """Type, count and value of each tag of a directory: IFD0, or the one at an offset."""
    order = "<" if stream[:1] == b"I" else ">"
    (start,) = (at,) if at is not None else struct.unpack_from(order + "I", stream, 4)
    (count,) = struct.unpack_from(order + "H", stream, start)
    found = {}
    for n in range(count):
        place = start + 2 + 12 * n
        tag, kind, values, where = struct.unpack_from(order + "HHII", stream, place)
        size = SIZES[kind] * values
        where = where if size > 4 else place + 8
        found[tag] = (kind, values, stream[where : where + size])
        assert len(found[tag][2]) == size
    assert stream[start + 2 + 12 * count :][:4] == bytes(4)  # no thumbnail, no second page
    return found


def pointer(stream: bytes, tag: int) -> int:
    order = "<" if stream[:1] == b"I" else ">"
    return int(struct.unpack(order + "I", directory(stream)[tag][2])[0])


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG of 16x16 with segments behind its first two bytes."""
    plain = encoded(gradient(16, 16), "JPEG")
    parts = (struct.pack(">BBH", 0xFF, kind, len(body) + 2) + body for kind, body in segments)
    return plain[:2] + b"".join(parts) + plain[2:]


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 2
    while data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield data[at + 1], data[at + 4 : at + 2 + length]
        at += 2 + length


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 16x16 with chunks behind its header."""
    plain = encoded(gradient(16, 16))
    return plain[:33] + b"".join(chunk(kind, body) for kind, body in chunks) + plain[33:]


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk's kind and body; its checksum is verified."""
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(kind + body)
        yield kind, body
        at += length + 12


def exif_of(data: bytes) -> bytes:
    """The EXIF of a PNG, JPEG, WebP, AVIF, HEIC or JPEG XL from its TIFF header on."""
    exif = Image.open(io.BytesIO(data)).info["exif"]
    return bytes(exif).removeprefix(b"Exif\0\0")


def user_comment(stream: bytes) -> bytes:
    return directory(stream, pointer(stream, 0x8769))[0x9286][2]


def metadata_of(data: bytes, format: str) -> Metadata:
    """What is read of a file that has nothing to warn of."""
    image = Image.open(io.BytesIO(data)) if format == "avif" else None
    found, warnings = read(data, format, image)
    assert warnings == []
    return found


def result(metadata: Metadata, format: str, gray: bool = False) -> tuple[bytes, list[str]]:
    """A file of 40x30 with this metadata, and the warnings about it."""
    pixels = gradient(30, 40)
    picture = Picture(pixels[..., 0].copy() if gray else pixels, None, metadata)
    return encode(picture, format, None, keep_metadata=True), picture.warnings
