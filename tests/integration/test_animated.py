"""Animated pictures and pages through a real server, in every action."""

import io
from itertools import product

import numpy as np
import pytest
from PIL import Image

from moving import read, shown
from pictures import encoded, pixels_of, sample
from sakuga import Images
from slow import full

VIDEO = {"model": "realesr-animevideov3"}


def scene(count: int) -> list[np.ndarray]:
    """The mascot moving before a still background: (180, 260, 3)."""
    ground = Image.fromarray(sample("sunset")[:180, :260])
    figure = Image.fromarray(sample("mascot")).resize((60, 60))
    frames = []
    for index in range(count):
        frame = ground.copy()
        frame.paste(figure, (40 + 6 * index, 70), figure)
        frames.append(np.asarray(frame))
    return frames


def webp(frames: list[np.ndarray], **options: object) -> bytes:
    first, *others = map(Image.fromarray, frames)
    file = io.BytesIO()
    first.save(file, "WEBP", save_all=True, append_images=others, lossless=True, **options)
    return file.getvalue()


async def test_frames_equal_those_that_are_computed_alone(images: Images) -> None:
    frames = scene(4)
    reply = await images.run(webp(frames, duration=80), "upscale", {**VIDEO, "tile_size": 64})
    assert reply.report["tiles_computed"] < 0.8 * reply.report["tiles"]
    for found, frame in zip(shown(read(reply.result)), frames, strict=True):
        alone = await images.process(encoded(frame), "upscale", {**VIDEO, "tile_size": 64})
        assert np.array_equal(found[..., :3], pixels_of(alone))


async def test_backgrounds_of_frames_are_removed_as_of_stills(images: Images) -> None:
    frames = scene(3)
    options = {"model": "u2net", "format": "png"}
    reply = await images.run(webp(frames, duration=[80, 200, 40], loop=2), "rembg", options)
    moving = read(reply.result)
    assert list(moving.timing.durations) == [80, 200, 40]
    assert reply.report["frames"] == 3
    for found, frame in zip(shown(moving), frames, strict=True):
        alone = pixels_of(await images.process(encoded(frame), "rembg", options))
        seen = alone[..., 3] > 0
        assert np.array_equal(found[..., 3], alone[..., 3])
        assert np.array_equal(found[seen], alone[seen])


@pytest.mark.parametrize("options", [{}, {"only_mask": True}, {"background_color": "#00ff00"}])
async def test_every_kind_of_foreground_moves(images: Images, options: dict[str, object]) -> None:
    reply = await images.run(webp(scene(2), duration=80), "rembg", {"model": "u2net", **options})
    moving = read(reply.result)
    assert moving.format == "webp"
    assert moving.alpha == (not options)


async def test_frames_are_repaired(images: Images) -> None:
    frames = scene(2)
    options = {**VIDEO, "format": "png"}
    reply = await images.run(webp(frames, duration=80), "fix_artifacts", options)
    assert {"regions", "done", "frames"} <= reply.report.keys()
    for found, frame in zip(shown(read(reply.result)), frames, strict=True):
        alone = await images.process(encoded(frame), "fix_artifacts", options)
        assert np.array_equal(found[..., :3], pixels_of(alone))


async def test_the_first_frame_alone_has_its_background_removed(images: Images) -> None:
    frames = scene(2)
    options = {"model": "u2net", "animation": "first"}
    found = await images.process(webp(frames, duration=80), "rembg", options)
    alone = await images.process(encoded(frames[0]), "rembg", options)
    assert np.array_equal(pixels_of(found), pixels_of(alone))


@pytest.mark.parametrize("action", ["upscale", "fix_artifacts", "rembg"])
async def test_every_page_is_worked_on(images: Images, action: str) -> None:
    first, second = (Image.fromarray(frame) for frame in scene(2))
    file = io.BytesIO()
    first.save(file, "TIFF", save_all=True, append_images=[second.crop((0, 0, 90, 70))])
    options = {"model": "u2net"} if action == "rembg" else {**VIDEO, "scale": 2}
    reply = await images.run(file.getvalue(), action, options)
    assert reply.report["output"]["format"] == "tiff"
    factor = 1 if action == "rembg" else 2
    with Image.open(io.BytesIO(reply.result)) as pages:
        assert pages.n_frames == 2
        assert pages.size == (260 * factor, 180 * factor)
        pages.seek(1)
        assert pages.size == (90 * factor, 70 * factor)


@pytest.mark.parametrize(
    ("size", "action"),
    [
        *product(((1, 1), (1, 40), (40, 1)), ("upscale", "fix_artifacts")),
        ((1, 1), "rembg"),
        full((1, 40), "rembg"),
        full((40, 1), "rembg"),
    ],
)
async def test_a_line_of_pixels_works(images: Images, size: tuple[int, int], action: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    options = {"model": "u2net"} if action == "rembg" else VIDEO
    found = pixels_of(await images.process(encoded(pixels), action, options))
    factor = {"upscale": 4, "fix_artifacts": 2, "rembg": 1}[action]
    assert found.shape[:2] == (size[0] * factor, size[1] * factor)
