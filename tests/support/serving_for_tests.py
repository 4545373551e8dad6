"""`sakuga serve` as a process of its own, and the config.yaml that it follows."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SAKUGA = Path(sys.executable).with_name("sakuga")
TILE = 48
SMALL = {
    "upscale_workers": 2,
    "matting_workers": 1,
    "fix_artifacts_workers": 1,
    "precision": "fp32",
}
NONE = {"model": "realesrgan-x4plus"}  # which isn't there to be loaded


@dataclass
class Serve:
    """`sakuga serve`, and the config.yaml that it follows."""

    folder: Path
    port: int
    process: subprocess.Popen[str] | None = None
    http_port: int | None = None

    @property
    def file(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def said(self) -> str:
        return (self.folder / "log").read_text()

    async def until(self, said: Callable[[str], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not said(self.said()):
            assert time.monotonic() < end, self.said()
            await asyncio.sleep(0.1)

    def write(self, upscale: str, **server: object) -> None:
        """Replaces the file as editors do: the new one whole, under the old one's name."""
        settings = {"url": self.url, "repository": "repository", **SMALL, **server}
        others = {"enhance": NONE, "fix_artifacts": NONE | {"inpaint": "opencv"}}
        blocks = {
            "providers": {"image": {"upscale": {"model": upscale}, **others}},
            "rembg": {"model": "isnet-general-use"},  # which isn't there, either
            "realesrgan": {"denoise_strength": 1, "tile_size": TILE},
            "server": settings,
        }
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(blocks))  # JSON is YAML
        new.replace(self.file)

    def run(self, *arguments: str, program: Path = SAKUGA) -> subprocess.CompletedProcess[str]:
        command = [program, *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True)

    def end(self) -> None:
        """As Ctrl-C does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            assert self.process.wait(60) == 0, self.said()


async def started(serve: Serve) -> None:
    with (serve.folder / "log").open("w") as log:
        serve.process = subprocess.Popen(
            [SAKUGA, "serve"], cwd=serve.folder, stdout=log, stderr=log, text=True
        )
    await serve.until(lambda text: "Serving at" in text)
