"""What happens when processes of a running server die: it serves again by itself, and whoever waits
for a picture gets it."""

import asyncio
import json
import os
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from networks_for_tests import repository_of
from pictures import encoded, gradient
from sakuga import Images, ServerUnavailable, connect
from sakuga_server.runtime import processes
from sakuga_server.runtime.embedded import free_port
from serving_for_tests import LONGEST, Serve, child, nothing_left, started

VIDEO, SEGMENTER = "realesr-animevideov3", "u2netp"
CLIENTS, PICTURES = 16, 300

# One of each kind: pipelines, with and without a network behind them, networks, and Triton itself.
KILLED = (
    "upscale",
    "realesr_animevideov3",
    "networks",
    "rembg",
    "u2netp",
    "fix_artifacts",
    "upscale_stream",
    "tritonserver",
)

ACTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("upscale", {"model": VIDEO, "scale": 2}),
    ("rembg", {"model": SEGMENTER}),
    ("fix_artifacts", {"model": VIDEO, "scale": 1, "inpaint": "opencv"}),
)


SETTINGS: dict[str, Any] = {
    "preload": [VIDEO, SEGMENTER],
    "upscale_workers": 4,
    "metrics_port": free_port(),
    "log_format": "json",
}


@pytest.fixture(scope="module")
async def serve(served: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    """One server for all of these tests. Whatever died, it ends in time, and leaves nothing."""
    folder = tmp_path_factory.mktemp("supervision")
    repository_of(served, folder / "repository")
    serve = Serve(folder, free_port())
    serve.write(VIDEO, **SETTINGS)
    await started(serve)
    yield serve
    with nothing_left(folder / "cache"):
        serve.end()


def triton(serve: Serve) -> int | None:
    assert serve.process
    return processes.triton_of(child(serve.process.pid))


def processes_of(serve: Serve, name: str) -> list[int]:
    """Those of a model, or Triton itself; none while it is being started."""
    server = triton(serve)
    if server is None:
        return []
    stubs = [stub.pid for stub in processes.stubs_of(server) if stub.model == name]
    return [server] if name == "tritonserver" else stubs


def kill(serve: Serve, name: str, most: int = 1) -> None:
    """Kills processes of a model, or Triton."""
    for pid in processes_of(serve, name)[:most]:
        os.kill(pid, signal.SIGKILL)


def healed(name: str, text: str) -> bool:
    """Whether the server has printed that a model serves again, by itself or with Triton."""
    return f"a process of {name} died; the" in text or "Triton serves again" in text


def tasks() -> Iterator[tuple[str, dict[str, Any], bool]]:
    """An action, options, and whether progress is wanted."""
    for number, (action, options) in enumerate(cycle(ACTIONS)):
        yield action, options, number % 6 == 0


async def test_what_the_dead_left_is_cleared_away_once_nobody_waits(serve: Serve) -> None:
    async with connect(serve.file) as images:
        # A pipeline's process that dies while a network works for it leaves a part of Triton
        # waiting for ever, so Triton itself has to be started again.
        serve.log.clear()
        before = triton(serve)
        large = encoded(gradient(400, 400))
        begun = asyncio.Event()
        call = images.run(large, "upscale", on_progress=lambda _: begun.set())
        running = asyncio.create_task(call)
        await begun.wait()
        kill(serve, "upscale_stream", most=4)
        assert (await running).report["output"]["width"] == 1600
        await serve.until(lambda text: "Triton serves again" in text)
        assert triton(serve) != before
        assert (await images.run(encoded(gradient(8, 8)), "upscale")).result
    models = [stub.model for stub in processes.stubs_of(triton(serve) or 0)]
    assert models.count("upscale") == 4


async def test_processes_started_later_have_none_of_tritons_connections(serve: Serve) -> None:
    server, before = triton(serve), processes_of(serve, "rembg")
    assert server
    with httpx.Client() as client:  # whose connection stays open meanwhile
        client.get(f"http://127.0.0.1:{SETTINGS['metrics_port']}/metrics").raise_for_status()
        await serve.edit(VIDEO, **SETTINGS, matting_workers=2)
        later = set(processes_of(serve, "rembg")) - set(before)
        connections = sockets(server) & internet(server)
        assert later
        assert connections
        assert not [pid for pid in later if sockets(pid) & connections]
    await serve.edit(VIDEO, **SETTINGS)


def sockets(pid: int) -> set[str]:
    """The inodes of a process's sockets."""
    links = (os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir())
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}


