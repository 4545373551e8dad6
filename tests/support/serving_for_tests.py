"""`sakuga serve` as a process of its own, and the config.yaml that it follows."""

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sakuga_core.paths import cache_folder

SAKUGA = Path(sys.executable).with_name("sakuga")
TILE = 48
ONE_WORKER = {
    "upscale_workers": 2,
    "matting_workers": 1,
    "fix_artifacts_workers": 1,
    "precision": "fp32",
}
NONE = {"model": "realesrgan-x4plus"}  # which isn't there to be loaded
LONGEST = 120  # seconds that a line may take to come; a test that waits so long has failed


class Log:
    """The lines of a process, and whoever waits for one."""

    def __init__(self) -> None:
        self.text = ""
        self.changed = threading.Condition()

    def follow(self, process: "subprocess.Popen[str]") -> None:
        """Collects what the process writes, until it ends."""
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def clear(self) -> None:
        with self.changed:
            self.text = ""

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout
        for line in process.stdout:
            with self.changed:
                self.text += line
                self.changed.notify_all()
        process.wait()
        with self.changed:  # for whoever waits for a line that won't come any more
            self.changed.notify_all()

    async def until(self, condition: Callable[[str], bool]) -> None:
        """Waits until all lines together meet a condition."""

        def wait() -> bool:
            with self.changed:
                return self.changed.wait_for(lambda: condition(self.text), LONGEST)

        assert await asyncio.to_thread(wait), self.text


def child(parent: int) -> int:
    """A process that another one started."""
    tasks = Path(f"/proc/{parent}/task").glob("*/children")  # each thread has its own
    return int(next(pid for task in tasks for pid in task.read_text().split()))


def own_cache(folder: Path) -> dict[str, str]:
    """The environment of a process whose cache is in a folder; but networks that were compiled
    before aren't compiled again."""
    compiled, link = cache_folder() / "openvino", folder / "cache" / "sakuga" / "openvino"
    if not link.is_symlink():
        for made in (compiled, link.parent):
            made.mkdir(parents=True, exist_ok=True)
        link.symlink_to(compiled)
    return {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}


@contextmanager
def nothing_left(cache: Path) -> Iterator[None]:
    """The block ends the only server of a folder for caches; afterwards this waits until all of its
    processes have ended, and checks that they left nothing."""
    tritons = [link.readlink() for link in (cache / "sakuga" / "repositories").glob("*/tritons")]
    (place,) = (cache / "sakuga" / "repositories").glob("*/lock")
    segments = f"sakuga-{place.parent.name}-*"
    assert list(Path("/dev/shm").glob(segments))
    with place.open() as lock:
        yield
        fcntl.flock(lock, fcntl.LOCK_EX)  # which all of them hold
    assert not list(Path("/dev/shm").glob(segments))
    assert not [folder for folder in tritons if folder.exists()]


@dataclass
class Serve:
    """`sakuga serve`, and the config.yaml that it follows."""

    folder: Path
    port: int
    process: "subprocess.Popen[str] | None" = None
    http_port: int | None = None
    limits: dict[str, int] = field(default_factory=dict)
    log: Log = field(default_factory=Log)

    @property
    def file(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def printed(self) -> str:
        """What the server has printed."""
        return self.log.text

    async def until(self, condition: Callable[[str], bool]) -> None:
        await self.log.until(condition)

    def write(self, upscale: str, **server: object) -> None:
        """Replaces the file as editors do: the new one whole, under the old one's name."""
        settings = {"url": self.url, "repository": "repository", **ONE_WORKER, **server}
        others = {"enhance": NONE, "fix_artifacts": NONE | {"inpaint": "opencv"}}
        blocks = {
            "providers": {"image": {"upscale": {"model": upscale}, **others}},
            "rembg": {"model": "isnet-general-use"},  # which isn't there, either
            "realesrgan": {"denoise_strength": 1, "tile_size": TILE},
            "server": settings,
            "limits": self.limits,
        }
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(blocks))  # JSON is YAML
        new.replace(self.file)

    async def edit(self, upscale: str, **server: object) -> None:
        """Replaces the file of the running server, and waits until it is in effect. Of what the
        server has printed, only what it does from now on stays."""
        self.log.clear()
        self.write(upscale, **server)
        await self.until(lambda text: "the edit is in effect" in text)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`sakuga` with these arguments, where this config.yaml is."""
        command = [SAKUGA, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    @property
    def environment(self) -> dict[str, str]:
        """Each server has its own folder for caches, so its record is found there alone."""
        return own_cache(self.folder)

    def end(self) -> None:
        """As Ctrl-C does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            assert self.process.wait(60) == 0, self.printed


def _paths() -> list[str]:
    """Folders that Python's modules are looked for in before those that are installed."""
    return list(filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))


async def started(serve: Serve) -> None:
    """Starts it where `sakuga_export` can't be imported, as in a server's image, and waits until it
    serves."""
    serve.log = Log()
    blocked = serve.folder / "blocked"
    blocked.mkdir(exist_ok=True)
    (blocked / "sakuga_export.py").write_text("raise ImportError('not in a server')")
    serve.process = subprocess.Popen(
        [SAKUGA, "serve"],
        cwd=serve.folder,
        env={**serve.environment, "PYTHONPATH": os.pathsep.join((str(blocked), *_paths()))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    serve.log.follow(serve.process)
    await serve.until(lambda text: "Serving at" in text)
