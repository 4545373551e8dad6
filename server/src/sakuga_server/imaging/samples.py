"""Samples as file formats have them: interleaved, in 8 bits, or over white."""

import cv2
import numpy as np

from sakuga_server.imaging.picture import Array, Picture, strips


def samples(picture: Picture, rows: slice, order: str = ">") -> Array:
    """Some rows with colour and alpha by turns.

    Args:
        order: of the bytes of 16 bits; PNG's has the high one first.
    """
    pixels = interleaved(picture, rows)
    return np.ascontiguousarray(pixels, f"{order}u2" if picture.deep else np.uint8)


def interleaved(picture: Picture, rows: slice = slice(None)) -> Array:
    """Some rows with their alpha as the last channel, where there is one."""
    colour = picture.colour[rows]
    return colour if picture.alpha is None else cv2.merge((colour, picture.alpha[rows]))


def to_8_bit(pixels: Array) -> Array:
    """uint16 to uint8, rounded to the nearest: 65535 is 255."""
    result = np.empty(pixels.shape, np.uint8)
    for rows in strips(pixels):
        result[rows] = (pixels[rows].astype(np.uint32) + 128) // 257
    return result


def over_white(colour: Array, alpha: Array) -> Array:
    """uint8 colours laid over white by their alpha, rounded to the nearest."""
    result = np.empty_like(colour)
    for rows in strips(colour):
        weight = alpha[rows].astype(np.float32) / 255
        weight = weight[..., None] if colour.ndim == 3 else weight
        result[rows] = np.rint(colour[rows] * weight + 255 * (1 - weight))
    return result
