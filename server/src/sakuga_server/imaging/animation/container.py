"""What is found in a file of frames before any pixel is decoded."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sakuga_core.config.server import Limits
from sakuga_core.errors import TooLarge
from sakuga_server.imaging.animation.compose import Placed


@dataclass(frozen=True)
class Container:
    """A canvas, and the frames that are laid on it."""

    width: int
    height: int
    frames: Sequence[Placed]
    """As far as the file is whole."""
    loop: int
    """How many times it plays; 0: for ever."""
    background: tuple[int, int, int, int] | None = None
    deep: bool = False
    """Whether a sample has 16 bits."""
    warnings: list[str] = field(default_factory=list)


def check_count(count: int, limits: Limits) -> None:
    """
    Raises:
        TooLarge: more frames than the limit allows.
    """
    if count > limits.frames:
        raise TooLarge(f"the animation has {count} frames or more; allowed: {limits.frames}")
