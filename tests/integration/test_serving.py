"""Pictures of every kind through a real Triton, against the network's file run bare."""

import asyncio
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from networks_for_tests import PROJECT, Bare
from pictures import encoded, encoded_16, gradient, off, pixels_of, sample
from sakuga import Config, ImageAction, Images, RealESRGANProvider, connect
from sakuga.cli.measure import measure
from sakuga_core.networks.registry import by_name
from sakuga_export.families import upscalers
from slow import full, some

VIDEO, ANIME, GENERAL = "realesr-animevideov3", "realesrgan-x4plus-anime", "realesr-general-x4v3"


@pytest.mark.parametrize("model", [VIDEO, ANIME])
async def test_a_picture_equals_the_bare_network(
    images: Images, bare: dict[str, Bare], model: str
) -> None:
    pixels = sample("sunset", (100, 60, 220, 150))
    result = await images.process(encoded(pixels), ImageAction.UPSCALE, {"model": model})
    assert off(pixels_of(result), bare[model](pixels)) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 2), (37, 53)])
@pytest.mark.parametrize("model", [VIDEO, ANIME])
async def test_odd_and_tiny_sizes(
    images: Images, bare: dict[str, Bare], model: str, size: tuple[int, int]
) -> None:
    pixels = gradient(*size)
    # One pixel is of one colour, and black is gray.
    options = {"model": model, "reference_flat": True, "preserve_gray": False}
    result = await images.process(encoded(pixels), "upscale", options)
    assert off(pixels_of(result), bare[model](pixels)) == 0


@pytest.fixture(scope="module")
def untiled(bare: dict[str, Bare]) -> tuple[np.ndarray, np.ndarray]:
    """A picture, and what the video network makes of it in one piece."""
    pixels = np.asarray(Image.fromarray(sample("sunset")).resize((550, 309)))
    return pixels, bare[VIDEO](pixels)


@pytest.mark.parametrize("tile_size", some((64, 100, 129, 256, 512), (129, 512)))
async def test_tiled_equals_untiled_for_the_video_network(
    images: Images, untiled: tuple[np.ndarray, np.ndarray], tile_size: int
) -> None:
    pixels, expected = untiled
    options = {"model": VIDEO, "tile_size": tile_size}
    reply = await images.run(encoded(pixels), "upscale", options)
    assert reply.report["tiles"] > 1
    assert off(pixels_of(reply.result), expected) <= 1


@pytest.mark.parametrize(
    ("tile_size", "tiles", "width", "height"), [full(64, 4, 264, 262), (100, 2, 300, 130)]
)
async def test_tiled_equals_untiled_for_the_anime_network(
    images: Images, bare: dict[str, Bare], tile_size: int, tiles: int, width: int, height: int
) -> None:
    pixels = sample("heroine", (40, 120, 40 + width, 120 + height))
    options = {"model": ANIME, "tile_size": tile_size}
    reply = await images.run(encoded(pixels), "upscale", options)
    assert reply.report["tiles"] == tiles
    assert off(pixels_of(reply.result), bare[ANIME](pixels)) <= 1


async def test_16_bits_in_16_bits_out_and_finer_than_8(
    images: Images, bare: dict[str, Bare]
) -> None:
    pixels = sample("sunset", (0, 0, 90, 70)).astype(np.uint16) * 257 + 40
    found = pixels_of(await images.process(encoded_16(pixels), "upscale", {"model": VIDEO}))
    assert off(found, bare[VIDEO](pixels)) == 0
    assert len(np.unique(found)) > 256


@pytest.mark.parametrize(
    ("action", "model"), [("upscale", VIDEO), ("fix_artifacts", VIDEO), ("rembg", "u2net")]
)
async def test_raw_pixels_are_those_of_the_file(images: Images, action: str, model: str) -> None:
    picture = sample("heroine", (100, 100, 196, 164))
    data = encoded_16(picture.astype(np.uint16) * 257) if action == "upscale" else encoded(picture)
    reply = await images.run(data, action, {"model": model, "format": "raw"})
    expected = pixels_of(await images.process(data, action, {"model": model}))
    assert off(reply.pixels, expected[None]) == 0
    assert reply.report["output"]["format"] == "raw"


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "BMP", "TIFF", "GIF"])
async def test_every_kind_of_file(images: Images, format: str) -> None:
    data = encoded(sample("sunset", (0, 0, 60, 40)), format)
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    expected = await images.process(encoded(pixels), "upscale", {"model": VIDEO})
    found = await images.process(data, "upscale", {"model": VIDEO})
    assert off(pixels_of(found), pixels_of(expected)) == 0


async def test_gray_stays_gray(images: Images, bare: dict[str, Bare]) -> None:
    gray = sample("lineart", (60, 60, 160, 140))
    found = pixels_of(await images.process(encoded(gray), "upscale", {"model": VIDEO}))
    whole = bare[VIDEO](np.dstack((gray,) * 3)).astype(float)
    assert found.ndim == 2
    assert np.abs(whole @ (0.299, 0.587, 0.114) - found).max() <= 1


async def test_metadata_is_kept_and_can_be_left_out(images: Images) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a heroine"
    data = encoded(gradient(20, 30), exif=exif, icc_profile=profile)
    kept = Image.open(io.BytesIO(await images.process(data, "upscale", {"model": VIDEO})))
    assert kept.size == (80, 120)
    assert kept.info["icc_profile"] == profile
    assert (kept.getexif()[0x0112], kept.getexif()[0x010E]) == (1, "a heroine")
    options = {"model": VIDEO, "keep_metadata": False}
    bare = Image.open(io.BytesIO(await images.process(data, "upscale", options)))
    assert "icc_profile" not in bare.info
    assert not bare.getexif()


