"""The page with one picture: from drop to downloaded bytes."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway_for_tests import OPTIONS, NewWeb, Web
from page_for_tests import NARROW, Sakuga
from pictures import encoded, gradient, pixels_of, sample
from serving_for_tests import SAKUGA

DONE = {
    "upscale": "upscaled",
    "rembg": "cutout",
    "fix_artifacts": "repaired",
    "enhance": "enhanced",
}
TABS = {
    "upscale": "Upscale",
    "rembg": "Remove background",
    "fix_artifacts": "Repair",
    "enhance": "Enhance",
}
PICTURE = encoded(sample("heroine", (100, 100, 196, 180)))


def by_command(triton: str, folder: Path, action: str, options: dict[str, Any]) -> bytes:
    """What the command line makes of the picture."""
    (folder / "a.png").write_bytes(PICTURE)
    flags = [f"--{name}={value}" for name, value in options.items()]
    command = [SAKUGA, "--url", triton, action.replace("_", "-"), "a.png", "-o", "out", *flags]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "out" / "a.png").read_bytes()


@pytest.mark.parametrize("action", TABS)
def test_an_action_gives_what_the_command_gives(
    sakuga: Sakuga, triton: str, tmp_path: Path, action: str
) -> None:
    sakuga.choose(TABS[action])
    sakuga.drop({"a.png": PICTURE})
    for option, value in OPTIONS[action].items():
        sakuga.set(option, value)
    sakuga.run()
    name, result = sakuga.download()
    assert name == f"a-{DONE[action]}.png"
    assert result == by_command(triton, tmp_path, action, OPTIONS[action])
    shown = sakuga.at("img.after").evaluate("(image) => [image.naturalWidth, image.naturalHeight]")
    assert shown == list(pixels_of(result).shape[1::-1])


def test_everything_comes_from_the_gateway(sakuga: Sakuga, web: Web, http: httpx.Client) -> None:
    sakuga.at("button.sample").first.click()
    sakuga.run()
    assert len(sakuga.requests) > 10
    assert all(url.removeprefix("blob:").startswith(web.url) for url in sakuga.requests)
    policy = http.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_its_files_are_small_and_kept(http: httpx.Client, sakuga: Sakuga) -> None:
    """All that is loaded, but for the samples' pictures."""
    paths = {url.partition(sakuga.web.url)[2] for url in sakuga.requests}
    loaded = [path for path in paths if not path.startswith(("/web/samples/", "/v1/"))]
    assert len(loaded) > 10
    answers = [http.get(path) for path in loaded]
    assert sum(int(each.headers["content-length"]) for each in answers) <= 150_000
    for path, answer in zip(loaded, answers, strict=True):
        again = http.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == (304 if path.startswith("/web") else 200)


@pytest.mark.parametrize("action", TABS)
def test_every_option_has_a_control(sakuga: Sakuga, http: httpx.Client, action: str) -> None:
    rows = {each["name"]: each for each in http.get("/v1/actions").json()["actions"]}
    sakuga.choose(TABS[action])
    if rows[action]["kind"] == "upscale":
        sakuga.set("model", "waifu2x-cunet")  # some networks alone have denoise levels
    drawn = {"mask", "regions"}
    for option in set(rows[action]["options"]["properties"]) - drawn:
        assert sakuga.at(f"#option-{option}").count() == 1


