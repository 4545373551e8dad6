"""Same weights, same results as the rembg library, through a real Triton."""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rembg
from PIL import Image

from composites import composite, sad
from pictures import encoded, off, pixels_of, sample
from sakuga import Images
from slow import full, some

SAMPLES = ("heroine", "lineart", "mascot", "sunset", "heroine_q25")
OF_EACH_KIND = ("lineart", "mascot", "heroine_q25")  # gray, transparent, a JPEG
samples = pytest.mark.parametrize("name", [*some(SAMPLES, OF_EACH_KIND)])
# What Sakuga does better, switched off.
AS_REMBG = {"premultiplied": True, "estimate_foreground": False}


@pytest.fixture(scope="session")
def session_of(
    published_segmenters: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Any]:
    """Makes the library's sessions, on the very files that ours were converted from."""
    home = tmp_path_factory.mktemp("u2net")
    for name, file in published_segmenters.items():
        (home / f"{name}.onnx").symlink_to(file)

    @cache
    def session(name: str) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("U2NET_HOME", str(home))
            patch.setenv("MODEL_CHECKSUM_DISABLED", "1")  # of weights that nobody trained
            return remembering(rembg.new_session(name))

    return session


def remembering(session: Any) -> Any:
    """A session that computes each picture once, however often the tests ask for it."""
    compute, known = session.predict, {}

    def predict(image: Image.Image, *arguments: Any, **options: Any) -> Any:
        key = image.mode, image.size, image.tobytes()
        if key not in known:
            known[key] = compute(image, *arguments, **options)
        return [mask.copy() for mask in known[key]]

    session.predict = predict
    return session


# rembg's names; u2net_human_seg is an alias of ours.
PEERS = ["u2net", "u2net_human_seg", *map(full, ("isnet-anime", "u2netp", "silueta"))]


@pytest.fixture(scope="session", params=[*PEERS, full("birefnet-general")])
def peer(request: pytest.FixtureRequest, session_of: Callable[[str], Any]) -> Any:
    return session_of(request.param)


async def ours(images: Images, data: bytes, peer: Any, **options: Any) -> np.ndarray:
    reply = await images.run(data, "rembg", {"model": peer.model_name, **options})
    return pixels_of(reply.result)


def theirs(data: bytes, peer: Any, **options: Any) -> np.ndarray:
    return pixels_of(rembg.remove(data, session=peer, **options))


def file_of(name: str) -> bytes:
    (file,) = (Path(__file__).parents[2] / "samples").glob(f"{name}.*g")
    return file.read_bytes()


@samples
async def test_masks_are_the_same(images: Images, peer: Any, name: str) -> None:
    data = file_of(name)
    found = await ours(images, data, peer, only_mask=True)
    assert off(found, theirs(data, peer, only_mask=True)) <= 1


@samples
async def test_plain_results_are_the_same(images: Images, peer: Any, name: str) -> None:
    data = file_of(name)
    expected = theirs(data, peer)
    found = np.asarray(as_rgba(await images.process(data, "rembg", options(peer, AS_REMBG))))
    assert off(found[..., 3], expected[..., 3]) <= 1
    visible = expected[..., 3] > 0
    assert off(found[visible], expected[visible]) <= 1
    straight = np.asarray(as_rgba(await images.process(data, "rembg", options(peer))))
    assert off(straight[..., 3], expected[..., 3]) <= 1


async def test_post_processed_masks_are_the_same(images: Images, peer: Any) -> None:
    data = file_of("heroine")
    wanted = {"only_mask": True, "post_process_mask": True}
    found = await ours(images, data, peer, **wanted)
    expected = theirs(data, peer, **wanted)
    assert set(np.unique(found)) == {0, 255}
    # A mask that is a level off may fall on the other side of the one threshold.
    assert (found != expected).mean() < 1e-4


async def test_matting_by_pymatting_is_the_same(
    images: Images, session_of: Callable[[str], Any]
) -> None:
    peer = session_of("u2net")
    data = encoded(np.asarray(Image.fromarray(sample("heroine")).resize((240, 320))))
    matted = {"alpha_matting": True, "alpha_matting_erode_size": 5}
    expected = theirs(data, peer, **matted)
    found = await ours(images, data, peer, matting="pymatting", **matted)
    assert off(found[..., 3], expected[..., 3]) <= 1
    visible = found[..., 3] > 0
    assert off(found[visible], expected[visible]) <= 1
    assert off(found[..., 3], (await ours(images, data, peer))[..., 3]) > 5


@pytest.mark.parametrize(
    "scene", [full("ink over checker"), full("ink over noise"), "glow over paint"]
)
async def test_fast_matting_is_as_near_the_truth_as_rembgs(
    images: Images, session_of: Callable[[str], Any], scene: str
) -> None:
    peer, made = session_of("u2net"), composite(scene, 500, 640)
    data = encoded(made.colour)
    expected = theirs(data, peer, alpha_matting=True)[..., 3] / 255
    found = (await ours(images, data, peer, alpha_matting=True))[..., 3] / 255
    assert sad(found, made.alpha) <= 1.05 * sad(expected, made.alpha)


def options(peer: Any, more: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"model": peer.model_name, **(more or {})}


def as_rgba(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGBA")
