"""Animated picture files: what they hold, and their frames as a viewer shows them."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from PIL import Image

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadImage, TooLarge
from sakuga_core.formats import HEAD, FileFormat, recognised
from sakuga_server.imaging import metadata
from sakuga_server.imaging.animation import apng, avif, gif, webp
from sakuga_server.imaging.animation.compose import Container, Dispose, Frame, Rect
from sakuga_server.imaging.animation.record import Animation
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.reading.checks import check_bytes, check_size

LEAST = 2  # frames of an animation

# Each takes a file that begins as its format does, and gives None for a still picture. It raises
# TooLarge as soon as there are more frames than the limit.
_PARSERS: dict[str, Callable[[bytes, Limits], Container | None]] = {
    "png": apng.parse,
    "webp": webp.parse,
    "gif": gif.parse,
    "avif": avif.parse,
}


def read(data: bytes, limits: Limits) -> Animation | None:
    """An animated picture; None for a still one, even in a container for several frames.

    Each frame is decoded once, and let go, so that damage is known before any work: from the first
    damaged frame on they are left out, with a warning. Where fewer than two remain, it is None.

    Args:
        data: an encoded file.
        limits: `input_bytes`, `input_pixels` of the canvas, `frames` and `animation_pixels` are
            checked before any pixel is decoded.

    Raises:
        TooLarge: over a limit.
    """
    row = _row(data)
    if row is None:
        return None
    check_bytes(data, limits)
    container = _PARSERS[row.name](data, limits)
    if container is None or len(container.frames) < LEAST:
        return None
    _check(row.title, container, limits)
    container, opaque = _whole(container)
    if len(container.frames) < LEAST:
        return None
    # The other formats are read without Pillow.
    file = Image.open(io.BytesIO(data), formats=["AVIF"]) if row.name == "avif" else None
    about, notes = metadata.read(data, row.name, file, limits.metadata_bytes)
    return Animation(
        row.name,
        container,
        alpha=_shows_through(container, opaque),
        metadata=about,
        orientation=metadata.orientation(data, row.name, file),
        warnings=[*container.warnings, *container.notes, *notes],
    )


def damage(data: bytes, limits: Limits) -> list[str]:
    """What makes an animated file a still picture for `read`, though it was made to be more.

    No more frames are decoded than it takes to know that there is an animation.
    """
    row = _row(data)
    try:
        container = _PARSERS[row.name](data, limits) if row else None
        if container is not None and len(container.frames) >= LEAST:
            container, _ = _whole(container, LEAST)
    except TooLarge:  # there are frames enough
        return []
    return container.warnings if container and len(container.frames) < LEAST else []


def _row(data: bytes) -> FileFormat | None:
    """The format of a file, if it can be animated."""
    row = recognised(data[:HEAD])
    return row if row is not None and row.name in _PARSERS else None


def _check(format: str, container: Container, limits: Limits) -> None:
    count, canvas = len(container.frames), f"{container.width}x{container.height}"
    check_size(container.width, container.height, limits, format)
    pixels = container.width * container.height * count
    if pixels > limits.animation_pixels:
        raise TooLarge(
            f"the animation has {count} frames of {canvas} = {pixels} pixels; "
            f"allowed: {limits.animation_pixels}"
        )
    # What sticks out of the canvas isn't shown, and is decoded nevertheless.
    stored = sum(frame.rect.width * frame.rect.height for frame in container.frames)
    if stored > limits.animation_pixels:
        raise TooLarge(
            f"the animation's frames have {stored} pixels; allowed: {limits.animation_pixels}"
        )


def _whole(container: Container, most: int | None = None) -> tuple[Container, list[bool]]:
    """The frames up to the first damaged one, or as many as `most`; and whether each is opaque."""
    opaque, warnings = list[bool](), [*container.warnings]
    for frame in container.frames[:most]:
        try:
            picture = _decoded(frame)
        except BadImage as error:
            which = f"frame {len(opaque) + 1} of {len(container.frames)}"
            warnings.append(f"{which} is damaged; it and all later frames were dropped: {error}")
            break
        opaque.append(_is_opaque(picture))
        warnings += [warning for warning in picture.warnings if warning not in warnings]
    frames = container.frames[: len(opaque)]
    return replace(container, frames=frames, warnings=warnings), opaque


def _decoded(frame: Frame) -> Picture:
    """
    Raises:
        BadImage: it is damaged.
    """
    picture = frame.decode()
    if (picture.width, picture.height) != (frame.rect.width, frame.rect.height):
        raise BadImage("its pixels contradict its header")
    return picture


def _is_opaque(picture: Picture) -> bool:
    alpha = picture.alpha
    return alpha is None or bool((alpha == np.iinfo(alpha.dtype).max).all())


def _shows_through(container: Container, opaque: Sequence[bool]) -> bool:
    """Whether a frame, as shown, can have transparency."""
    canvas = Rect(0, 0, container.width, container.height)
    rects = [frame.rect.clipped(canvas.width, canvas.height) for frame in container.frames]
    frames = list(zip(container.frames, rects, opaque, strict=True))
    if not opaque[0] or canvas not in rects[0]:
        return True
    if container.frames[0].dispose is Dispose.RESTORE:  # to what was there before: nothing
        return True
    for (before, cleared, _), (frame, rect, solid) in pairwise(frames):
        if not solid and not frame.over:
            return True
        if before.dispose is Dispose.CLEAR and not (solid and cleared in rect):
            return True
    return False
