"""Animated picture files: what they hold, and their frames as a viewer shows them."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
from PIL import Image

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadImage, TooLarge
from sakuga_core.formats import HEAD, recognised
from sakuga_server.imaging import metadata
from sakuga_server.imaging.animation import apng, avif, gif, webp
from sakuga_server.imaging.animation.compose import Dispose, Placed, Rect, composed
from sakuga_server.imaging.animation.container import Container, check_count
from sakuga_server.imaging.animation.record import Animation, Timing
from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.picture import Picture, orient
from sakuga_server.imaging.reading.checks import check_bytes, check_size


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
    row = recognised(data[:HEAD])
    if row is None:
        return None
    check_bytes(data, limits)
    container = _container(row.name, data, limits)
    if container is None or len(container.frames) < 2:
        return None
    _check(row.title, container, limits)
    frames, opaque = _whole(container)
    if len(frames) < 2:
        return None
    container = replace(container, frames=frames)
    alpha = _shows_through(container, opaque)
    about, turned = _about(row.name, data, container, limits)
    return _animation(row.name, container, alpha, about, turned)


def _container(format: str, data: bytes, limits: Limits) -> Container | None:
    match format:
        case "gif":
            return gif.parse(data, limits)
        case "png":
            return apng.parse(data, limits)
        case "webp":
            return webp.parse(data, limits)
        case "avif":
            return avif.parse(data)
    return None


def _check(format: str, container: Container, limits: Limits) -> None:
    count, canvas = len(container.frames), f"{container.width}x{container.height}"
    check_count(count, limits)
    check_size(container.width, container.height, limits, format)
    pixels = container.width * container.height
    if pixels * count > limits.animation_pixels:
        raise TooLarge(
            f"the animation has {count} frames of {canvas} = {pixels * count} pixels; "
            f"allowed: {limits.animation_pixels}"
        )


def _whole(container: Container) -> tuple[list[Placed], list[bool]]:
    """The frames up to the first damaged one, and whether each is opaque."""
    opaque, warnings = list[bool](), container.warnings
    for frame in container.frames:
        try:
            picture = _decoded(frame)
        except BadImage as error:
            which = f"frame {len(opaque) + 1} of {len(container.frames)}"
            warnings.append(f"{which} is damaged, and left out with all that follow it: {error}")
            break
        opaque.append(_is_opaque(picture))
        warnings += [warning for warning in picture.warnings if warning not in warnings]
    return list(container.frames[: len(opaque)]), opaque


def _decoded(frame: Placed) -> Picture:
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


def _about(format: str, data: bytes, container: Container, limits: Limits) -> tuple[Metadata, int]:
    """What the file says beside its pixels, and EXIF's orientation, 1 to 8."""
    # The other formats are read without Pillow.
    image = Image.open(io.BytesIO(data), formats=["AVIF"]) if format == "avif" else None
    about, warnings = metadata.read(data, format, image, limits.metadata_bytes)
    container.warnings.extend(warnings)
    if format == "png":  # its decoder may have converted the colours
        shown = container.frames[0].decode().metadata
        about = replace(about, icc=shown.icc, color=shown.color)
    return about, metadata.orientation(data, format, image)


def _animation(
    format: str, container: Container, alpha: bool, about: Metadata, turned: int
) -> Animation:
    width, height = container.width, container.height
    sides = (height, width) if turned > 4 else (width, height)
    durations = tuple(frame.duration for frame in container.frames)
    return Animation(
        format,
        *sides,
        Timing(durations, container.loop, container.background),
        alpha=alpha,
        deep=container.deep,
        metadata=about,
        warnings=container.warnings,
        source=partial(_frames, format, container, alpha, about, turned),
    )


def _frames(
    format: str, container: Container, alpha: bool, about: Metadata, turned: int
) -> Iterator[Picture]:
    size = (container.width, container.height)
    for picture in composed(container.frames, *size, deep=container.deep):
        shown = None if picture.alpha is None or not alpha else orient(picture.alpha, turned)
        yield Picture(orient(picture.colour, turned), shown, about, [], turned, format)
