"""The page with many pictures, and when something goes wrong."""

import io
import zipfile
from typing import Any

import httpx
import numpy as np
import pytest

from gateway_for_tests import NewWeb, Web
from page_for_tests import Sakuga
from pictures import encoded, gradient, pixels_of
from sakuga_gateway.access import digest

LONG = {"tile_size": 32}
MANY = 40


def small(number: int) -> bytes:
    """A picture that its size tells from the others."""
    return encoded(gradient(8 + number, 10))


def all_are(sakuga: Sakuga, state: str, count: int) -> None:
    """Waits until the queue says so of so many."""
    sakuga.at(f".item.{state}").nth(count - 1).wait_for()


def test_forty_files_come_back_as_a_zip_in_their_folders(sakuga: Sakuga, tmp_path: Any) -> None:
    folder = tmp_path / "book"
    for number in range(MANY):
        place = folder / f"chapter {number % 3}" / f"{number // 3}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(small(number))
    sakuga.at("#folder").set_input_files(folder)
    sakuga.at(".item").nth(MANY - 1).wait_for()
    sakuga.set("scale", 2)
    sakuga.button(f"Start {MANY} pictures").click()
    all_are(sakuga, "succeeded", MANY)
    assert sakuga.at(".counts").inner_text() == f"{MANY} of {MANY} done"
    name, data = sakuga.download(f"Download {MANY} results")
    assert name == "sakuga.zip"
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    assert set(archive.namelist()) == {
        f"book/chapter {number % 3}/{number // 3}.png" for number in range(MANY)
    }
    for number in range(MANY):
        found = archive.read(f"book/chapter {number % 3}/{number // 3}.png")
        assert pixels_of(found).shape[0] == 2 * (8 + number)


def test_equal_names_stay_apart_in_the_zip(sakuga: Sakuga) -> None:
    for number in range(3):
        sakuga.drop({"a.png": small(number)})
    sakuga.button("Start 3 pictures").click()
    all_are(sakuga, "succeeded", 3)
    archive = zipfile.ZipFile(io.BytesIO(sakuga.download("Download 3 results")[1]))
    assert archive.namelist() == ["a.png", "a-2.png", "a-3.png"]


def test_a_reload_in_the_middle_loses_nothing(sakuga: Sakuga) -> None:
    files = {f"{number}.png": encoded(gradient(120, 100 + number)) for number in range(6)}
    sakuga.drop(files)
    sakuga.set("scale", 2)
    sakuga.set("tile_size", 32)
    sakuga.button("Start 6 pictures").click()
    sakuga.at(".item.running").first.wait_for()
    before = {picture["id"]: picture["again"] for picture in sakuga.stored()}
    sakuga.page.reload()
    sakuga.at(".item").nth(5).wait_for()
    all_are(sakuga, "succeeded", 6)
    sakuga.at(".slider").wait_for()
    archive = zipfile.ZipFile(io.BytesIO(sakuga.download("Download 6 results")[1]))
    widths = {name: pixels_of(archive.read(name)).shape[1] for name in archive.namelist()}
    assert widths == {f"{number}.png": 2 * (100 + number) for number in range(6)}
    assert {picture["id"]: picture["again"] for picture in sakuga.stored()} == before


def test_cancel_stops_the_server(sakuga: Sakuga, http: httpx.Client) -> None:
    sakuga.drop({"long.png": encoded(gradient(700, 700))})
    sakuga.set("tile_size", 32)
    sakuga.at("button.large").click()
    sakuga.at(".outcome progress[value]").wait_for()
    job = sakuga.stored()[0]["job"]
    sakuga.button("Cancel").click()
    all_are(sakuga, "cancelled", 1)
    while not (found := http.get(job).json())["finished"]:
        pass
    assert found["state"] == "cancelled"
    while "in_work 0.0" not in http.get("/metrics").text:
        pass
    sakuga.set("tile_size", 512)
    sakuga.at("button.large").click()  # and it can be done after all
    sakuga.at(".item.running, .item.queued, .item.sending").wait_for()
    sakuga.button("Cancel").click()
    all_are(sakuga, "cancelled", 1)


