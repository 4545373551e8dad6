"""Everything a caller or the world can do wrong, against a real Triton that must stay up."""

import asyncio
import json

import numpy as np
import pytest
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from calls import raw, until_begun
from pictures import bomb, encoded, gradient, sample
from sakuga import (
    BadImage,
    BadOption,
    Config,
    DeadlineExceeded,
    Images,
    ModelNotLoaded,
    Overloaded,
    SakugaError,
    ServerUnavailable,
    TooLarge,
    connect,
    request_id,
)
from sakuga.triton import Triton
from sakuga_core.config.server import Server
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import by_name
from sakuga_core.repository import writer
from sakuga_server.imaging import tiling
from sakuga_server.runtime.embedded import free_port, run_triton

PICTURE = encoded(gradient(16, 16))
VIDEO, NETWORK = {"model": "realesr-animevideov3"}, "realesr_animevideov3"


BAD_REQUESTS = {
    "nothing": (b"", {}, BadImage, "empty"),
    "text": (b"I am no picture", {}, BadImage, "allowed: PNG, JPEG"),
    "truncated": (encoded(sample("sunset"))[:9000], {}, BadImage, "truncated"),
    "bomb": (bomb(), {}, TooLarge, "60000x60000"),
    "unknown option": (PICTURE, {"sclae": 2}, BadOption, "'sclae' is unknown; allowed: model"),
    "scale 70": (PICTURE, {"scale": 70}, BadOption, "a number from 1 to 16"),
    "unknown model": (PICTURE, {"model": "waifu2x"}, BadOption, "allowed: realesrgan-x4plus-anime"),
    "not loaded": (PICTURE, {"model": "realesrgan-x4plus"}, ModelNotLoaded, "sakuga export"),
    "no json": (PICTURE, b"{scale: 2", BadOption, "a JSON object"),
    "a list": (PICTURE, b"[1]", BadOption, "a JSON object"),
    "nested": (PICTURE, b"[" * 5000, BadOption, "a JSON object"),
    "true for a number": (
        PICTURE,
        {"scale": True},
        BadOption,
        "'scale' is True; allowed: a number",
    ),
    "200 unknown": (PICTURE, {f"{n}é" * 50: n for n in range(200)}, BadOption, "is unknown"),
    "a long name": (PICTURE, {"model": "é" * 20_000}, BadOption, "allowed: realesrgan-x4plus"),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
async def test_a_bad_request_is_answered_and_the_next_one_served(url: str, case: str) -> None:
    image, options, kind, message = BAD_REQUESTS[case]
    # Past the client's own checks, as a client in another language would be.
    with pytest.raises(kind, match=message) as caught:
        await raw(url, "upscale", image, options)
    assert "/" not in str(caught.value).replace("`", "")  # no path
    assert "Traceback" not in str(caught.value)
    await raw(url, "upscale", PICTURE, VIDEO)


@pytest.mark.parametrize(
    ("image", "options", "code"),
    [
        (b"no picture", {}, "INVALID_ARGUMENT"),
        (PICTURE, {"scale": 70}, "INVALID_ARGUMENT"),
        (PICTURE, {"model": "realesrgan-x4plus"}, "NOT_FOUND"),
    ],
)
async def test_errors_have_their_grpc_status(
    url: str, image: bytes, options: dict[str, object], code: str
) -> None:
    client = InferenceServerClient(url)
    tensors = []
    for name, value in (("IMAGE", image), ("OPTIONS", str(options).replace("'", '"').encode())):
        tensor = InferInput(name, [1], "BYTES")
        tensor.set_data_from_numpy(np.array([value], dtype=object))
        tensors.append(tensor)
    with pytest.raises(InferenceServerException) as caught:
        await client.infer("upscale", tensors)
    assert caught.value.status() == f"StatusCode.{code}"
    await client.close()


def tensors(**arrays: np.ndarray) -> list[InferInput]:
    kinds = {"u": "UINT8", "f": "FP32", "O": "BYTES"}
    made = []
    for name, array in arrays.items():
        made.append(InferInput(name, list(array.shape), kinds[array.dtype.kind]))
        made[-1].set_data_from_numpy(array)
    return made


def text(value: bytes) -> np.ndarray:
    return np.array([value], dtype=object)


NETWORK_CALLS = {
    "a network's pixels": (
        NETWORK,
        tensors(IMAGE=np.zeros((1, 2000, 2000, 3), np.uint8)),
        ["RESULT"],
        "TooLarge: IMAGE has 2000x2000",
    ),
    "a network's square": (
        "u2net",
        tensors(IMAGE=np.zeros((1, 2000, 2000, 3), np.uint8)),
        ["MASK"],
        r"unexpected shape for input 'IMAGE'.* Expected \[-1,320,320,3\]",
    ),
}


@pytest.mark.parametrize("case", NETWORK_CALLS)
async def test_what_pipelines_call_holds_their_limits_for_others_too(url: str, case: str) -> None:
    model, inputs, outputs, message = NETWORK_CALLS[case]
    client = InferenceServerClient(url)
    with pytest.raises(InferenceServerException, match=message):
        await client.infer(model, inputs, outputs=[InferRequestedOutput(n) for n in outputs])
    await client.close()


async def test_an_error_of_any_length_reaches_a_stock_client(url: str) -> None:
    client = InferenceServerClient(url)
    options = text(json.dumps({f"{n}é" * 50: n for n in range(200)}).encode())
    with pytest.raises(InferenceServerException) as caught:
        await client.infer("upscale", tensors(IMAGE=text(PICTURE), OPTIONS=options))
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert "BadOption: option '0é" in str(caught.value.message())
    assert " … " in str(caught.value.message())
    await client.close()


async def test_administration_is_locked(url: str) -> None:
    client = InferenceServerClient(url)
    for call in (client.unload_model("upscale"), client.get_system_shared_memory_status()):
        with pytest.raises(InferenceServerException, match="restricted"):
            await call
    await client.close()


async def test_actions_that_are_not_there_are_refused(images: Images) -> None:
    allowed = "action is 'polish'; allowed: upscale, enhance, rembg, fix_artifacts"
    with pytest.raises(BadOption, match=allowed):
        await images.process(PICTURE, "polish")


async def test_a_deadline_passes_and_the_work_stops(url: str, images: Images) -> None:
    before = (await images.triton.status())["models"]
    triton = Triton(Server(url=url, timeout=0.3))
    pixels, network = sample("heroine"), by_name(VIDEO["model"])
    assert isinstance(network, Upscaler)
    with pytest.raises(DeadlineExceeded, match=r"server\.timeout"):
        await triton.infer("upscale", encoded(pixels), VIDEO | {"tile_size": 32})
    await triton.close()
    await images.process(PICTURE, "upscale", VIDEO)  # the server serves on
    after = before
    while after["upscale"]["requests"] < before["upscale"]["requests"] + 2:
        await asyncio.sleep(0.2)
        after = (await images.triton.status())["models"]
    tiles = [state[NETWORK]["images"] for state in (before, after)]
    whole = len(list(tiling.split(*pixels.shape[:2], 32, network.receptive_field)))
    assert tiles[1] - tiles[0] - 1 < whole / 2  # one is of the second picture


async def test_no_server_is_an_error_with_how_to_start_one() -> None:
    async with connect(Config(), url=f"127.0.0.1:{free_port()}") as images:
        with pytest.raises(ServerUnavailable, match="sakuga serve"):
            await images.process(PICTURE, "upscale")


async def test_a_server_killed_in_the_middle_is_an_error(config: Config) -> None:
    models = ["upscale", "networks", NETWORK]
    impatient = config.model_copy(deep=True)
    impatient.server.retries = 0
    with run_triton(config, models=models) as server:
        async with connect(impatient, url=server.url) as images:
            async with until_begun(images.triton, NETWORK):
                picture, tiles = encoded(sample("heroine")), VIDEO | {"tile_size": 64}
                work = asyncio.ensure_future(images.process(picture, "upscale", tiles))
            server.process.kill()  # the guard, so that nobody starts Triton again
            with pytest.raises(ServerUnavailable):
                await work


@pytest.mark.parametrize(
    ("action", "options", "models", "pictures"),
    [
        ("upscale", VIDEO, ["realesr_animevideov3", "upscale"], 6),
        ("rembg", {"model": "u2net"}, ["u2net", "rembg"], 24),
    ],
)
async def test_a_full_queue_answers_at_once(
    config: Config, action: str, options: dict[str, object], models: list[str], pictures: int
) -> None:
    narrow = config.model_copy(deep=True)
    narrow.server.upscale_workers = narrow.server.matting_workers = narrow.limits.queue_size = 1
    narrow.server.in_flight = pictures
    folder = config.server.repository.with_name(f"narrow-{action}")
    writer.write(folder, narrow)
    (folder / models[0] / "1").symlink_to(config.server.repository / models[0] / "1")
    narrow.server.repository = folder
    with run_triton(narrow, models=models) as server:
        async with connect(narrow, url=server.url) as images:
            data = encoded(sample("sunset"))
            work = [images.process(data, action, options) for _ in range(pictures)]
            answers = await asyncio.gather(*work, return_exceptions=True)
    assert {type(a) for a in answers} == {bytes, Overloaded}


async def test_an_unknown_failure_is_answered_without_its_reason(
    config: Config, capfd: pytest.CaptureFixture[str]
) -> None:
    # A repository whose network isn't one at all: loading it fails inside the server.
    broken = config.model_copy(deep=True)
    folder = config.server.repository.with_name("broken")
    writer.write(folder, broken)
    source = config.server.repository / "realesr_general_x4v3" / "1"
    # The general network where the pipeline expects another: its DENOISE input is missing.
    (folder / "realesr_animevideov3" / "1").symlink_to(source)
    broken.server.repository = folder
    models = ["upscale", "realesr_animevideov3"]
    with run_triton(broken, models=models) as server:
        async with connect(broken, url=server.url) as images:
            with pytest.raises(SakugaError) as caught, request_id("fault-1"):
                await images.process(PICTURE, "upscale", VIDEO)
    told = "internal error; the server's log has the reason, at request fault-1"
    assert str(caught.value) == told
    reason = next(line for line in capfd.readouterr().err.splitlines() if "DENOISE" in line)
    assert "(request fault-1)" in reason
