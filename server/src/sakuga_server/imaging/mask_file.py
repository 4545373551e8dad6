"""A mask that a caller sends beside a picture."""

import cv2
import numpy as np

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadImage, BadOption
from sakuga_server.imaging.alpha import bleed
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.picture import Array, Picture, rgb
from sakuga_server.imaging.samples import to_8_bit


def read(data: bytes | None, limits: Limits) -> Picture | None:
    """The option `mask`, decoded.

    Raises:
        BadOption: it is no picture.
        TooLarge: over a limit.
    """
    if data is None:
        return None
    try:
        return decode(data, limits)
    except BadImage as error:
        raise BadOption(f"option 'mask': {error}") from error


def brightness(mask: Picture, picture: Picture, transparent: int) -> Array:
    """uint8 (H, W): how bright a mask is for each pixel of a picture.

    Args:
        transparent: the value where the mask is transparent.

    Raises:
        BadOption: it isn't as large as the picture.
    """
    if (mask.width, mask.height) != (picture.width, picture.height):
        raise BadOption(
            f"option 'mask' is {mask.width}x{mask.height}; allowed: the picture's size, "
            f"{picture.width}x{picture.height}"
        )
    gray = cv2.cvtColor(eight_bit(mask), cv2.COLOR_RGB2GRAY)
    if mask.alpha is None:
        return gray
    visible = mask.alpha > np.iinfo(mask.alpha.dtype).max // 2
    return np.where(visible, gray, np.uint8(transparent))


def eight_bit(picture: Picture) -> Array:
    """uint8 (H, W, 3), without what the file holds under transparency."""
    colour = picture.colour if picture.alpha is None else bleed(picture.colour, picture.alpha)
    return rgb(to_8_bit(colour) if picture.deep else colour)
