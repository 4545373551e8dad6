"""NVIDIA's perf_analyzer on the model `upscale` of a new server.

`python benchmarks/perf_analyzer.py [--model NAME] [--side 256] [--requests 50] [--out FOLDER]`;
about three minutes on two cores. The first run fetches perf_analyzer into the user's cache, without
root: its binary is in a wheel of tritonclient, and takes a library of Debian and one of CUDA, which
needs no GPU. That asks for pip, and for apt-get or a libb64 that is already there.
"""

import argparse
import base64
import csv
import io
import json
import os
import re
import shutil
import struct
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CDLL
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import RESULTS, store
from upscale import drawn

from pictures import encoded
from sakuga import load_config
from sakuga_core.paths import cache_folder
from sakuga_core.protocol import IMAGE, OPTIONS, UPSCALE, canonical, folder
from sakuga_server.runtime.embedded import free_port, run_triton
from tools import Unavailable, apt_download, output

CLIENTS = (1, 2, 4, 8)

# The wheels that are taken apart, by the sha256 that they had when this was written.
WHEELS = {
    "10d2cda89b72599757ef5aeab160c39c6dead64a97871c6156cdf25043f2f655": "tritonclient==2.46.0",
    "25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3": (
        "nvidia-cuda-runtime-cu12==12.9.79"
    ),
}
PLATFORMS = ("manylinux1_x86_64", "manylinux2014_x86_64")
BINARY = Path("tritonclient-2.46.0.data/data/bin/perf_analyzer")
CUDA = Path("nvidia/cuda_runtime/lib")
DEBIAN, LIBRARY = "libb64-0d", "libb64.so.0d"

# A point is measured in windows of `--requests` pictures, until three in a row differ by at most so
# many per cent. Where they don't, perf_analyzer gives no figures; then it measures three windows
# that may differ as they like, and the row says that it isn't stable. (With `--request-count`, 15
# pictures gave 15 a second where windows gave 50, at the same latency; so that isn't used.)
WINDOWS, MOST_WINDOWS, STABLE, ANY = 3, 6, 25, 10_000
SECONDS = 900  # for one point

# What is kept of a row of the CSV: its name here, and what it is divided by; times are in µs.
COLUMNS = {
    "Inferences/Second": ("pictures_per_s", 1),
    "p50 latency": ("p50_ms", 1000),
    "p90 latency": ("p90_ms", 1000),
    "p95 latency": ("p95_ms", 1000),
    "p99 latency": ("p99_ms", 1000),
    "Network+Server Send/Recv": ("grpc_ms", 1000),
    "Server Queue": ("pipeline_queue_ms", 1000),
    "Server Compute Infer": ("pipeline_ms", 1000),
}

# What it prints, but doesn't write, of the network below `upscale`.
NETWORK = re.compile(
    r"Inference count: (\d+)\s+Execution count: (\d+)\s+Successful request count: \d+\s+"
    r"Avg request latency: .*?queue (\d+) usec.*?compute infer (\d+) usec"
)
NOTES = [
    "All figures are from NVIDIA's perf_analyzer 2.46.0, an independent client: a request is a PNG "
    "file in and a PNG file out, over gRPC.",
    "`pipeline`: means of the model `upscale`, per picture: its time in the queue of "
    "`server.upscale_workers`, and its time in a worker, including all waiting for the network.",
    "`network`: means of the model that `upscale` calls, per tile: its time in the dynamic "
    "batcher's queue, and the time of its batch; `batch` is the mean batch size in tiles.",
    f"A row is stable if three consecutive windows, of {MOST_WINDOWS} at most, differ by no more "
    f"than {STABLE} % in pictures a second and in latency.",
]


class Unstable(Exception):
    """perf_analyzer's windows differ too much, so it gives no figures."""


@dataclass(frozen=True)
class Tool:
    """perf_analyzer, where it was unpacked."""

    folder: Path

    def __call__(self, *arguments: str) -> str:
        """What it prints.

        Raises:
            Unstable: it finds no stable figures.
            Unavailable: it can't be started, fails, or doesn't end.
        """
        paths = os.pathsep.join([str(self.folder / CUDA), str(self.folder)])
        command = [str(self.folder / BINARY), *arguments]
        try:
            return output(command, SECONDS, env={**os.environ, "LD_LIBRARY_PATH": paths})
        except Unavailable as error:
            if "stable measurement" in str(error):
                raise Unstable from error
            raise


def tool() -> Tool:
    """perf_analyzer from the user's cache; the first time, fetched into it."""
    place = cache_folder() / "perf_analyzer"
    if not (place / BINARY).exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
            new = Path(temporary) / "new"
            unpack_wheels(new)
            unpack_library(new)
            shutil.rmtree(place, ignore_errors=True)
            new.rename(place)  # whole or not at all
    found = Tool(place)
    print(found("--version").strip(), flush=True)
    return found