def internet(pid: int) -> set[str]:
    """The inodes of TCP sockets, ports and connections, as a process sees them."""
    files = (Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6"))
    return {line.split()[9] for text in files for line in text.splitlines()[1:]}


async def test_of_300_pictures_none_is_lost_or_wrong_whatever_dies(serve: Serve) -> None:
    data = encoded(gradient(40, 56))
    todo = zip(range(PICTURES), tasks(), strict=False)
    done = 0

    async def client(images: Images, right: dict[str, bytes]) -> None:
        nonlocal done
        for _, (action, options, progress) in todo:
            follow = (lambda _: None) if progress else None
            reply = await images.run(data, action, options, on_progress=follow)
            assert reply.result == right[action]
            done += 1

    async def killer() -> None:
        for number, name in enumerate(KILLED):
            while done < number * PICTURES // len(KILLED):
                await asyncio.sleep(0.01)
            while not processes_of(serve, name):  # Triton may just be starting again
                await asyncio.sleep(0.05)
            serve.log.clear()
            kill(serve, name)
            await serve.until(partial(healed, name))

    async with connect(serve.file) as images:
        right = {a: (await images.run(data, a, options)).result for a, options in ACTIONS}
        async with asyncio.timeout(5 * LONGEST), asyncio.TaskGroup() as group:
            group.create_task(killer())
            for _ in range(CLIENTS):
                group.create_task(client(images, right))
    assert done == PICTURES


def counted() -> Counter[tuple[str, ...]]:
    """What the server's metrics have of healed processes, and of pictures by outcome."""
    text = httpx.get(f"http://127.0.0.1:{SETTINGS['metrics_port']}/metrics").text
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    wanted = ("sakuga_healed_total", "sakuga_restarts_total", "sakuga_pictures_total")
    return Counter({(s.name, *s.labels.values()): s.value for s in samples if s.name in wanted})


def logged(text: str) -> Counter[tuple[str, ...]]:
    """The same of healed processes, by the server's log."""
    lines = [json.loads(line)["message"] for line in text.splitlines()]
    models = re.findall(r"^a process of (\w+) died; the model was loaded", "\n".join(lines), re.M)
    restarts = lines.count("Triton is started again")
    cleared = lines.count("Triton is ended, as some of its processes have died")
    found = Counter(("sakuga_healed_total", model) for model in models)
    found["sakuga_restarts_total", "died"] = restarts - cleared
    found["sakuga_restarts_total", "cleared"] = cleared
    return found


async def test_what_was_healed_is_counted_and_counters_outlast_a_process(serve: Serve) -> None:
    serve.log.clear()
    async with connect(serve.file) as images:
        await images.run(encoded(gradient(8, 8)), "upscale", {"scale": 2})
        before = counted()
        kill(serve, "upscale")
        await serve.until(partial(healed, "upscale"))
        for _ in range(8):  # by all four processes
            await images.run(encoded(gradient(8, 8)), "upscale", {"scale": 2})
    pictures = ("sakuga_pictures_total", "upscale", VIDEO, "ok")
    assert counted()[pictures] == before[pictures] + 8
    async with asyncio.timeout(LONGEST):
        while +(counted() - before) != +(logged(serve.printed) + Counter({pictures: 8})):
            await asyncio.sleep(0.05)


async def test_totals_outlast_a_triton_that_is_started_again(serve: Serve) -> None:
    before = counted()
    serve.log.clear()
    kill(serve, "tritonserver")
    await serve.until(lambda text: "Triton serves again" in text)
    after = counted()
    assert after["sakuga_restarts_total", "died"] == before["sakuga_restarts_total", "died"] + 1
    healed_before = {key: n for key, n in before.items() if key[0] == "sakuga_healed_total"}
    assert healed_before.items() <= after.items()
    assert sum(healed_before.values()) >= 1
    assert not any(key[0] == "sakuga_pictures_total" for key in after)  # as Prometheus expects


async def test_a_client_without_retries_is_told_what_happened(serve: Serve) -> None:
    await serve.edit(VIDEO, **SETTINGS, retries=0)
    data = encoded(gradient(200, 300))
    async with connect(serve.file) as images:
        await images.process(encoded(gradient(8, 8)), "upscale")
        begun = asyncio.Event()
        call = images.run(data, "upscale", {"tile_size": 32}, on_progress=lambda _: begun.set())
        running = asyncio.create_task(call)
        await begun.wait()
        kill(serve, "upscale_stream", most=4)
        with pytest.raises(ServerUnavailable, match=r"a process of upscale at .* died; the server"):
            await running
    await serve.until(lambda text: "Triton serves again" in text)


async def test_health_finds_the_one_process_that_does_not_answer(serve: Serve) -> None:
    # Four of the six models name a network that isn't there, which is no fault.
    serve.log.clear()
    fine = await asyncio.to_thread(serve.run, "health")
    assert (fine.returncode, fine.stdout.count("healthy, ")) == (0, 2), fine.stdout
    assert serve.process
    serve.process.send_signal(signal.SIGSTOP)  # so that nobody starts what dies again
    try:
        kill(serve, "upscale")
        ill = await asyncio.to_thread(serve.run, "health")
    finally:
        serve.process.send_signal(signal.SIGCONT)
    assert ill.returncode == 1
    assert "1 of 6 models failed" in ill.stderr
    assert "a process of upscale at" in ill.stdout
    await serve.until(partial(healed, "upscale"))
    assert (await asyncio.to_thread(serve.run, "health")).returncode == 0


async def test_a_server_that_is_merely_busy_is_healthy(serve: Serve) -> None:
    begun = [asyncio.Event() for _ in range(4)]
    large = encoded(gradient(800, 800))
    async with connect(serve.file) as images:
        calls = [
            images.run(large, "upscale", on_progress=lambda _, event=event: event.set())
            for event in begun
        ]
        running = [asyncio.create_task(call) for call in calls]
        await asyncio.gather(*(event.wait() for event in begun))
        busy = await asyncio.to_thread(serve.run, "health", "--timeout", "0.5")
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    assert busy.returncode == 0, busy.stdout
    assert "busy: no result within 0.5 s" in busy.stdout


async def test_health_of_no_server_is_a_fault(serve: Serve) -> None:
    gone = await asyncio.to_thread(serve.run, "--url", f"127.0.0.1:{free_port()}", "health")
    assert gone.returncode == 1
    assert "no server answers" in gone.stderr
