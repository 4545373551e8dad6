"""`fix_artifacts` through a real Triton: with real networks, and with parts of the caller's own."""

import asyncio
import io
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from PIL import Image

from calls import raw
from drawn import jpeg, opaque, psnr, resaved
from networks_for_tests import is_exported
from pictures import encoded, off, pixels_of, sample
from sakuga import (
    ArtifactFixProvider,
    AutoDetector,
    BadImage,
    BadOption,
    Config,
    DetectorError,
    ImageAction,
    Images,
    ModelNotLoaded,
    RealESRGANProvider,
    Region,
    TooLarge,
    connect,
    fix_artifacts,
    inpaint_regions,
)
from slow import full

VIDEO = {"model": "realesr-animevideov3"}
DAMAGED = jpeg(sample("heroine", (60, 100, 260, 300)), 25)
MIGAN = pytest.mark.skipif(not is_exported("migan"), reason="MI-GAN's weights couldn't be had")


@pytest.fixture
def quick(config: Config, url: str) -> Config:
    """A configuration whose network is quick."""
    own = config.model_copy(deep=True)
    own.server.url = url
    own.realesrgan.model = "realesr-animevideov3"
    return own


async def test_a_damaged_picture_is_repaired_and_upscaled_twice(images: Images) -> None:
    reply = await images.run(DAMAGED, "fix_artifacts", {"scale": 2, **VIDEO})
    assert pixels_of(reply.result).shape == (400, 400, 3)
    (region,) = reply.report["regions"]
    assert (region["kind"], region["quality"]) == ("jpeg", 25)
    assert [done["what"] for done in reply.report["done"]] == ["restored", "upscaled"]
    stages = {"decode", "detect", "restore", "inpaint", "network", "resize", "encode"}
    stages.add("jpeg_consistency")
    stages.add("total")
    assert set(reply.report["milliseconds"]) == stages


@pytest.mark.parametrize(("name", "top"), [full("heroine", 240), ("mascot", 120)])
async def test_it_pays(images: Images, name: str, top: int) -> None:
    """With the real anime network the result is nearer to the original than without repairing."""
    original = opaque(name, 2)[top : top + 320, 160:480]
    half = Image.fromarray(original).resize((160, 160), Image.Resampling.BOX)
    data = jpeg(np.asarray(half), 30)
    repaired = pixels_of(await images.process(data, "fix_artifacts", {"scale": 2}))
    plain = pixels_of(await images.process(data, "upscale", {"scale": 2}))
    assert psnr(repaired, original) > psnr(plain, original) + 0.5


async def test_clean_pictures_come_out_as_from_upscale(images: Images) -> None:
    for name in ("lineart", "mascot"):
        data = encoded(sample(name, (40, 40, 200, 200)))
        repaired = await images.process(data, "fix_artifacts", {"scale": 2, **VIDEO})
        plain = await images.process(data, "upscale", {"scale": 2, **VIDEO})
        assert off(pixels_of(repaired), pixels_of(plain)) == 0


@MIGAN
async def test_migan_inpaints_a_region_and_nothing_else(images: Images) -> None:
    picture = sample("sunset")
    box = (200, 40, 60, 50)
    options = {"regions": [box], "inpaint": "migan", "result": "restored"}
    reply = await images.run(encoded(picture), "fix_artifacts", options)
    assert reply.report["done"] == [{"what": "inpainted", "box": list(box), "by": "migan"}]
    result = pixels_of(reply.result)
    away = np.ones(picture.shape[:2], bool)
    away[35:95, 195:265] = False
    assert np.array_equal(result[away], picture[away])
    hole = result[45:85, 205:255].astype(int)
    # It is sky again: of the colours around it, with nothing that stands out.
    around = picture[30:100, 190:270].reshape(-1, 3).astype(int)
    assert (hole.min(axis=(0, 1)) >= around.min(axis=0) - 30).all()
    assert (hole.max(axis=(0, 1)) <= around.max(axis=0) + 30).all()


