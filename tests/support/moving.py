"""Animations as the project reads and writes them, and as others do, in arrays to be compared."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

import animations as made
from pictures import sample
from sakuga_core.config.server import Limits
from sakuga_server.imaging import animation
from sakuga_server.imaging.animation import Animation, Timing
from sakuga_server.imaging.picture import Picture

LIMITS = Limits()
SIZE = WIDTH, HEIGHT = 14, 11  # of canvases drawn at random


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


def scene(seed: int, alphas: str = "any", dtype: type = np.uint8) -> list[np.ndarray]:
    """Frames (H, W, 4), drawn at random."""
    return made.composed(made.ops(seed, alphas=alphas, dtype=dtype), *SIZE)


def few_colours(seed: int, alphas: str = "binary") -> list[np.ndarray]:
    drawings = made.indexed(made.ops(seed, alphas=alphas), seed)
    return [visible(frame) for frame in made.composed(drawings, *SIZE)]


def opaque(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [np.dstack([f[..., :3], np.full_like(f[..., 0], np.iinfo(f.dtype).max)]) for f in frames]


def written(
    frames: list[np.ndarray], format: str, timing: Timing | None = None, **options: object
) -> bytes:
    height, width = frames[0].shape[:2]
    timing = timing or Timing((50,) * len(frames))
    alpha = bool(
        options.setdefault("alpha", any((f[..., 3] < np.iinfo(f.dtype).max).any() for f in frames))
    )
    writer = animation.writer(format, width, height, timing, **options)  # type: ignore[arg-type]
    for frame in frames:
        writer.add((with_its_alpha if alpha else without_alpha)(frame))
    return writer.finish()


def warnings_of(frames: list[np.ndarray], format: str, **options: object) -> list[str]:
    height, width = frames[0].shape[:2]
    timing = Timing((50,) * len(frames))
    writer = animation.writer(format, width, height, timing, alpha=True, **options)  # type: ignore[arg-type]
    for frame in frames:
        writer.add(with_its_alpha(frame))
    writer.finish()
    return writer.warnings


def walk(count: int, alpha: bool = False) -> list[np.ndarray]:
    """A figure over a still ground, or over none."""
    figure = sample("heroine", (60, 20, 124, 84))[..., :3]
    ground = sample("sunset", (0, 0, 120, 96))[..., :3]
    y, x = np.mgrid[0:64, 0:64] - 32
    inside = (y * y + x * x < 30 * 30)[..., None]
    frames = []
    for number in range(count):
        frame = np.zeros((96, 120, 4), np.uint8)
        if not alpha:
            frame[...] = np.dstack([ground, np.full((96, 120), 255, np.uint8)])
        part = frame[16:80, 6 * number : 6 * number + 64]
        part[...] = np.where(inside, np.dstack([figure, np.full((64, 64), 255, np.uint8)]), part)
        frames.append(frame)
    return frames


def worst(found: list[np.ndarray], expected: list[np.ndarray]) -> int:
    pairs = zip(found, expected, strict=True)
    return max(int(np.abs(visible(a).astype(int) - b).max()) for a, b in pairs)
