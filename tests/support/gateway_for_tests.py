"""`sakuga web` as a process of its own."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sakuga_server.runtime.embedded import free_port
from serving_for_tests import SAKUGA, Log

NewWeb = Callable[..., "Web"]  # starts a gateway of a test's own

VIDEO, U2NET = "realesr-animevideov3", "u2net"
START_SECONDS = 60

# Options with which each action of a test is quick, and with which a picture has many tiles.
OPTIONS: dict[str, dict[str, Any]] = {
    "upscale": {"model": VIDEO, "scale": 2},
    "enhance": {"model": VIDEO, "scale": 2},
    "rembg": {"model": U2NET},
    "fix_artifacts": {"model": VIDEO, "scale": 1},
}
TILED = {"model": VIDEO, "tile_size": 32}


@dataclass
class Web:
    """`sakuga web`, with a config.yaml and jobs in a folder of its own.

    Args:
        folder: for both.
        triton: host:port of the server behind it.
        settings: the block `gateway` of its config.yaml.
        limits: the block `limits`.
        blocks: others of its config.yaml.
    """

    folder: Path
    triton: str
    settings: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    blocks: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    process: "subprocess.Popen[str] | None" = None
    log: Log = field(default_factory=Log)
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self) -> None:
        """Writes its config.yaml."""
        blocks = {
            "providers": {"image": {"upscale": {"model": VIDEO}, "rembg": {"model": U2NET}}},
            "server": {"url": self.triton},
            "gateway": {"port": self.port, "rate": 1_000_000, "in_flight": 64, **self.settings},
            "limits": self.limits,
            **self.blocks,
        }
        (self.folder / "config.yaml").write_text(json.dumps(blocks))  # JSON is YAML

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        self.write()
        data = {"XDG_DATA_HOME": str(self.folder / "data")}  # of the jobs
        self.process = subprocess.Popen(
            [SAKUGA, "web", *self.flags],
            cwd=self.folder,
            env={**os.environ, **data, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.log = Log()
        self.log.follow(self.process)
        with self.log.changed:
            ready = self.log.changed.wait_for(self._is_up, START_SECONDS)
        assert ready, self.log.text
        assert self.process.poll() is None, self.log.text

    def _is_up(self) -> bool:
        assert self.process
        return "Serving at" in self.log.text or self.process.poll() is not None

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120, **options)

    def kill(self) -> None:
        """As `kill -9` does."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def end(self, by: signal.Signals = signal.SIGINT) -> None:
        """As Ctrl-C does, or a container's engine by SIGTERM."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(by)
            assert self.process.wait(60) == 0, self.log.text


@dataclass(frozen=True)
class Event:
    """An event that a server sends."""

    kind: str
    number: int
    data: dict[str, Any]


def events(client: httpx.Client, location: str, after: int | None = None) -> Iterator[Event]:
    """The events of a job, as they come, until it has finished."""
    headers = {} if after is None else {"last-event-id": str(after)}
    with client.stream("GET", f"{location}/events", headers=headers) as answer:
        assert answer.status_code == 200
        found: dict[str, str] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                found[name] = value
            elif "event" in found:
                yield Event(found["event"], int(found["id"]), json.loads(found["data"]))
                found = {}


def submitted(client: httpx.Client, *pictures: bytes, **fields: str) -> str:
    """The location of a new job."""
    files = [("image", (f"{number}.png", data)) for number, data in enumerate(pictures)]
    form = {"action": "upscale", "scale": "2", **fields}
    headers = {"idempotency-key": key} if (key := form.pop("key", "")) else {}
    answer = client.post("/v1/jobs", files=files, data=form, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["links"]["self"]
    return str(answer.headers["location"])


def finished(client: httpx.Client, location: str) -> dict[str, Any]:
    """A job once it has finished, by its events."""
    *_, last = events(client, location)
    assert last.kind == "finished"
    job: dict[str, Any] = client.get(location).json()
    return job
