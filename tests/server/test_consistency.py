"""Upscaled pictures, consistent with the JPEG files that they came from."""

import numpy as np
import pytest

from drawn import jpeg, opaque
from pictures import off
from sakuga_server.imaging.decode import orient
from sakuga_server.jpeg import coefficients as jpegs
from sakuga_server.jpeg import dequantise
from sakuga_server.jpeg.consistency import HALF, Evidence, agreed


def evidence(pixels: np.ndarray, quality: int = 50, orientation: int = 1) -> Evidence:
    """Of a picture that was turned after it was stored."""
    stored = jpegs.read(jpeg(pixels, quality))
    assert stored is not None
    rows, columns = slice(0, stored.height), slice(0, stored.width)
    inside = np.ones(orient(pixels, orientation).shape[:2], bool)
    return Evidence(stored.planes[0], rows, columns, orientation, inside)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.ascontiguousarray(opaque("heroine", 1)[200:300, 100:220])


def thicker(pixels: np.ndarray) -> np.ndarray:
    """Upscaled twice, with darker lines than there were."""
    large = pixels.repeat(2, axis=0).repeat(2, axis=1).astype(int)
    return np.where(large < 120, large * 0.6, large).astype(np.uint8)


def violation(large: np.ndarray, known: Evidence) -> float:
    """By how much coefficients leave their intervals, on average."""
    luma = jpegs.luma_of(large).reshape(*known.inside.shape[:1], 2, -1, 2).mean(axis=(1, 3))
    rows, columns = (8 * count for count in known.luma.coefficients.shape[:2])
    edges = (0, rows - luma.shape[0]), (0, columns - luma.shape[1])
    found = dequantise.forward_dct(np.pad(luma, edges, mode="edge").astype(np.float32) - 128)
    beyond = np.abs(found - known.luma.coefficients) - HALF * known.luma.steps
    return float(np.maximum(beyond, 0).mean())


def test_what_agrees_stays(pixels: np.ndarray) -> None:
    pale = (pixels * 0.5 + 60).astype(np.uint8)  # no sample is cut off at black or white
    known, stored = evidence(pale), jpegs.read(jpeg(pale, 50))
    assert stored is not None
    large = dequantise.decode(stored).repeat(2, axis=0).repeat(2, axis=1)
    assert off(agreed(large, known), large) <= 1


def test_lines_come_back_towards_what_the_file_says(pixels: np.ndarray) -> None:
    known, large = evidence(pixels), thicker(pixels)
    result = agreed(large, known)
    assert violation(result, known) < 0.6 * violation(large, known)


def test_even_ground_is_left_alone(pixels: np.ndarray) -> None:
    flat = np.full((64, 80, 3), 100, np.uint8)
    other = np.full((128, 160, 3), 130, np.uint8)
    assert np.array_equal(agreed(other, evidence(flat)), other)


def test_only_where_it_counts(pixels: np.ndarray) -> None:
    known, large = evidence(pixels), thicker(pixels)
    known.inside[:, 60:] = False
    result = agreed(large, known)
    assert np.array_equal(result[:, 130:], large[:, 130:])
    assert not np.array_equal(result[:, :110], large[:, :110])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_pictures_are_held_to_their_file_as_it_lies(
    pixels: np.ndarray, orientation: int
) -> None:
    large = thicker(pixels)
    expected = orient(agreed(large, evidence(pixels)), orientation)
    found = agreed(orient(large, orientation), evidence(pixels, 50, orientation))
    assert off(found, expected) <= 1


def test_gray_and_fractions_go_through(pixels: np.ndarray) -> None:
    gray = pixels[..., 1]
    large = thicker(gray)[:170, :204]
    assert agreed(large, evidence(gray)).shape == large.shape
