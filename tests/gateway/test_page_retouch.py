"""Drawing on pictures: masks for repairing, corrections for cut-outs, and damage that was found."""

import io

import numpy as np
import pytest
from PIL import Image

from page_for_tests import Sakuga
from pictures import encoded, pixels_of, sample

HEROINE = sample("heroine", (60, 60, 260, 220))
HEIGHT, WIDTH = HEROINE.shape[:2]
# Jpeg blocks in the whole, and two specks.
DAMAGED = io.BytesIO()
Image.fromarray(HEROINE).save(DAMAGED, "JPEG", quality=20)


def drag(sakuga: Sakuga, *points: tuple[float, float]) -> None:
    """With the mouse, over points in pixels of the picture."""
    found = sakuga.at("img.before").bounding_box()
    assert found
    scale = found["width"] / WIDTH
    places = [(found["x"] + x * scale, found["y"] + y * scale) for x, y in points]
    mouse = sakuga.page.mouse
    mouse.move(*places[0])
    mouse.down()
    for place in places[1:]:
        mouse.move(*place, steps=6)
    mouse.up()


def drawn(sakuga: Sakuga) -> np.ndarray:
    """Where something is drawn on the screen: bool (H, W)."""
    alpha = sakuga.at("canvas.drawing").evaluate(
        """(canvas) => Array.from(
          canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
        ).filter((_, index) => index % 4 === 3)"""
    )
    return np.asarray(alpha).reshape(HEIGHT, WIDTH) > 127


@pytest.fixture
def repairing(sakuga: Sakuga) -> Sakuga:
    sakuga.choose("Repair")
    sakuga.drop({"a.png": encoded(HEROINE)})
    sakuga.set("scale", 1)
    sakuga.set("detector", "none")
    sakuga.set("restore", False)
    sakuga.button("Draw", exact=True).click()
    sakuga.at("input[type=range]").fill("6")
    return sakuga


def test_what_is_painted_over_is_drawn_anew(repairing: Sakuga) -> None:
    drag(repairing, (50, 80), (90, 80))
    where = drawn(repairing)
    assert where[80, 50:90].all()
    assert where.sum() == pytest.approx(40 * 12 + np.pi * 36, rel=0.15)
    repairing.at("details.more summary").click()
    repairing.set("result", "restored")
    repairing.run()
    result = pixels_of(repairing.download()[1])
    changed = (result != HEROINE).any(axis=2)
    assert changed[where].mean() > 0.3
    far = np.ones_like(where)
    far[60:100, 30:110] = False
    assert not changed[far].any()


def test_strokes_are_undone_and_done_again(repairing: Sakuga) -> None:
    drag(repairing, (40, 40), (80, 40))
    one = drawn(repairing)
    drag(repairing, (40, 90), (80, 90))
    two = drawn(repairing)
    assert two.sum() > one.sum()
    repairing.button("Undo").click()
    assert np.array_equal(drawn(repairing), one)
    repairing.page.keyboard.press("Control+Shift+z")
    assert np.array_equal(drawn(repairing), two)
    repairing.page.keyboard.press("Control+z")
    repairing.page.keyboard.press("Control+z")
    assert not drawn(repairing).any()
    repairing.button("Redo").click()
    repairing.button("Erase").click()
    drag(repairing, (60, 30), (60, 50))
    assert not drawn(repairing)[40, 60]
    repairing.button("Clear").click()
    assert not drawn(repairing).any()


def test_a_lasso_fills_what_it_goes_around(repairing: Sakuga) -> None:
    repairing.page.keyboard.press("l")
    drag(repairing, (40, 40), (120, 40), (120, 100), (40, 100), (40, 42))
    where = drawn(repairing)
    assert where[45:95, 45:115].all()
    assert not where[:35].any()
    assert not where[105:].any()


def test_found_damage_can_be_left_as_it_is(sakuga: Sakuga) -> None:
    sakuga.choose("Repair")
    sakuga.drop({"a.jpg": DAMAGED.getvalue()}, "image/jpeg")
    sakuga.set("scale", 1)
    sakuga.at("details.more summary").click()
    sakuga.set("result", "restored")
    sakuga.button("Find damage").click()
    boxes = sakuga.at(".region input")
    boxes.first.wait_for()
    count = boxes.count()
    assert f"{count} damaged region" in sakuga.at(".regions").inner_text()
    sakuga.button("Repair none").click()
    sakuga.run()
    plain = np.asarray(Image.open(io.BytesIO(DAMAGED.getvalue())))
    assert np.array_equal(pixels_of(sakuga.download()[1]), plain)
    assert boxes.count() == 0  # they don't hide the result
    sakuga.page.get_by_label("Show the mask").check()
    boxes.first.check(force=True)
    sakuga.at("button.large").click()
    sakuga.at(".item.succeeded").wait_for(state="detached")
    sakuga.at(".item.succeeded").wait_for()
    sakuga.at("button:has-text('Download'):enabled").wait_for()
    (stored,) = sakuga.stored()
    assert [region["kind"] for region in stored["options"]["regions"]] == ["jpeg"]
    sakuga.drop({"b.jpg": DAMAGED.getvalue()}, "image/jpeg")
    assert sakuga.button("Start 2 pictures").count() == 0  # the first is done as it is asked for


