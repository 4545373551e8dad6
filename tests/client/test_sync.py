"""The synchronous twin, on a provider that needs no server."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sakuga
from sakuga import BadInput, Cancelled, ConfigError, Images, Progress, SyncImages, connect_sync
from sakuga_core.actions import ACTIONS

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

TOOLS = """
import asyncio

from sakuga.tracing import headers
from sakuga_core.progress import Progress

begun, ended = [], []


class Echo:
    async def process(self, image, action, config=None, on_progress=None):
        for done in range(3):
            if on_progress:
                on_progress(Progress("tiles", done, 2))
            await asyncio.sleep(0)
        return b"%s %s %r" % (image, action.encode(), sorted((config or {}).items()))


class Traced:
    async def process(self, image, action, config=None):
        return headers().get("traceparent", "").encode()


class Endless:
    async def process(self, image, action, config=None, *, on_progress=None):
        begun.append(image)
        if on_progress:
            on_progress(Progress("tiles", 0, 1))
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(image)
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sys.path", ["/", *sys.path])
    (tmp_path / f"tools_{tmp_path.name}.py").write_text(TOOLS)
    return tmp_path / "config.yaml"


def write(file: Path, name: str) -> Path:
    path = f"tools_{file.parent.name}:{name}"
    blocks = ", ".join(f"{action}: {{provider: '{path}'}}" for action in ACTIONS)
    file.write_text(f"providers: {{image: {{{blocks}}}}}")
    return file


def tools(file: Path) -> Any:
    return sys.modules[f"tools_{file.parent.name}"]


@pytest.fixture
def images(file: Path) -> Iterator[SyncImages]:
    with connect_sync(write(file, "Echo")) as images:
        yield images


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_is_a_method_of_both_twins(images: SyncImages, action: str) -> None:
    result = getattr(images, action)(b"data", size=3)
    assert result == f"data {action} [('size', 3)]".encode()
    for kind in (Images, SyncImages):
        assert getattr(kind, action).__doc__


async def test_the_asynchronous_methods_do_the_same(file: Path) -> None:
    async with sakuga.connect(write(file, "Echo")) as images:
        assert await images.rembg(b"data", size=3) == b"data rembg [('size', 3)]"
        assert await images.process(bytearray(b"data"), "rembg") == b"data rembg []"


def test_process_and_run_take_what_the_asynchronous_ones_take(
    images: SyncImages, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"data")
    for picture in (b"data", bytearray(b"data"), memoryview(b"data"), tmp_path / "a.png"):
        assert images.process(picture, "upscale", {"size": 3}) == b"data upscale [('size', 3)]"
    assert images.run(str(tmp_path / "a.png"), "upscale").result == b"data upscale []"
    with pytest.raises(TypeError, match="the image is None; allowed: bytes"):
        images.process(None, "upscale")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the image is ndarray; allowed: bytes"):
        images.process(np.zeros((2, 2), np.uint8), "upscale")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"gone\.png can't be read"):
        images.process(tmp_path / "gone.png", "upscale")


def test_a_path_gives_the_whole_reply(images: SyncImages, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"data")
    reply = images.upscale(tmp_path / "a.png")
    assert reply.result == b"data upscale []"
    assert reply.report["action"] == "upscale"


def test_progress_comes_in_the_thread_that_waits(images: SyncImages) -> None:
    seen: list[Progress] = []
    threads = set()

    def told(progress: Progress) -> None:
        seen.append(progress)
        threads.add(threading.current_thread())

    images.upscale(b"data", on_progress=told)
    images.run(b"data", "upscale", on_progress=told)
    assert seen == [Progress("tiles", done, 2) for done in range(3)] * 2
    assert threads == {threading.current_thread()}


def test_an_exception_of_the_callback_reaches_the_caller_and_ends_the_work(file: Path) -> None:
    def broken(progress: Progress) -> None:
        raise KeyError("mine")

    with connect_sync(write(file, "Endless")) as images, pytest.raises(KeyError, match="mine"):
        images.upscale(b"data", on_progress=broken)
    assert tools(file).ended == [b"data"]


async def test_it_works_inside_a_running_event_loop(file: Path) -> None:
    assert asyncio.get_running_loop()
    with connect_sync(write(file, "Echo")) as images:
        assert images.upscale(b"data") == b"data upscale []"


def test_many_threads_each_get_their_own_result(images: SyncImages) -> None:
    def one(number: int) -> bytes:
        return images.upscale(b"%d" % number)

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(200))) == [b"%d upscale []" % i for i in range(200)]


def test_calls_belong_to_the_callers_trace(file: Path) -> None:
    with connect_sync(write(file, "Traced")) as images:
        with sakuga.trace_context(PARENT):
            assert images.upscale(b"data") == PARENT.encode()
        assert images.upscale(b"data") == b""