def test_waiting_pictures_are_paused_and_moved(sakuga: Sakuga) -> None:
    long = encoded(gradient(300, 300))
    sakuga.drop({f"{number}.png": long for number in range(2)})
    sakuga.drop({"last.png": small(1), "other.png": small(2)})
    sakuga.set("tile_size", 32)
    sakuga.button("Start 4 pictures").click()
    sakuga.at(".item.running").first.wait_for()
    sakuga.button("Pause").click()
    sakuga.at(".item", has_text="last.png").click()
    sakuga.at(".item.is-selected").press("Alt+ArrowRight")
    names = sakuga.at(".item .name").all_inner_texts()
    assert names[-2:] == ["other.png", "last.png"]
    all_are(sakuga, "succeeded", 2)
    assert sakuga.states()[-2:] == ["paused", "paused"]
    sakuga.button("Resume").click()
    all_are(sakuga, "succeeded", 4)


def test_a_gateway_that_dies_and_comes_back_is_waited_for(browser: Any, new_web: NewWeb) -> None:
    web = new_web()
    page = Sakuga(browser, web)
    page.drop({"a.png": encoded(gradient(200, 200)), "b.png": small(1)})
    page.set("tile_size", 32)
    page.button("Start 2 pictures").click()
    page.at(".item.running").first.wait_for()
    web.kill()
    page.at(".notice", has_text="doesn't answer").wait_for()
    web.start()
    all_are(page, "succeeded", 2)
    page.at(".notice p").wait_for(state="detached")
    page.at(".item").first.click()
    page.at(".slider").wait_for()
    assert pixels_of(page.download()[1]).shape[:2] == (800, 800)
    page.close()