def test_a_cut_out_is_corrected_by_brush(sakuga: Sakuga) -> None:
    sakuga.choose("Remove background")
    sakuga.drop({"a.png": encoded(HEROINE)})
    sakuga.set("alpha_matting", True)
    sakuga.run()
    before = pixels_of(sakuga.download()[1])[..., 3]
    sakuga.button("Draw", exact=True).click()
    sakuga.at("input[type=range]").fill("10")
    keep = (12, 12) if before[12, 12] < 128 else (12, HEIGHT - 12)
    drag(sakuga, (keep[0], keep[1]), (keep[0] + 20, keep[1]))
    sakuga.button("Remove", exact=True).click()
    drag(sakuga, (WIDTH / 2, HEIGHT / 2), (WIDTH / 2 + 20, HEIGHT / 2))
    first = sakuga.stored()[0]["result"]
    sakuga.at("button.large").click()
    while (stored := sakuga.stored()[0])["state"] != "succeeded" or stored["result"] == first:
        sakuga.page.wait_for_timeout(50)
    sakuga.at("button:has-text('Download'):enabled").wait_for()
    after = pixels_of(sakuga.download()[1])[..., 3]
    assert (after[keep[1] - 5 : keep[1] + 5, keep[0] : keep[0] + 20] == 255).all()
    assert (after[HEIGHT // 2 - 5 : HEIGHT // 2 + 5, WIDTH // 2 : WIDTH // 2 + 20] == 0).all()


def test_by_keyboard_the_brush_draws(repairing: Sakuga) -> None:
    keys = repairing.page.keyboard
    repairing.at(".stage").focus()
    keys.press("Space")
    for _ in range(10):
        keys.press("ArrowRight")  # by half of the radius
    keys.press("Space")
    keys.press("ArrowDown")
    where = drawn(repairing)
    middle = HEIGHT // 2, WIDTH // 2
    assert where[middle[0], middle[1] : middle[1] + 30].all()
    assert not where[:, : middle[1] - 8].any()
    assert not where[middle[0] + 8 :].any()


@pytest.mark.parametrize("key", ["d", "1", "Control+Enter"])
def test_a_stroke_ends_with_its_tool(repairing: Sakuga, key: str) -> None:
    mouse = repairing.page.mouse
    mouse.move(400, 400)
    mouse.down()
    mouse.move(420, 400, steps=3)
    repairing.page.keyboard.press(key)
    mouse.move(440, 420, steps=3)
    mouse.up()
    repairing.choose("Repair")
    assert drawn(repairing).any()


def test_a_stroke_may_begin_on_a_box(sakuga: Sakuga) -> None:
    sakuga.choose("Repair")
    sakuga.drop({"a.jpg": DAMAGED.getvalue()}, "image/jpeg")
    sakuga.button("Find damage").click()
    box = sakuga.at(".region input").first
    box.wait_for()
    sakuga.button("Draw", exact=True).click()
    place = box.bounding_box()
    assert place
    x, y = place["x"] + 8, place["y"] + 8
    sakuga.page.mouse.click(x, y)
    assert not box.is_checked()
    assert not drawn(sakuga).any()
    sakuga.page.mouse.move(x, y)
    sakuga.page.mouse.down()
    sakuga.page.mouse.move(x + 40, y, steps=4)
    sakuga.page.mouse.up()
    assert drawn(sakuga).any()
    assert not box.is_checked()


def test_a_drawing_stays_with_its_picture(repairing: Sakuga) -> None:
    drag(repairing, (50, 80), (90, 80))
    where = drawn(repairing)
    repairing.choose("Upscale")
    repairing.drop({"b.png": encoded(HEROINE)})
    repairing.choose("Repair")
    repairing.button("Draw", exact=True).click()
    assert not drawn(repairing).any()
    repairing.at(".item").first.click()
    assert np.array_equal(drawn(repairing), where)
