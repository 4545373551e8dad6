"""Background removal, around a function in the network's place."""

import asyncio
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from pictures import encoded, encoded_16, gradient, off, pixels_of, sample
from sakuga import BadOption, Config
from sakuga_core.networks.facts import SegmenterFacts
from sakuga_core.progress import Progress
from sakuga_server.caller import NOBODY, Caller
from sakuga_server.pipelines.foreground import NOTHING_FOUND
from sakuga_server.pipelines.rembg import Rembg
from sakuga_server.pipelines.settings import Settings

SETTINGS = Settings[SegmenterFacts](
    networks={
        "isnet-anime": SegmenterFacts(side=64, letterbox=True),
        "u2net": SegmenterFacts(side=32, letterbox=False),
    },
    defaults={},
    limits=Config().limits,
)
PLAIN = {"estimate_foreground": False}


def figure(square: np.ndarray) -> np.ndarray:
    """A network that always finds a disk, soft at its edge."""
    side = square.shape[1]
    y, x = np.mgrid[0:side, 0:side]
    distance = np.hypot(y - side / 2, x - side / 2) / side
    return np.clip((0.4 - distance) * 12, 0, 1).astype(np.float32)


def nothing(square: np.ndarray) -> np.ndarray:
    return np.full(square.shape[1:3], 0.01, np.float32)


def remove_background(*given: Any, **more: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """As `done`, with the result's pixels."""
    result, report = done(*given, **more)
    return pixels_of(result), report


def done(
    data: bytes,
    options: dict[str, Any],
    network: Any = figure,
    model: str = "isnet-anime",
    settings: Settings[SegmenterFacts] = SETTINGS,
    caller: Caller = NOBODY,
) -> tuple[bytes, dict[str, Any]]:
    async def net(name: str, square: np.ndarray, letterbox: bool | None) -> np.ndarray:
        facts = settings.networks[name]
        assert square.shape == (1, facts.side, facts.side, 3)
        assert (letterbox is None) != facts.letterbox
        return network(square)[None]

    return asyncio.run(Rembg(net, settings)(data, {"model": model, **options}, caller))


def test_a_plain_result_is_the_picture_and_its_mask() -> None:
    picture = sample("heroine", (60, 60, 160, 140))
    mask, _ = remove_background(encoded(picture), {"only_mask": True})
    found, report = remove_background(encoded(picture), PLAIN)
    assert found.shape == (80, 100, 4)
    assert off(found[..., 3], mask) == 0
    seen = mask > 0
    assert off(found[..., :3][seen], picture[seen]) == 0
    assert report["output"]["mode"] == "rgb+alpha 8 bit"
    assert report["model"] == "isnet-anime"


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 3)])
@pytest.mark.parametrize("options", [{}, {"alpha_matting": True}, {"preprocess": "letterbox"}])
def test_odd_and_tiny_sizes(size: tuple[int, int], options: dict[str, Any]) -> None:
    found, _ = remove_background(encoded(gradient(*size)), options)
    assert found.shape == (*size, 4)


def test_colours_are_straight_and_can_be_premultiplied() -> None:
    picture = np.full((60, 60, 3), (200, 100, 50), np.uint8)
    straight, _ = remove_background(encoded(picture), {})
    soft = (straight[..., 3] > 0) & (straight[..., 3] < 255)
    assert soft.any()
    assert off(straight[..., :3][soft], picture[soft]) <= 1
    dark, _ = remove_background(encoded(picture), {"premultiplied": True, **PLAIN})
    expected = picture * (dark[..., 3:] / 255)
    assert np.abs(dark[..., :3] - expected).max() <= 0.5


