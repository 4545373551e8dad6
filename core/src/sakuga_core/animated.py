"""Whether a file holds several frames or pages, by a look at its structure: nothing is decoded."""

from typing import Literal

from sakuga_core.formats import HEAD, recognised

Order = Literal["little", "big"]

# Chunks or blocks that are passed over at most, so that a look takes under a second whatever a file
# says; what lies behind them counts as absent. A GIF's first frame of 250 MB has so many.
MOST = 2**20


def animated(data: bytes) -> bool:
    """Whether a viewer, or a reader of pages, would find more than one picture in a file.

    Args:
        data: an encoded file: GIF, PNG, WebP, AVIF or TIFF; what is damaged, or of another format,
            counts as a single picture.
    """
    row = recognised(data[:HEAD])
    look = _LOOKS.get(row.name) if row else None
    return look is not None and look(data)


def _gif(data: bytes) -> bool:
    """A second image descriptor (GIF89a, appendix A)."""
    at, images, in_blocks = 13 + _colours(data, 10), 0, False
    for _ in range(MOST):
        kind = data[at : at + 1]
        if in_blocks:
            length = _number(data, at, 1, "little")
            at, in_blocks = at + 1 + length, length > 0
        elif kind == b",":
            images += 1
            at += 11 + _colours(data, at + 9)  # the descriptor, and the minimum code size
            in_blocks = True
        elif kind == b"!":
            at, in_blocks = at + 2, True
        elif kind in (b";", b""):
            break
        else:  # browsers and Pillow pass over what is no block, too
            at += 1
        if images == 2:
            return True
    return False


def _colours(data: bytes, at: int) -> int:
    """Bytes of the colour table that the packed fields at `at` announce."""
    fields = _number(data, at, 1, "little")
    return 3 << (fields & 7) + 1 if fields & 0x80 else 0


def _png(data: bytes) -> bool:
    """An acTL chunk of several frames before the pixels (PNG, third edition, 11.3.6.1)."""
    at = 8
    for _ in range(MOST):
        kind = data[at + 4 : at + 8]
        if kind == b"acTL":
            return _number(data, at + 8, 4, "big") > 1
        if kind in (b"IDAT", b"IEND", b""):
            return False
        at += 12 + _number(data, at, 4, "big")
    return False


def _webp(data: bytes) -> bool:
    """The animation flag of a VP8X chunk (RFC 9649, 2.7)."""
    return data[12:16] == b"VP8X" and bool(_number(data, 20, 1, "little") & 2)


def _avif(data: bytes) -> bool:
    """The brand of image sequences in the ftyp box (AVIF 1.1, 6.3)."""
    brands = data[8:12] + data[16 : min(_number(data, 0, 4, "big"), HEAD)]
    return b"avis" in (brands[at : at + 4] for at in range(0, len(brands), 4))


def _tiff(data: bytes) -> bool:
    """A second directory (TIFF 6.0, section 2; BigTIFF has longer numbers)."""
    order: Order = "little" if data[:2] == b"II" else "big"
    big = data[2:4] in (b"+\0", b"\0+")
    count, entry, offset = (8, 20, 8) if big else (2, 12, 4)
    first = _number(data, 8 if big else 4, offset, order)
    after = first + count + entry * _number(data, first, count, order)
    second = _number(data, after, offset, order)
    return second != first and 8 <= second <= len(data) - count


def _number(data: bytes, at: int, length: int, order: Order) -> int:
    """An unsigned number, of as many bytes as there are."""
    return int.from_bytes(data[at : at + length], order)


_LOOKS = {"gif": _gif, "png": _png, "webp": _webp, "avif": _avif, "tiff": _tiff}
