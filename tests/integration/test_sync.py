"""Pictures of every kind through a real Triton, and the same kind back: against the same pictures
as files."""

import io
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pictures import encoded, encoded_16, gradient, off, pixels_of, sample
from sakuga import BadImage, BadOption, Config, Images, Reply, SyncImages, connect_sync

VIDEO = {"model": "realesr-animevideov3"}


@pytest.fixture(scope="module")
def twin(config: Config, url: str) -> Iterator[SyncImages]:
    with connect_sync(config, url=url) as images:
        yield images


def drawn(channels: int, dtype: str = "uint8") -> np.ndarray:
    """A part of a drawing: gray, gray and alpha, RGB, or RGB and alpha."""
    colour = sample("sunset", (20, 20, 60, 50))
    gray = np.asarray(Image.fromarray(colour).convert("L"))
    alpha = np.asarray(Image.linear_gradient("L").resize((40, 30)))
    layers = {1: (gray,), 2: (gray, alpha), 3: (colour,), 4: (colour, alpha)}[channels]
    pixels = np.dstack(layers).astype(dtype)
    return pixels * 257 if dtype == "uint16" else pixels


def as_file(pixels: np.ndarray) -> bytes:
    """The same as a PNG file by another writer than ours."""
    if pixels.dtype == np.uint16:
        return encoded_16(pixels)
    return encoded(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_array_gives_the_pixels_of_the_file(twin: SyncImages, channels: int, dtype: str) -> None:
    pixels = drawn(channels, dtype)
    found = twin.upscale(pixels, scale=2, **VIDEO)
    expected = pixels_of(twin.upscale(as_file(pixels), scale=2, **VIDEO))
    assert (found.shape, found.dtype) == ((60, 80, channels), dtype)
    assert off(found, expected.reshape(found.shape)) == 0


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_gray_with_alpha_is_upscaled_as_its_two_layers(twin: SyncImages, dtype: str) -> None:
    pixels = drawn(2, dtype)
    found = twin.upscale(pixels, scale=2, **VIDEO)
    four = twin.upscale(pixels[..., [0, 0, 0, 1]], scale=2, **VIDEO)
    assert (found.shape, found.dtype) == ((60, 80, 2), dtype)
    assert off(found[..., 1], four[..., 3]) <= 257 * (dtype == "uint16")


def test_an_array_of_two_axes_has_two_axes_again(twin: SyncImages) -> None:
    pixels = drawn(1)[..., 0]
    found = twin.upscale(pixels, scale=2, **VIDEO)
    assert found.shape == (60, 80)
    assert off(found, twin.upscale(pixels[..., None], scale=2, **VIDEO)[..., 0]) == 0


def test_a_gray_page_in_rgb_stays_in_rgb(twin: SyncImages) -> None:
    pixels = np.repeat(drawn(1), 3, axis=2)
    assert twin.upscale(pixels, scale=2, **VIDEO).shape == (60, 80, 3)


def test_removing_a_background_adds_alpha_to_every_kind(twin: SyncImages) -> None:
    pixels = sample("heroine")
    found = twin.rembg(pixels, model="u2net")
    assert (found.shape, found.dtype) == ((*pixels.shape[:2], 4), np.uint8)
    image = twin.rembg(Image.fromarray(pixels), model="u2net")
    assert image.mode == "RGBA"
    expected = pixels_of(twin.rembg(encoded(pixels), model="u2net"))
    assert off(found, expected) == off(np.asarray(image), expected) == 0


def test_every_action_takes_an_array(twin: SyncImages) -> None:
    pixels = drawn(3)
    assert twin.fix_artifacts(pixels, scale=1, **VIDEO).shape == pixels.shape
    assert twin.enhance(pixels, scale=1, **VIDEO).shape == pixels.shape
    assert twin.rembg(pixels, model="u2net", only_mask=True).shape[:2] == pixels.shape[:2]


def test_a_mask_may_be_an_array_of_bool(twin: SyncImages) -> None:
    pixels, mask = drawn(3), np.zeros((30, 40), bool)
    mask[10:16, 10:20] = True
    plain = {"restore": False, "detector": "none", "result": "restored", "inpaint": "opencv"}
    found = twin.fix_artifacts(pixels, mask=mask, **plain)
    changed = (found != pixels).any(axis=2)
    assert changed[11:15, 11:19].any()
    assert not changed[:4].any()
    assert not changed[-4:].any()


def test_bytes_give_bytes_and_a_path_gives_the_reply(twin: SyncImages, tmp_path: Path) -> None:
    data = as_file(drawn(3))
    (tmp_path / "a.png").write_bytes(data)
    plain = twin.upscale(data, scale=2, **VIDEO)
    reply = twin.upscale(tmp_path / "a.png", scale=2, **VIDEO)
    assert type(plain) is bytes
    assert isinstance(reply, Reply)
    assert reply.report["output"]["width"] == 80
    assert reply._repr_png_() == reply.result
    assert off(pixels_of(reply.result), pixels_of(plain)) == 0
    saved = reply.save(tmp_path / "new" / "b.png")
    assert saved.read_bytes() == reply.result


async def test_both_twins_give_the_same(twin: SyncImages, images: Images) -> None:
    pixels = drawn(4)
    assert off(await images.upscale(pixels, **VIDEO), twin.upscale(pixels, **VIDEO)) == 0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_an_image_of_pillow_gives_the_pixels_of_its_file(twin: SyncImages, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(drawn(1, "uint16")[..., 0])
    else:
        image = Image.fromarray(drawn(4)).convert("RGB" if mode == "P" else "RGBA").convert(mode)
    file = io.BytesIO()
    image.save(file, "PNG")
    found = twin.upscale(image, scale=2, **VIDEO)
    expected = Image.open(io.BytesIO(twin.upscale(file.getvalue(), scale=2, **VIDEO)))
    assert found.mode == {"1": "L", "P": "RGB"}.get(mode, mode) == expected.mode
    assert off(np.asarray(found), np.asarray(expected)) == 0


def test_an_image_in_cmyk_comes_back_in_rgb(twin: SyncImages) -> None:
    image = Image.fromarray(drawn(3)).convert("CMYK")
    found = twin.upscale(image, scale=2, **VIDEO)
    expected = twin.upscale(image.convert("RGB"), scale=2, **VIDEO)
    assert found.mode == "RGB"
    assert np.abs(np.asarray(found).astype(int) - np.asarray(expected)).mean() < 8


def test_an_image_on_its_side_comes_back_upright_with_its_metadata(twin: SyncImages) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a heroine"
    data = encoded(gradient(20, 30), exif=exif, icc_profile=profile)
    found = twin.upscale(Image.open(io.BytesIO(data)), scale=2, **VIDEO)
    assert found.size == (40, 60)
    assert (found.getexif()[0x0112], found.getexif()[0x010E]) == (1, "a heroine")
    assert found.info["icc_profile"] == profile
    assert off(np.asarray(found), pixels_of(twin.upscale(data, scale=2, **VIDEO))) == 0


def test_options_are_checked_as_elsewhere(twin: SyncImages, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="'sclae' is unknown; allowed: model"):
        twin.upscale(drawn(3), sclae=2)
    with pytest.raises(BadOption, match=r"option 'scale' is 0\.5; allowed: a number from 1"):
        twin.upscale(drawn(3), scale=0.5)


def test_a_bad_file_is_named(twin: SyncImages, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(BadImage, match=r"notes\.png: "):
        twin.upscale(tmp_path / "notes.png")
    with pytest.raises(BadImage, match=r"notes\.png: "):
        twin.process(str(tmp_path / "notes.png"), "rembg", {"model": "u2net"})


def test_threads_each_get_their_own_picture(twin: SyncImages) -> None:
    parts = [sample("sunset", (10 * i, 5 * i, 10 * i + 30, 5 * i + 20)) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda part: twin.upscale(part, scale=2, **VIDEO), parts))
    for part, result in zip(parts, results, strict=True):
        assert off(result, twin.upscale(part, scale=2, **VIDEO)) == 0


def test_pillow_is_imported_for_its_images_alone(url: str, tmp_path: Path) -> None:
    code = f"""
import sys
import numpy as np
from sakuga import connect_sync
with connect_sync(url={url!r}) as images:
    images.upscale(np.zeros((4, 4, 3), np.uint8), model="realesr-animevideov3")
print("PIL" in sys.modules)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"