def test_the_background_is_taken_out_of_soft_edges() -> None:
    alpha = figure(np.zeros((1, 64, 64, 3)))[..., None]
    picture = np.rint(alpha * (255, 0, 0) + (1 - alpha) * (0, 0, 255)).astype(np.uint8)
    kept, _ = remove_background(encoded(picture), PLAIN)
    found, _ = remove_background(encoded(picture), {})
    soft = (found[..., 3] > 30) & (found[..., 3] < 225)
    assert kept[..., 2][soft].mean() > 80
    assert found[..., 2][soft].mean() < kept[..., 2][soft].mean() / 3


def test_transparency_is_kept_as_a_product() -> None:
    own = np.full((60, 60), 128, np.uint8)
    own[:, 30:] = 255
    picture = np.dstack((gradient(60, 60), own))
    mask, _ = remove_background(encoded(picture), {"only_mask": True})
    for options in ({}, {"alpha_matting": True}):
        found, _ = remove_background(encoded(picture), options)
        whole, _ = remove_background(encoded(np.ascontiguousarray(picture[..., :3])), options)
        assert np.abs(found[..., 3] - whole[..., 3] * (own / 255)).max() <= 1
    assert mask.max() == 255


def test_nothing_found_is_empty_with_a_warning() -> None:
    found, report = remove_background(encoded(gradient(40, 50)), {"alpha_matting": True}, nothing)
    assert not found.any()
    assert report["warnings"] == [NOTHING_FOUND]
    assert found.shape == (40, 50, 4)


def test_an_unreachable_threshold_still_mattes_with_a_note() -> None:
    picture = encoded(sample("heroine", (60, 60, 260, 240)))
    options = {"alpha_matting": True, "alpha_matting_erode_size": 4}
    unreachable = {"alpha_matting_foreground_threshold": 270}
    found, report = remove_background(picture, options | unreachable)
    (note,) = report["notes"]
    assert "is 270, which no mask exceeds: only where the network is fully certain" in note
    plain, _ = remove_background(picture, {})
    assert off(found[..., 3], plain[..., 3]) > 5
    skipped, report = remove_background(
        picture, options | unreachable | {"reference_thresholds": True}
    )
    assert off(skipped[..., 3], plain[..., 3]) == 0
    assert "as in rembg, the matting is skipped" in report["notes"][0]


def test_a_threshold_that_the_configuration_sets_for_all_has_no_note() -> None:
    picture = encoded(sample("heroine", (60, 60, 260, 240)))
    usual = {"alpha_matting": True, "alpha_matting_foreground_threshold": 270}
    settings = SETTINGS.model_copy(update={"defaults": usual})
    for given in ({}, usual):
        _, report = remove_background(picture, given, settings=settings)
        assert report["notes"] == []
    other = {"alpha_matting_foreground_threshold": 256}
    _, report = remove_background(picture, other, settings=settings)
    assert "is 256, which no mask exceeds" in report["notes"][0]


def test_without_certain_foreground_the_result_is_plain_with_a_note() -> None:
    picture = encoded(sample("heroine", (60, 60, 100, 100)))
    options = {"alpha_matting": True, "alpha_matting_erode_size": 60}
    found, report = remove_background(picture, options)
    assert "eroding by 60 pixels no certain foreground" in report["notes"][0]
    plain, _ = remove_background(picture, {})
    assert off(found, plain) == 0


@pytest.mark.parametrize("matting", ["fast", "pymatting"])
def test_matting_keeps_what_is_certain(matting: str) -> None:
    picture = sample("heroine", (60, 60, 260, 260))
    options = {"alpha_matting": True, "matting": matting}
    found, _ = remove_background(encoded(picture), options)
    mask, _ = remove_background(encoded(picture), {"only_mask": True})
    assert (found[..., 3][80:120, 80:120] == 255).all()
    assert (mask[80:120, 80:120] == 255).all()
    assert (found[..., 3][:10, :10] == 0).all()
    assert off(found[80:120, 80:120, :3], picture[80:120, 80:120]) == 0


