"""JPEG through libjpeg-turbo: simplejpeg, which tells whether data is missing, and imagecodecs, for
the few files that simplejpeg doesn't take."""

import struct
from dataclasses import dataclass

import imagecodecs
import simplejpeg

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadImage
from sakuga_server.imaging.picture import Array
from sakuga_server.imaging.reading.checks import blaming, check_size, damaged
from sakuga_server.imaging.reading.samples import Kind, Samples

TITLE = "JPEG"
LONGEST = 65500  # side that libjpeg-turbo takes unless it is built otherwise, as in imagecodecs
# Encoders write about ten. A scan of a few bytes takes 50 ms where the picture is 4096x4096, so
# thousands of them would keep a server busy for minutes.
MOST_SCANS = 100
MOST_MARKERS = 100_000  # before the frame; a profile of the longest kind takes 255

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of frame headers (T.81, table B.1)
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_ARITHMETIC = {0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_SCAN = 0xDA
_END = b"\xff\xd9"
_KINDS: dict[int, tuple[Kind, str]] = {
    1: ("gray", "GRAY"),
    3: ("rgb", "RGB"),
    4: ("cmyk", "CMYK"),
}


@dataclass(frozen=True)
class Frame:
    """The header of a JPEG's picture (T.81, B.2.2)."""

    marker: int
    precision: int
    height: int
    width: int
    factors: tuple[tuple[int, int], ...]
    """Of each component: how often it is sampled, across and down."""

    @property
    def unusual(self) -> bool:
        """Whether it takes imagecodecs."""
        return self.precision > 8 or max(self.width, self.height) > LONGEST

    @property
    def least_bytes(self) -> int:
        """Of its pixels: one bit for each block of 8x8 samples, where codes are Huffman's."""
        if self.marker in _ARITHMETIC:
            return 0
        across, down = (max(factors) for factors in zip(*self.factors, strict=True))
        groups = -(-self.width // (8 * across)) * -(-self.height // (8 * down))
        blocks: int = groups * sum(x * y for x, y in self.factors)
        return blocks // 8


def read(data: bytes, limits: Limits) -> Samples:
    """
    Raises:
        BadImage: truncated, damaged, or of a kind that isn't read.
        TooLarge: over the limit of pixels; nothing has been decoded yet.
    """
    frame = header(data)
    check_size(frame.width, frame.height, limits, TITLE)
    if len(frame.factors) not in _KINDS:
        raise BadImage(f"the JPEG file has {len(frame.factors)} components; allowed: 1, 3 or 4")
    if data.count(b"\xff\xda") > MOST_SCANS:
        raise BadImage(f"the JPEG file has more than {MOST_SCANS} scans")
    kind, name = _KINDS[len(frame.factors)]
    values, warnings = _decoded(data, frame, name)
    if values.shape[:2] != (frame.height, frame.width):
        raise BadImage("the JPEG file contradicts its own header")
    values = values.reshape(frame.height, frame.width, -1)
    # Adobe's programs store inks inverted, and all others do as they do.
    bits = 0 if frame.precision == 8 else frame.precision
    return Samples(values, kind, bits, inverted=kind == "cmyk", warnings=warnings)


def header(data: bytes) -> Frame:
    """
    Raises:
        BadImage: there is none before the pixels.
    """
    at = _frame(data)
    if at is None or at + 10 > len(data) or at + 10 + 3 * data[at + 9] > len(data):
        raise damaged(TITLE, "it has no header")
    precision, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
    sampled = [data[at + 11 + 3 * i] for i in range(components)]
    factors = tuple((byte >> 4 or 1, byte & 15 or 1) for byte in sampled)
    return Frame(data[at + 1], precision, height, width, factors)


def _frame(data: bytes) -> int | None:
    """Where the frame header's marker is. As in libjpeg, bytes may lie between segments.

    Raises:
        BadImage: there are more markers before it than anybody writes.
    """
    at = 2
    for _ in range(MOST_MARKERS):
        if (at := data.find(b"\xff", at)) < 0 or at + 4 > len(data):
            return None
        marker = data[at + 1]
        if marker in _FRAMES:
            return at
        if marker in (_SCAN, _END[1]):
            return None
        alone = marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8
        at += 1 if alone else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise BadImage(f"the JPEG file has more than {MOST_MARKERS} markers before its picture")


def _decoded(data: bytes, frame: Frame, name: str) -> tuple[Array, list[str]]:
    if frame.unusual:
        return _leniently(data, frame), []
    try:
        return simplejpeg.decode_jpeg(data, name), []
    except ValueError as error:
        problem = str(error)
    if "Could not determine subsampling" in problem:
        return _leniently(data, frame), []
    # Without an end marker, a progressive file may lack scans, and nobody can tell.
    if problem == "Premature end of JPEG file" and frame.marker not in _PROGRESSIVE:
        return _ended(data, name)
    if "premature end" in problem.lower():
        raise damaged(TITLE, "its data ends before its last pixels")
    # Not by simplejpeg with strict=False, which gives unwritten memory after errors that end it.
    return _leniently(data, frame), [f"the JPEG file is damaged: {problem}"]


def _ended(data: bytes, name: str) -> tuple[Array, list[str]]:
    """Of a file without an end marker, which may have all its pixels nevertheless."""
    try:
        return simplejpeg.decode_jpeg(data + _END, name), ["the JPEG file has no end marker"]
    except ValueError:
        raise damaged(TITLE, "its data ends before its last pixels") from None


def _leniently(data: bytes, frame: Frame) -> Array:
    """Without a word on data that is missing, but for what must be missing."""
    _check_length(data, frame)
    with blaming(TITLE):
        values: Array = imagecodecs.jpeg8_decode(data)
        return values


def _check_length(data: bytes, frame: Frame) -> None:
    if len(data) < frame.least_bytes:
        raise damaged(
            TITLE,
            f"{len(data)} bytes can't hold the {frame.width}x{frame.height} pixels of its header",
        )
