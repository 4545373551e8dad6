"""How Triton runs each family of networks: batching, instances, execution provider."""

import json
import math
from collections.abc import Sequence
from typing import Any

from sakuga_core import protocol
from sakuga_core.config.schema import Config
from sakuga_core.config.server import Backend, NetworkSettings
from sakuga_core.networks.families import (
    CustomUpscaler,
    Enhancer,
    Inpainter,
    Network,
    Segmenter,
    Upscaler,
)
from sakuga_core.repository import gpu
from sakuga_core.repository.gpu import Input, fixed

# Pixels of a batch of the largest tiles. A pixel costs an RRDBNet 4 kB at its widest, one of the
# small networks 0.5: that makes 8 and 4 GB. Smaller `limits.tile_size` allow larger batches.
BATCH_PIXELS = {"RRDBNet": 2**21, "SRVGGNetCompact": 2**23, "CUNet": 2**21, "UpConv7": 2**22}
LARGEST_BATCH = 16
LARGEST_TILE_BATCH = 8
LARGEST_SEGMENTER_BATCH = 4
LARGEST_INPAINTING_BATCH = 4

# What a pixel of a custom network is taken to cost, where nobody knows: as much as of an RRDBNet.
CUSTOM_KILOMACS = 20_000

# U2-Net's; others have more or less, and all that counts is that those of 1024² take seconds.
SEGMENTER_KILOMACS = 370
INPAINTER_KILOMACS = {"LaMa": 1000}

# Side of the square that TensorRT chooses its kernels for.
USUAL_SIDE = 512


def net(network: Upscaler, config: Config) -> dict[str, Any]:
    """A super-resolution network: uint8 in and out, of any size."""
    return _batched(
        network,
        config,
        batch=largest_batch(network, config),
        inputs=[
            _image(_largest_side(network, config)),
            *([STRENGTH] if network.denoise else []),
            *([INNER] if network.trims else []),
            *([_means(network.means)] if network.means else []),
        ],
        outputs=[*_results(-1), *_shares(network.means)],
        image_pixels=_tile_side(network, config) ** 2,
    )


def _means(channels: Sequence[int]) -> Input:
    sizes = (1 + sum(channels),)
    return Input(protocol.NET_MEANS, sizes, sizes, sizes, kind="TYPE_FP32")


def _shares(channels: Sequence[int]) -> list[dict[str, Any]]:
    # Of free size: where a tile isn't computed yet, there are none.
    names = (protocol.shares(layer) for layer in range(len(channels)))
    return [tensor(name, "TYPE_FP32", [-1]) for name in names]


def tile_net(network: Enhancer, config: Config) -> dict[str, Any]:
    """A super-resolution network for tiles of one size: uint8 in and out."""
    side = network.side
    return _batched(
        network,
        config,
        batch=LARGEST_TILE_BATCH,
        inputs=[_square(side)],
        outputs=_results(side * network.scale),
        backend=network.backend,
    )


def custom_net(network: CustomUpscaler, config: Config) -> dict[str, Any]:
    """A custom super-resolution network, for pictures of any size or tiles of one."""
    side = network.side
    most = config.limits.tile_size + 2 * network.receptive_field
    image = _image(most) if side is None else _square(side)
    return _batched(
        network,
        config,
        batch=_custom_batch(network, config),
        inputs=[image, *([INNER] if network.trims else [])],
        outputs=_results(-1 if side is None else side * network.scale),
        one_by_one=not network.batched,
    )