def test_what_is_set_is_sent_and_remembered(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": PICTURE})
    sakuga.set("scale", 3)
    sakuga.set("format", "webp")
    sakuga.set("keep_metadata", False)
    assert "288 × 240" in sakuga.at(".foreseen").inner_text().replace("96 × 80 → ", "")
    sakuga.run()
    name, result = sakuga.download()
    assert name == "a-upscaled.webp"
    assert pixels_of(result).shape[:2] == (240, 288)
    (stored,) = sakuga.stored()
    assert stored["options"] == {"scale": 3, "format": "webp", "keep_metadata": False}
    sakuga.page.reload()
    assert sakuga.at("#option-scale").input_value() == "3"
    sakuga.button("Reset").click()
    assert sakuga.at("#option-scale").input_value() == ""


def test_bad_values_are_said_where_they_are(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": PICTURE})
    sakuga.set("scale", 99)
    assert sakuga.at("#option-scale:invalid").count() == 1
    sakuga.set("scale", 2)
    sakuga.set("width", 100)  # the two exclude each other
    sakuga.at("button.large").click()
    problem = sakuga.at(".outcome .problem")
    problem.wait_for()
    assert "width" in problem.inner_text()
    assert sakuga.states() == ["failed"]
    sakuga.complaints.clear()  # the browser's own line on the status 400


def test_a_damaged_file_says_so(sakuga: Sakuga) -> None:
    sakuga.at("#files").set_input_files(
        [{"name": "a.png", "mimeType": "image/png", "buffer": PICTURE[:300]}]
    )
    sakuga.at("button.large:enabled").click()
    problem = sakuga.at(".outcome .problem")
    problem.wait_for()
    assert "choose another one" in problem.inner_text()


def test_a_result_is_sent_to_another_action(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": PICTURE})
    sakuga.run()
    _, upscaled = sakuga.download()
    sakuga.at("select[aria-label='Send to']").select_option("rembg")
    sakuga.at(".item").nth(1).wait_for()
    assert sakuga.at("[role=tab][aria-selected=true]").inner_text() == "Remove background"
    sakuga.run()
    _, cut = sakuga.download()
    assert pixels_of(cut).shape == (*pixels_of(upscaled).shape[:2], 4)


def test_a_result_is_copied(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": PICTURE})
    sakuga.run()
    sakuga.button("Copy", exact=True).click()
    sakuga.button("Copied").wait_for()
    copied = sakuga.page.evaluate(
        "async () => (await navigator.clipboard.read())[0].types.includes('image/png')"
    )
    assert copied


def test_the_code_does_what_the_page_does(sakuga: Sakuga, tmp_path: Path) -> None:
    sakuga.drop({"my a's.png": PICTURE})
    sakuga.set("scale", 2)
    sakuga.set("format", "webp")
    sakuga.run()
    _, result = sakuga.download()
    sakuga.at("details.code summary").click()
    curl, python = sakuga.at("details.code pre").all_inner_texts()
    (tmp_path / "my a's.png").write_bytes(PICTURE)
    assert shlex.split(curl)[0] == "curl"
    subprocess.run(["bash", "-c", curl], cwd=tmp_path, check=True, capture_output=True)
    (made,) = tmp_path.glob("*-upscaled.webp")
    assert made.read_bytes() == result
    made.unlink()
    subprocess.run([sys.executable, "-c", python], cwd=tmp_path, check=True, capture_output=True)
    assert made.read_bytes() == result
    sakuga.button("Copy curl").click()
    sakuga.button("Copied").wait_for()
    assert sakuga.page.evaluate("() => navigator.clipboard.readText()") == curl


def test_two_models_are_compared_and_one_is_taken(sakuga: Sakuga, http: httpx.Client) -> None:
    rows = http.get("/v1/models").json()["models"]
    found = (row for row in rows if row["installed"] and row["kind"] == "upscale")
    scales = {row["name"]: row["default_scales"]["upscale"] for row in found}
    sakuga.drop({"a.png": PICTURE})
    sakuga.button("Compare models").click()
    sakuga.at(".numbers input").nth(2).fill("32")
    sakuga.at(".numbers input").nth(3).fill("24")
    sakuga.at(".numbers input").nth(3).blur()
    for box in sakuga.at(".candidates input").all():
        box.set_checked(True)
    sakuga.at(".comparison button.primary").click()
    sakuga.at(".trials figure").nth(len(scales)).get_by_role("button").wait_for()
    shapes = sakuga.at(".trials img").evaluate_all(
        "(images) => images.map((image) => [image.naturalWidth, image.naturalHeight])"
    )
    names = sakuga.at(".trials b").all_inner_texts()[1:]
    assert set(names) == set(scales)
    assert shapes == [[32, 24], *([32 * scales[name], 24 * scales[name]] for name in names)]
    sakuga.at(".trials figure").last.get_by_role("button").click()
    assert sakuga.at("#option-model").input_value() == names[-1]


def test_a_family_has_its_own_denoise_levels_and_its_own_scale(sakuga: Sakuga) -> None:
    sakuga.drop({"a.png": PICTURE})
    assert sakuga.at("#option-denoise_level").count() == 0
    sakuga.set("model", "waifu2x-cunet")
    levels = sakuga.at("#option-denoise_level option").all_inner_texts()
    assert [level.strip() for level in levels[1:]] == ["0", "3"]
    assert sakuga.at("#option-scale").get_attribute("placeholder") == "2"
    sakuga.run()
    (stored,) = sakuga.stored()
    report = stored["result"]["report"]
    assert (report["model"], report["network"]) == ("waifu2x-cunet", "waifu2x-cunet-2x-denoise0")
    assert report["output"]["width"] == 2 * report["input"]["width"]


def test_a_picture_that_the_browser_cannot_show_is_processed(sakuga: Sakuga) -> None:
    tiff = encoded(gradient(20, 30), "TIFF")
    sakuga.at("#files").set_input_files(
        [{"name": "a.tif", "mimeType": "image/tiff", "buffer": tiff}]
    )
    sakuga.at(".cannot-show").wait_for()
    sakuga.at("button.large").click()
    sakuga.at("button:has-text('Download'):enabled").wait_for()
    assert pixels_of(sakuga.download()[1]).shape[:2] == (80, 120)


@pytest.mark.parametrize("size", [NARROW, (1280, 800)])
def test_nothing_is_wider_than_the_window(browser: Any, web: Web, size: tuple[int, int]) -> None:
    page = Sakuga(browser, web, size)
    assert page.width_too_large() <= 0
    page.drop({"a.png": PICTURE, "b.png": PICTURE})
    page.run()
    assert page.width_too_large() <= 0
    for tab in TABS.values():
        page.choose(tab)
        assert page.width_too_large() <= 0
    page.button("Compare models").click()
    assert page.width_too_large() <= 0
    page.close()


def test_a_chosen_model_stays_chosen_and_shown(sakuga: Sakuga, http: httpx.Client) -> None:
    rows = http.get("/v1/models").json()["models"]
    names = [row["name"] for row in rows if row["installed"] and row["kind"] == "upscale"][:2]
    model = sakuga.at("#option-model")
    for name in (*names, names[0]):
        sakuga.set("model", name)
        assert model.input_value() == name
    sakuga.choose("Remove background")
    assert model.input_value() not in names
    sakuga.choose("Upscale")
    assert model.input_value() == names[0]
    usual = next(each for each in http.get("/v1/actions").json()["actions"])["model"]
    sakuga.button("Reset").click()
    assert model.input_value() == usual
    assert model.locator(f"option[value={usual}]").count() == 1


def test_what_is_installed_stands_for_a_default_that_is_not(sakuga: Sakuga) -> None:
    """AuraSR can't be had everywhere."""
    sakuga.choose("Enhance")
    sakuga.drop({"a.png": encoded(gradient(10, 12))})
    help_of_model = sakuga.at("#option-model-help").inner_text()
    assert "The default, aura-sr-v2, isn't installed" in help_of_model
    chosen = sakuga.at("#option-model").input_value()
    sakuga.run()
    (stored,) = sakuga.stored()
    assert stored["result"]["report"]["model"] == stored["options"]["model"] == chosen


def test_settings_are_compared_too(sakuga: Sakuga) -> None:
    """What was compared stays in the list when the settings change."""
    sakuga.drop({"a.png": encoded(gradient(10, 12))})
    sakuga.set("scale", 2)
    for scale in (2, 3):
        sakuga.set("scale", scale)
        sakuga.button("Compare models").click()
        for number, box in enumerate(sakuga.at(".candidates input").all()):
            box.set_checked(number == 0)
        tried = sakuga.at(".candidates label").all_inner_texts()
        sakuga.at(".comparison button.primary").click()
        sakuga.at(".trials figcaption button").wait_for()
        sakuga.page.keyboard.press("Escape")
        sakuga.at(".comparison[open]").wait_for(state="detached")
    assert "scale 2" in tried[-1]
    assert all("scale 3" in each for each in tried[:-1])


def test_switches_have_the_defaults_of_the_configuration(browser: Any, new_web: NewWeb) -> None:
    page = Sakuga(browser, new_web(blocks={"rembg": {"alpha_matting": True}}))
    page.choose("Remove background")
    page.drop({"a.png": PICTURE})
    assert page.at("#option-alpha_matting").is_checked()
    page.set("alpha_matting", False)
    page.at("details.code summary").click()
    assert "-F alpha_matting=false" in page.at("details.code pre").first.inner_text()
    page.close()


NAMES = ("a,b;c.png", "#1.png", "-x.png", 'my "a\'s".png')


@pytest.mark.parametrize("name", NAMES)
def test_the_curl_line_takes_any_name(sakuga: Sakuga, tmp_path: Path, name: str) -> None:
    sakuga.drop({name: PICTURE})
    sakuga.set("scale", 1)
    sakuga.at("details.code summary").click()
    curl = sakuga.at("details.code pre").first.inner_text()
    (tmp_path / name).write_bytes(PICTURE)
    subprocess.run(["bash", "-c", curl], cwd=tmp_path, check=True, capture_output=True)
    made = tmp_path / f"{name.removesuffix('.png')}-upscaled.png"
    assert pixels_of(made.read_bytes()).shape[:2] == (80, 96)


STORED = {
    "sakuga-speed": ["{", "null", "5", '{"upscale": "fast"}'],
    "sakuga-settings": ["[", '{"values": null}', '{"values": {"upscale": 3}}', '"x"'],
    "sakuga-paused": ["maybe"],
    "sakuga-key": ['"ключ"'],
}


@pytest.mark.parametrize("name", STORED)
def test_whatever_the_browser_remembers_the_page_works(sakuga: Sakuga, name: str) -> None:
    for value in STORED[name]:
        sakuga.page.evaluate("([name, value]) => localStorage.setItem(name, value)", [name, value])
        sakuga.page.reload()
        sakuga.at("[role=tab]").first.wait_for()
    sakuga.drop({"a.png": encoded(gradient(10, 12))})
    sakuga.run()
    assert sakuga.states() == ["done"]


def test_without_room_to_remember_anything_the_page_works(browser: Any, web: Web) -> None:
    page = Sakuga(browser, web)
    page.context.add_init_script(
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }"
    )
    page.page.reload()
    page.choose("Repair")
    page.drop({"a.png": encoded(gradient(10, 12))})
    page.run()
    assert page.states() == ["done"]
    assert page.complaints == []
    page.close()


def test_single_keys_can_be_switched_off(sakuga: Sakuga) -> None:
    keys = sakuga.page.keyboard
    keys.press("2")
    assert sakuga.at("[role=tab][aria-selected=true]").inner_text() == "Enhance"
    keys.press("?")
    sakuga.page.get_by_label("Single-key shortcuts").uncheck()
    keys.press("Escape")
    keys.press("1")
    assert sakuga.at("[role=tab][aria-selected=true]").inner_text() == "Enhance"
