"""Single dots that belong to no drawing."""

import numpy as np
import pytest

from drawn import FEW, NAMES, drawing
from sakuga_server.damage import specks
from slow import some


@pytest.mark.parametrize("name", some(NAMES, FEW))
def test_on_clean_drawings_nothing_is_found(name: str) -> None:
    assert specks.find(drawing(name)) == []


@pytest.mark.parametrize("side", [1, 2, 3])
@pytest.mark.parametrize("level", [0, 255])
def test_a_dot_on_an_even_ground_is_found(side: int, level: int) -> None:
    picture = np.full((90, 120, 3), (120, 150, 140), np.uint8)
    picture[40 : 40 + side, 70 : 70 + side] = level
    ((box, contrast),) = specks.find(picture)
    assert box == (70, 40, side, side)
    assert contrast >= specks.CONTRAST / 255


def test_dots_in_company_are_stars_or_screentone() -> None:
    picture = np.full((90, 120, 3), 60, np.uint8)
    picture[20::16, 20::16] = 250
    assert specks.find(picture) == []


@pytest.mark.parametrize("at", [(0, 0), (89, 119), (0, 60)])
def test_at_the_border_too(at: tuple[int, int]) -> None:
    picture = np.full((90, 120), 60, np.uint8)
    picture[at] = 250
    assert len(specks.find(picture)) == 1


def test_soft_large_and_faint_dots_stay() -> None:
    picture = np.full((90, 300, 3), 100, np.uint8)
    picture[40:46, 50:56] = 250  # large
    picture[40, 150] = 140  # faint
    picture[39:42, 249:252] = 160  # soft
    picture[40, 250] = 250
    assert specks.find(picture) == []
