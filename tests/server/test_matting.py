"""Matting: PyMatting's quality on drawn composites, and everything a trimap may be."""

import itertools
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import cv2
import numpy as np
import pymatting
import pytest

from composites import SCENES, Composite, colour_error, composite, gradient_error, sad, trimap_of
from pictures import sample
from sakuga_core.errors import Cancelled
from sakuga_server.imaging.picture import Array
from sakuga_server.matting import closed_form, reference
from sakuga_server.matting.closed_form import estimate_alpha, estimate_foreground, warm_up
from slow import full, some

HEIGHT, WIDTH = 700, 900
MOST = 1.05  # our error by PyMatting's
QUICK = ("hair over paint", "glow over paint", "veil over noise", "ribbons over noise")
scenes = pytest.mark.parametrize("name", some(SCENES, QUICK))


@dataclass(frozen=True)
class Scene:
    composite: Composite
    trimap: Array
    ours: Array
    peer: Array


@cache
def scene(name: str) -> Scene:
    made = composite(name, HEIGHT, WIDTH)
    trimap = trimap_of(made.alpha)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # PyMatting's preconditioner fails now and then, and says so
        peer = pymatting.estimate_alpha_cf(made.colour / 255.0, trimap / 255.0)
    return Scene(made, trimap, estimate_alpha(made.colour, trimap), peer)


def ratios(name: str) -> tuple[float, float]:
    found = scene(name)
    truth = found.composite.alpha
    return (
        sad(found.ours, truth) / sad(found.peer, truth),
        gradient_error(found.ours, truth) / gradient_error(found.peer, truth),
    )


def small(height: int = 40, width: int = 48) -> tuple[Array, Array]:
    """A disc with a soft edge, red over blue, and its trimap."""
    y, x = np.indices((height, width))
    away = np.hypot(y - height / 2, x - width / 2)
    alpha = np.clip((12 - away) / 4, 0, 1)
    colour = alpha[..., None] * (230, 40, 50) + (1 - alpha[..., None]) * (30, 60, 200)
    trimap = np.where(away < 6, 255, np.where(away > 15, 0, 128)).astype(np.uint8)
    return np.round(colour).astype(np.uint8), trimap


@scenes
def test_alpha_is_as_near_the_truth_as_pymattings(name: str) -> None:
    absolute, gradient = ratios(name)
    assert absolute <= MOST
    assert gradient <= MOST


@pytest.mark.parametrize("names", [QUICK, full(tuple(SCENES))], ids=["quick", "all"])
def test_on_average_alpha_is_nearer_the_truth(names: tuple[str, ...]) -> None:
    assert np.mean([ratios(name) for name in names], axis=0).max() <= 1


@scenes
def test_known_pixels_stay_and_the_rest_is_in_range(name: str) -> None:
    found = scene(name)
    assert found.ours.dtype == np.float32
    assert (found.ours[found.trimap == 255] == 1).all()
    assert (found.ours[found.trimap == 0] == 0).all()
    assert found.ours.min() >= 0
    assert found.ours.max() <= 1


@scenes
def test_foreground_is_as_near_the_truth_as_pymattings(name: str) -> None:
    made = scene(name).composite
    ours = estimate_foreground(made.colour, made.alpha)
    peer = 255 * pymatting.estimate_foreground_ml(made.colour / 255.0, made.alpha)
    error = colour_error(ours, made.foreground, made.alpha)
    assert error <= MOST * colour_error(peer, made.foreground, made.alpha)
    assert ours.dtype == np.uint8
    assert (ours[made.alpha == 1] == made.colour[made.alpha == 1]).all()


def test_a_soft_edge_of_known_colours_comes_out_exactly() -> None:
    colour, trimap = small()
    alpha = estimate_alpha(colour, trimap)
    away = np.hypot(*(np.indices(trimap.shape) - np.array([20, 24])[:, None, None]))
    assert np.abs(alpha - np.clip((12 - away) / 4, 0, 1)).max() < 0.01
    found = estimate_foreground(colour, alpha).astype(np.float64)
    mixed = alpha[..., None] * found + (1 - alpha[..., None]) * (30, 60, 200)
    assert np.abs(mixed - colour).max() < 6
    assert np.abs(found - (230, 40, 50))[alpha > 0.3].max() < 16


def test_a_flat_picture_has_a_smooth_alpha() -> None:
    colour = np.full((60, 60, 3), 137, np.uint8)
    trimap = np.full((60, 60), 128, np.uint8)
    trimap[:, :5], trimap[:, -5:] = 0, 255
    alpha = estimate_alpha(colour, trimap)
    assert np.isfinite(alpha).all()
    assert (np.diff(alpha[30]) >= -1e-3).all()
    assert abs(float(alpha[30, 30]) - 0.5) < 0.05


