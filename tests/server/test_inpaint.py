"""Inpainting holes, with a network that fills everything with one colour and keeps what it saw."""

import numpy as np
import pytest

from drawn import drawing
from pictures import gradient
from sakuga import BadOption, Cancelled, ModelNotInstalled, ModelNotLoaded, Region
from sakuga_core.networks.facts import InpainterFacts
from sakuga_core.options import Inpainting
from sakuga_server.imaging.picture import Picture
from sakuga_server.inpainting.inpaint import RIM, Inpaint, check

PINK = (255, 0, 255)
FACTS = {  # the preferred one first
    "lama-anime": InpainterFacts(side=64, largest=256),
    "migan": InpainterFacts(side=128, largest=128),
}


class Network:
    """Knows some networks; keeps the windows and holes that it was shown."""

    def __init__(self, *known: str) -> None:
        self.known = known
        self.seen: list[tuple[str, np.ndarray, np.ndarray]] = []

    async def __call__(self, model: str, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        if model not in self.known:
            raise ModelNotInstalled.exportable(model)
        self.seen.append((model, image[0], hole[0]))
        return np.broadcast_to(np.array(PINK, np.uint8), image.shape)


async def inpainted(
    colour: np.ndarray,
    *boxes: tuple[int, int, int, int],
    method: Inpainting = "auto",
    network: Network | None = None,
    kind: str = "user",
) -> tuple[np.ndarray, list[dict[str, object]]]:
    regions = [Region(kind=kind, box=box) for box in boxes]
    fill = Inpaint(network or Network("migan"), FACTS, method)
    picture, done = await fill(Picture(colour), regions, None)
    return picture.colour, done


def outside(shape: tuple[int, ...], box: tuple[int, int, int, int], rim: int) -> np.ndarray:
    away = np.ones(shape[:2], bool)
    x, y, width, height = box
    away[max(y - rim, 0) : y + height + rim, max(x - rim, 0) : x + width + rim] = False
    return away


@pytest.mark.parametrize("box", [(100, 60, 40, 30), (0, 0, 30, 20), (370, 250, 30, 50)])
async def test_the_hole_is_inpainted_and_beyond_its_rim_nothing_changes(
    box: tuple[int, int, int, int],
) -> None:
    colour = gradient(300, 400)
    result, done = await inpainted(colour, box)
    x, y, width, height = box
    assert (result[y : y + height, x : x + width] == PINK).all()
    away = outside(colour.shape, box, RIM + 1)
    assert np.array_equal(result[away], colour[away])
    assert done == [{"what": "inpainted", "box": box, "by": "migan"}]


async def test_the_rim_fades_out() -> None:
    result, _ = await inpainted(np.zeros((300, 400, 3), np.uint8), (100, 60, 40, 30))
    row = result[75, 80:101, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert set(np.diff(row)[-RIM - 1 :]) == {51}


async def test_windows_are_cut_around_holes_at_the_pictures_own_scale() -> None:
    colour, network = gradient(300, 400), Network("migan")
    await inpainted(colour, (200, 150, 20, 20), network=network)
    _, image, hole = network.seen[0]
    assert np.array_equal(image, colour[96:224, 146:274])
    assert hole[54:74, 54:74].all()
    assert hole.sum() < 35 * 35


async def test_at_borders_the_window_stays_in_the_picture() -> None:
    colour, network = gradient(300, 400), Network("migan")
    await inpainted(colour, (0, 280, 20, 20), network=network)
    assert np.array_equal(network.seen[0][1], colour[172:300, 0:128])


async def test_small_pictures_are_mirrored_to_the_windows_size() -> None:
    colour, network = gradient(50, 40), Network("migan")
    result, _ = await inpainted(colour, (10, 10, 15, 15), network=network)
    _, image, _ = network.seen[0]
    assert image.shape == (128, 128, 3)
    assert np.array_equal(image[39:89, 44:84], colour)
    assert np.array_equal(image[38, 44:84], colour[1])
    assert (result[12:20, 12:20] == PINK).all()


async def test_a_hole_larger_than_the_network_is_seen_smaller() -> None:
    colour, network = gradient(300, 400), Network("migan")
    result, _ = await inpainted(colour, (50, 50, 200, 180), network=network)
    _, image, hole = network.seen[0]
    assert image.shape == (128, 128, 3)
    assert 0.4 < hole.mean() < 0.6
    assert (result[60:220, 60:240] == PINK).all()


async def test_a_network_that_can_is_shown_larger_windows() -> None:
    network = Network("lama-anime")
    await inpainted(gradient(300, 400), (50, 50, 100, 80), network=network)
    assert network.seen[0][1].shape == (168, 168, 3)


async def test_near_holes_are_inpainted_together_and_far_ones_apart() -> None:
    network = Network("migan")
    boxes = [(20, 20, 20, 20), (50, 20, 20, 20), (300, 200, 30, 30)]
    _, done = await inpainted(gradient(300, 400), *boxes, network=network)
    assert [d["box"] for d in done] == [(20, 20, 50, 20), (300, 200, 30, 30)]


async def test_hairlines_and_specks_need_no_network() -> None:
    colour = np.full((200, 300, 3), (90, 140, 190), np.uint8)
    colour[100:102, 50:250] = 255
    result, done = await inpainted(colour, (50, 100, 200, 2), network=Network())
    assert done[0]["by"] == "opencv"
    assert np.abs(result.astype(int) - (90, 140, 190)).max() <= 2
    speckled = np.full((200, 300, 3), (90, 140, 190), np.uint8)
    speckled[100, 50] = 0
    result, _ = await inpainted(speckled, (50, 100, 1, 1), network=Network(), kind="speck")
    assert np.abs(result.astype(int) - (90, 140, 190)).max() <= 1


async def test_without_a_network_opencv_inpaints_and_says_so() -> None:
    fill = Inpaint(Network(), FACTS, "auto")
    picture = Picture(drawing("heroine x1"))
    result, done = await fill(picture, [Region(box=(100, 100, 40, 40))], None)
    assert done[0]["by"] == "opencv"
    assert "no inpainting network is loaded" in result.warnings[0]
    with pytest.raises(ModelNotLoaded):
        await inpainted(gradient(200, 200), (50, 50, 40, 40), method="migan", network=Network())


async def test_drawings_get_the_network_for_drawings_if_there_is_one() -> None:
    network = Network("migan", "lama-anime")
    await inpainted(gradient(300, 400), (50, 50, 40, 40), network=network)
    assert network.seen[0][0] == "lama-anime"


async def test_none_inpaints_nothing_and_compression_is_not_inpainted() -> None:
    colour = gradient(100, 100)
    for method, kind in (("none", "user"), ("auto", "jpeg"), ("auto", "banding")):
        result, done = await inpainted(colour, (10, 10, 30, 30), method=method, kind=kind)  # type: ignore[arg-type]
        assert done == []
        assert np.array_equal(result, colour)


async def test_gray_16_bit_and_transparent_pictures_stay_what_they_are() -> None:
    deep = gradient(200, 200, np.uint16)
    result, _ = await inpainted(deep, (50, 50, 40, 40))
    assert result.dtype == np.uint16
    assert (result[60:80, 60:80] == (65535, 0, 65535)).all()
    away = outside(deep.shape, (50, 50, 40, 40), RIM + 1)
    assert np.array_equal(result[away], deep[away])
    gray, _ = await inpainted(deep[..., 0], (50, 50, 40, 40))
    assert gray.shape == (200, 200)
    alpha = np.full((200, 200), 130, np.uint8)
    fill = Inpaint(Network("migan"), FACTS, "auto")
    picture = Picture(gradient(200, 200), alpha)
    repaired, _ = await fill(picture, [Region(box=(50, 50, 40, 40))], None)
    assert repaired.alpha is alpha


async def test_nothing_left_to_inpaint_from_is_refused() -> None:
    with pytest.raises(BadOption, match="cover the whole picture"):
        await inpainted(gradient(100, 100), (0, 0, 100, 100))


def test_regions_are_cut_at_the_picture_and_refused_beyond_it() -> None:
    picture = Picture(gradient(100, 200))
    (region,) = check([Region(box=(-10, 90, 50, 50))], picture, 1)
    assert region.box == (0, 90, 40, 10)
    assert picture.warnings == ["region [-10, 90, 50, 50] was cut to [0, 90, 40, 10]"]
    with pytest.raises(BadOption, match=r"\[200, 0, 5, 5\].*x from 0 to 199, y from 0 to 99"):
        check([Region(box=(200, 0, 5, 5))], picture, 1)
    with pytest.raises(BadOption, match="'regions' has 2 regions; allowed: 1"):
        check([Region(box=(0, 0, 5, 5))] * 2, picture, 1)


async def test_a_cancelled_picture_stops() -> None:
    network = Network("migan")
    fill = Inpaint(network, FACTS, "auto", lambda: True)
    with pytest.raises(Cancelled, match="caller disconnected"):
        await fill(Picture(gradient(200, 200)), [Region(box=(50, 50, 40, 40))], None)
    assert network.seen == []
