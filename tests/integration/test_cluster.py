"""Three servers behind the chart's own Envoy, of which one dies and one is restarted under load."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from tritonclient.grpc.aio import InferenceServerClient

import envoy_for_tests
from calls import until_begun
from envoy_for_tests import CHART, Envoy
from networks_for_tests import Bare, repository_of
from pictures import encoded, gradient, off, pixels_of
from sakuga import Config, Images, SakugaError, ServerUnavailable, connect
from sakuga.triton import Triton
from sakuga_core.config.server import Server
from sakuga_server.runtime.embedded import free_port
from serving_for_tests import TILE, Serve, child, nothing_left, started

VIDEO = "realesr-animevideov3"
SERVERS, CLIENTS, PICTURES = 3, 12, 180
METRIC = re.compile(r"\b(?:envoy|nv)_\w+")


@pytest.fixture(scope="module")
async def servers(
    served: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Serve]]:
    servers = []
    for number in range(SERVERS):
        folder = tmp_path_factory.mktemp(f"server-{number}")
        repository_of(served, folder / "repository")
        servers.append(Serve(folder, free_port()))
        servers[-1].write(VIDEO, upscale_workers=1, metrics_port=free_port())
    await asyncio.gather(*map(started, servers))
    yield servers
    await asyncio.gather(*(asyncio.to_thread(server.end) for server in servers))


@pytest.fixture(scope="module")
def envoy(servers: list[Serve], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    folder = tmp_path_factory.mktemp("envoy")
    with envoy_for_tests.envoy(folder, [server.port for server in servers]) as envoy:
        yield envoy


def picture(number: int) -> np.ndarray:
    """One that no other number has."""
    pixels = gradient(24, 24)
    pixels[:8] = (number % 16 * 16, number // 16 * 12, 90)
    return pixels


async def counts(servers: list[Serve]) -> list[float]:
    """Pictures that each server has done since it started."""
    done = []
    for server in servers:
        triton = Triton(Server(url=server.url))
        done.append((await triton.status())["models"]["upscale"]["requests"])
        await triton.close()
    return done


async def send(images: Images, numbers: list[int], answers: list[tuple[int, bytes]]) -> None:
    """What one client does."""
    while numbers:
        number = numbers.pop()
        result = await images.process(encoded(picture(number)), "upscale", {"model": VIDEO})
        answers.append((number, result))


async def sent(url: str, count: int, until: Any = None) -> list[tuple[int, bytes]]:
    """So many pictures from all clients, each with a connection of its own."""
    numbers, answers = list(range(count)), []

    async def client() -> None:
        async with connect(Config(), url=url) as images:
            await send(images, numbers, answers)

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())
        if until is not None:
            group.create_task(until(answers))
    return answers


async def killed(server: Serve) -> None:
    """As a node that fails: Triton's guard, and with it Triton, is gone in the middle of its
    pictures, and nobody says so."""
    assert server.process is not None
    with nothing_left(server.folder / "cache"):
        os.kill(child(server.process.pid), signal.SIGKILL)
        assert await ended(server) == 1  # `sakuga serve` says that Triton ended by itself


async def stopped(server: Serve) -> None:
    """As a rollout does it."""
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    assert await ended(server) == 0, server.printed


async def ended(server: Serve) -> int:
    assert server.process is not None
    while server.process.poll() is None:
        await asyncio.sleep(0.1)
    status, server.process = server.process.returncode, None
    return status


async def all_are_back(envoy: Envoy) -> None:
    """Until Envoy has found them healthy, and has put up with those it put out."""
    for _ in range(600):
        (healthy,) = re.findall(
            r'membership_healthy\{envoy_cluster_name="servers"\} (\d+)', envoy.metrics
        )
        if int(healthy) == SERVERS:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{healthy} of {SERVERS} are back")


async def all_take_pictures(servers: list[Serve], envoy: Envoy) -> None:
    """Until each has done 30. How many that takes follows their speed, as Envoy sends pictures to
    the one with the fewest in work; one that was left out would never get there."""
    before = await counts(servers)
    for _ in range(10):
        await sent(envoy.url, 60)
        shares = [after - b for after, b in zip(await counts(servers), before, strict=True)]
        if min(shares) >= 30:
            return
    raise AssertionError(shares)


async def test_no_picture_is_lost_while_servers_come_and_go(
    servers: list[Serve], envoy: Envoy, bare: dict[str, Bare]
) -> None:
    async def trouble(answers: list[tuple[int, bytes]]) -> None:
        while len(answers) < PICTURES / 6:
            await asyncio.sleep(0.02)
        await killed(servers[0])
        while len(answers) < PICTURES / 3:
            await asyncio.sleep(0.02)
        assert len(answers) < PICTURES
        await stopped(servers[1])
        await started(servers[1])

    answers = await sent(envoy.url, PICTURES, trouble)
    assert sorted(number for number, _ in answers) == list(range(PICTURES))
    for number, result in answers:
        assert off(pixels_of(result), bare[VIDEO](picture(number))) <= 1
    await started(servers[0])
    await all_are_back(envoy)
    await all_take_pictures(servers, envoy)


def test_rules_and_dashboard_use_what_envoy_and_triton_expose(
    servers: list[Serve], envoy: Envoy
) -> None:
    port = json.loads(servers[2].file.read_text())["server"]["metrics_port"]
    exposed = envoy.metrics + urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    texts = [(CHART / file).read_text() for file in ("files/rules.yaml", "dashboards/sakuga.json")]
    used = {name for text in texts for name in METRIC.findall(text)}
    assert len(used) > 8
    # There is no GPU, and no picture ended as INTERNAL; the last one is a label.
    absent = re.compile(r"nv_gpu_.+|.+_ModelInfer_\d+|envoy_cluster_name")
    used = {name for name in used if not absent.fullmatch(name)}
    assert {name for name in used if f"\n{name}{{" not in exposed} == set()


async def test_administration_is_not_reached_through_envoy(envoy: Envoy) -> None:
    triton = Triton(Server(url=envoy.url), key="any")
    with pytest.raises(SakugaError):
        await triton.unload("upscale")
    await triton.close()


async def test_a_name_with_several_addresses_needs_no_proxy(servers: list[Serve]) -> None:
    addresses = ",".join(server.url for server in servers)
    data = encoded(picture(0))

    async def shares(before: list[float]) -> list[float]:
        return [after - b for after, b in zip(await counts(servers), before, strict=True)]

    async with connect(Config(), url=f"ipv4:{addresses}") as images:
        start = await counts(servers)
        while min(await shares(start)) == 0:  # until it has connected to all
            await images.process(data, "upscale", {"model": VIDEO})
        before = await counts(servers)
        for _ in range(30):
            await images.process(data, "upscale", {"model": VIDEO})
        assert await shares(before) == [10, 10, 10]  # in turn


async def closed(server: Serve) -> None:
    """Waits until it takes no more pictures."""
    async with InferenceServerClient(server.url) as client:
        while await client.is_model_ready("upscale"):
            await asyncio.sleep(0.01)


async def test_a_server_that_stops_finishes_its_pictures_and_takes_no_more(
    servers: list[Serve], bare: dict[str, Bare]
) -> None:
    config, large = Config(), gradient(400, 400)
    config.server.retries = 0
    async with connect(config, url=servers[0].url) as images:
        options = {"model": VIDEO, "tile_size": TILE}
        async with until_begun(images.triton, "realesr_animevideov3"):
            under_way = asyncio.ensure_future(images.process(encoded(large), "upscale", options))
        stopping = asyncio.ensure_future(stopped(servers[0]))
        await closed(servers[0])
        assert not under_way.done()
        with pytest.raises(ServerUnavailable):
            await images.process(encoded(picture(0)), "upscale", {"model": VIDEO})
        assert off(pixels_of(await under_way), bare[VIDEO](large)) <= 1
        await stopping
