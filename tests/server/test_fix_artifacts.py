"""The pipeline on a network of arithmetic: each pixel four times, so every result is known."""

import asyncio
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drawn import jpeg, opaque, posterised, psnr, ramp, resaved
from networks_for_tests import nearest
from pictures import encoded, encoded_16, off, pixels_of, sample
from sakuga import BadOption, Cancelled, Config, DetectorError
from sakuga_core.networks.registry import ENHANCERS, INPAINTERS, UPSCALERS
from sakuga_server.caller import Caller
from sakuga_server.damage import artifacts
from sakuga_server.jpeg import coefficients as jpegs
from sakuga_server.jpeg import dequantise
from sakuga_server.networks import Tile
from sakuga_server.pipelines.fix_artifacts import FixArtifacts
from sakuga_server.pipelines.settings import FixSettings
from sakuga_server.pipelines.upscale import Upscale


async def pink(model: str, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.array((255, 0, 255), np.uint8), image.shape)


@pytest.fixture(scope="module")
def fix_settings() -> FixSettings:
    config = Config()
    return FixSettings(
        networks={n.name: n.facts for n in (*UPSCALERS, *ENHANCERS)},
        inpainters={n.name: n.facts for n in INPAINTERS},
        defaults=config.options_for("fix_artifacts"),
        limits=config.limits,
    )


@pytest.fixture(scope="module")
def fix(fix_settings: FixSettings) -> FixArtifacts:
    return FixArtifacts(nearest, pink, fix_settings)


def kinds(report: dict[str, Any]) -> list[str]:
    return [region["kind"] for region in report["regions"]]


async def test_a_clean_picture_is_upscaled_and_nothing_else(
    fix: FixArtifacts, fix_settings: FixSettings
) -> None:
    for name in ("heroine", "sunset", "mascot"):
        data = encoded(sample(name))
        result, report = await fix(data, {})
        plain, _ = await Upscale(nearest, fix_settings)(data, {"scale": 2})
        assert off(pixels_of(result), pixels_of(plain)) == 0
        assert report["regions"] == []
        assert report["done"] == [
            {"what": "upscaled", "by": "realesrgan-x4plus-anime", "scale": 2.0}
        ]


async def test_a_jpegs_own_compression_is_undone(fix: FixArtifacts) -> None:
    data = jpeg(sample("heroine"), 25)
    result, report = await fix(data, {"result": "restored"})
    stored = jpegs.read(data)
    assert stored is not None
    assert off(pixels_of(result), dequantise.decode(stored)) == 0
    (region,) = report["regions"]
    assert (region["kind"], region["quality"]) == ("jpeg", 25)
    assert region["box"] == [0, 0, 360, 480]
    assert report["done"][0]["what"] == "restored"
    json.dumps(report)


async def test_good_jpegs_are_left_alone(fix: FixArtifacts) -> None:
    data = jpeg(sample("heroine"), 95)
    result, report = await fix(data, {"result": "restored"})
    assert report["regions"] == report["done"] == []
    assert off(pixels_of(result), np.asarray(Image.open(io.BytesIO(data)))) == 0


async def test_an_older_coarser_compression_counts(fix: FixArtifacts) -> None:
    original = opaque("heroine", 1)
    data = jpeg(resaved(original, 30), 96, "4:4:4")
    result, report = await fix(data, {"result": "restored"})
    assert [region.get("quality") for region in report["regions"]] == [30]
    assert report["regions"][0]["grid"] == [0, 0]
    before = np.asarray(Image.open(io.BytesIO(data)))
    assert psnr(pixels_of(result), original) > psnr(before, original) + 0.2