def unpack_wheels(target: Path) -> None:
    """The binary and CUDA's runtime, each checked against its sum."""
    with tempfile.TemporaryDirectory() as temporary:
        requirements = Path(temporary) / "requirements.txt"
        requirements.write_text(
            "".join(f"{name} --hash=sha256:{digest}\n" for digest, name in WHEELS.items())
        )
        platforms = [f"--platform={name}" for name in PLATFORMS]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        pip += ["--only-binary=:all:", *platforms]
        output([*pip, "-d", temporary, "-r", str(requirements)])
        for wheel in Path(temporary).glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(target)
    (target / BINARY).chmod(0o755)


def unpack_library(target: Path) -> None:
    """libb64 beside the rest, from Debian's archive, unless this machine has it."""
    try:
        CDLL(LIBRARY)
    except OSError:
        with tempfile.TemporaryDirectory() as temporary:
            unpack_debian(Path(temporary))
            found = next(Path(temporary).rglob(f"{LIBRARY}*"))
            shutil.copy(found, target / LIBRARY)


def unpack_debian(target: Path) -> None:
    """
    Raises:
        Unavailable: there is no apt-get, or its lists don't have the package.
    """
    try:
        output(["dpkg", "-x", str(apt_download(DEBIAN, target)), str(target)])
    except Unavailable as error:
        raise Unavailable(
            f"{LIBRARY} isn't on this machine, nor Debian's package {DEBIAN} to be had: {error}"
        ) from error


@contextmanager
def served(model: str) -> Iterator[str]:
    """The address of a new server that has loaded the network."""
    config = load_config()
    config.server.preload = [model]
    with run_triton(config, free_port(), io.StringIO()) as server:
        yield server.url


def requests_file(model: str, side: int, target: Path) -> Path:
    """What perf_analyzer sends, again and again: one picture and its options."""
    values = {IMAGE: encoded(drawn(side)), OPTIONS: json.dumps({"model": model}).encode()}
    tensors = {name: {"b64": as_element(value), "shape": [1]} for name, value in values.items()}
    target.write_text(json.dumps({"data": [tensors]}))
    return target


def as_element(value: bytes) -> str:
    """One element of a BYTES tensor, as perf_analyzer takes it: behind its length."""
    return base64.b64encode(struct.pack("<I", len(value)) + value).decode()


def point(run: Tool, aim: list[str], clients: int, requests: int, report: Path) -> dict[str, Any]:
    """One row: this many requests in flight."""
    command = [*aim, "--concurrency-range", f"{clients}:{clients}", "-f", str(report)]
    command += ["--measurement-mode=count_windows", "--measurement-request-count", str(requests)]
    stable = True
    try:
        printed = run(*command, "-r", str(MOST_WINDOWS), "-s", str(STABLE))
    except Unstable:
        stable = False
        printed = run(*command, "-r", str(WINDOWS), "-s", str(ANY))
    row = {"clients": clients, "stable": stable, **read(report.read_text()), **network(printed)}
    print(row, flush=True)
    return row


def read(text: str) -> dict[str, float]:
    """The figures of a CSV of one row."""
    (row,) = csv.DictReader(io.StringIO(text))
    return {name: round(float(row[key]) / by, 2) for key, (name, by) in COLUMNS.items()}


def network(printed: str) -> dict[str, float]:
    """The network's figures, from what perf_analyzer prints below `Composing models`."""
    found = NETWORK.search(printed.partition("Composing models")[2])
    if found is None:
        return {}
    tiles, batches, queue, compute = map(int, found.groups())
    return {
        "network_queue_ms": round(queue / 1000, 2),
        "network_ms": round(compute / 1000, 2),
        "batch": round(tiles / max(batches, 1), 2),
    }


def measure(run: Tool, model: str, side: int, requests: int) -> list[dict[str, Any]]:
    with served(model) as url, tempfile.TemporaryDirectory() as temporary:
        data = requests_file(model, side, Path(temporary) / "requests.json")
        aim = ["-m", UPSCALE, "-u", url, "-i", "grpc", "--input-data", str(data)]
        aim += ["--bls-composing-models", folder(model)]
        report = data.with_name("report.csv")
        rows = [point(run, aim, clients, requests, report) for clients in CLIENTS]
    return [{"model": model, "side": side, **row} for row in rows]


def table(rows: list[dict[str, Any]]) -> list[str]:
    keys = [key for key in rows[0] if key not in ("model", "side")]
    lines = [" | ".join(str(row.get(key, "")) for key in keys) for row in rows]
    heads = " | ".join(key.replace("_per_s", " a second").replace("_", " ") for key in keys)
    return [f"| {heads} |", "|---" * len(keys) + "|", *(f"| {line} |" for line in lines)]


def main() -> str | None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=canonical, default="realesr-animevideov3")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--requests", type=int, default=50, help="in a window")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    try:
        rows = measure(tool(), options.model, options.side, options.requests)
    except Unavailable as error:
        return f"perf_analyzer: {error}"
    title = f"perf_analyzer: {options.model}, a picture of {options.side}²"
    store("perf_analyzer", title, {"rows": rows}, table(rows), NOTES, folder=options.out)
    return None


if __name__ == "__main__":
    sys.exit(main())
