"""Background removal through a real Triton: a picture step, a network, a matting step."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc.aio import InferenceServerClient

from calls import raw
from networks_for_tests import Engine
from pictures import bomb, encoded, encoded_16, gradient, off, pixels_of, sample
from sakuga import (
    BadImage,
    BadOption,
    Images,
    ModelNotLoaded,
    RembgProvider,
    TooLarge,
)
from sakuga.streaming import OnProgress
from sakuga_core.networks.registry import by_name
from sakuga_export.families import segmenters
from sakuga_export.output import ONNX
from sakuga_server.matting import mask as server_masks
from slow import full, some

U2NET, ANIME = {"model": "u2net"}, {"model": "isnet-anime"}


def expected_mask(repository: Path, name: str, picture: np.ndarray, letterbox: bool) -> np.ndarray:
    """The network's exported file run bare, and what the pipeline makes of it."""
    network = by_name(name)
    file = repository / network.folder / "1" / ONNX
    session = Engine(file)
    height, width = picture.shape[:2]
    side = network.side
    window = server_masks.letterbox(side, width, height) if letterbox else server_masks.whole(side)
    square = server_masks.square(picture, side, window)
    prediction = segmenters.run_file(network, session, square, np.array([letterbox]))[0]
    mask = server_masks.read(prediction, window, width, height, letterbox)
    assert mask is not None
    return mask


@pytest.mark.parametrize(
    ("name", "preprocess"),
    [("u2net", "rembg"), full("isnet-anime", "rembg"), ("isnet-anime", "letterbox")],
)
async def test_a_mask_equals_the_bare_network(
    images: Images, served: Path, name: str, preprocess: str
) -> None:
    picture = sample("heroine")
    options = {"model": name, "only_mask": True, "preprocess": preprocess}
    reply = await images.run(encoded(picture), "rembg", options)
    expected = expected_mask(served, name, picture, preprocess == "letterbox")
    assert off(pixels_of(reply.result), expected) == 0
    assert reply.report["model"] == name
    assert {"decode", "network", "mask", "encode", "total"} <= set(reply.report["milliseconds"])


async def test_the_two_ways_to_prepare_differ(images: Images) -> None:
    picture = encoded(sample("sunset"))
    options = ANIME | {"only_mask": True}
    stretched = await images.process(picture, "rembg", options)
    letterboxed = await images.process(picture, "rembg", options | {"preprocess": "letterbox"})
    assert off(pixels_of(stretched), pixels_of(letterboxed)) > 20


async def test_pictures_in_one_batch_get_their_own_masks(images: Images) -> None:
    parts = [sample("heroine", (i * 20, i * 30, 240 + i * 20, 300 + i * 30)) for i in range(4)]
    options = U2NET | {"only_mask": True}
    alone = [await images.process(encoded(part), "rembg", options) for part in parts]
    together = await asyncio.gather(
        *(images.process(encoded(part), "rembg", options) for part in parts)
    )
    for one, other in zip(alone, together, strict=True):
        assert off(pixels_of(other), pixels_of(one)) <= 1


async def test_the_heroine_keeps_no_background(images: Images) -> None:
    found = pixels_of(await images.process(encoded(sample("heroine")), "rembg", U2NET))
    alpha = found[..., 3]
    assert (alpha[220:260, 160:200] >= 254).all()  # her face; rembg truncates 0.999 to 254
    assert (alpha[:30, :100] == 0).all()  # the sky
    matted = pixels_of(
        await images.process(encoded(sample("heroine")), "rembg", U2NET | {"alpha_matting": True})
    )
    assert (matted[..., 3][220:260, 160:200] == 255).all()
    assert off(matted[..., 3], alpha) > 20


async def test_16_bits_gray_and_transparency(images: Images) -> None:
    deep = sample("heroine", (0, 60, 200, 300)).astype(np.uint16) * 257
    assert pixels_of(await images.process(encoded_16(deep), "rembg", U2NET)).dtype == np.uint16
    gray = await images.run(encoded(sample("lineart")), "rembg", U2NET)
    assert gray.report["output"]["mode"] == "gray+alpha 8 bit"
    own = sample("mascot")
    found = pixels_of(await images.process(encoded(own), "rembg", U2NET))
    assert (found[..., 3] <= own[..., 3]).all()


async def test_a_blank_picture_is_an_empty_result_with_a_warning(images: Images) -> None:
    blank = encoded(np.full((50, 70, 3), 255, np.uint8))
    reply = await images.run(blank, "rembg", U2NET | {"alpha_matting": True})
    assert not pixels_of(reply.result).any()
    assert "no figure" in reply.report["warnings"][0]