async def test_lama_is_served_by_the_other_backend(images: Images) -> None:
    data = encoded(sample("sunset"))
    options = {"regions": [[200, 40, 60, 50]], "inpaint": "lama-anime", "result": "restored"}
    reply = await images.run(data, "fix_artifacts", options)
    assert reply.report["done"][0]["by"] == "lama-anime"


async def test_requests_in_flight_keep_their_own_pictures(images: Images) -> None:
    boxes = [(20 + 40 * i, 30, 30, 30) for i in range(5)]
    data = [encoded(sample("sunset", (0, 0, 300 + i, 200))) for i in range(5)]
    options = [{"regions": [box], "inpaint": "opencv", "result": "restored"} for box in boxes]
    pairs = list(zip(data, options, strict=True))
    alone = [await images.process(d, "fix_artifacts", o) for d, o in pairs]
    together = await asyncio.gather(*(images.process(d, "fix_artifacts", o) for d, o in pairs))
    assert together == alone


async def test_the_function_does_what_the_action_does(quick: Config, images: Images) -> None:
    upscaler = RealESRGANProvider(quick, images.triton)
    by_parts = pixels_of(await fix_artifacts(DAMAGED, upscaler))
    async with ArtifactFixProvider(quick) as provider:
        # The function's upscaler may be anybody's, so nobody holds its result to the file.
        options = {"jpeg_consistency": False}
        at_once = await provider.process(DAMAGED, ImageAction.FIX_ARTIFACTS, options)
    assert off(by_parts, pixels_of(at_once)) == 0


