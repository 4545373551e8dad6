"""How long the first picture takes: a server's, and that of a command that starts everything anew.

`python benchmarks/start.py`; about two minutes on two cores.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measure import seconds, store
from upscale import Loop, drawn, own_repository, served

from networks_for_tests import PROJECT
from pictures import encoded
from sakuga import load_config
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import by_name
from sakuga_export.families import upscalers
from sakuga_export.fetch import fetch

SAKUGA = Path(sys.executable).with_name("sakuga")
MODEL, SIDE, STARTS = "realesr-animevideov3", 256, 3

# The peer's shortest way: a process that imports it, loads the weights, and upscales one file. The
# two lines in between are what its unmaintained dependencies need; see tests/support/reference.py.
PEER = """
import sys, cv2
from sakuga_export.foreign import import_torchvision
kept = import_torchvision()
import torchvision.transforms.functional as functional
sys.modules["torchvision.transforms.functional_tensor"] = functional
from realesrgan import RealESRGANer
sys.path.insert(0, {support!r})
from reference import architecture
from sakuga_export.networks import by_name
net = architecture(by_name({model!r}))
peer = RealESRGANer(scale=4, model_path={weights!r}, model=net, tile=0, pre_pad=0, half=False)
cv2.imwrite({target!r}, peer.enhance(cv2.imread({source!r}, cv2.IMREAD_UNCHANGED))[0])
"""
NOTES = [
    "First pictures: new processes each time, whose files lie in the system's page cache; median "
    f"of {STARTS}. The two commands take turns, after an uncounted run of each. RealESRGANer's "
    "imports this project's list of networks, too, which is a fifth of a second.",
]


def of_server() -> dict[str, Any]:
    """From starting a server to its first picture."""
    config, loop, picture = load_config(), Loop(), encoded(drawn(SIDE))
    config.server.preload = [MODEL]
    took: list[float] = []
    with own_repository(config):
        for _ in range(STARTS):
            start = time.perf_counter()
            with served(config, loop) as (images, _):
                loop(images.process(picture, "upscale", {"model": MODEL}))
                took.append(time.perf_counter() - start)
    return described("a server started, until its first picture is back", took)


def of_commands() -> list[dict[str, Any]]:
    """One picture by a command that starts a server, and by the peer's package, in turn."""
    taken: dict[str, list[float]] = {"`sakuga upscale --embedded`": [], "RealESRGANer": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = folder / "picture.png"
        source.write_bytes(encoded(drawn(SIDE)))
        commands = our_command(source, folder), peer_command(source, folder)
        runs = dict(zip(taken, commands, strict=True))
        for _ in range(STARTS + 1):  # the first one isn't counted
            for name, command in runs.items():
                taken[name].append(seconds(partial(finish, command, folder)))
    return [described(f"one picture by {n}, until it ends", took[1:]) for n, took in taken.items()]


def described(what: str, took: list[float]) -> dict[str, Any]:
    middle = round(statistics.median(took), 2)
    row = {"what": what, "model": MODEL, "side": SIDE, "seconds": middle}
    row |= {"seconds_least": round(min(took), 2), "seconds_most": round(max(took), 2)}
    print(row, flush=True)
    return row


def finish(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def our_command(source: Path, folder: Path) -> list[str]:
    how = ["--config", str(PROJECT / "config.yaml"), "upscale", "--embedded", "--model", MODEL]
    return [str(SAKUGA), *how, str(source), "-o", str(folder / "ours.png")]


def peer_command(source: Path, folder: Path) -> list[str]:
    network = by_name(MODEL)
    assert isinstance(network, Upscaler)
    weights = folder / "weights.pth"
    state = upscalers.load(network, network.weights[0], fetch(network.weights[0]))
    torch.save({"params": dict(state)}, weights)
    paths = {"source": source, "target": folder / "peers.png", "weights": weights}
    paths["support"] = PROJECT / "tests" / "support"
    text = PEER.format(model=MODEL, **{name: str(path) for name, path in paths.items()})
    return [sys.executable, "-c", text]


def table(rows: list[dict[str, Any]]) -> list[str]:
    return [
        "| | model | input | seconds | from, to |",
        "|---|---|---|---|---|",
        *(
            f"| {r['what']} | {r['model']} | {r['side']}² | {r['seconds']} "
            f"| {r['seconds_least']}, {r['seconds_most']} |"
            for r in rows
        ),
    ]


if __name__ == "__main__":
    rows = [of_server(), *of_commands()]
    store("start", "The first picture", {"rows": rows}, table(rows), NOTES)
