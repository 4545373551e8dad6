"""AuraSR: from the published checkpoint to a graph of plain convolutions for Triton."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from sakuga_core import protocol
from sakuga_core.networks.families import HALF_FILE, Enhancer
from sakuga_export.architectures import aura
from sakuga_export.errors import ExportError
from sakuga_export.families import graph, half
from sakuga_export.families.graph import Array, Served
from sakuga_export.output import atomically, mark_torchscript

CONFIG = "config.json"

# What half precision may change: a hundredth of the range. In the package, noise moves each result
# more than that.
HALF_LEVELS, HALF_DECIBELS = 2.55, 40.0


def load(network: Enhancer, checkpoint: Path) -> aura.AuraSR:
    """The network of a checkpoint, baked for the row's style.

    Args:
        network: what the checkpoint has to be.
        checkpoint: `model.safetensors` as published; where `config.json` lies beside it, that says
            how large the network is.

    Raises:
        ExportError: it isn't such a network.
    """
    try:
        shape = _shape(checkpoint.with_name(CONFIG))
        if shape.side != network.side:
            raise ValueError(f"its tiles have {shape.side} pixels, not {network.side}")
        style = aura.style_vector(shape.style, network.style)
        return aura.bake(load_file(checkpoint), shape, style)
    except (ValueError, SafetensorError) as error:
        raise ExportError(f"{checkpoint} isn't a checkpoint of {network.name}: {error}") from error


def _shape(config: Path) -> aura.Shape:
    if not config.exists():
        return aura.Shape()
    try:
        return aura.Shape.of(json.loads(config.read_text(encoding="utf-8")))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{config} lacks {error}") from error


def convert(network: Enhancer, net: aura.AuraSR, target: Path, origin: str = "") -> None:
    """Wraps, exports and compares; `target` appears only if all of it went well.

    Args:
        target: `model.pt` for TorchScript, else ONNX.
    """
    write = _write_onnx if network.half else _write_torchscript
    pictures = graph.trial_pictures(network.side, network.side)
    trials = [graph.Trial(image, graph.bare(net, image)) for image in pictures]

    def compare(check: graph.Check, file: Path) -> None:
        run = runner(file)
        graph.compare(network.name, trials, check, lambda image, _: run(image))

    with atomically(target) as file:
        write(network, Served(net), file, origin)
        compare(partial(graph.check, tolerance=network.tolerance), file)
        if network.half:
            roughly = partial(graph.check_half, levels=HALF_LEVELS, decibels=HALF_DECIBELS)
            half.write(file, target.with_name(HALF_FILE), partial(compare, roughly))


def _example(network: Enhancer) -> torch.Tensor:
    return torch.zeros(2, network.side, network.side, 6, dtype=torch.uint8)


def _write_onnx(network: Enhancer, served: Served, file: Path, origin: str) -> None:
    free = {protocol.NET_IMAGE: {0: "batch", 3: "channels"}}
    free |= {name: {0: "batch"} for name in graph.RESULTS}
    graph.write_onnx(served, {protocol.NET_IMAGE: _example(network)}, free, file, origin)


def _write_torchscript(network: Enhancer, served: Served, file: Path, origin: str) -> None:
    # Pictures come channels last, so the engine needs no other order in between.
    served.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.no_grad():
        traced = torch.jit.trace(served, _example(network))  # type: ignore[no-untyped-call]
    torch.jit.save(traced, file, _extra_files=mark_torchscript(origin))


def runner(file: Path) -> Callable[[Array], Array]:
    """What an exported file gives for uint8 or uint16 (B, side, side, 3)."""
    if file.suffix != ".pt":
        return partial(graph.run_file, graph.session(file))
    net = torch.jit.load(file)  # type: ignore[no-untyped-call]

    def run(image: Array) -> Array:
        with torch.inference_mode():
            results = net(torch.from_numpy(graph.packed(image)))
        return np.asarray(results[image.dtype == np.uint16].numpy())

    return run
