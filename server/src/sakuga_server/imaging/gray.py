"""Gray pictures that are stored as RGB: a network would tint them."""

from dataclasses import replace

import numpy as np

from sakuga_server.imaging.picture import Array, Picture, rgb, strips


def detected(picture: Picture) -> Picture:
    """The picture with one channel, where its three are equal at every pixel."""
    colour = picture.colour
    if colour.ndim == 2 or not all(_is_gray(colour[rows]) for rows in strips(colour)):
        return picture
    return replace(picture, colour=np.ascontiguousarray(colour[..., 0]))


def like(source: Picture, result: Picture) -> Picture:
    """The result, stored as its source is: gray as RGB again."""
    if source.colour.ndim == result.colour.ndim:
        return result
    return replace(result, colour=rgb(result.colour))


def _is_gray(colour: Array) -> bool:
    return all(np.array_equal(colour[..., 0], colour[..., other]) for other in (1, 2))
