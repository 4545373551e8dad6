"""Which networks the tests serve, and weights for those that can't be had everywhere."""

import json
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

import reference
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import by_name
from sakuga_export.architectures import isnet
from sakuga_export.families import graph, upscalers
from sakuga_export.output import ONNX
from sakuga_server.backends import engines
from sakuga_server.networks import Tile

PROJECT = Path(__file__).parents[2]
AURA = {
    "style_network": {"dim_in": 128, "dim_out": 512, "depth": 4},
    "dim": 64,
    "image_size": 256,
    "input_image_size": 64,
    "unconditional": True,
    "skip_connect_scale": 0.4,
}  # the published config.json
SMALL_AURA = AURA | {"dim": 8, "style_network": {"dim_in": 128, "dim_out": 64, "depth": 4}}
Once = Callable[[str, Callable[[Path], object]], Path]  # makes a folder of a name, once
EXPORTED = ("realesrgan-x4plus-anime", "realesr-animevideov3")


def generated_states(network: Upscaler) -> list[upscalers.State]:
    """Weights nobody trained, of the exact architecture, whose results stay mostly in 0…1."""
    states = []
    for seed in range(len(network.weights)):
        torch.manual_seed(seed)
        state = upscalers.build(network).state_dict()
        states.append({name: value.clone() for name, value in state.items()})
    return states


def generated_aura(folder: Path, config: dict[str, Any] = SMALL_AURA) -> Path:
    """Writes AuraSR's `model.safetensors` and `config.json` on weights nobody trained, built by its
    own package, whose results span nearly 0 to 1."""
    net = reference.aura_sr().UnetUpsampler(**config)
    side = config["input_image_size"]
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for parameter in net.parameters():
            if parameter.ndim == 1 and not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)  # biases that would hide a lost one
        net.style_to_conv_modulations.weight *= 4  # styles matter more than untrained
        smooth = F.interpolate(torch.rand(1, 3, 4, 4), size=side, mode="bilinear")
        image = torch.cat((smooth, torch.rand(1, 3, side, side)))
        result = net(image, noise=torch.randn(2, net.style_network.dim_in))
        centre = result.mean(dim=(0, 2, 3))
        last, spread = net.final_to_rgb, 0.2 / (result - centre[:, None, None]).std()
        last.weight *= spread
        last.bias.copy_(0.5 + (last.bias - centre) * spread)
    save_file(net.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder / "model.safetensors"


def generated_isnet(folder: Path, side: int = 1024) -> Path:
    """Writes `isnet-anime.onnx` on weights nobody trained, in the form of rembg's file: every size
    that a Resize gives is a constant, batch of 1 included."""
    traced, target = folder / "traced.onnx", folder / "isnet-anime.onnx"
    isnet.write(generated_isnet_net(), traced, side)
    # rembg's file went through onnxsim; onnxruntime folds the same constants.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(traced, options, providers=["CPUExecutionProvider"])
    traced.unlink()
    return target


@cache
def generated_isnet_net() -> isnet.ISNet:
    """IS-Net whose masks span nearly 0 to 1. Its norms have the statistics of a smooth picture and
    of noise, and biases that leave few ReLUs near their corner: without both, a change of 1e-7 in
    a picture would come out as one of 0.1 in its mask."""
    torch.manual_seed(0)
    net = isnet.ISNet()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # a plain mean of what was seen
            torch.nn.init.ones_(module.bias)
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 16, 16), size=512, mode="bilinear")
    with torch.no_grad():
        net(torch.cat((smooth, torch.rand(1, 3, 512, 512))) - 0.45)
        net.get_submodule("side1").weight *= 2  # type: ignore[operator]
    return net.eval()


class Engine:
    """A network's exported file in the engine that the embedded server takes, in float32; called
    as onnxruntime's sessions are."""

    def __init__(self, file: Path) -> None:
        self.engine = engines.engine(file, engines.EngineOptions(), print)
        self.inputs = [
            SimpleNamespace(name=each.name, shape=[d.dim_value for d in _dims(each)])
            for each in onnx.load(file).graph.input
        ]

    def get_inputs(self) -> list[Any]:
        return self.inputs

    def run(self, names: list[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        results = self.engine(names, feed)
        return [results[name].copy() for name in names]


def _dims(value: onnx.ValueInfoProto) -> list[Any]:
    return list(value.type.tensor_type.shape.dim)


class Bare:
    """A network without anything of Triton around it."""

    def __init__(self, repository: Path, name: str) -> None:
        self.session = Engine(repository / by_name(name).folder / "1" / ONNX)

    def __call__(self, pixels: np.ndarray, strength: float | None = None) -> np.ndarray:
        found = graph.run_file(self.session, pixels[None], strength)[0]
        return found.astype(pixels.dtype)


def is_exported(name: str) -> bool:
    """Whether the project's own repository has a network: its weights can't be had everywhere."""
    row = by_name(name)
    return (PROJECT / "model_repository" / row.folder / "1" / row.file).exists()


def add(repository: Path, name: str, exported: Path) -> None:
    """Gives a repository a network that was exported into a folder."""
    (repository / by_name(name).folder / "1").symlink_to(exported, target_is_directory=True)


def link(repository: Path, *names: str) -> None:
    """Gives a repository networks that the project exported."""
    for name in names:
        add(repository, name, PROJECT / "model_repository" / by_name(name).folder / "1")


def repository_of(served: Path, folder: Path) -> Path:
    """A repository to change, with the exports of another."""
    for model in served.glob("*/config.pbtxt"):
        (folder / model.parent.name).mkdir(parents=True)
        shutil.copy(model, folder / model.parent.name)
        if (model.parent / "1").exists():
            (folder / model.parent.name / "1").symlink_to(model.parent / "1")
    return folder


async def nearest(model: str, tile: Tile) -> np.ndarray:
    """A network of arithmetic, each pixel four times; with the anime network's padding, if any."""
    pixels = tile.pixels
    if pixels.shape[-1] == 6:
        pixels = pixels[..., :3].astype(np.int32) * 256 + pixels[..., 3:]
    result = pixels.repeat(4, axis=1).repeat(4, axis=2)
    if tile.inner is None:
        return result
    top, bottom, left, right = (4 * 94 * side for side in tile.inner)
    return result[:, top : result.shape[1] - bottom, left : result.shape[2] - right]