# What is shown of each.
NAMES = {
    "<img src=x onerror=alert(1)>.png": "<img src=x onerror=alert(1)>.png",
    "\u202egnp.exe\u202c.png": "gnp.exe.png",
    "🦊 線画 ñ.png": "🦊 線画 ñ.png",
    "a\"b'c`d$(x).png": "a\"b'c`d$(x).png",
    "../../up.png": "../../up.png",
    "👩\u200d🎨.png": "👩\u200d🎨.png",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_only_names(sakuga: Sakuga, name: str) -> None:
    sakuga.drop({name: small(3)})
    sakuga.run()
    assert sakuga.at(".item .name").inner_text() == NAMES[name]
    assert sakuga.at(".item img").count() == 1  # its thumbnail
    saved, data = sakuga.download()
    assert pixels_of(data).shape[:2] == (44, 40)
    assert "/" not in saved
    assert not sakuga.dialogs


def test_the_page_asks_for_a_key(browser: Any, new_web: NewWeb) -> None:
    web = new_web(settings={"keys": [{"name": "anna", "sha256": digest("secret")}]})
    page = Sakuga(browser, web, is_locked=True)
    assert page.at("[role=tab]").count() == 0
    page.at("#key").fill("wrong")
    page.page.keyboard.press("Enter")
    page.at("key-dialog .problem").wait_for()
    page.at("#key").fill("secret")
    page.page.keyboard.press("Enter")
    page.at("[role=tab]").first.wait_for()
    page.drop({"a.png": small(1)})
    page.run()
    assert pixels_of(page.download()[1]).shape[:2] == (36, 40)
    page.page.reload()
    page.at("[role=tab]").first.wait_for()
    assert page.at("dialog[open]").count() == 0
    page.close()


def test_two_tabs_do_no_work_twice(sakuga: Sakuga, web: Web) -> None:
    sakuga.drop({f"{number}.png": encoded(gradient(150, 150)) for number in range(4)})
    sakuga.set("tile_size", 32)
    sakuga.button("Start 4 pictures").click()
    sakuga.at(".item.running").first.wait_for()
    before = {picture["id"]: picture["again"] for picture in sakuga.stored()}
    other = sakuga.opened()
    other.locator(".item").nth(3).wait_for()
    all_are(sakuga, "succeeded", 4)
    other.locator(".item.succeeded").nth(3).wait_for()
    jobs = {picture["job"] for picture in sakuga.stored()}
    assert len(jobs) == 4
    assert {picture["id"]: picture["again"] for picture in sakuga.stored()} == before


def test_tabs_follow_each_other(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": small(1), "b.png": small(2)})
    other = sakuga.opened()
    other.locator(".item").nth(1).wait_for()
    sakuga.at(".item").first.click()
    sakuga.run()
    other.locator(".item.succeeded").wait_for()
    other.locator(".item").first.click()
    other.get_by_role("button", name="Move later").click()
    sakuga.at(".item").nth(1).and_(sakuga.at(".succeeded")).wait_for()
    sakuga.page.reload()
    all_are(sakuga, "succeeded", 1)
    other.get_by_role("button", name="Remove picture").click()
    sakuga.at(".item").nth(1).wait_for(state="detached")
    assert sakuga.at(".item .name").inner_text() == "b.png"


def test_a_zip_waits_for_a_gateway_that_is_away(browser: Any, new_web: NewWeb) -> None:
    web = new_web()
    page = Sakuga(browser, web)
    page.drop({f"{number}.png": small(number) for number in range(3)})
    page.button("Start 3 pictures").click()
    all_are(page, "succeeded", 3)
    web.kill()
    with page.page.expect_download() as saved:
        page.button("Download 3 results").click()
        page.button("Creating the zip").wait_for()
        web.start()
    archive = zipfile.ZipFile(saved.value.path())
    assert archive.namelist() == ["0.png", "1.png", "2.png"]
    page.close()


def test_what_is_removed_is_not_sent(sakuga: Sakuga) -> None:
    sakuga.drop({f"{number}.png": encoded(gradient(150, 150)) for number in range(8)})
    sakuga.set("tile_size", 32)
    sakuga.button("Start 8 pictures").click()
    sakuga.at(".item.running").first.wait_for()
    sakuga.button("Remove all").click()
    sakuga.at(".start").wait_for()
    submitted = [url for url in sakuga.requests if url.endswith("/v1/jobs")]
    assert len(submitted) <= 2
    assert sakuga.stored() == []


def test_a_double_click_starts_once(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": encoded(gradient(100, 100))})
    sakuga.at("button.large").dblclick(delay=30)
    all_are(sakuga, "succeeded", 1)
    assert len([url for url in sakuga.requests if url.endswith("/v1/jobs")]) == 1


def test_a_paused_queue_says_so(sakuga: Sakuga) -> None:
    sakuga.drop({f"{number}.png": encoded(gradient(150, 150)) for number in range(4)})
    sakuga.set("tile_size", 32)
    sakuga.button("Start 4 pictures").click()
    sakuga.button("Pause").click()
    sakuga.at(".item .state", has_text="paused").first.wait_for()
    assert sakuga.at(".item.waiting").count() == sakuga.states().count("paused")
    sakuga.button("Resume").click()
    all_are(sakuga, "succeeded", 4)
    assert sakuga.states() == ["done"] * 4


def test_a_finished_queue_is_run_again_with_other_settings(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": small(1), "b.png": small(2)})
    sakuga.button("Start 2 pictures").click()
    all_are(sakuga, "succeeded", 2)
    assert sakuga.button("Start 2 pictures").count() == 0
    sakuga.set("scale", 2)
    sakuga.button("Start 2 pictures").click()
    sakuga.at(".item.succeeded").first.wait_for(state="detached")
    all_are(sakuga, "succeeded", 2)
    assert sakuga.dialogs == ["Replace 2 existing results?"]
    assert [picture["options"]["scale"] for picture in sakuga.stored()] == [2, 2]


def test_all_are_started_with_good_values_alone(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": small(1), "b.png": small(2)})
    sakuga.set("tile_size", 1)  # under More
    sakuga.at("details.more summary").click()
    sakuga.button("Start 2 pictures").click()
    assert sakuga.at("#option-tile_size").is_visible()
    assert sakuga.at("#option-tile_size").get_attribute("aria-invalid") == "true"
    assert sakuga.states() == ["", ""]


def test_a_result_that_was_away_is_fetched_later(browser: Any, new_web: NewWeb) -> None:
    web = new_web()
    page = Sakuga(browser, web)
    page.drop({"a.png": small(1), "b.png": small(2)})
    page.button("Start 2 pictures").click()
    all_are(page, "succeeded", 2)
    web.kill()
    page.at(".item").nth(1).click()
    page.at(".outcome .problem").wait_for()
    web.start()
    page.at("button:has-text('Download'):enabled").wait_for()
    page.at(".outcome .problem").wait_for(state="detached")
    assert pixels_of(page.download()[1]).shape[:2] == (40, 40)
    page.close()


def test_the_key_is_asked_for_again(browser: Any, new_web: NewWeb) -> None:
    web = new_web(settings={"keys": [{"name": "anna", "sha256": digest("secret")}]})
    page = Sakuga(browser, web, is_locked=True)
    for _ in range(4):
        page.page.keyboard.press("Escape")
    page.at("#key").wait_for()
    page.at("#key").fill(" secret ")  # as it was copied
    page.page.keyboard.press("Enter")
    page.at("[role=tab]").first.wait_for()
    page.page.evaluate("() => localStorage.setItem('sakuga-key', '\"old\"')")
    page.drop({"a.png": small(1)})
    page.choose("Repair")
    page.button("Find damage").click()
    page.at("#key").wait_for()
    page.at("#key").fill("secret")
    page.page.keyboard.press("Enter")
    page.at("dialog[open]").wait_for(state="detached")
    page.run()
    assert page.states() == ["done"]
    page.close()


def test_a_region_of_the_queue_is_left_when_a_picture_goes(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": small(1), "b.png": small(2)})
    sakuga.page.keyboard.press("Delete")
    sakuga.at(".item").nth(1).wait_for(state="detached")
    assert sakuga.at(".item .name").all_inner_texts() == ["b.png"]
    sakuga.at('output.zoom:has-text("%")').wait_for()
    sakuga.page.reload()
    sakuga.at(".item").wait_for()
    assert len(sakuga.stored()) == 1
    assert np.all([picture["name"] == "b.png" for picture in sakuga.stored()])


def test_what_is_being_typed_stays_while_work_goes_on(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": encoded(gradient(300, 300))})
    sakuga.set("tile_size", 32)
    sakuga.at("button.large").click()
    sakuga.at(".outcome progress[value]").wait_for()
    field = sakuga.at("#option-scale")
    field.focus()
    sakuga.page.keyboard.type("3")
    seen = sakuga.at(".outcome .foreseen").inner_text()
    while sakuga.at(".outcome .foreseen").inner_text() == seen:  # the next tile
        pass
    assert field.input_value() == "3"
    sakuga.button("Cancel").click()
    all_are(sakuga, "cancelled", 1)


def test_a_result_stays_until_there_is_another(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": small(4)})
    sakuga.run()
    _, first = sakuga.download()
    sakuga.set("scale", 2)
    sakuga.set("width", 10)
    sakuga.button("Upscale again").click()
    all_are(sakuga, "failed", 1)
    assert sakuga.download()[1] == first
    sakuga.choose("Remove background")
    assert sakuga.at("button.large").inner_text() == "Remove background"
    sakuga.complaints.clear()  # the browser's own line on the status 400


def test_a_zip_has_what_is_still_there(sakuga: Sakuga, http: httpx.Client) -> None:
    sakuga.drop({f"{number}.png": small(number) for number in range(3)})
    sakuga.button("Start 3 pictures").click()
    all_are(sakuga, "succeeded", 3)
    gone = next(each for each in sakuga.stored() if each["name"] == "1.png")
    assert http.delete(gone["done"]["job"]).status_code == 200
    archive = zipfile.ZipFile(io.BytesIO(sakuga.download("Download 3 results")[1]))
    assert archive.namelist() == ["0.png", "2.png"]
    assert "1.png" in sakuga.at(".notice").inner_text()
    sakuga.complaints.clear()  # the browser's own line on the status 404


def test_by_buttons_pictures_are_moved_and_removed(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": small(1), "b.png": small(2), "c.png": small(3)})
    sakuga.button("Move later").click()
    assert sakuga.at(".item .name").all_inner_texts() == ["b.png", "a.png", "c.png"]
    sakuga.button("Remove picture").click()
    sakuga.at(".item").nth(2).wait_for(state="detached")
    assert sakuga.at(".item .name").all_inner_texts() == ["b.png", "c.png"]
    assert sakuga.at(".item.is-selected .name").inner_text() == "c.png"
    sakuga.button("Remove all").click()
    sakuga.at(".start").wait_for()
    assert sakuga.dialogs == ["Remove all pictures and their results?"]
    assert sakuga.stored() == []
