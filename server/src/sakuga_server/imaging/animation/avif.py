"""AVIF image sequences: Pillow decodes their frames; how long they are shown is read here."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, islice, pairwise
from threading import Lock

import numpy as np
from PIL import Image

from sakuga_server.imaging.animation.compose import Placed, Rect
from sakuga_server.imaging.animation.container import Container
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.reading.checks import blaming

PARENTS = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl")
DEEPEST, MOST = len(PARENTS), 10_000  # boxes in each other, and together


@dataclass(frozen=True)
class Box:
    """A box without its header (ISO/IEC 14496-12, 4.2)."""

    kind: bytes
    start: int
    body: memoryview

    @property
    def long(self) -> bool:
        """Whether its times and durations have 64 bits, and not 32."""
        return self.number(0, 1) == 1

    def number(self, at: int, length: int) -> int:
        """Beyond the body it counts as 0."""
        return int.from_bytes(bytes(self.body[at : at + length]).ljust(length, b"\0"), "big")


def parse(data: bytes) -> Container | None:
    """
    Args:
        data: a file that begins as an AVIF does.

    Returns:
        None for a still picture, or what Pillow can't open.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=["AVIF"])
        count = int(getattr(image, "n_frames", 1))
    except Exception:  # the decoder of still pictures says what is wrong
        return None
    if count < 2:
        return None
    lock, rect, track = Lock(), Rect(0, 0, image.width, image.height), first_track(data)
    frames = [
        Placed(rect, partial(_decoded, image, lock, index), duration)
        for index, duration in enumerate(_durations(track, count))
    ]
    return Container(*image.size, frames, _loop(track))


def first_track(data: bytes) -> dict[bytes, Box]:
    """The boxes that tell of the time of the first track, which is that of the colours."""
    found: dict[bytes, Box] = {}
    for box in boxes(data):
        found.setdefault(box.kind, box)
    return found


def boxes(data: bytes) -> Iterator[Box]:
    """All that hold no other boxes, one after the other."""
    return islice(_boxes(memoryview(data), 0, len(data), DEEPEST), MOST)


def _boxes(view: memoryview, at: int, end: int, depth: int) -> Iterator[Box]:
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", view, at)
        start = at + 8
        if length == 1:
            length, start = int.from_bytes(view[start : start + 8], "big"), start + 8
        stop = min(at + length, end) if length else end
        if stop < start:
            return
        if kind in PARENTS and depth:
            yield from _boxes(view, start, stop, depth - 1)
        else:
            yield Box(kind, start, view[start:stop])
        at = stop


def _durations(track: dict[bytes, Box], count: int) -> list[int]:
    """Milliseconds of each frame; each makes up for what the ones before were rounded by."""
    times, header, ticks = track.get(b"stts"), track.get(b"mdhd"), list[int]()
    if times and header:
        entries = min(times.number(4, 4), count)
        for at in range(8, 8 + 8 * entries, 8):
            ticks += [times.number(at + 4, 4)] * min(times.number(at, 4), count - len(ticks))
    per_second = (header.number(20 if header.long else 12, 4) if header else 0) or 1
    padded = [*ticks, *[0] * (count - len(ticks))]
    ends = [round(1000 * end / per_second) for end in accumulate(padded, initial=0)]
    return [end - start for start, end in pairwise(ends)]


def _loop(track: dict[bytes, Box]) -> int:
    """How many times it plays: as often as its edit list, which repeats, fits into the track."""
    edits, header = track.get(b"elst"), track.get(b"tkhd")
    if edits is None or header is None:
        return 0  # as Chromium has it
    once, whole = edits.number(8, 8 if edits.long else 4), duration(header)
    if not edits.number(1, 3) & 1 or not once:
        return 1
    endless = whole == (2**64 if header.long else 2**32) - 1
    return 0 if endless else -(-whole // once)


def duration(header: Box) -> int:
    """Of a tkhd."""
    return header.number(*((28, 8) if header.long else (20, 4)))


def _decoded(image: Image.Image, lock: Lock, index: int) -> Picture:
    """
    Raises:
        BadImage: the frame is damaged.
    """
    with lock, blaming("AVIF"):
        image.seek(index)
        pixels = np.array(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None
    return Picture(np.ascontiguousarray(pixels[..., :3]), alpha)


def with_loop(data: bytes, plays: int) -> bytes:
    """
    Args:
        data: a file that plays for ever, as Pillow writes it.
        plays: how many times it should play; 0: for ever.

    Returns:
        The same file, without the time of its making.
    """
    result = bytearray(data)
    once = next((edits.number(8, 8) for edits in boxes(data) if edits.kind == b"elst"), 0)
    for box in boxes(data):
        if box.kind not in (b"mvhd", b"tkhd", b"mdhd") or not box.long:
            continue
        result[box.start + 4 : box.start + 20] = bytes(16)
        if plays and box.kind != b"mdhd":
            at = box.start + (24 if box.kind == b"mvhd" else 28)
            result[at : at + 8] = (plays * once).to_bytes(8, "big")
    return bytes(result)
