"""Chunks of PNG files: their names, lengths and checksums (third edition, 5.3)."""

import struct
from collections.abc import Iterator

from zlib_ng import zlib_ng

MOST_CHUNKS = 500_000  # of a file; more of them are empty ones that only take time
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib_ng.crc32(body, zlib_ng.crc32(kind))
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", check)))


def chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, bool]]:
    """Kind, body, and whether the checksum is right, of each chunk that lies whole in `data`,
    as far as MOST_CHUNKS.

    The checksums of pixels (IDAT, fdAT) aren't computed: their decoder does that.
    """
    view, at = memoryview(data), len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        if at + 12 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            return
        body = view[at + 8 : end]
        pixels = kind in (b"IDAT", b"fdAT")
        (check,) = struct.unpack_from(">I", data, end)
        yield kind, body, pixels or check == zlib_ng.crc32(body, zlib_ng.crc32(kind))
        at = end + 4