@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255), (255, 0, 255)])
async def test_a_transparent_picture_has_no_fringes(
    images: Images, background: tuple[int, ...]
) -> None:
    # A disk of one colour, black beneath its transparency, as most programs leave it.
    colour, size = np.array([90, 200, 160]), 64
    distance = np.hypot(*(np.mgrid[0:size, 0:size] - size / 2 + 0.5))
    alpha = (np.clip(24.5 - distance, 0, 1) * 255).astype(np.uint8)
    disk = np.where(alpha[..., None] > 0, colour, 0).astype(np.uint8)
    data = encoded(np.dstack((disk, alpha)))
    options = {"model": ANIME}
    fringes = {}
    for reference in (False, True):
        options["reference_alpha"] = reference
        found = pixels_of(await images.process(data, "upscale", options)).astype(float)
        share = found[..., 3:] / 255
        laid = found[..., :3] * share + np.array(background) * (1 - share)
        ideal = colour * share + np.array(background) * (1 - share)
        fringes[reference] = np.abs(laid - ideal).max()
    assert fringes[False] <= 4  # what the network adds to a flat colour
    assert fringes[True] > 40  # the measure does see fringes


async def test_denoise_strengths_equal_the_references_interpolation(
    images: Images, general_states: list[upscalers.State]
) -> None:
    network, pixels = by_name(GENERAL), sample("heroine_q25", (100, 150, 180, 210))
    for strength in (0, 0.5, 1):
        options = {"model": GENERAL, "denoise_strength": strength}
        found = pixels_of(await images.process(encoded(pixels), "upscale", options))
        expected = upscalers.reference(network, general_states, pixels[None], strength)[0]
        assert off(found.astype(np.int64), expected) <= 1


async def test_strengths_never_share_a_batch(images: Images, bare: dict[str, Bare]) -> None:
    pixels, strengths = gradient(40, 40), [0, 0.25, 0.5, 0.75, 1] * 4
    requests = [
        images.process(encoded(pixels), "upscale", {"model": GENERAL, "denoise_strength": s})
        for s in strengths
    ]
    for strength, result in zip(strengths, await asyncio.gather(*requests), strict=True):
        assert off(pixels_of(result), bare[GENERAL](pixels, strength)) <= 1


async def test_clients_at_once_each_get_their_own_picture(
    config: Config, url: str, bare: dict[str, Bare]
) -> None:
    drawn = sample("sunset")
    parts = [drawn[10 * i : 120, 7 * i : 180 + 9 * i] for i in range(4)]

    async def client(pixels: np.ndarray) -> bytes:
        async with connect(config, url=url) as images:
            options = {"model": VIDEO, "tile_size": 32 + pixels.shape[1] % 7}
            return await images.process(encoded(pixels), "upscale", options)

    before = await network_statistics(config, url)
    results = await asyncio.gather(*(client(part) for part in parts * 2))
    for pixels, result in zip(parts * 2, results, strict=True):
        assert off(pixels_of(result), bare[VIDEO](pixels)) <= 1
    after = await network_statistics(config, url)
    tiles, batches = (after[k] - before[k] for k in ("images", "batches"))
    assert tiles > batches


async def network_statistics(config: Config, url: str) -> dict[str, float]:
    async with connect(config, url=url) as images:
        state = await images.triton.status()
        return dict(state["models"]["realesr_animevideov3"])


async def test_a_stock_triton_client_needs_no_options(url: str) -> None:
    client = InferenceServerClient(url)
    image = InferInput("IMAGE", [1], "BYTES")
    image.set_data_from_numpy(np.array([encoded(gradient(10, 12))], dtype=object))
    answer = await client.infer("upscale", [image])
    assert pixels_of(answer.as_numpy("RESULT")[0]).shape == (40, 48, 3)
    assert json.loads(answer.as_numpy("REPORT")[0])["model"] == ANIME
    await client.close()


async def test_an_assigned_model_serves_the_next_call(config: Config, url: str) -> None:
    mine = config.model_copy(deep=True)
    async with connect(mine, url=url) as images:
        assert (await images.run(encoded(gradient(9, 9)), "upscale")).report["model"] == ANIME
        images.config.providers.image.upscale.model = VIDEO
        assert (await images.run(encoded(gradient(9, 9)), "upscale")).report["model"] == VIDEO


async def test_a_provider_alone(config: Config, url: str) -> None:
    mine = config.model_copy(deep=True)
    mine.server.url = url
    async with RealESRGANProvider(mine) as provider:
        result = await provider.process(encoded(gradient(9, 9)), "upscale", {"scale": 2})
    assert pixels_of(result).shape == (18, 18, 3)


async def test_networks_and_status_are_reported(images: Images) -> None:
    networks = await images.triton.networks()
    assert networks[VIDEO]["loaded"]
    assert not networks["realesrgan-x4plus"]["loaded"]
    assert (await images.triton.status())["ready"]


@pytest.mark.parametrize(
    ("name", "unit"),
    [(VIDEO, "ms a megapixel"), ("u2net", "ms a picture"), ("lama-anime", "ms a picture")],
)
async def test_a_network_of_each_kind_is_measured(images: Images, name: str, unit: str) -> None:
    facts = (await images.triton.networks())[name]
    speed, _, found = (await measure(images.triton, name, facts)).partition(" ")
    assert float(speed) > 0
    assert found == unit


def test_the_server_serves_the_projects_own_pipeline(served: Path) -> None:
    model = Path("upscale") / "1" / "model.py"
    assert (served / model).read_text() == (PROJECT / "model_repository" / model).read_text()
