"""How long everything takes to start: commands, a server, and one picture from nothing.

`python benchmarks/start.py`; about five minutes on two cores. Nothing else may run: the commands
use the server that answers on this machine, if there is one.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measure import seconds, store

from networks_for_tests import PROJECT
from pictures import encoded, gradient
from sakuga_core.config.file import load_config
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import by_name
from sakuga_export.families import upscalers
from sakuga_export.fetch import fetch
from sakuga_server.runtime.embedded import free_port, run_triton

SAKUGA = Path(sys.executable).with_name("sakuga")
SIDE, STARTS = 256, 5

# The peer's shortest way: a process that imports it, loads the weights, and upscales one file. The
# lines before the import of realesrgan are what its unmaintained dependencies need.
ARCHITECTURES = {
    "realesrgan-x4plus-anime": (
        "from basicsr.archs.rrdbnet_arch import RRDBNet as Net",
        "Net(num_in_ch=3, num_out_ch=3, num_feat=64, num_block=6, num_grow_ch=32, scale=4)",
    ),
    "realesr-animevideov3": (
        "from realesrgan.archs.srvgg_arch import SRVGGNetCompact as Net",
        "Net(num_in_ch=3, num_out_ch=3, num_feat=64, num_conv=16, upscale=4, act_type='prelu')",
    ),
}
PEER = """
import sys, torch
kept = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    kept.define(name + "(Tensor dets, Tensor scores, float threshold) -> Tensor")
import torchvision.transforms.functional as functional
sys.modules["torchvision.transforms.functional_tensor"] = functional
import cv2
{imported}
from realesrgan import RealESRGANer
net = {net}
peer = RealESRGANer(scale=4, model_path={weights!r}, model=net, tile=0, pre_pad=0, half=False)
cv2.imwrite({target!r}, peer.enhance(cv2.imread({source!r}, cv2.IMREAD_UNCHANGED))[0])
"""
NOTES = [
    f"New processes each time, their files in the system's page cache; median of {STARTS}, after "
    "an uncounted run. The two commands of a model alternate; the ratio is the median of the "
    "pairs, under 1 where Sakuga is faster.",
    "The peer's process imports RealESRGANer, loads the published weights and upscales one file.",
    "`sakuga upscale` starts the embedded server for the length of the command. Its default "
    "precision is bfloat16 where the CPU has it, and float32 elsewhere; the peer's is float32.",
    "The network is compiled in the uncounted run, and comes from the user's cache afterwards; for "
    "the first time, that cache is empty.",
    "A server is ready when gRPC answers and the pipeline and the network of one action are "
    "loaded.",
]


def of_commands() -> list[dict[str, Any]]:
    """`sakuga --version` and `sakuga --help`."""
    rows = []
    for flag in ("--version", "--help"):
        command = [str(SAKUGA), flag]
        times = [seconds(partial(finish, command)) for _ in range(2 * STARTS + 1)][1:]
        rows.append(described(f"`sakuga {flag}`", "", times))
    return rows


def of_server(model: str) -> dict[str, Any]:
    """From starting a server for one action by one network until it is ready."""
    config = load_config(PROJECT / "config.yaml")
    models = ["upscale", "networks", by_name(model).folder]

    def start() -> float:
        begin = time.perf_counter()
        with run_triton(config, free_port(), models=models):
            return time.perf_counter() - begin

    times = [start() for _ in range(STARTS + 1)][1:]
    return described("a server, until it is ready", model, times)


def of_pictures(model: str) -> list[dict[str, Any]]:
    """One picture by a command that starts a server, and by the peer's package, in turn."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = folder / "picture.png"
        source.write_bytes(encoded(gradient(SIDE, SIDE)))
        ours = partial(finish, our_command(model, source, folder))
        peer = partial(finish, peer_command(model, source, folder))
        pairs = [(seconds(ours), seconds(peer)) for _ in range(STARTS + 1)][1:]
        cold = of_empty_cache(model, source, folder)
    ratio = round(statistics.median(mine / theirs for mine, theirs in pairs), 2)
    mine, theirs = (list(side) for side in zip(*pairs, strict=True))
    first = described("one picture by `sakuga upscale`, until it ends", model, mine)
    return [
        {**first, "ratio": ratio},
        described("one picture by RealESRGANer, until it ends", model, theirs),
        described("one picture by `sakuga upscale`, for the first time", model, cold),
    ]


def of_empty_cache(model: str, source: Path, folder: Path) -> list[float]:
    """As a machine's very first command, whose server compiles the network."""
    times = []
    for number in range(STARTS):
        cache = str(folder / f"cache-{number}")
        command = our_command(model, source, folder)
        times.append(seconds(partial(finish, command, XDG_CACHE_HOME=cache)))
    return times


def described(what: str, model: str, times: list[float]) -> dict[str, Any]:
    row = {"what": what, "model": model, "seconds": round(statistics.median(times), 2)}
    row |= {"seconds_least": round(min(times), 2), "seconds_most": round(max(times), 2)}
    print(row, flush=True)
    return row


def finish(command: list[str], **variables: str) -> None:
    """Runs a command, with these variables besides the environment's own."""
    environment = {**os.environ, **variables}
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, env=environment)


def our_command(model: str, source: Path, folder: Path) -> list[str]:
    return [str(SAKUGA), "upscale", "--model", model, str(source), "-o", str(folder / "ours.png")]


def peer_command(model: str, source: Path, folder: Path) -> list[str]:
    network = by_name(model)
    assert isinstance(network, Upscaler)
    weights = folder / "weights.pth"
    state = upscalers.load(network, network.weights[0], fetch(network.weights[0]))
    torch.save({"params": dict(state)}, weights)
    imported, net = ARCHITECTURES[model]
    paths = {"source": source, "target": folder / "peers.png", "weights": weights}
    text = PEER.format(imported=imported, net=net, **{k: str(path) for k, path in paths.items()})
    return [sys.executable, "-c", text]


def table(rows: list[Mapping[str, Any]]) -> list[str]:
    return [
        "| | model | seconds | from, to | ratio to the peer |",
        "|---|---|---|---|---|",
        *(
            f"| {r['what']} | {r['model']} | {r['seconds']} "
            f"| {r['seconds_least']}, {r['seconds_most']} | {r.get('ratio', '')} |"
            for r in rows
        ),
    ]


def measured() -> list[Mapping[str, Any]]:
    per_model: list[Callable[[str], Any]] = [lambda model: [of_server(model)], of_pictures]
    rows = [row for model in ARCHITECTURES for part in per_model for row in part(model)]
    return [*of_commands(), *rows]


if __name__ == "__main__":
    rows = measured()
    store("start", "Starting", {"rows": rows}, table(rows), NOTES)
