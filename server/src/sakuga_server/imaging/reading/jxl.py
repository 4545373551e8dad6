"""JPEG XL of more than 8 bits; and what the beginning of a file says of its picture
(ISO/IEC 18181-1, annex D).

Its decoder tells no earlier than with the pixels, and takes as many channels as there are.
"""

from dataclasses import dataclass

import imagecodecs
import numpy as np

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadImage
from sakuga_server.imaging.metadata.boxes import boxes
from sakuga_server.imaging.reading.checks import blaming, check_size, damaged
from sakuga_server.imaging.reading.samples import Samples

TITLE = "JPEG XL"
MOST_CHANNELS = 8  # beside colours
HEAD = 64  # bytes of the coded picture that hold what is read here

# Widths as shares of heights, by their number.
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}

# Numbers of one of four lengths, which two bits before it choose: what is added, and its bits.
_Choice = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]
_SIDE: _Choice = ((1, 9), (1, 13), (1, 18), (1, 30))
_PREVIEW: _Choice = ((1, 6), (65, 8), (321, 10), (1345, 12))
_PREVIEW_OF_8: _Choice = ((16, 0), (32, 0), (1, 5), (33, 9))
_BITS: _Choice = ((8, 0), (10, 0), (12, 0), (1, 6))
_CHANNELS: _Choice = ((0, 0), (1, 0), (2, 4), (1, 12))
_ANIMATION: tuple[_Choice, ...] = (
    ((100, 0), (1000, 0), (1, 10), (1, 30)),  # ticks…
    ((1, 0), (1001, 0), (1, 8), (1, 10)),  # …per so many seconds
    ((0, 0), (0, 3), (0, 16), (0, 32)),  # loops
)


@dataclass(frozen=True)
class Header:
    width: int
    height: int
    """Before the picture is turned."""
    bits: int
    """Of a sample."""
    floating: bool
    """Whether samples are floating-point numbers."""
    extra: int
    """Channels that aren't colours: transparency and others."""


def read(data: bytes) -> Samples:
    """The samples of a file of more than 8 bits, upright, of which Pillow's plugin keeps 8.

    Raises:
        BadImage: truncated or damaged.
    """
    with blaming(TITLE):
        values = imagecodecs.jpegxl_decode(data, 0)
    if values.dtype != np.uint16 or values.ndim > 3:
        raise BadImage("the JPEG XL file contradicts its own header")
    values = values.reshape(*values.shape[:2], -1)
    channels = values.shape[2]
    return Samples(
        values,
        "gray" if channels < 3 else "rgb",
        alpha=channels - 1 if channels in (2, 4) else None,
    )


def checked(data: bytes, limits: Limits) -> Header:
    """What the file says of its picture, before Pillow's plugin, which decodes it at once.

    Raises:
        BadImage: it isn't read.
        TooLarge: over the limit of pixels.
    """
    found = header(data)
    check_size(found.width, found.height, limits, TITLE)
    if found.floating:
        raise BadImage("the JPEG XL file has floating-point samples; allowed: 8 or 16 bits")
    if found.extra > MOST_CHANNELS:
        raise BadImage(
            f"the JPEG XL file has {found.extra} channels beside its colours; "
            f"allowed: {MOST_CHANNELS}"
        )
    return found


class _Bits:
    """Bits of a stream, the low ones of a byte first."""

    def __init__(self, data: bytes) -> None:
        self.rest = int.from_bytes(data, "little")

    def take(self, count: int = 1) -> int:
        found = self.rest & ((1 << count) - 1)
        self.rest >>= count
        return found

    def chosen(self, choice: _Choice) -> int:
        added, count = choice[self.take(2)]
        return added + self.take(count)


def header(data: bytes) -> Header:
    """
    Raises:
        BadImage: there is none.
    """
    stream = _codestream(data)
    if stream[:2] != b"\xff\x0a" or len(stream) < 4:
        raise damaged(TITLE, "it has no header")
    bits = _Bits(stream[2:])
    width, height = _size(bits)
    if bits.take():  # all else is as mostly
        return Header(width, height, 8, False, 0)
    if bits.take():
        _skip(bits)
    floating = bool(bits.take())
    depth = 32 if floating else bits.chosen(_BITS)
    if floating:
        bits.chosen(_BITS)
        bits.take(4)
    bits.take()
    return Header(width, height, depth, floating, bits.chosen(_CHANNELS))


def _size(bits: _Bits, whole: _Choice = _SIDE, of_8: _Choice | None = None) -> tuple[int, int]:
    """Width and height, of the picture or its preview."""
    small = bits.take()

    def side() -> int:
        if not small:
            return bits.chosen(whole)
        return 8 * (bits.chosen(of_8) if of_8 else bits.take(5) + 1)

    height = side()
    ratio = bits.take(3)
    if ratio:
        over, under = _RATIOS[ratio]
        return height * over // under, height
    return side(), height


def _skip(bits: _Bits) -> None:
    """Orientation, the size to show it in, a preview, an animation's times."""
    bits.take(3)
    if bits.take():
        _size(bits)
    if bits.take():
        _size(bits, _PREVIEW, _PREVIEW_OF_8)
    if bits.take():
        for choice in _ANIMATION:
            bits.chosen(choice)
        bits.take()


def _codestream(data: bytes) -> bytes:
    """The beginning of the coded picture: of the file, or of the first box that has it."""
    if data[:4] == b"\0\0\0\x0c":
        for kind, start, _ in boxes(data, 0, len(data)):
            if kind in (b"jxlc", b"jxlp"):
                start += 4 if kind == b"jxlp" else 0  # a part of it, after its number
                return data[start : start + HEAD]
    return data[:HEAD]
