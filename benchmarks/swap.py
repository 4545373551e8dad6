"""Switching models under load: config.yaml edited, against a restart of the server.

Eight clients send pictures without a pause. `python benchmarks/swap.py`; about three minutes on two
cores.
"""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from measure import side_by_side, write

from pictures import encoded, sample
from sakuga import SakugaError, connect
from sakuga_server.runtime.embedded import free_port

SAKUGA = Path(sys.executable).with_name("sakuga")
MODELS = ("realesr-animevideov3", "realesrgan-x4plus-anime")
CLIENTS, RUNS = 8, 3


@dataclass
class Load:
    """What the clients get."""

    model: str = ""
    done: int = 0
    lost: int = 0
    slowest: float = 0.0

    async def client(self, file: Path, picture: bytes) -> None:
        async with connect(file) as images:
            while True:
                start = time.perf_counter()
                try:
                    reply = await images.run(picture, "upscale")
                except SakugaError:
                    self.lost += 1
                    await asyncio.sleep(0.1)
                    continue
                self.done, self.model = self.done + 1, reply.report["model"]
                self.slowest = max(self.slowest, time.perf_counter() - start)


@dataclass
class Server:
    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def file(self) -> Path:
        return self.folder / "config.yaml"

    def name(self, model: str) -> None:
        blocks = {
            "providers": {"image": {"upscale": {"model": model}}},
            "server": {"url": f"127.0.0.1:{self.port}", "repository": "repository"},
        }
        new = self.folder / "new"
        new.write_text(json.dumps(blocks))
        new.replace(self.file)

    def start(self) -> None:
        log = (self.folder / "log").open("w")
        self.process = subprocess.Popen(
            [SAKUGA, "serve"], cwd=self.folder, stdout=log, stderr=log, text=True
        )

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


@asynccontextmanager
async def under_load(server: Server, load: Load) -> AsyncIterator[None]:
    picture = encoded(sample("sunset", (100, 60, 164, 100)))
    clients = [asyncio.create_task(load.client(server.file, picture)) for _ in range(CLIENTS)]
    try:
        while load.done < CLIENTS:
            await asyncio.sleep(0.02)
        load.lost, load.slowest = 0, 0.0
        yield
    finally:
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def switched(server: Server, how: Callable[[str], Awaitable[None]], load: Load) -> None:
    """Switches to the other model by `how`, until clients get its results."""
    async with under_load(server, load):
        model = next(name for name in MODELS if name != load.model)
        await how(model)
        while load.model != model:
            await asyncio.sleep(0.02)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree("model_repository", Path(folder) / "repository", symlinks=False)
        server = Server(Path(folder))
        server.name(MODELS[0])
        server.start()
        loads: dict[str, list[Load]] = {"edited": [], "restarted": []}

        async def edited(model: str) -> None:
            server.name(model)

        async def restarted(model: str) -> None:
            await asyncio.to_thread(server.stop)
            server.name(model)
            server.start()

        def run(way: str, how: Callable[[str], Awaitable[None]]) -> None:
            loads[way].append(Load())
            asyncio.run(switched(server, how, loads[way][-1]))

        row = side_by_side(
            f"from the edit to the first result of the other model, {CLIENTS} clients",
            lambda: run("edited", edited),
            lambda: run("restarted", restarted),
            RUNS,
        )
        server.stop()
    write(
        "swap",
        "Switching models under load",
        "server restarted",
        [row],
        [summary(way, of) for way, of in loads.items()],
    )


def summary(way: str, loads: list[Load]) -> str:
    lost, slowest = sum(load.lost for load in loads), max(load.slowest for load in loads)
    return f"{way}: {lost} requests failed in {len(loads)} turns, the slowest took {slowest:.1f} s."


if __name__ == "__main__":
    main()
