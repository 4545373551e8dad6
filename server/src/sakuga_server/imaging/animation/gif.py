"""GIF files, taken apart into files of one image each (GIF89a specification)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from sakuga_core.config.server import Limits
from sakuga_server.imaging.animation.compose import Container, Dispose, Frame, Rect
from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.imaging.reading.checks import blaming, check_count
from sakuga_server.imaging.reading.pillow import opened

IMAGE, EXTENSION, TRAILER = b",!;"
GRAPHIC_CONTROL, APPLICATION = 0xF9, 0xFF
LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")

# 4 is what some encoders write for 3: they took it for a flag.
DISPOSALS = {2: Dispose.CLEAR, 3: Dispose.RESTORE, 4: Dispose.RESTORE}

# A colour table with which Pillow gives the indices themselves.
GRAYS = bytes(level for level in range(256) for _ in range(3))


@dataclass(frozen=True)
class Control:
    """A graphic control extension: how the next image is shown."""

    duration: int = 100
    dispose: Dispose = Dispose.KEEP
    transparent: int | None = None
    """The index that leaves the canvas as it is."""


@dataclass(frozen=True)
class Block:
    """A part of the file that isn't its header."""

    kind: int
    start: int
    """Where its data begin…"""
    stop: int
    """…and the next block does."""
    label: int = 0
    """Of an extension."""


def parse(data: bytes, limits: Limits) -> Container:
    width, height, fields, background = struct.unpack_from("<HHBB", data.ljust(13, b"\0"), 6)
    table, start = _table(data, 13, fields)
    frames: list[Frame] = []
    control, loop, warnings = Control(), 1, list[str]()
    for block in blocks(data, start, warnings):
        if block.label == GRAPHIC_CONTROL:
            control = _control(data, block)
        elif block.label == APPLICATION:
            loop = _loop(data, block, loop)
        elif block.kind == IMAGE:
            frames.append(_frame(data, block, table, control, limits))
            check_count(len(frames), limits)
            control = Control()
    if frames:  # a first image that is larger than the canvas widens it, in browsers, too
        width, height = max(width, frames[0].rect.right), max(height, frames[0].rect.bottom)
    named = (*table[background].tolist(), 0) if background < len(table) else None
    return Container(width, height, frames, loop, named, warnings=warnings)


def _table(data: bytes, at: int, fields: int) -> tuple[Array, int]:
    """A colour table, uint8 (N, 3), and where it ends."""
    if not fields & 0x80:
        return np.zeros((0, 3), np.uint8), at
    end = at + (6 << (fields & 7))
    return np.frombuffer(data[at:end].ljust(end - at, b"\0"), np.uint8).reshape(-1, 3), end


def blocks(data: bytes, at: int, warnings: list[str]) -> Iterator[Block]:
    """All whole blocks, up to the trailer."""
    while at < len(data) and data[at] != TRAILER:
        kind, start = data[at], at + 1
        if kind not in (IMAGE, EXTENSION):
            warnings.append(f"the GIF has an unknown block ({kind}); the animation ends there")
            return
        skip = 1  # the label
        if kind == IMAGE:
            fields = data[start + 8] if start + 8 < len(data) else 0
            skip = _table(b"", 9, fields)[1] + 1  # the descriptor, and the minimum code size
        stop = after_blocks(data, start + skip)
        if stop is None:
            warnings.append("the GIF is truncated; the animation ends there")
            return
        yield Block(kind, start, stop, data[start] if kind == EXTENSION else 0)
        at = stop
    if at >= len(data):
        warnings.append("the GIF has no end")
    elif at + 1 < len(data):
        warnings.append(f"{len(data) - at - 1} bytes after the GIF's end were ignored")


def after_blocks(data: bytes, at: int) -> int | None:
    """Where a sequence of sub-blocks ends; None where the data do before."""
    end = len(data)
    while at < end:
        length = data[at]
        at += 1 + length
        if not length:
            return at
    return None


def _control(data: bytes, block: Block) -> Control:
    body = data[block.start + 1 : block.stop].ljust(5, b"\0")
    length, fields, delay, transparent = struct.unpack_from("<BBHB", body)
    if length < 4:
        return Control()
    return Control(
        duration=delay * 10 if delay > 1 else 100,
        dispose=DISPOSALS.get(fields >> 2 & 7, Dispose.KEEP),
        transparent=transparent if fields & 1 else None,
    )


def _loop(data: bytes, block: Block, before: int) -> int:
    """How many times it plays: the extension counts repetitions, and 0 is for ever."""
    body = data[block.start + 1 : block.stop]
    if body[1:12] not in LOOPS or len(body) < 16 or body[12] < 3 or body[13] & 7 != 1:
        return before
    repetitions = int.from_bytes(body[14:16], "little")
    return repetitions + 1 if repetitions else 0


def _frame(data: bytes, block: Block, shared: Array, control: Control, limits: Limits) -> Frame:
    left, top, width, height, fields = struct.unpack_from("<HHHHB", data, block.start)
    own, start = _table(data, block.start + 9, fields)
    colours = np.zeros((256, 4), np.uint8)
    colours[:, 3] = 255
    table = own if len(own) else shared
    colours[: len(table), :3] = table
    if control.transparent is not None:
        colours[control.transparent, 3] = 0
    image = memoryview(data)[start : block.stop]
    decode = partial(_decoded, (width, height), fields & 0x40, image, colours, limits)
    return Frame(
        Rect(left, top, width, height), decode, control.duration, control.dispose, over=True
    )


def _decoded(
    size: tuple[int, int], interlaced: int, image: memoryview, colours: Array, limits: Limits
) -> Picture:
    """
    Args:
        size: width and height; a frame's can be larger than the canvas.
        image: the minimum code size, and sub-blocks.
        colours: uint8 (256, 4), of the indices; transparent ones have an alpha of 0.

    Raises:
        BadImage: it ends too early, or is damaged.
        TooLarge: it alone is over the limit.
    """
    width, height = size
    if not width or not height:  # it only takes its time
        return Picture(np.zeros((height, width, 3), np.uint8))
    head = struct.pack("<6sHHBBB", b"GIF89a", width, height, 0xF7, 0, 0) + GRAYS
    descriptor = struct.pack("<BHHHHB", IMAGE, 0, 0, width, height, interlaced)
    with opened(b"".join((head, descriptor, image, b";")), "gif", limits) as file, blaming("GIF"):
        indices = np.asarray(file)
    pixels = colours.view(np.uint32)[:, 0][indices].view(np.uint8).reshape(height, width, 4)
    alpha = None if colours[:, 3].all() else np.ascontiguousarray(pixels[..., 3])
    return Picture(np.ascontiguousarray(pixels[..., :3]), alpha)
