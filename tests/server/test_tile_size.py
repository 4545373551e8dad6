"""Which tiles leave the most out."""

import numpy as np
import pytest

from pictures import gradient
from sakuga_core.networks.facts import NetworkFacts
from sakuga_core.options import UpscaleOptions
from sakuga_server.imaging.picture import Picture
from sakuga_server.pipelines.request import UpscaleRequest
from sakuga_server.pipelines.tile_size import OVERHEAD, tile_sizes


def request(receptive_field: int = 18, **options: int) -> UpscaleRequest[UpscaleOptions]:
    facts = NetworkFacts(scale=4, receptive_field=receptive_field)
    size = options.get("tile_size", 1024)
    return UpscaleRequest(UpscaleOptions(**options), "net", "net", facts, size, [])  # type: ignore[arg-type]


def tile_size(pictures: list[Picture], count: int, of: UpscaleRequest[UpscaleOptions]) -> int:
    return tile_sizes(pictures, count, of)[0]


def moving(count: int, side: int = 512) -> list[Picture]:
    """A square of 40² that moves by 8 pixels before a still background."""
    ground = gradient(side, side)
    frames = [ground.copy() for _ in range(count)]
    for index, frame in enumerate(frames):
        frame[200:240, 8 * index : 8 * index + 40] = 255
    return [Picture(frame) for frame in frames]


def computed(pictures: list[Picture], size: int, field: int) -> int:
    """Pixels of the windows that differ from the frame before, counted one by one, and what the
    tiles cost beside them."""
    total, before = 0, None
    for picture in pictures:
        for rows, columns in request(field).split(picture.height, picture.width, size):
            window = picture.colour[rows.window, columns.window]
            if before is None or (window != before.colour[rows.window, columns.window]).any():
                total += window.shape[0] * window.shape[1] + OVERHEAD
        before = picture
    return total


@pytest.mark.parametrize("field", [3, 18, 34, 94])
def test_the_choice_computes_about_the_least(field: int) -> None:
    pictures = moving(12)
    chosen = computed(pictures, tile_size(pictures, 12, request(field)), field)
    least = min(computed(pictures, size, field) for size in (1024, 512, 256, 128, 64))
    assert chosen <= 1.1 * least


def test_where_everything_changes_tiles_stay_large() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (5, 300, 400, 3), np.uint8)
    assert tile_size([Picture(frame) for frame in noise], 5, request()) == 1024


def test_a_network_that_sees_far_gets_larger_tiles() -> None:
    pictures = moving(12)
    assert tile_size(pictures, 12, request(18)) < tile_size(pictures, 12, request(94))


def test_a_still_picture_gets_small_tiles_only_where_it_is_transparent() -> None:
    colour, alpha = gradient(512, 512), np.zeros((512, 512), np.uint8)
    alpha[:90, :90] = alpha[-90:, -90:] = 255
    assert tile_size([Picture(colour, alpha)], 1, request()) < 512
    assert tile_size([Picture(colour, np.full_like(alpha, 255))], 1, request()) == 1024
    assert tile_size([Picture(colour)], 1, request()) == 1024


@pytest.mark.parametrize("most", [32, 100, 512])
def test_tiles_are_at_most_as_large_as_options_say(most: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (3, 300, 400, 3), np.uint8)
    assert tile_size([Picture(frame) for frame in noise], 3, request(tile_size=most)) == most
    assert tile_size(moving(12), 12, request(tile_size=most)) <= most


def test_transparency_has_tiles_of_its_own() -> None:
    """Of a disc, the whole inside is visible, but only its rim needs a network."""
    y, x = np.mgrid[:512, :512] - 256
    alpha = np.where(x**2 + y**2 < 250**2, 255, 0).astype(np.uint8)
    colours, transparency = tile_sizes([Picture(gradient(512, 512), alpha)], 1, request(3))
    assert transparency < colours
