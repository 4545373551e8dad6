"""QOI (qoiformat.org, version 1.0). Pillow's own writer takes three seconds per megapixel."""

import imagecodecs
import numpy as np

from sakuga_server.imaging.picture import Picture, rgb
from sakuga_server.imaging.samples import interleaved


def encoded(picture: Picture) -> bytes:
    pixels = interleaved(Picture(rgb(picture.colour), picture.alpha))
    return bytes(imagecodecs.qoi_encode(np.ascontiguousarray(pixels)))