async def test_resaved_and_cut_pictures_are_restored(fix: FixArtifacts) -> None:
    original, cut = opaque("heroine", 1), (3, 5)
    damaged = resaved(original, 30, "4:2:0", cut)
    result, report = await fix(encoded(damaged), {"result": "restored"})
    assert kinds(report) == ["jpeg"]
    original = original[cut[1] :, cut[0] :]
    assert psnr(pixels_of(result), original) > psnr(damaged, original) + 0.2


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_turned_files_are_restored_upright(fix: FixArtifacts, orientation: int) -> None:
    picture = Image.fromarray(sample("heroine", (60, 100, 260, 220)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=30, exif=exif.tobytes())
    result, report = await fix(file.getvalue(), {"result": "restored"})
    upright = (picture.width, picture.height) if orientation < 5 else (120, 200)
    assert report["regions"][0]["box"] == [0, 0, *upright]
    plain, _ = await fix(file.getvalue(), {"result": "restored", "restore": False})
    assert 20 < psnr(pixels_of(result), pixels_of(plain)) < 60


async def test_banding_is_found_and_smoothed(fix: FixArtifacts) -> None:
    original = ramp(0)
    result, report = await fix(encoded(posterised(original, 16)), {"result": "restored"})
    assert kinds(report) == ["banding"]
    assert psnr(pixels_of(result), original) > psnr(posterised(original, 16), original) + 5


async def test_specks_are_found_and_inpainted(fix: FixArtifacts) -> None:
    picture = sample("heroine").copy()
    picture[30:32, 60:62] = 255, 255, 0
    result, report = await fix(encoded(picture), {"result": "restored"})
    assert [(r["kind"], r["box"]) for r in report["regions"]] == [("speck", [60, 30, 2, 2])]
    assert np.abs(pixels_of(result)[30:32, 60:62].astype(int) - picture[28, 60]).max() < 20


async def test_regions_are_in_the_inputs_pixels_and_land_in_the_upscaled_result(
    fix: FixArtifacts,
) -> None:
    x, y, width, height = 120, 60, 40, 30
    options = {"regions": [[x, y, width, height]], "scale": 2}
    result, report = await fix(encoded(sample("sunset")), options)
    pixels = pixels_of(result)
    inside = pixels[2 * y + 4 : 2 * (y + height) - 4, 2 * x + 4 : 2 * (x + width) - 4]
    assert (inside == (255, 0, 255)).all()
    plain, _ = await fix(encoded(sample("sunset")), {"scale": 2})
    away = np.ones(pixels.shape[:2], bool)
    away[2 * y - 24 : 2 * (y + height) + 24, 2 * x - 24 : 2 * (x + width) + 24] = False
    assert np.array_equal(pixels[away], pixels_of(plain)[away])
    assert report["regions"][0]["method"] == "caller"


async def test_a_mask_is_inpainted(fix: FixArtifacts) -> None:
    mask = np.zeros((270, 480), np.uint8)
    mask[100:130, 200:260] = 255
    options = {"mask": encoded(mask), "result": "restored"}
    result, report = await fix(encoded(sample("sunset")), options)
    assert (pixels_of(result)[105:125, 205:255] == (255, 0, 255)).all()
    assert report["done"][0]["box"] == (200, 100, 60, 30)


async def test_regions_can_be_requested_alone_and_are_drawn(fix: FixArtifacts) -> None:
    result, report = await fix(jpeg(sample("heroine"), 20), {"result": "regions"})
    assert pixels_of(result).shape == (480, 360, 3)
    assert tuple(pixels_of(result)[470, 0]) == artifacts.OUTLINES["jpeg"]
    assert report["done"] == []
    assert kinds(report) == ["jpeg"]


@pytest.mark.parametrize("detector", ["none", "speck", "banding"])
async def test_only_the_requested_detector_runs(fix: FixArtifacts, detector: str) -> None:
    data = encoded(resaved(opaque("sunset", 1), 30))
    _, report = await fix(data, {"detector": detector, "result": "regions"})
    assert "jpeg" not in kinds(report)


async def test_what_somebody_elses_detector_found_is_undone(fix: FixArtifacts) -> None:
    original = opaque("heroine", 1)
    damaged = resaved(original, 20, "4:2:0", (2, 1))
    box = [0, 0, 358, 240]
    regions = [{"kind": "jpeg", "box": box, "score": 0.5, "method": "mine"}]
    options = {"detector": "none", "regions": regions, "result": "restored"}
    result, _ = await fix(encoded(damaged), options)
    pixels, upper = pixels_of(result), original[1:, 2:][:240]
    assert psnr(pixels[:240], upper) > psnr(damaged[:240], upper) + 0.2
    assert np.array_equal(pixels[240:], damaged[240:])


async def test_restoring_can_be_left_out(fix: FixArtifacts) -> None:
    damaged = posterised(ramp(0), 16)
    result, _ = await fix(encoded(damaged), {"restore": False, "result": "restored"})
    assert np.array_equal(pixels_of(result), damaged)


async def test_a_detector_that_fails_is_named_without_detail(
    fix: FixArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(picture: object, source: object) -> list[object]:
        raise RuntimeError("/srv/secret/path")

    monkeypatch.setitem(artifacts.DETECTORS, "banding", broken)
    with pytest.raises(DetectorError, match="'banding' failed") as caught:
        await fix(encoded(sample("sunset")), {})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["gray", "alpha", "16 bit"])
async def test_every_kind_of_picture_goes_through(fix: FixArtifacts, kind: str) -> None:
    data = {
        "gray": encoded(resaved(sample("lineart"), 30)),
        "alpha": encoded(sample("mascot")),
        "16 bit": encoded_16(posterised(ramp(0), 16).astype(np.uint16) * 257),
    }[kind]
    result, report = await fix(data, {})
    assert report["output"]["mode"] == report["input"]["mode"]
    assert pixels_of(result).shape[0] == 2 * report["input"]["height"]


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 8), (9, 40)])
async def test_tiny_pictures_go_through(fix: FixArtifacts, size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 90, np.uint8)
    box = [0, 0, size[1], size[0]]
    trace = {"kind": "jpeg", "box": box, "grid": [3, 3], "quality": 30}
    for data in (encoded(pixels), jpeg(pixels, 30)):
        for options in ({}, {"regions": [trace]}, {"regions": [{"kind": "banding", "box": box}]}):
            result, _ = await fix(data, options)
            assert pixels_of(result).shape == (2 * size[0], 2 * size[1], 3)