@pytest.mark.parametrize("options", [{}, {"alpha_matting": True}, {"only_mask": True}])
def test_16_bits_stay_16(options: dict[str, Any]) -> None:
    picture = sample("heroine", (60, 60, 160, 160))
    deep, _ = remove_background(encoded_16(picture.astype(np.uint16) * 257), options)
    found, _ = remove_background(encoded(picture), options)
    if "only_mask" in options:
        assert off(deep, found) == 0
        return
    assert deep.dtype == np.uint16
    assert np.abs(deep[..., 3] / 257 - found[..., 3]).max() <= 1


def test_gray_stays_gray() -> None:
    picture = sample("lineart", (60, 60, 160, 160))
    result, report = done(encoded(picture), {})
    assert Image.open(io.BytesIO(result)).mode == "LA"
    assert report["output"]["mode"] == "gray+alpha 8 bit"


def test_metadata_is_kept_and_the_picture_upright() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "pen"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(gradient(20, 30), exif=exif, icc_profile=profile)
    result, _ = done(data, {})
    kept = Image.open(io.BytesIO(result))
    assert kept.size == (20, 30)
    assert kept.info["icc_profile"] == profile
    assert dict(kept.getexif()) == {0x0112: 1, 0x010F: "pen"}
    bare = Image.open(io.BytesIO(done(data, {"keep_metadata": False})[0]))
    assert "icc_profile" not in bare.info


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (gradient(20, 30), {"only_mask": True}),
        (gradient(20, 30)[..., 0], {"background_color": "#00ff00"}),
    ],
)
def test_a_colour_profile_never_gets_into_a_file_of_another_kind(
    pixels: np.ndarray, options: dict[str, Any]
) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a heroine"
    data = encoded(np.ascontiguousarray(pixels), icc_profile=b"profile", exif=exif)
    kept = Image.open(io.BytesIO(done(data, options)[0]))
    assert "icc_profile" not in kept.info
    assert kept.getexif()[0x010E] == "a heroine"


@pytest.mark.parametrize(
    ("colour", "mode"), [("#00ff00", 3), ([0, 255, 0], 3), ("#0f0", 3), ("#00ff0080", 4)]
)
def test_a_background_colour_lies_under_the_figure(colour: object, mode: int) -> None:
    picture = np.full((60, 60, 3), (200, 100, 50), np.uint8)
    found, _ = remove_background(encoded(picture), {"background_color": colour})
    assert found.shape[2] == mode
    assert tuple(found[0, 0]) == (0, 255, 0, 128)[:mode]
    assert tuple(found[30, 30]) == (200, 100, 50, 255)[:mode]
    assert pytest.approx(found[30, 9, 1], abs=90) == 180