def test_it_is_open_until_it_is_closed_and_can_be_closed_twice(file: Path) -> None:
    images = connect_sync(write(file, "Echo"))
    assert images.upscale(b"data") == b"data upscale []"
    images.close()
    images.close()
    with pytest.raises(RuntimeError, match="the connection is closed"):
        images.upscale(b"data")


def test_closing_ends_the_calls_of_other_threads(file: Path) -> None:
    images = connect_sync(write(file, "Endless"))
    with ThreadPoolExecutor(4) as pool:
        begun = threading.Semaphore(0)
        calls = [
            pool.submit(images.upscale, b"data", on_progress=lambda _: begun.release())
            for _ in range(4)
        ]
        for _ in calls:
            begun.acquire()
        images.close()
        for call in calls:
            with pytest.raises(Cancelled, match="was closed"):
                call.result()
    assert len(tools(file).ended) == 4


def test_an_assignment_takes_effect_with_the_next_call(file: Path) -> None:
    with connect_sync(write(file, "Echo")) as images:
        assert images.upscale(b"data") == b"data upscale []"
        module = f"tools_{file.parent.name}"
        images.config.providers.image.upscale.provider = f"{module}:Traced"
        assert images.upscale(b"data") == b""


def test_a_configuration_that_cant_be_read_is_an_error_at_once(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(ConfigError, match="can't be read"):
        connect_sync(tmp_path / "missing.yaml")
    assert threading.active_count() == before


def test_an_exception_in_the_block_passes_through(file: Path) -> None:
    with pytest.raises(ZeroDivisionError), connect_sync(write(file, "Echo")):
        _ = 1 / 0


INTERRUPTED = """
import sys
from sakuga import connect_sync
with connect_sync("config.yaml") as images:
    try:
        images.upscale(b"data"{progress})
    except KeyboardInterrupt:
        print("interrupted", flush=True)
tools = [m for name, m in sys.modules.items() if name.startswith("tools_")]
print(tools[0].ended)
"""


@pytest.mark.parametrize("progress", ["", ", on_progress=lambda p: None"])
def test_an_interrupt_ends_the_call_and_the_work(file: Path, progress: str) -> None:
    write(file, "Endless")
    module = file.parent / f"tools_{file.parent.name}.py"
    module.write_text(TOOLS.replace("begun.append(image)", "print('begun', flush=True)"))
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(progress=progress)],
        cwd=file.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.read().splitlines() == ["interrupted", "[b'data']"]
    assert process.wait() == 0


def test_a_program_that_forgets_to_close_ends_all_the_same(file: Path) -> None:
    write(file, "Echo")
    code = "from sakuga import connect_sync\nimages = connect_sync('config.yaml')\n"
    code += "print(images.upscale(b'data'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=file.parent, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "b'data upscale []'\n", "")


FORKED = """
import os
from sakuga import Config, SakugaError, connect_sync

def tried(images, *options):
    try:
        with images:
            print(images.upscale(b"data", *options))
    except (RuntimeError, SakugaError) as error:
        print(type(error).__name__, str(error)[:36])

def in_child(*connections):
    if os.fork() == 0:
        for connection in connections:
            tried(connection())
        os._exit(0)
    os.wait()

images = connect_sync("config.yaml")
in_child(lambda: images, lambda: connect_sync("config.yaml"))
tried(images)
config = Config()
config.server.retries = 0
grpc = lambda: connect_sync(config, url="127.0.0.1:9")
tried(grpc())
in_child(grpc)
"""


def test_a_forked_process_has_connections_of_its_own_or_a_clear_error(file: Path) -> None:
    """gRPC's, of which a process that was forked has none, would wait for ever."""
    write(file, "Echo")
    done = subprocess.run(
        [sys.executable, "-u", "-c", FORKED],
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    answer, refused = "b'data upscale []'", "RuntimeError this process was forked from one tha"
    down = "ServerUnavailable no server answers at 127.0.0.1:9; st"
    assert done.stdout.splitlines() == [refused, answer, answer, down, refused], done.stderr


LEFT = """
import json, os
from sakuga import Config
from sakuga.local import LocalServer

local = LocalServer(Config(), always_start=True, announce=lambda text: None)
local.begin()
pipe = f"/proc/self/fd/{local._process.stdin.fileno()}"
if os.fork() == 0:
    os._exit(os.path.exists(pipe))
print(os.waitstatus_to_exitcode(os.wait()[1]), os.path.exists(pipe))
local.close()
"""


def test_a_forked_process_keeps_no_embedded_server_alive(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEFT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "0 True\n", done.stderr