async def test_bad_options_are_named(fix: FixArtifacts) -> None:
    data = encoded(sample("sunset"))
    bad: list[dict[str, Any]] = [
        {"regions": [[900, 0, 5, 5]]},
        {"mask": b"no picture"},
        {"mask": encoded(sample("heroine"))},
        {"detector": "hands"},
        {"inpaint": "photoshop"},
        {"regions": [[1, 2, 3]]},
    ]
    for options in bad:
        with pytest.raises(BadOption, match=f"option '{next(iter(options))}"):
            await fix(data, options)


async def test_the_report_of_an_animation_is_of_its_first_frame(fix_settings: FixSettings) -> None:
    damaged = resaved(sample("heroine", (60, 100, 200, 240)), 25)
    file, second = io.BytesIO(), Image.fromarray(sample("sunset", (0, 0, 140, 140)))
    Image.fromarray(damaged).save(
        file, "WEBP", save_all=True, append_images=[second], lossless=True, duration=80
    )
    overtaken = asyncio.Event()

    async def slow_at_first(model: str, tile: Tile) -> np.ndarray:
        if tile.pixels.shape[1:3] == (140, 140) and not overtaken.is_set():
            waits.append(None)
            if len(waits) == 2:
                overtaken.set()
            else:
                await overtaken.wait()
                await asyncio.sleep(0)
        return await nearest(model, tile)

    waits: list[None] = []
    fix = FixArtifacts(slow_at_first, pink, fix_settings)
    _, report = await fix(file.getvalue(), {"detector": "jpeg", "tile_size": 2048})
    assert len(waits) == 2
    assert kinds(report) == ["jpeg"]
    assert report["done"][0]["what"] == "restored"


async def test_a_cancelled_picture_stops(fix: FixArtifacts) -> None:
    with pytest.raises(Cancelled, match="caller disconnected"):
        await fix(encoded(sample("sunset")), {}, Caller(lambda: True))
