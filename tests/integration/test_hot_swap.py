"""A running server and running clients that follow one config.yaml, as `sakuga serve` does it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tritonclient.grpc.aio import InferenceServerClient

import third_party_networks
from networks_for_tests import Bare, repository_of
from pictures import encoded, off, pixels_of, sample
from sakuga import (
    BadOption,
    Images,
    ModelNotInstalled,
    ModelNotLoaded,
    PermissionDenied,
    ServerUnavailable,
    connect,
)
from sakuga.triton import Triton
from sakuga_core.config.server import Server
from sakuga_export.custom import add
from sakuga_export.custom.add import CustomOptions
from sakuga_server.runtime.embedded import free_port
from serving_for_tests import LONGEST, Serve, started
from slow import full

VIDEO, GENERAL = "realesr-animevideov3", "realesr-general-x4v3"


@pytest.fixture(scope="module")
async def serve(served: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    """One server for all of these tests; each begins with an edit of its own."""
    folder = tmp_path_factory.mktemp("hot-swap")
    repository_of(served, folder / "repository")
    serve = Serve(folder, free_port())
    serve.write(VIDEO)
    await started(serve)
    yield serve
    serve.end()


@pytest.fixture(scope="module")
def data() -> bytes:
    return encoded(sample("sunset", (100, 60, 140, 90)))


async def unloaded(images: Images, *models: str) -> None:
    """Waits until none of them is loaded."""
    async with asyncio.timeout(LONGEST):
        networks = await images.triton.networks()
        while any(networks[model]["loaded"] for model in models):
            await asyncio.sleep(0.05)
            networks = await images.triton.networks()


@pytest.mark.parametrize(
    ("on_demand", "unload_after", "switches"),
    [full(True, 0.5, 10), (True, 0.5, 2), full(False, 1.5, 2)],
)
async def test_switching_models_under_load_loses_nothing(
    serve: Serve,
    bare: dict[str, Bare],
    on_demand: bool,
    unload_after: float,
    switches: int,
) -> None:
    server = {"load_on_demand": on_demand, "unload_after": unload_after}
    await serve.edit(VIDEO, **server)
    pixels = sample("sunset", (100, 60, 164, 100))
    expected = {VIDEO: bare[VIDEO](pixels), GENERAL: bare[GENERAL](pixels, 1)}
    answers: list[str] = []
    done = asyncio.Event()

    async def client() -> None:
        async with connect(serve.file) as images:
            while not done.is_set() or len(answers) < 200:
                reply = await images.run(encoded(pixels), "upscale")
                model = reply.report["model"]
                assert off(pixels_of(reply.result), expected[model]) <= 1
                answers.append(model)

    clients = [asyncio.ensure_future(client()) for _ in range(8)]
    while not answers:
        assert not any(c.done() for c in clients), [c.exception() for c in clients if c.done()]
        await asyncio.sleep(0.05)
    for turn in range(switches):
        named = (GENERAL, VIDEO)[turn % 2]
        serve.write(named, **server)
        # Until clients get what it names, and the server has unloaded what it doesn't.
        while answers[-1:] != [named] or serve.printed.count("unloaded realesr_") <= turn:
            assert not any(c.done() for c in clients), [c.exception() for c in clients if c.done()]
            await asyncio.sleep(0.05)
    done.set()
    await asyncio.gather(*clients)
    changes = sum(a != b for a, b in zip(answers, answers[1:], strict=False))
    assert changes >= switches
    assert len(answers) >= 200


async def test_broken_edits_change_nothing_and_settings_reach_the_running_server(
    serve: Serve, data: bytes
) -> None:
    await serve.edit(VIDEO)
    async with connect(serve.file) as images:
        serve.file.write_text(serve.file.read_text().replace("upscale", "upscael"))
        await serve.until(lambda text: "'providers.image.upscael' is unknown" in text)
        await serve.until(lambda text: "Nothing was changed" in text)
        assert (await images.run(data, "upscale")).report["model"] == VIDEO
    overrides = {"batch": 3, "accelerator": "openvino"}
    await serve.edit(VIDEO, url="127.0.0.1:1", networks={VIDEO: overrides})
    assert "loaded realesr_animevideov3" in serve.printed
    assert "server.url takes effect when the server is started again" in serve.printed
    client = InferenceServerClient(serve.url)
    config = await client.get_model_config("realesr_animevideov3")
    await client.close()
    assert config.config.max_batch_size == 3
    assert "isn't installed here" not in serve.printed
    async with connect(serve.file, url=serve.url) as images:
        await images.process(data, "upscale")


async def test_a_network_that_is_exported_meanwhile_is_served(serve: Serve, data: bytes) -> None:
    folder = serve.folder / "repository" / "realesr_animevideov3" / "1"
    exported = folder.resolve()
    folder.unlink()
    await serve.edit(GENERAL)
    assert serve.run("models", "unload", VIDEO).returncode == 0
    options = {"model": VIDEO}
    async with connect(serve.file) as images:
        with pytest.raises(ModelNotInstalled, match="sakuga export"):
            await images.process(data, "upscale", options)
        folder.symlink_to(exported)
        assert (await images.run(data, "upscale", options)).report["model"] == VIDEO


async def test_a_custom_network_comes_and_goes_while_the_server_runs(
    serve: Serve, data: bytes
) -> None:
    file = third_party_networks.write_checkpoint("compact", serve.folder)
    await serve.edit(GENERAL)
    serve.log.clear()
    options = {"model": "mine"}
    async with connect(serve.file) as images:
        with pytest.raises(BadOption, match="'mine'; allowed: realesrgan-x4plus-anime"):
            await images.process(data, "upscale", options)
        add.add(file, CustomOptions(name="mine"), serve.folder / "repository")
        await serve.until(lambda text: "loaded upscale in" in text)
        assert (await images.run(data, "upscale", options)).report["model"] == "mine"
        add.remove("mine", serve.folder / "repository")
        await serve.until(
            lambda text: "unloaded mine" in text and text.count("loaded upscale in") == 2
        )
        with pytest.raises(BadOption, match="'mine'"):
            await images.process(data, "upscale", options)


async def test_an_idle_network_is_unloaded_and_the_next_request_loads_it(
    serve: Serve, data: bytes
) -> None:
    await serve.edit(GENERAL, unload_after=1)
    async with connect(serve.file) as images:
        for _ in range(2):
            results = await asyncio.gather(
                images.process(data, "upscale", {"model": VIDEO}),
                images.process(data, "upscale", {"model": VIDEO}),
                images.process(data, "rembg", {"model": "u2net"}),
            )
            assert results[0] == results[1]
            await unloaded(images, VIDEO, "u2net")
    assert "unloaded u2net" in serve.printed
    assert "unloaded realesr_general" not in serve.printed


async def test_without_on_demand_the_error_says_what_to_do_and_that_works(
    serve: Serve, data: bytes
) -> None:
    await serve.edit(GENERAL, load_on_demand=False, unload_after=0.5)
    # Which no config.yaml named, so nobody but the user ever loads them.
    by_hand = {"upscale": "realesrgan-x4plus-anime", "rembg": "u2net"}
    async with connect(serve.file) as images:
        for action, model in by_hand.items():
            with pytest.raises(ModelNotLoaded, match=f"`sakuga models load {model}`"):
                await images.process(data, action, {"model": model})
            done = serve.run("models", "load", model)
            assert done.returncode == 0, done.stderr
        await serve.edit(VIDEO, load_on_demand=False, unload_after=0.5)
        # That one is idle for a shorter time than those, which stay.
        await serve.until(lambda text: "unloaded realesr_general" in text)
        for action, model in by_hand.items():
            await images.process(data, action, {"model": model})
            assert serve.run("models", "unload", model).returncode == 0
            with pytest.raises(ModelNotLoaded):
                await images.process(data, action, {"model": model})


async def test_models_are_listed_and_administration_needs_the_users_key(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serve.edit(VIDEO)
    record = serve.folder / "cache" / "sakuga" / "servers" / f"{serve.port}.json"
    assert record.stat().st_mode & 0o777 == 0o600
    triton = Triton(Server(url=serve.url, timeout=60))
    with pytest.raises(PermissionDenied, match="SAKUGA_ADMIN_KEY"):
        await triton.unload("upscale")
    await triton.close()
    listed_networks = json.loads(serve.run("models", "--json", "--measure").stdout)
    video = listed_networks[VIDEO]
    assert (video["installed"], video["loaded"], video["device"]) == (True, True, "CPU")
    assert video["source"].startswith("https://")
    assert 20 < video["memory"] < 4000
    assert float(video["speed"].removesuffix(" ms a megapixel")) > 1
    assert (listed_networks["u2net"]["loaded"], listed_networks["u2net"]["memory"]) == (False, None)
    assert not listed_networks["realesrgan-x4plus"]["installed"]
    listed = serve.run("models").stdout
    assert "realesr-animevideov3" in listed
    assert "calls" in listed
    unknown = serve.run("models", "load", "waifu2x")
    assert unknown.returncode == 2
    assert "allowed: realesrgan-x4plus-anime" in unknown.stderr
    monkeypatch.setenv("SAKUGA_ADMIN_KEY", "guessed")
    refused = serve.run("models", "unload", VIDEO)
    assert refused.returncode == 1
    assert "needs its administration key" in refused.stderr


async def test_another_server_in_the_file_is_where_the_next_call_goes(
    serve: Serve, data: bytes
) -> None:
    await serve.edit(VIDEO)
    file, options = serve.folder / "client.yaml", {"model": VIDEO}
    file.write_text("server: {url: '127.0.0.1:1'}")
    async with connect(file) as images:
        with pytest.raises(ServerUnavailable):
            await images.process(data, "upscale", options)
        file.write_text(f"server: {{url: '{serve.url}'}}")
        os.utime(file, (0, 0))  # so that it isn't taken for one that is still being written
        assert (await images.run(data, "upscale", options)).report["model"] == VIDEO
        images.config.server.url = "127.0.0.1:1"
        with pytest.raises(ServerUnavailable):
            await images.process(data, "upscale", options)
