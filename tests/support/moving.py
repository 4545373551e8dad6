"""Animations as the project reads them, and as others do, in arrays that can be compared."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from sakuga_core.config.server import Limits
from sakuga_server.imaging import animation
from sakuga_server.imaging.animation import Animation
from sakuga_server.imaging.picture import Picture

LIMITS = Limits()


def read(data: bytes, limits: Limits = LIMITS) -> Animation:
    found = animation.read(data, limits)
    assert found is not None
    return found


def shown(moving: Animation) -> list[np.ndarray]:
    """Its frames as (H, W, 4); what the interface says of them is checked."""
    frames = []
    for frame in moving.frames():
        assert frame.colour.shape == (moving.height, moving.width, 3)
        assert frame.deep == moving.deep
        assert (frame.alpha is not None) == moving.alpha
        frames.append(with_alpha(frame))
    assert len(frames) == len(moving.timing.durations)
    return frames


def with_alpha(picture: Picture) -> np.ndarray:
    """(H, W, 4)."""
    full = np.full_like(picture.colour[..., 0], np.iinfo(picture.colour.dtype).max)
    return np.dstack([picture.colour, full if picture.alpha is None else picture.alpha])


def without_alpha(frame: np.ndarray) -> Picture:
    """An opaque (H, W, 4) as a picture."""
    return Picture(np.ascontiguousarray(frame[..., :3]))


def with_its_alpha(frame: np.ndarray) -> Picture:
    return Picture(np.ascontiguousarray(frame[..., :3]), np.ascontiguousarray(frame[..., 3]))


def pillows(data: bytes) -> tuple[list[np.ndarray], list[int]]:
    """Frames as Pillow shows them, (H, W, 4), and their durations."""
    frames, durations = [], []
    with Image.open(io.BytesIO(data)) as file:
        for index in range(file.n_frames):
            file.seek(index)
            frames.append(np.array(file.convert("RGBA")))
            durations.append(round(file.info.get("duration", 0)))
    return frames, durations


def same(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> bool:
    return len(found) == len(expected) and all(map(np.array_equal, found, expected))


def visibly_same(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> bool:
    """But for the colours of what is wholly transparent."""
    return same([visible(each) for each in found], [visible(each) for each in expected])


def visible(frame: np.ndarray) -> np.ndarray:
    return np.where(frame[..., 3:] > 0, frame, 0)
