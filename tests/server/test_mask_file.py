"""Masks that come beside a picture."""

import numpy as np
import pytest

from pictures import encoded, gradient
from sakuga import BadOption, Config
from sakuga_server.imaging import mask_file
from sakuga_server.imaging.picture import Picture

LIMITS = Config().limits


def test_brightness_is_that_of_the_pixels_that_show() -> None:
    picture = Picture(gradient(10, 20))
    mask = np.zeros((10, 20), np.uint8)
    mask[2:4, 5:9] = 255
    assert np.array_equal(mask_file.brightness(Picture(mask), picture, 0), mask)
    clear = np.zeros_like(mask)
    clear[:, 10:] = 255
    shown = mask_file.brightness(Picture(mask, clear), picture, 128)
    assert (shown[:, :10] == 128).all()
    assert not shown[:, 10:].any()


def test_another_size_is_refused() -> None:
    mask = Picture(np.zeros((9, 20), np.uint8))
    with pytest.raises(BadOption, match="'mask' is 20x9; allowed: the picture's size, 20x10"):
        mask_file.brightness(mask, Picture(gradient(10, 20)), 0)


def test_only_pictures_are_masks() -> None:
    assert mask_file.read(None, LIMITS) is None
    found = mask_file.read(encoded(gradient(3, 4)), LIMITS)
    assert found is not None
    assert (found.width, found.height) == (4, 3)
    with pytest.raises(BadOption, match="option 'mask'"):
        mask_file.read(b"text", LIMITS)