@pytest.mark.parametrize("share", [0.002, 0.05, 0.5])
def test_stray_pixels_of_other_colours_spoil_nothing(share: float) -> None:
    random = np.random.default_rng(3)
    colour = np.full((90, 120, 3), (20, 30, 90), np.uint8)
    colour[:, 60:] = (240, 200, 30)
    stray = random.random((90, 120)) < share
    colour[stray] = 255
    trimap = np.full((90, 120), 128, np.uint8)
    trimap[:, :20], trimap[:, -20:] = 0, 255
    alpha = estimate_alpha(colour, trimap)
    assert np.isfinite(alpha).all()
    plain = (np.arange(120) >= 60) & ~stray
    assert np.abs(alpha - plain)[~stray].max() < 0.02


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (1, 9), (9, 1), (2, 30), (3, 3), (5, 4)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_any_size_will_do(shape: tuple[int, int], kind: type) -> None:
    full = np.iinfo(kind).max
    colour = np.zeros((*shape, 3), kind)
    colour.reshape(-1, 3)[shape[0] * shape[1] // 2 :] = full
    trimap = np.full(shape, 128, np.uint8)
    trimap.flat[-1] = 255
    trimap.flat[0] = 0
    alpha = estimate_alpha(colour, trimap)
    assert alpha.shape == shape
    assert np.isfinite(alpha).all()
    assert (alpha[trimap == 0] == 0).all()
    assert (alpha[trimap == 255] == 1).all()
    assert estimate_foreground(colour, alpha).shape == colour.shape


def test_a_line_is_matted_along_itself() -> None:
    colour = np.zeros((1, 12, 3), np.uint8)
    colour[0, 6:] = 250
    trimap = np.full((1, 12), 128, np.uint8)
    trimap[0, 0], trimap[0, -1] = 0, 255
    assert (estimate_alpha(colour, trimap)[0] > 0.5).tolist() == [False] * 6 + [True] * 6


def test_without_unknown_pixels_the_trimap_is_the_answer() -> None:
    colour, trimap = small()
    trimap = np.where(trimap > 100, 255, 0).astype(np.uint8)
    assert (estimate_alpha(colour, trimap) == trimap / 255).all()


@pytest.mark.parametrize("only", [0, 255])
def test_with_one_side_alone_everything_is_on_it(only: int) -> None:
    colour, trimap = small()
    trimap[trimap == 255 - only] = 128
    assert (estimate_alpha(colour, trimap) == only / 255).all()


def test_with_nothing_known_everything_is_background() -> None:
    colour, trimap = small()
    assert not estimate_alpha(colour, np.full_like(trimap, 128)).any()


@pytest.mark.parametrize("side", [0, 255])
def test_an_island_in_one_side_is_that_side(side: int) -> None:
    random = np.random.default_rng(1)
    colour = random.integers(0, 256, (80, 80, 3), np.uint8)
    trimap = np.zeros((80, 80), np.uint8)
    trimap[:, 40:] = 255
    island = (slice(20, 50), slice(5, 30) if side == 0 else slice(50, 75))
    trimap[island] = 128
    trimap[70:76, 35:45] = 128
    assert (estimate_alpha(colour, trimap)[island] == side / 255).all()


def test_the_margin_of_a_cut_picture_does_not_matter() -> None:
    colour, trimap = small()
    wide = np.pad(colour, ((30, 17), (5, 60), (0, 0)), mode="edge")
    around = np.pad(trimap, ((30, 17), (5, 60)))
    inner = estimate_alpha(wide, around)[30:-17, 5:-60]
    assert np.abs(inner - estimate_alpha(colour, trimap)).max() < 2e-3


def test_sixteen_bits_agree_with_eight() -> None:
    found = scene("hair over paint")
    deep = found.composite.colour.astype(np.uint16) * 257
    alpha = estimate_alpha(deep, found.trimap)
    assert np.abs(alpha - found.ours).mean() < 1e-4
    foreground = estimate_foreground(deep, found.ours)
    shallow = estimate_foreground(found.composite.colour, found.ours)
    assert foreground.dtype == np.uint16
    assert np.abs(foreground / 257 - shallow).max() < 1


def test_four_threads_at_once_give_what_one_gives() -> None:
    found = scene("hair over paint")

    def both(_: int) -> tuple[Array, Array]:
        alpha = estimate_alpha(found.composite.colour, found.trimap)
        return alpha, estimate_foreground(found.composite.colour, alpha)

    alone = both(0)
    assert (alone[0] == found.ours).all()
    with ThreadPoolExecutor(4) as pool:
        for alpha, foreground in pool.map(both, range(8)):
            assert (alpha == alone[0]).all()
            assert (foreground == alone[1]).all()


def test_the_arguments_stay_as_they_are() -> None:
    colour, trimap = small()
    before = colour.copy(), trimap.copy()
    alpha = estimate_alpha(colour, trimap)
    kept = alpha.copy()
    estimate_foreground(colour, alpha)
    assert (colour == before[0]).all()
    assert (trimap == before[1]).all()
    assert (alpha == kept).all()


def test_foreground_without_soft_edges_is_the_picture() -> None:
    colour, trimap = small()
    alpha = (trimap == 255).astype(np.float32)
    assert (estimate_foreground(colour, alpha) == colour).all()


def test_warming_up_may_be_repeated_and_changes_nothing() -> None:
    colour, trimap = small()
    before = estimate_alpha(colour, trimap)
    warm_up()
    warm_up()
    assert (estimate_alpha(colour, trimap) == before).all()


@pytest.mark.parametrize("library", [closed_form, reference], ids=["ours", "pymatting"])
def test_a_caller_that_has_gone_ends_it(library: ModuleType) -> None:
    """Work of many seconds; of ours, some calls pass before the caller goes."""
    colour = cv2.resize(sample("heroine"), (1024, 1024))
    trimap = np.full(colour.shape[:2], 128, np.uint8)
    trimap[:100], trimap[-100:] = 0, 255
    questions = itertools.count()
    with pytest.raises(Cancelled):
        library.estimate_alpha(colour, trimap, lambda: next(questions) == 5)
    assert next(questions) == 6  # nobody went on
