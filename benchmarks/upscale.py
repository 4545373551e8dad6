"""Upscaling side by side: Sakuga over a running Triton, against RealESRGANer and the bare network.

`python benchmarks/upscale.py [--quick]`; about fifteen minutes on two cores, one with --quick.
"""

import asyncio
import io
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from measure import Row, difference, side_by_side, write

from composites import SCENES, composite
from draw import picture
from networks_for_tests import EXPORTED, repository_of
from pictures import encoded, pixels_of, sample
from reference import upsampler
from sakuga import Config, Images, Reply, connect, load_config
from sakuga_core import protocol
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import by_name
from sakuga_core.repository import writer
from sakuga_export.custom import add
from sakuga_export.families import upscalers
from sakuga_export.fetch import fetch
from sakuga_export.output import ONNX
from sakuga_server.backends.engines import EngineOptions, engine
from sakuga_server.imaging import tiling
from sakuga_server.runtime.embedded import Embedded, free_port, run_triton

NOTES = [
    "Both sides go from the bytes of a PNG to the bytes of a PNG. RealESRGANer runs as in its "
    "published script: tile 0, no pre-padding, float32, on all cores; OpenCV reads and writes its "
    "files.",
    "Sakuga runs with this project's config.yaml: OpenVINO, in bfloat16 on a processor that has "
    "it; rows with fp32 use `precision: fp32`.",
    "`over Triton, bare`: a request over gRPC and Triton, against the same tiles in the same "
    "engine alone, in one process with the same threads. The ratio is bare / served; the "
    "difference is decoding, encoding and transport.",
    "Pictures up to 1212 pixels (1060 for animevideov3) are one tile, as at the peer.",
    "`drawings`: the difference between the two, on a 192² crop of each sample and of drawn "
    "scenes, of which noise and hatching are the hardest.",
]


TILE_SIZE = load_config().limits.tile_size
SAMPLES = ("heroine", "sunset")


class Loop:
    """An event loop in a thread, so that synchronous measuring can call the client."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def __call__(self, work: object) -> object:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()  # type: ignore[arg-type]


@contextmanager
def served(
    config: Config, loop: Loop, models: Sequence[str] = ()
) -> Iterator[tuple[Images, Embedded]]:
    """A new server, and a connection to it; `models` as for `run_triton`."""
    with run_triton(config, free_port(), io.StringIO(), models) as server:
        connection = connect(config, url=server.url)
        images = loop(connection.__aenter__())
        assert isinstance(images, Images)
        try:
            yield images, server
        finally:
            loop(connection.__aexit__(None, None, None))


def drawn(side: int) -> np.ndarray:
    """A square of the heroine, drawn at the size at which it fills it; beyond 1024², of several."""
    most = min(side, 1024)
    image = np.asarray(picture("heroine", size=most / 360).crop((0, 0, most, most)))
    return np.tile(image, (-(-side // most), -(-side // most), 1))[:side, :side]


def peer_of(network: Upscaler) -> Callable[[bytes], bytes]:
    weights = network.weights[0]
    state = upscalers.load(network, weights, fetch(weights))
    with tempfile.TemporaryDirectory() as folder:
        reference = upsampler(network, [state], Path(folder))

    def upscale(data: bytes) -> bytes:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        result, _ = reference.enhance(pixels)
        return bytes(cv2.imencode(".png", result)[1])

    return upscale


def bare_of(network: Upscaler, repository: Path) -> Callable[[np.ndarray], None]:
    file = repository / network.folder / "1" / ONNX
    run = engine(file, EngineOptions(bf16=network.bf16), print)

    def all_tiles(pixels: np.ndarray) -> None:
        height, width = pixels.shape[:2]
        for rows, columns in tiling.split(height, width, TILE_SIZE, network.receptive_field):
            feed = {protocol.NET_IMAGE: pixels[None, rows.window, columns.window].copy()}
            if network.trims:
                inner = tiling.inner_sides(rows, columns, height, width)
                feed[protocol.NET_INNER] = np.zeros((1, *protocol.inner_shape(inner)), np.uint8)
            run([protocol.NET_RESULT], feed)

    return all_tiles


def compare(
    images: Images, loop: Loop, network: Upscaler, sides: list[int], how: str = ""
) -> list[Row]:
    """Against the peer and, as config.yaml stands, against the bare network."""
    peer, rows = peer_of(network), []
    bare = None if how else bare_of(network, images.config.server.repository)
    for side in sides:
        pixels, runs = drawn(side), {256: 5, 512: 3}.get(side, 2)
        data = encoded(pixels)

        def ours(data: bytes = data) -> object:
            return loop(images.process(data, "upscale", {"model": network.name}))

        def theirs(data: bytes = data) -> object:
            return peer(data)

        quality = difference(pixels_of(ours()), pixels_of(theirs()))  # type: ignore[arg-type]
        name = f"{network.name} {side}²{how}"
        what = f"{name} against RealESRGANer"
        rows.append(side_by_side(what, ours, theirs, runs, quality, warm=True))
        if bare is None:
            continue
        alone = partial(bare, pixels)
        reply = loop(images.run(data, "upscale", {"model": network.name}))
        assert isinstance(reply, Reply)
        rows.append(side_by_side(f"{name} over Triton, bare", ours, alone, runs, stages(reply)))
    return rows


@contextmanager
def temporary_repository(config: Config) -> Iterator[None]:
    """Lets `config` use a temporary repository, written for it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, exported = Path(temporary), config.server.repository
        repository_of(exported, folder)
        for file in exported.glob(f"*/{add.FILE}"):
            shutil.copy(file, folder / file.parent.name)
        config.server.repository = folder
        writer.write(folder, config)
        yield


def drawings() -> Iterator[np.ndarray]:
    """192² of each sample and scene that has colours and no alpha."""
    for name in SAMPLES:
        yield sample(name, (100, 100, 292, 292))
    for name in SCENES:
        yield composite(name, 192, 192).colour


def fidelity(images: Images, loop: Loop, network: Upscaler) -> Row:
    """How far apart the two are; nothing is timed."""
    peer, levels, decibels = peer_of(network), [], []
    for pixels in drawings():
        data = encoded(pixels)
        found = loop(images.process(data, "upscale", {"model": network.name}))
        apart = pixels_of(found).astype(float) - pixels_of(peer(data))  # type: ignore[arg-type]
        levels.append(int(np.abs(apart).max()))
        decibels.append(10 * np.log10(255**2 / np.mean(apart**2)))
    text = f"{len(levels)} drawings: {min(decibels):.1f} to {max(decibels):.1f} dB"
    text += f", half of them over {np.median(decibels):.1f}; at most {max(levels)} levels apart"
    print(network.name, text, flush=True)
    return Row(f"{network.name}, drawings", None, None, None, text)


def stages(reply: Reply) -> str:
    """Where the time of a served picture went, besides the network."""
    spent = reply.report["milliseconds"]
    return f"codec: {spent['decode'] + spent['encode']:.0f} ms of {spent['total']:.0f}"


def main(quick: bool) -> None:
    loop, rows = Loop(), []
    sides = [256] if quick else [256, 512, 1024]
    with served(load_config(), loop) as (images, _):
        for name in EXPORTED:
            rows += compare(images, loop, by_name(name), sides)
            rows.append(fidelity(images, loop, by_name(name)))
    config = load_config()
    config.server.precision = "fp32"
    with temporary_repository(config), served(config, loop) as (images, _):
        for name in EXPORTED:
            rows += compare(images, loop, by_name(name), [256], ", fp32")
    if not quick:
        write("upscale", "Upscaling", "the peer", rows, NOTES)


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv))
