"""Files to pictures: every format that people send, and no more pixels than the limits allow."""

from sakuga_core.config.server import Limits
from sakuga_server.imaging import animation
from sakuga_server.imaging.picture import Picture, orient
from sakuga_server.imaging.reading import still
from sakuga_server.imaging.reading.samples import FRAMES

__all__ = ["decode", "orient"]


def decode(data: bytes, limits: Limits) -> Picture:
    """Decodes a picture file, upright: the first of its frames or pages.

    Where others follow, a warning says so, or what damage leaves only the first.

    Args:
        data: an encoded file of any format of `sakuga_core.formats`; its content tells which.
        limits: `input_bytes` and `input_pixels` are checked before the pixels are decoded.

    Raises:
        BadImage: `data` is empty, of another kind, truncated or damaged.
        TooLarge: over a limit.
    """
    picture = still.first(data, limits)
    if damage := animation.damage(data, limits):
        others = (each for each in picture.warnings if each != FRAMES and each not in damage)
        picture.warnings = [*damage, *others]
    return picture