def _custom_batch(network: CustomUpscaler, config: Config) -> int:
    if network.side is not None:
        return LARGEST_TILE_BATCH
    # Its largest tensor isn't known; an RRDBNet's of the same scale has 64 channels of its result.
    side = config.limits.tile_size + 2 * network.receptive_field
    return max(1, min(LARGEST_BATCH, 2**31 // (64 * network.scale**2) // side**2))


def _results(side: int) -> list[dict[str, Any]]:
    eight = tensor(protocol.NET_RESULT, "TYPE_UINT8", [side, side, 3])
    return [eight, tensor(protocol.NET_RESULT_16, "TYPE_INT32", [side, side, 3])]


def segmenter_net(network: Segmenter, config: Config) -> dict[str, Any]:
    """A background-removal network: a square of uint8 in, a square of float32 out."""
    side = network.side
    image = fixed(protocol.NET_IMAGE, side, side, 3)
    letterbox = fixed(protocol.NET_LETTERBOX, 1)
    return _batched(
        network,
        config,
        batch=LARGEST_SEGMENTER_BATCH,
        inputs=[image, letterbox] if network.letterbox else [image],
        outputs=[tensor(protocol.NET_MASK, "TYPE_FP32", [side, side])],
        one_by_one=not network.batched,
    )


def inpainting_net(network: Inpainter, config: Config) -> dict[str, Any]:
    """An inpainting network: a picture and its hole in, a picture out."""
    least, most = (network.side,) * 2, (network.largest,) * 2
    side = network.side if network.side == network.largest else -1
    return _batched(
        network,
        config,
        batch=LARGEST_INPAINTING_BATCH,
        inputs=[
            Input(protocol.NET_IMAGE, (*least, 3), (*least, 3), (*most, 3)),
            Input(protocol.NET_HOLE, least, least, most),
        ],
        outputs=[tensor(protocol.NET_RESULT, "TYPE_UINT8", [side, side, 3])],
        backend=network.backend,
    )


def _tile_side(network: Upscaler, config: Config) -> int:
    """Of the largest tiles of a network, with their padding."""
    size = min(config.limits.tile_size, network.tile_size or config.limits.tile_size)
    return size + 2 * network.receptive_field


def _largest_side(network: Upscaler, config: Config) -> int:
    side = _tile_side(network, config)
    return math.floor(protocol.LONGER * side) if network.means else side


def _image(most: int) -> Input:
    """IMAGE of any size up to that of the largest tile, in 8 or 16 bits."""
    usual = min(USUAL_SIDE, most)
    return Input(protocol.NET_IMAGE, (1, 1, 3), (usual, usual, 3), (most, most, 6))


def _square(side: int) -> Input:
    """IMAGE of one size; such tiles come in 16 bits, since they are blended."""
    return Input(protocol.NET_IMAGE, (side, side, 3), (side, side, 6), (side, side, 6))


def _batched(
    network: Network,
    config: Config,
    batch: int,
    inputs: list[Input],
    outputs: list[Any],
    backend: Backend = "onnxruntime",
    one_by_one: bool = False,
    image_pixels: int | None = None,
) -> dict[str, Any]:
    """A network, batched by Triton, as config.yaml wants it: by its name, or as all of them.

    Args:
        image_pixels: of the largest image; if unset, as `inputs` have it.
    """
    settings = settings_of(network, config)
    batch = 1 if one_by_one else settings.batch or batch
    folder = gpu.engine_folder(network, config)
    return {
        "name": network.folder,
        "backend": backend,
        **gpu.files(network, settings),
        "max_batch_size": batch,
        "input": [each.tensor for each in inputs],
        "output": outputs,
        # On every GPU that Triton sees, else on the CPU. No `gpus` here: Triton refuses a list of
        # them on a machine without any, so `gpu_id` narrows what Triton sees instead.
        "instance_group": [{"kind": "KIND_AUTO", "count": settings.instances}],
        "dynamic_batching": {"max_queue_delay_microseconds": settings.max_queue_delay_us},
        "parameters": {
            **_engine(network, backend, settings, config.server.cpu_threads),
            **parameters(image_pixels=image_pixels or inputs[0].most[0] * inputs[0].most[1]),
        },
        **(gpu.accelerated(settings, inputs, batch, folder) if backend == "onnxruntime" else {}),
    }


def settings_of(network: Network, config: Config) -> NetworkSettings:
    """The settings of a network: what names it goes before what names its family, and that before
    what holds for all."""
    by_name = {protocol.canonical(name): each for name, each in config.server.networks.items()}
    merged = {name: getattr(config.server, name) for name in NetworkSettings.model_fields}
    for name in (network.called, network.name):
        merged |= by_name.get(name, NetworkSettings()).model_dump(exclude_none=True)
    return NetworkSettings(**merged)


def _engine(
    network: Network, backend: Backend, settings: NetworkSettings, threads: int
) -> dict[str, dict[str, str]]:
    """Parameters by the names that Triton's backends have for them; the last three are of the
    stand-in alone, and for CPUs."""
    if backend == "pytorch":
        # TorchScript's optimiser would compile anew in the first calls, for minutes.
        return parameters(DISABLE_OPTIMIZED_EXECUTION=True, INTRA_OP_THREAD_COUNT=threads)
    precision, one = settings.precision, settings.instances == 1
    if precision == "auto":
        precision = "bf16" if network.bf16 else "fp32"
    elif precision == "fp16":
        precision = "fp32"  # the graph is half already; what is left has its reasons
    return parameters(
        intra_op_thread_count=threads,
        # cuDNN's exhaustive search would run anew for every shape of tile; 1 is HEURISTIC.
        cudnn_conv_algo_search=1,
        **gpu.memory(settings.gpu_memory),
        # A network that nobody here has tried stays with what its export was compared in.
        accelerator="none"
        if settings.accelerator == "auto" and not _is_tried(network)
        else settings.accelerator,
        precision=precision,
        # Calls for one tile have to reach one process.
        **({"kilomacs": kilomacs} if (kilomacs := _kilomacs(network)) and one else {}),
    )


def _is_tried(network: Network) -> bool:
    return not network.is_custom and getattr(network, "tried", True)


def _kilomacs(network: Network) -> int | None:
    """What a pixel costs, as far as tiles of the network may take a CPU long."""
    if isinstance(network, Segmenter):
        return SEGMENTER_KILOMACS
    if isinstance(network, Inpainter):
        return INPAINTER_KILOMACS.get(network.architecture)
    if isinstance(network, CustomUpscaler):
        return CUSTOM_KILOMACS
    return network.kilomacs if isinstance(network, Upscaler | Enhancer) else None


def largest_batch(network: Upscaler, config: Config) -> int:
    """How many of the largest tiles go into one batch."""
    side = config.limits.tile_size + 2 * network.receptive_field
    return max(1, min(LARGEST_BATCH, BATCH_PIXELS[network.architecture] // side**2))


def tensor(name: str, data_type: str, dims: list[int]) -> dict[str, Any]:
    return {"name": name, "data_type": data_type, "dims": dims}


# Their shapes are what counts; see `protocol`.
INNER = Input(protocol.NET_INNER, (1,) * 4, (1,) * 4, (2,) * 4)
STRENGTH = Input(
    protocol.NET_DENOISE,
    least=(protocol.denoise_length(0),),
    usual=(protocol.denoise_length(0.5),),
    most=(protocol.denoise_length(1),),
)


def parameters(**values: Any) -> dict[str, dict[str, str]]:
    return {name: {"string_value": json.dumps(value)} for name, value in values.items()}