async def test_the_provider_alone_and_options_of_config(config: object, url: str) -> None:
    own = config.model_copy(deep=True)  # type: ignore[attr-defined]
    own.rembg.model = "u2net"
    own.rembg.only_mask = True
    own.providers.image.rembg.only_mask = False
    own.server.url = url
    async with RembgProvider(own) as provider:
        reply = await provider.run(encoded(sample("mascot")))
        assert reply.report["model"] == "u2net"
        assert pixels_of(reply.result).shape[2] == 4
        own.providers.image.rembg.only_mask = True
        assert pixels_of(await provider.process(encoded(gradient(9, 9)))).ndim == 2
        with pytest.raises(BadOption, match="allowed for RembgProvider: rembg"):
            await provider.process(encoded(gradient(9, 9)), "upscale")


BAD_REQUESTS = {
    "nothing": (b"", {}, BadImage, "empty"),
    "text": (b"I am no picture", {}, BadImage, "allowed: PNG, JPEG"),
    "truncated": (encoded(sample("sunset"))[:9000], {}, BadImage, "truncated"),
    "bomb": (bomb(), {}, TooLarge, "60000x60000"),
    "unknown option": (encoded(gradient(9, 9)), {"masks": 1}, BadOption, "'masks' is unknown"),
    "letterbox": (
        encoded(gradient(9, 9)),
        {"preprocess": "letterbox"},
        BadOption,
        "for u2net: rembg",
    ),
    "other model": (encoded(gradient(9, 9)), ANIME, BadOption, "in this ensemble: u2net"),
    "no json": (encoded(gradient(9, 9)), b"{", BadOption, "a JSON object"),
}


# The others end where the same ones do for `upscale`, in every run.
OF_REMBG = ("truncated", "bomb", "unknown option", "letterbox", "other model")


@pytest.mark.parametrize("case", some(BAD_REQUESTS, OF_REMBG))
async def test_a_bad_request_is_answered_and_the_next_one_served(url: str, case: str) -> None:
    image, options, kind, message = BAD_REQUESTS[case]
    with pytest.raises(kind, match=message) as caught:
        await raw(url, "rembg_u2net", image, options)
    assert "Traceback" not in str(caught.value)
    assert "/" not in str(caught.value)
    assert "in ensemble '" not in str(caught.value)
    await raw(url, "rembg_u2net", encoded(gradient(9, 9)), {})


async def test_an_ensemble_is_the_pipeline_with_its_network(url: str) -> None:
    picture = encoded(sample("mascot"))
    one = await raw(url, "rembg_u2net", picture, {})
    assert pixels_of(one).shape[2] == 4
    assert one == await raw(url, "rembg", picture, {"model": "u2net"})
    assert one == await raw(url, "rembg_u2net", picture, {"model": "u2net"})


async def test_models_that_are_not_there_are_distinguished(images: Images) -> None:
    picture = encoded(gradient(9, 9))
    with pytest.raises(ModelNotLoaded, match="sakuga export isnet-general-use"):
        await images.process(picture, "rembg", {"model": "isnet-general-use"})
    with pytest.raises(BadOption, match="'u3net'; allowed: isnet-anime, isnet-general-use, u2net"):
        await images.process(picture, "rembg", {"model": "u3net"})


async def test_the_network_computes_while_another_picture_is_refined(
    images: Images, url: str
) -> None:
    """Two pictures in flight, in a process of the pipeline and in one of its twin: the network's
    time and the rest's exceed the time that passed."""
    # Large, so that the rest takes long beside the network, whose square is always the same.
    picture = encoded(sample("heroine").repeat(3, axis=0).repeat(3, axis=1))
    options = U2NET | {"alpha_matting": True}
    await images.process(picture, "rembg", options)
    before, start = await network_seconds(url), time.perf_counter()
    both = (several(images, picture, options, each) for each in (None, lambda _: None))
    rest = sum(await asyncio.gather(*both))
    passed, after = time.perf_counter() - start, await network_seconds(url)
    assert after - before > 0.1
    assert rest > 0.1
    assert after - before + rest > 1.1 * passed


async def several(
    images: Images, picture: bytes, options: dict[str, object], on_progress: OnProgress | None
) -> float:
    """Seconds that their pipeline worked, and didn't wait for the network."""
    calls = (images.run(picture, "rembg", options, on_progress=on_progress) for _ in range(4))
    replies = [await call for call in calls]
    took = [reply.report["milliseconds"] for reply in replies]
    return sum(each["total"] - each["network"] for each in took) / 1000


async def network_seconds(url: str) -> float:
    """Seconds that the network has computed so far, by Triton's own statistics."""
    async with InferenceServerClient(url) as client:
        statistics = await client.get_inference_statistics("u2net")
    return statistics.model_stats[0].inference_stats.compute_infer.ns / 1e9