class Twice:
    """An upscaler that is none of ours; keeps its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[bytes, str, Mapping[str, Any]]] = []

    async def process(
        self, image: bytes, action: ImageAction | str, config: Mapping[str, Any] | None = None
    ) -> bytes:
        self.calls.append((image, action, config or {}))
        return encoded(pixels_of(image).repeat(2, axis=0).repeat(2, axis=1))


class Finds:
    """A detector that is none of ours."""

    def __init__(self, *regions: Region) -> None:
        self.regions = list(regions)

    async def detect(self, image: bytes) -> list[Region]:
        return self.regions


class Fails:
    async def detect(self, image: bytes) -> list[Region]:
        raise ValueError("no weights")


async def test_any_upscaler_gets_the_repaired_picture(images: Images) -> None:
    upscaler = Twice()
    result = await fix_artifacts(DAMAGED, upscaler, triton=images.triton)
    ((repaired, action, options),) = upscaler.calls
    assert action is ImageAction.UPSCALE
    assert options == {"scale": 2, "denoise_strength": 0.7}
    restored = await images.process(DAMAGED, "fix_artifacts", {"result": "restored"})
    assert off(pixels_of(repaired), pixels_of(restored)) == 0
    assert pixels_of(result).shape == (400, 400, 3)


async def test_any_detector_says_what_is_repaired(images: Images, quick: Config) -> None:
    box = (60, 50, 40, 30)
    data = encoded(sample("sunset", (0, 0, 200, 160)))
    upscaler = Twice()
    await fix_artifacts(data, upscaler, Finds(Region(box=box)), triton=images.triton)
    changed = (pixels_of(upscaler.calls[0][0]) != pixels_of(data)).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert rows.min() >= 45
    assert rows.max() < 85
    assert columns.min() >= 55
    assert columns.max() < 105
    async with ArtifactFixProvider(quick, detector=Finds(Region(box=box))) as provider:
        reply = await provider.run(data)
    assert reply.report["regions"][0]["box"] == list(box)
    # Nothing else is looked for: this JPEG's compression stays.
    async with ArtifactFixProvider(quick, detector=Finds()) as provider:
        assert (await provider.run(DAMAGED)).report["regions"] == []


async def test_a_detector_that_fails_is_an_error_that_names_it(images: Images) -> None:
    with pytest.raises(DetectorError, match="detector Fails failed: ValueError: no weights"):
        await fix_artifacts(DAMAGED, Twice(), Fails(), triton=images.triton)
    wrong = Finds(*[{"box": [1, 2, 0, 4]}])  # type: ignore[arg-type]
    with pytest.raises(DetectorError, match="detector Finds returned no regions"):
        await fix_artifacts(DAMAGED, Twice(), wrong, triton=images.triton)
    provider = ArtifactFixProvider(images.config, images.triton, Fails())
    with pytest.raises(DetectorError):
        await provider.process(DAMAGED)


async def test_the_servers_detector_gives_regions(images: Images) -> None:
    found = await AutoDetector(images.triton).detect(
        encoded(resaved(opaque("heroine", 1), 30, cut=(3, 5)))
    )
    assert [(r.kind, r.grid, r.quality) for r in found] == [("jpeg", (5, 3), 30)]


async def test_regions_are_inpainted_by_a_function_too(images: Images) -> None:
    picture = sample("sunset")
    result = await inpaint_regions(
        encoded(picture), [Region(box=(200, 40, 60, 50))], "opencv", triton=images.triton
    )
    changed = (pixels_of(result) != picture).any(axis=2)
    assert changed[45:85, 205:255].mean() > 0.5
    changed[35:95, 195:265] = False
    assert not changed.any()
    mask = np.zeros(picture.shape[:2], np.uint8)
    mask[100:140, 100:150] = 255
    result = await inpaint_regions(
        encoded(picture), [], "opencv", mask=encoded(mask), triton=images.triton
    )
    changed = (pixels_of(result) != picture).any(axis=2)
    assert changed[105:135, 105:145].any()
    changed[95:145, 95:155] = False
    assert not changed.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regions": [[9999, 0, 5, 5]]}, "outside the picture; allowed: x from 0 to 199"),
        ({"mask": "bm8gcGljdHVyZQ=="}, "option 'mask': the image's format is unknown"),
        ({"mask": "!"}, "option 'mask' is '!'; allowed: a picture file"),
        ({"detector": "hands"}, "option 'detector' is 'hands'; allowed: auto, jpeg"),
    ],
)
async def test_a_bad_request_is_answered_and_the_next_one_served(
    url: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadOption, match=message) as caught:
        await raw(url, "fix_artifacts", DAMAGED, options)
    assert "Traceback" not in str(caught.value)
    await raw(url, "fix_artifacts", DAMAGED, {"result": "regions"})


async def test_a_model_that_is_not_loaded_is_an_error(images: Images) -> None:
    with pytest.raises(ModelNotLoaded, match="sakuga export realesrgan-x4plus"):
        await images.process(DAMAGED, "fix_artifacts", {"model": "realesrgan-x4plus"})


async def test_config_chooses_what_upscales(config: Config, url: str) -> None:
    own = config.model_copy(deep=True)
    own.providers.image.fix_artifacts.model = "realesr-animevideov3"
    own.providers.image.fix_artifacts.scale = 3
    async with connect(own, url=url) as swapped:
        reply = await swapped.run(DAMAGED, "fix_artifacts")
    assert reply.report["model"] == "realesr-animevideov3"
    assert reply.report["output"]["width"] == 600


def test_damaged_jpegs_of_all_sorts_are_answered(url: str) -> None:
    """Bytes changed at random: each is repaired or refused, and the server lives."""
    random = np.random.default_rng(0)
    file = io.BytesIO()
    Image.fromarray(sample("heroine", (60, 100, 124, 164))).save(file, "JPEG", progressive=True)

    async def all_of_them() -> int:
        repaired = 0
        for _ in range(25):
            data = bytearray(file.getvalue())
            for at in random.integers(2, len(data), 3):
                data[at] = random.integers(256)
            with suppress(BadImage, TooLarge):
                await raw(url, "fix_artifacts", bytes(data), {"result": "restored"})
                repaired += 1
        await raw(url, "fix_artifacts", file.getvalue(), {"result": "restored"})
        return repaired

    assert asyncio.run(all_of_them()) > 0
