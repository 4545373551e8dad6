"""Metadata of WebP, GIF, TIFF, BMP and PSD."""

import struct
from collections.abc import Iterator
from itertools import islice

from sakuga_server.imaging.metadata import exif, resolution
from sakuga_server.imaging.metadata.exif import DESCRIPTIVE, Exif
from sakuga_server.imaging.metadata.ifd import Tiff
from sakuga_server.imaging.metadata.raw import Budget, Raw
from sakuga_server.imaging.metadata.record import Metadata

GIF_XMP = b"XMP DataXMP"
MOST_PARTS = 100_000
MOST_BLOCKS = 5_000_000  # of a GIF, five times those of a sound file of 256 MB
GIF_ICC = b"ICCRGBG1012"
# What follows XMP in a GIF: whichever of its bytes a reader takes for a block's length, it gets to
# the end (XMP specification, part 3, 1.1.2).
GIF_SKIP = bytes([1, *range(255, -1, -1), 0])


def webp(data: bytes, budget: Budget) -> Raw:
    raw, at = Raw(), 12
    for _ in range(MOST_PARTS):
        if at + 8 > len(data):
            break
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind in (b"ICCP", b"EXIF", b"XMP ") and at + 8 + size <= len(data):
            body = data[at + 8 : at + 8 + size]
            if kind == b"ICCP":
                raw.icc = raw.icc or body
            elif kind == b"EXIF":
                raw.exif = raw.exif or body.removeprefix(exif.MARK)
            else:
                raw.xmp = raw.xmp or body
        at += 8 + size + size % 2
    return raw


def gif(data: bytes, budget: Budget) -> Raw:
    raw = Raw()
    for label, blocks in islice(_gif_extensions(data), MOST_PARTS):
        if label == 0xFE:
            raw.comments.append(b"".join(blocks).rstrip(b"\0"))
        elif label == 0xFF and blocks[0] == GIF_XMP:
            # The packet isn't cut into blocks: its own bytes are read as their lengths.
            packet = b"".join(bytes([len(block)]) + block for block in blocks[1:])
            raw.xmp = raw.xmp or packet.partition(GIF_SKIP[:4])[0]
        elif label == 0xFF and blocks[0] == GIF_ICC:
            raw.icc = raw.icc or b"".join(blocks[1:])
    return raw


def _gif_extensions(data: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Labels of comments and of application's extensions, and their blocks, where they have any."""
    at = 13 + _table(data[10]) if len(data) > 13 else len(data)
    left = MOST_BLOCKS
    while at + 1 < len(data) and left > 0:
        label = data[at + 1] if data[at] == 0x21 else 0
        if label:
            at += 2
        elif data[at] == 0x2C and at + 10 < len(data):
            at += 11 + _table(data[at + 9])
        else:
            return
        keep = label in (0xFE, 0xFF)
        blocks, at, count = _blocks(data, at, keep)
        left -= count
        if blocks and keep:
            yield label, blocks


def _table(packed: int) -> int:
    """Bytes of a colour table."""
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0


def _blocks(data: bytes, at: int, keep: bool) -> tuple[list[bytes], int, int]:
    """Blocks up to an empty one, where the next part begins, and how many there were."""
    found, count = [], 0
    while at < len(data) and data[at] and count < MOST_BLOCKS:
        if keep:
            found.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
        count += 1
    return found, at + 1, count


def tiff(data: bytes, budget: Budget) -> Raw:
    stream = Tiff(data, budget.left)
    parts = {exif.XMP, exif.IPTC, exif.PHOTOSHOP, exif.ICC}
    tags, _ = stream.directory(stream.first, parts)
    found, damaged = Exif.of_tiff(stream, DESCRIPTIVE)
    if damaged:
        budget.warn(
            "tags of the TIFF are damaged, or over the limit of metadata; they were dropped"
        )
    values = {code: tag.value for code, tag in tags.items()}
    raw = Raw(values.get(exif.ICC), found, values.get(exif.XMP), iptc=values.get(exif.IPTC))
    if raw.iptc and tags[exif.IPTC].type == 4 and stream.order == "<" and raw.iptc[:1] != b"\x1c":
        count = len(raw.iptc) // 4  # written as numbers of four bytes by a machine of another order
        raw.iptc = struct.pack(f"<{count}I", *struct.unpack(f">{count}I", raw.iptc))
    raw.dpi = found.dpi
    for code in (exif.X_RESOLUTION, exif.Y_RESOLUTION, exif.UNIT):
        found.main.pop(code, None)
    raw.photoshop(values.get(exif.PHOTOSHOP, b""))
    return raw


def bmp(data: bytes, budget: Budget) -> Raw:
    if len(data) < 46 or struct.unpack_from("<I", data, 14)[0] < 40:
        return Raw()
    raw = Raw(dpi=resolution.from_metre(*struct.unpack_from("<ii", data, 38)))
    if len(data) >= 138 and struct.unpack_from("<I", data, 14)[0] >= 124 and data[70:74] == b"DEBM":
        at, size = struct.unpack_from("<II", data, 126)
        raw.icc = data[14 + at : 14 + at + size]
    return raw


def psd(data: bytes, budget: Budget) -> Raw:
    raw = Raw()
    if len(data) >= 30:
        at = 30 + int.from_bytes(data[26:30], "big")
        size = int.from_bytes(data[at : at + 4], "big")
        raw.photoshop(data[at + 4 : at + 4 + size])
    return raw


def webp_chunks(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    """Names and bodies of chunks of WebP, in the order that the format asks for: the profile before
    the pixels, the others after them."""
    parts = ((b"ICCP", metadata.icc), (b"EXIF", metadata.exif), (b"XMP ", metadata.xmp))
    return [(name, body) for name, body in parts if body]


def gif_blocks(metadata: Metadata) -> bytes:
    """Extensions for the place between a GIF's colour table and its pictures."""
    blocks = b""
    if metadata.comment:
        pieces = (metadata.comment[at : at + 255] for at in range(0, len(metadata.comment), 255))
        blocks += b"\x21\xfe" + b"".join(bytes((len(p),)) + p for p in pieces) + b"\0"
    if metadata.xmp:
        blocks += b"\x21\xff\x0b" + GIF_XMP + metadata.xmp + GIF_SKIP
    return blocks
