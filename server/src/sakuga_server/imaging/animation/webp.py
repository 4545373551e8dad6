"""Animated WebP files, taken apart into WebP files of one frame each (RFC 9649)."""

import struct
from collections.abc import Iterator
from functools import partial

from sakuga_core.config.server import Limits
from sakuga_server.imaging.animation.compose import Dispose, Placed, Rect
from sakuga_server.imaging.animation.container import Container, check_count
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.picture import Picture

ANIMATED, ALPHA = 0x02, 0x10  # flags of VP8X
CLEARS, REPLACES = 1, 2  # flags of ANMF
PIXELS = (b"ALPH", b"VP8 ", b"VP8L")

Chunk = tuple[bytes, memoryview]


def parse(data: bytes, limits: Limits) -> Container | None:
    """
    Args:
        data: a file that begins as a WebP does.

    Returns:
        None for a still picture.

    Raises:
        TooLarge: it has more frames than `limits` allow.
    """
    if len(data) < 30 or data[12:16] != b"VP8X" or not data[20] & ANIMATED:
        return None
    canvas = Rect(0, 0, _number(data, 24) + 1, _number(data, 27) + 1)
    end = 8 + int.from_bytes(data[4:8], "little")
    frames: list[Placed] = []
    loop, background, warnings = 1, None, []
    for kind, body in chunks(memoryview(data)[12:end]):
        if kind == b"ANIM" and len(body) >= 6 and background is None:
            blue, green, red, alpha, loop = struct.unpack_from("<BBBBH", body)
            background = (red, green, blue, alpha)
        elif kind == b"ANMF":
            frame = _placed(body, limits)
            if frame is None or frame.rect not in canvas:
                warnings.append(f"frame {len(frames) + 1} of the WebP is damaged; it ends there")
                break
            frames.append(frame)
            check_count(len(frames), limits)
    if end > len(data):
        warnings.append("the WebP is truncated")
    elif end + (end & 1) < len(data):
        warnings.append(f"{len(data) - end} bytes behind the WebP's end were left out")
    return Container(canvas.width, canvas.height, frames, loop, background, warnings=warnings)


def chunks(data: bytes | memoryview) -> Iterator[Chunk]:
    """Name and body of each whole RIFF chunk."""
    view, at = memoryview(data), 0
    while at + 8 <= len(view):
        kind, length = struct.unpack_from("<4sI", view, at)
        if at + 8 + length > len(view):
            return
        yield kind, view[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)


def chunk(kind: bytes, *parts: bytes | memoryview) -> bytes:
    """A RIFF chunk, padded to an even length."""
    length = sum(map(len, parts))
    return b"".join((struct.pack("<4sI", kind, length), *parts, b"\0" * (length & 1)))


def file(*parts: bytes) -> bytes:
    """A WebP file of such chunks."""
    return chunk(b"RIFF", b"WEBP", *parts)


def features(flags: int, width: int, height: int) -> bytes:
    """The VP8X chunk."""
    numbers = (length.to_bytes(3, "little") for length in (width - 1, height - 1))
    return chunk(b"VP8X", struct.pack("<I", flags), *numbers)


def _number(data: bytes | memoryview, at: int) -> int:
    """24 bits."""
    return int.from_bytes(data[at : at + 3], "little")


def _placed(body: memoryview, limits: Limits) -> Placed | None:
    """None where it has no pixels."""
    left, top, width, height, ms = (_number(body, at) for at in range(0, 15, 3))
    parts = [each for each in chunks(body[16:]) if each[0] in PIXELS]
    if not parts:
        return None
    flags, rect = body[15], Rect(2 * left, 2 * top, width + 1, height + 1)
    dispose = Dispose.CLEAR if flags & CLEARS else Dispose.KEEP
    decode = partial(_decoded, rect, parts, limits)
    return Placed(rect, decode, ms, dispose, over=not flags & REPLACES)


def _decoded(rect: Rect, parts: list[Chunk], limits: Limits) -> Picture:
    """
    Raises:
        BadImage: its pixels are damaged.
    """
    extended = [features(ALPHA, rect.width, rect.height)] if parts[0][0] == b"ALPH" else []
    return decode(file(*extended, *(chunk(*part) for part in parts)), limits)
