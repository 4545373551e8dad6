import numpy as np
import pytest

from pictures import off, sample
from sakuga_server.imaging.alpha import bleed, pin
from sakuga_server.imaging.resize import resize


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_hidden_pixels_take_the_nearest_visible_colour(dtype: type) -> None:
    most = np.iinfo(dtype).max
    colour = np.zeros((5, 9, 3), dtype)
    colour[:, 2], colour[:, 6] = (most, 0, 0), (0, 0, most)
    alpha = np.zeros((5, 9), dtype)
    alpha[:, 2] = alpha[:, 6] = most
    filled = bleed(colour, alpha)
    assert (filled[:, :4] == (most, 0, 0)).all()
    assert (filled[:, 5:] == (0, 0, most)).all()


def test_visible_pixels_stay() -> None:
    transparent = sample("mascot")
    colour, alpha = np.ascontiguousarray(transparent[..., :3]), transparent[..., 3]
    filled = bleed(colour, alpha)
    assert np.array_equal(filled[alpha >= 16], colour[alpha >= 16])
    assert filled[alpha == 0].any(axis=-1).all()  # the file holds black there


def test_a_picture_of_faint_alpha_alone_keeps_its_colours() -> None:
    colour = np.full((4, 4, 3), 200, np.uint8)
    alpha = np.full((4, 4), 5, np.uint8)
    assert off(bleed(colour, alpha), colour) == 0


@pytest.mark.parametrize("value", [0, 255])
def test_without_anything_to_bleed_nothing_changes(value: int) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    assert off(bleed(colour, np.full((6, 6), value, np.uint8)), colour) == 0


def test_gray_bleeds_too() -> None:
    gray, alpha = np.array([[0, 90, 0]], np.uint8), np.array([[0, 255, 0]], np.uint8)
    assert bleed(gray, alpha).tolist() == [[90, 90, 90]]


def test_alpha_is_pinned_only_where_all_around_agrees() -> None:
    alpha = np.zeros((8, 8), np.uint8)
    alpha[:, 4:] = 255
    upscaled = np.full((32, 32), 99, np.uint8)
    pin(upscaled, alpha)
    assert (upscaled[:, :12] == 0).all()
    assert (upscaled[:, 12:20] == 99).all()
    assert (upscaled[:, 20:] == 255).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_shrinking_antialiases(dtype: type) -> None:
    # A checkerboard shrunk to a quarter is flat gray; without antialiasing it flickers.
    most = np.iinfo(dtype).max
    board = ((np.indices((64, 64)).sum(axis=0) % 2) * most).astype(dtype)
    inner = resize(board, 27, 27)[3:-3, 3:-3].astype(float) / most
    flicker = resize(board, 27, 27, reference=True)[3:-3, 3:-3].astype(float) / most
    assert np.abs(inner - 0.5).max() < 0.1
    assert np.abs(flicker - 0.5).max() > 0.2


def test_16_bit_colour_is_resized_as_8_bit_colour_is() -> None:
    colour = sample("sunset")[:90, :120]
    deep = resize(colour.astype(np.uint16) * 257, 51, 40)
    # Pillow rounds 8-bit samples twice, after each of its two passes.
    assert np.abs(deep / 257 - resize(colour, 51, 40)).max() <= 2
