"""What is on the screen: pixels, zoom, slider, grounds; and that it can be used by anybody."""

import io
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import FilePayload

from gateway_for_tests import Web
from page_for_tests import NARROW, WIDE, Sakuga
from pictures import encoded, sample

SIDE = 24
NOISE = np.random.default_rng(7).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def screen(sakuga: Sakuga) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(sakuga.shot())).convert("RGB"))


def box(sakuga: Sakuga, selector: str) -> tuple[int, int, int, int]:
    """Of an element, on whole pixels."""
    found = sakuga.at(selector).bounding_box()
    assert found
    x, y, width, height = (found[name] for name in ("x", "y", "width", "height"))
    assert (x % 1, y % 1, width % 1) == (0, 0, 0)
    return int(x), int(y), int(width), int(height)


def enlarged(picture: np.ndarray, by: int) -> np.ndarray:
    return picture.repeat(by, axis=0).repeat(by, axis=1)


def test_at_eight_hundred_percent_each_pixel_is_a_square(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": encoded(NOISE)})
    for _ in range(9):
        sakuga.page.keyboard.press("+")
    assert sakuga.at("output.zoom").inner_text() == "800 %"
    x, y, width, height = box(sakuga, "img.before")
    assert (width, height) == (8 * SIDE, 8 * SIDE)
    assert np.array_equal(screen(sakuga)[y : y + height, x : x + width], enlarged(NOISE, 8))


def test_each_side_of_the_slider_shows_its_picture(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": encoded(NOISE)})
    sakuga.set("scale", 2)
    sakuga.run()
    _, result = sakuga.download()
    after = np.asarray(Image.open(io.BytesIO(result)).convert("RGB"))
    for _ in range(9):
        sakuga.page.keyboard.press("+")
    stage = box(sakuga, ".stage")
    x, y, width, height = box(sakuga, "img.after")
    assert width == 8 * 2 * SIDE
    slider = sakuga.at(".slider")
    slider.focus()
    for _ in range(7):
        sakuga.page.keyboard.press("ArrowRight")
    edge = stage[0] + round(stage[2] * 0.57)
    assert slider.get_attribute("aria-valuenow") == "57"
    middle = y + height // 8  # above the handle, and the labels
    rows = screen(sakuga)[y + 8 : middle]
    beside = 4  # the slider's own line
    left, right = enlarged(NOISE, 16)[8 : middle - y], enlarged(after, 8)[8 : middle - y]
    assert np.array_equal(rows[:, x : edge - beside], left[:, : edge - beside - x])
    assert np.array_equal(rows[:, edge + beside : x + width], right[:, edge + beside - x : width])


def test_the_wheel_zooms_at_the_pointer_and_dragging_moves_both(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": encoded(NOISE)})
    sakuga.run()
    sakuga.page.keyboard.press("9")
    x, y, width, _ = box(sakuga, "img.after")
    at = (x + width // 4, y + width // 4)
    sakuga.page.mouse.move(*at)
    sakuga.page.mouse.wheel(0, -700)
    sakuga.at("output.zoom:not(:has-text('100 %'))").wait_for()
    found = sakuga.at("img.after").bounding_box()
    assert found
    assert found["width"] > width
    assert abs((at[0] - found["x"]) / found["width"] - 0.25) < 0.02
    sakuga.page.mouse.down()
    sakuga.page.mouse.move(at[0] + 30, at[1] - 20, steps=5)
    sakuga.page.mouse.up()
    for which in ("before", "after"):
        moved = sakuga.at(f"img.{which}").bounding_box()
        assert moved
        assert (round(moved["x"] - found["x"]), round(moved["y"] - found["y"])) == (30, -20)


def test_two_fingers_pinch(browser: Any, web: Web) -> None:
    page = Sakuga(browser, web)
    page.drop({"a.png": encoded(NOISE)})
    before = page.at("img.before").bounding_box()
    assert before
    session = page.context.new_cdp_session(page.page)
    x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2

    def touch(kind: str, apart: float) -> None:
        points = [{"x": x - apart, "y": y, "id": 1}, {"x": x + apart, "y": y, "id": 2}]
        shown = [] if kind == "touchEnd" else points
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": shown})

    touch("touchStart", 10)
    for apart in (12, 16, 20):
        touch("touchMove", apart)
    touch("touchEnd", 20)
    page.at("output.zoom:has-text('800 %')").wait_for()  # from 400 %
    after = page.at("img.before").bounding_box()
    assert after
    assert after["width"] / before["width"] == pytest.approx(2, rel=0.1)
    page.close()


@pytest.mark.parametrize(("ground", "colour"), [("Black", (0, 0, 0)), ("White", (255, 255, 255))])
def test_transparency_is_over_the_chosen_ground(
    sakuga: Sakuga, ground: str, colour: tuple[int, ...]
) -> None:
    clear = np.zeros((SIDE, SIDE, 4), np.uint8)
    sakuga.drop({"a.png": encoded(clear)})
    sakuga.at(f"input[type=radio][aria-label={ground}]").check(force=True)
    x, y, width, height = box(sakuga, "img.before")
    assert (screen(sakuga)[y : y + height, x : x + width] == colour).all()
    sakuga.page.reload()
    assert sakuga.at(f"input[type=radio][aria-label={ground}]").is_checked()


def test_an_animation_plays(sakuga: Sakuga) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), c) for c in ("red", "lime")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=100, loop=0)
    sakuga.drop({"a.gif": file.getvalue()}, "image/gif")
    sakuga.run()
    x, y, width, height = box(sakuga, "img.after")
    seen = set()
    while len(seen) < 2:  # it never ends where nothing plays
        pixels = screen(sakuga)
        seen.add(int(pixels[y + height // 4, x + width * 3 // 4].argmax()))
    assert seen == {0, 1}


PICTURE = encoded(sample("heroine", (100, 100, 196, 180)))


def faults(sakuga: Sakuga) -> list[str]:
    """What axe finds."""
    rules = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
    found = Axe().run(sakuga.page, options={"runOnly": rules})
    return [each["help"] for each in found.response["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_axe_finds_nothing(browser: Any, web: Web, size: tuple[int, int], scheme: str) -> None:
    page = Sakuga(browser, web, size, scheme)
    assert faults(page) == []
    page.drop({"a.png": PICTURE, "b.png": PICTURE})
    page.at("details.more summary").click()
    page.at("details.code summary").click()
    assert faults(page) == []
    page.run()
    assert faults(page) == []
    page.choose("Repair")
    page.button("Draw").click()
    assert faults(page) == []
    page.button("Compare models").click()
    page.at(".comparison button.primary").click()
    page.at(".trials figcaption button").first.wait_for()
    assert faults(page) == []
    page.page.keyboard.press("Escape")
    page.at("body").press("?")
    assert faults(page) == []
    page.close()


def test_an_animation_can_be_stopped(sakuga: Sakuga) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), c) for c in ("red", "lime")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=50, loop=0)
    sakuga.drop({"a.gif": file.getvalue()}, "image/gif")
    sakuga.button("Stop the animation").click()
    sakuga.at(".stage > canvas").wait_for()
    middle = sakuga.at(".stage > canvas").evaluate(
        "(canvas) => [...canvas.getContext('2d').getImageData(5, 5, 1, 1).data]"
    )
    assert middle == [255, 0, 0, 255]
    sakuga.at("details.code summary").click()
    assert "-o a-upscaled.gif" in sakuga.at("details.code pre").first.inner_text()
    sakuga.button("Play").click()
    sakuga.at(".stage > canvas").wait_for(state="detached")


def test_a_result_that_cannot_be_shown_hides_the_one_before(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": PICTURE})
    sakuga.run()
    sakuga.set("format", "tiff")
    sakuga.at("button.large").click()
    sakuga.at(".cannot-show").wait_for()
    assert sakuga.at(".slider").count() == 0
    sakuga.button("Copy", exact=True).click()
    sakuga.at(".notice", has_text="can't copy").wait_for()


def test_by_keyboard_alone(sakuga: Sakuga) -> None:
    """From choosing a picture to saving the result."""
    keys = sakuga.page.keyboard
    picture: FilePayload = {"name": "a.png", "mimeType": "image/png", "buffer": PICTURE}
    sakuga.page.on("filechooser", lambda chooser: chooser.set_files([picture]))
    sakuga.page.evaluate("() => {}")  # the browser knows by now that the test chooses
    keys.press("Control+o")
    sakuga.at('output.zoom:has-text("%")').wait_for()
    keys.press("2")
    assert sakuga.at("[role=tab][aria-selected=true]").inner_text() == "Enhance"
    sakuga.at("[role=tab][aria-selected=true]").focus()
    keys.press("ArrowLeft")
    assert sakuga.at("[role=tab]:focus").inner_text() == "Upscale"
    for _ in range(60):  # on to the scale
        keys.press("Tab")
        if sakuga.at("#option-scale:focus").count():
            break
    keys.type("2")
    keys.press("Control+Enter")
    sakuga.at(".slider").wait_for()
    sakuga.at("button:has-text('Download'):enabled").wait_for()
    sakuga.at(".stage").focus()
    with sakuga.page.expect_download() as saved:
        keys.press("s")
    assert saved.value.suggested_filename == "a-upscaled.png"
    (stored,) = sakuga.stored()
    assert stored["options"]["scale"] == 2
    keys.press("Delete")
    sakuga.at(".start").wait_for()
