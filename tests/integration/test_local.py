"""The embedded server of a command: started where none answers, and gone with it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from networks_for_tests import repository_of
from pictures import encoded, gradient
from sakuga import Config, ConfigError, connect
from sakuga_server.runtime.embedded import run_triton
from serving_for_tests import ONE_WORKER, SAKUGA, child, nothing_left, own_cache
from slow import full

VIDEO = "realesr-animevideov3"
# A client that tells when its server is up, and waits.
CLIENT = """
import asyncio, sys
from pathlib import Path
from sakuga import connect

async def main():
    async with connect("config.yaml") as images:
        await images.process(Path("a.png").read_bytes(), "upscale")
        print("served", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def folder(served: Path, tmp_path: Path) -> Path:
    """With a picture, a config.yaml, a repository, and a cache of its own."""
    repository_of(served, tmp_path / "repository")
    settings = {"repository": "repository", **ONE_WORKER}
    others = {name: {"model": VIDEO} for name in ("upscale", "fix_artifacts")}
    blocks = {"providers": {"image": others}, "rembg": {"model": "isnet-general-use"}}
    (tmp_path / "config.yaml").write_text(json.dumps({**blocks, "server": settings}))
    (tmp_path / "a.png").write_bytes(encoded(gradient(10, 12)))
    return tmp_path


@contextmanager
def client(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", CLIENT]
    with subprocess.Popen(
        command, cwd=folder, env=own_cache(folder), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "served\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("killed", ["server", full("guard"), full("client"), full("triton")])
def test_whichever_process_is_killed_nothing_is_left_behind(folder: Path, killed: str) -> None:
    with client(folder) as process:
        processes = {"client": process.pid}
        for name, parent in (("server", "client"), ("guard", "server"), ("triton", "guard")):
            processes[name] = child(processes[parent])
        (cache,) = (folder / "cache" / "sakuga" / "repositories").glob("*/")
        with nothing_left(folder / "cache"):
            os.kill(processes[killed], signal.SIGKILL)
            process.kill()
    assert not list(Path("/dev/shm").glob(f"sakuga-{cache.name}-*"))


@pytest.mark.parametrize("moment", ["starts", "works"])
def test_ctrl_c_ends_the_server_in_whatever_it_does(folder: Path, moment: str) -> None:
    (folder / "p").mkdir()
    for number in range(60):
        (folder / "p" / f"{number}.png").write_bytes(encoded(gradient(8 + number, 12)))
    process = subprocess.Popen(
        [SAKUGA, "upscale", "p", "-o", "o", "--embedded"],
        cwd=folder,
        env=own_cache(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    repositories = folder / "cache" / "sakuga" / "repositories"
    if moment == "starts":
        while not list(repositories.glob("*/models/*")):
            time.sleep(0.01)
            assert process.poll() is None
    else:
        assert process.stdout
        assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert errors.count("starting one for this process") == 1
    assert "Interrupted: " in errors
    assert not [path for path in repositories.iterdir() if path.is_dir()]
    for result in (folder / "o").glob("*.png"):
        with Image.open(result) as image:
            image.load()
            assert image.size == (4 * 12, 4 * (8 + int(result.stem)))


def test_the_command_alone_is_enough_and_two_at_once_do_not_meet(folder: Path) -> None:
    before = {file: file.read_bytes() for file in (folder / "repository").glob("*/config.pbtxt")}
    commands = [[SAKUGA, "upscale", "a.png", "-o", f"{name}.png"] for name in ("b", "c")]
    runs = [
        subprocess.Popen(c, cwd=folder, env=own_cache(folder), stderr=subprocess.PIPE, text=True)
        for c in commands
    ]
    for run in runs:
        _, errors = run.communicate()
        assert run.returncode == 0, errors
        assert errors.count("starting one for this process. `sakuga serve` keeps one") == 1
    assert (folder / "b.png").read_bytes() == (folder / "c.png").read_bytes()
    assert before == {file: file.read_bytes() for file in before}


def test_an_address_of_its_own_starts_nothing(folder: Path) -> None:
    command = [SAKUGA, "--url", "127.0.0.1:9", "upscale", "a.png"]
    done = subprocess.run(
        command, cwd=folder, env=own_cache(folder), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "no server answers at 127.0.0.1:9" in done.stderr
    assert not (folder / "cache" / "sakuga" / "repositories").exists()


def test_a_taken_http_port_is_found_before_networks_are_loaded(config: Config) -> None:
    taken = config.model_copy(deep=True)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken.server.http_port = port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is in use"), run_triton(taken):
            pass


async def test_a_server_that_listens_on_ipv6_is_reached_by_it(config: Config) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    ipv6 = config.model_copy(deep=True)
    ipv6.server.host = "::1"
    models = ["upscale", "networks", "realesr_animevideov3"]
    with run_triton(ipv6, models=models) as server:
        assert server.url.startswith("[::1]:")
        async with connect(ipv6, url=server.url) as images:
            await images.process(encoded(gradient(10, 12)), "upscale", {"model": VIDEO})


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