def test_jpeg_has_no_transparency_and_says_so() -> None:
    found, report = remove_background(encoded(gradient(40, 40)), {"format": "jpeg"})
    assert found.shape == (40, 40, 3)
    assert "composited over white" in report["warnings"][0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha_matting_foreground_threshold": 999}, "a whole number from 0 to 300"),
        ({"background_color": "green"}, "is 'green'; allowed: #rgb, #rrggbb"),
        ({"background_color": [0, 0]}, r"is \[0, 0\]; allowed: #rgb"),
        ({"background_color": [0, 0, 256]}, "allowed: #rgb"),
        ({"preprocess": "none"}, "allowed: rembg, letterbox"),
        ({"preprocess": "letterbox"}, "is 'letterbox'; allowed for u2net: rembg"),
        ({"model": "u3net"}, "is 'u3net'; allowed: isnet-anime, u2net"),
        ({"alpha_mating": True}, "'alpha_mating' is unknown; allowed: model, format, quality"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        done(encoded(gradient(4, 4)), options, model="u2net")


def test_far_from_the_figure_nothing_is_left_of_the_picture() -> None:
    found, _ = remove_background(encoded(np.full((100, 100, 3), 255, np.uint8)), {})
    clear = found[..., 3] == 0
    assert clear[0, 0]
    assert not found[0, 0].any()
    assert not found[clear].all()


def corrections(height: int, width: int) -> np.ndarray:
    """Gray, with a white square in a corner that is ground, and a black one within the figure."""
    drawn = np.full((height, width), 128, np.uint8)
    drawn[4:12, 4:12] = 255
    drawn[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4] = 0
    return drawn


@pytest.mark.parametrize("matting", [False, True])
@pytest.mark.parametrize("kind", ["rgb", "rgba", "gray", "rgb 16"])
def test_a_mask_corrects_the_networks(matting: bool, kind: str) -> None:
    """Where a person has drawn, the result is as drawn; elsewhere a plain one is as it was."""
    picture = sample("heroine", (60, 60, 160, 160))
    if kind == "gray":
        picture = picture[..., 0]
    if kind == "rgba":
        picture = np.dstack([picture, np.full(picture.shape[:2], 200, np.uint8)])
    deep = kind == "rgb 16"
    data = encoded_16(picture.astype(np.uint16) * 257) if deep else encoded(picture)
    drawn = corrections(100, 100)
    options = {"alpha_matting": matting, **PLAIN}
    before, _ = remove_background(data, options)
    after, _ = remove_background(data, {**options, "mask": encoded(drawn)})
    most = {"rgba": 200, "rgb 16": 65535}.get(kind, 255)
    assert (after[..., -1][drawn == 255] == most).all()
    assert (after[..., -1][drawn == 0] == 0).all()
    assert not (before[..., -1][drawn == 255] == most).all()
    if not matting:
        seen = (drawn == 128) & (before[..., -1] > 0)
        assert off(after[seen], before[seen]) == 0
        assert off(after[..., -1][drawn == 128], before[..., -1][drawn == 128]) == 0


def test_the_matting_runs_again_from_what_was_drawn() -> None:
    """Beside what is drawn as foreground, alpha is what the matting finds, and no hard edge."""
    picture = encoded(sample("heroine", (60, 60, 260, 260)))
    drawn = np.full((200, 200), 128, np.uint8)
    drawn[20:40, 60:140] = 255  # above the disk that the network finds
    options = {"alpha_matting": True, "alpha_matting_erode_size": 30}
    before, _ = remove_background(picture, options)
    after, _ = remove_background(picture, {**options, "mask": encoded(drawn)})
    beside = np.s_[41:46, 60:140, 3]
    assert np.abs(after[beside].astype(int) - before[beside]).max() > 0


def test_what_is_drawn_is_no_empty_result() -> None:
    drawn = corrections(40, 40)
    found, report = remove_background(
        encoded(gradient(40, 40)), {"mask": encoded(drawn)}, network=nothing
    )
    assert np.array_equal(found[..., 3] > 0, drawn == 255)
    assert report["warnings"] == []


def test_the_caller_gets_the_steps_as_progress() -> None:
    steps: list[Progress] = []
    done(encoded(gradient(40, 40)), {}, caller=Caller(progress=steps.append))
    assert steps == [Progress("steps", step, 3) for step in (1, 2, 3)]


def test_frames_are_the_progress_of_an_animation() -> None:
    file, frames = io.BytesIO(), [Image.fromarray(gradient(20, 20 + each)) for each in range(3)]
    frames[0].save(file, "webp", save_all=True, append_images=[f.resize((20, 20)) for f in frames])
    steps: list[Progress] = []
    done(file.getvalue(), {}, caller=Caller(progress=steps.append))
    assert {step.unit for step in steps} == {"frames"}


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (encoded(gradient(4, 5)), "'mask' is 5x4; allowed: the picture's size, 4x4"),
        (b"no picture", "option 'mask': "),
    ],
)
def test_a_bad_mask_is_named(mask: bytes, message: str) -> None:
    with pytest.raises(BadOption, match=message):
        done(encoded(gradient(4, 4)), {"mask": mask})
