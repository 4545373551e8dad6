"""How Triton runs each kind of network: the models of `repository` that aren't pipelines."""

import json
from typing import Any

from sakuga import wire
from sakuga.config import Accelerator, Backend, Config, NetworkSettings
from sakuga_export.kinds import Cutout, Enhancer, Inpainter, Network, OwnUpscaler, Upscaler

# Pixels of a batch of the largest tiles. A pixel costs an RRDBNet 4 kB at its widest, one of the
# small networks 0.5: that makes 8 and 4 GB. Smaller `limits.tile_size` allow larger batches.
BATCH_PIXELS = {"RRDBNet": 2**21, "SRVGGNetCompact": 2**23}
LARGEST_BATCH = 16
LARGEST_TILE_BATCH = 8
LARGEST_CUTOUT_BATCH = 4
LARGEST_INPAINTING_BATCH = 4

# By the names that Triton's onnxruntime backend has for them. Networks are exported in float32, and
# TensorRT builds an engine for each shape of tile, which takes long: it is kept.
ACCELERATORS: dict[Accelerator, dict[str, Any]] = {
    "openvino": {"cpu_execution_accelerator": [{"name": "openvino"}]},
    "tensorrt": {
        "gpu_execution_accelerator": [
            {"name": "tensorrt", "parameters": {"trt_engine_cache_enable": "true"}}
        ]
    },
}


def net(network: Upscaler, config: Config) -> dict[str, Any]:
    """A super-resolution network: uint8 in and out, of any size."""
    strength = tensor(wire.NET_DENOISE, "TYPE_UINT8", [-1])
    return _batched(
        network,
        config,
        batch=largest_batch(network, config),
        inputs=[
            tensor(wire.NET_IMAGE, "TYPE_UINT8", [-1, -1, -1]),
            *([strength] if network.denoise else []),
            *([INNER] if network.trims else []),
        ],
        outputs=_results(-1),
    )


def tile_net(network: Enhancer, config: Config) -> dict[str, Any]:
    """A super-resolution network for tiles of one size: uint8 in and out."""
    side = network.side
    return _batched(
        network,
        config,
        batch=LARGEST_TILE_BATCH,
        inputs=[tensor(wire.NET_IMAGE, "TYPE_UINT8", [side, side, -1])],
        outputs=_results(side * network.scale),
        backend=network.backend,
    )


def own_net(network: OwnUpscaler, config: Config) -> dict[str, Any]:
    """A super-resolution network of one's own, of either kind."""
    side = -1 if network.side is None else network.side
    return _batched(
        network,
        config,
        batch=_own_batch(network, config),
        inputs=[
            tensor(wire.NET_IMAGE, "TYPE_UINT8", [side, side, -1]),
            *([INNER] if network.trims else []),
        ],
        outputs=_results(-1 if network.side is None else side * network.scale),
        one_by_one=not network.batched,
    )


def _own_batch(network: OwnUpscaler, config: Config) -> int:
    if network.side is not None:
        return LARGEST_TILE_BATCH
    # Its largest tensor isn't known; an RRDBNet's of the same scale has 64 channels of its result.
    side = config.limits.tile_size + 2 * network.halo
    return max(1, min(LARGEST_BATCH, 2**31 // (64 * network.scale**2) // side**2))


def _results(side: int) -> list[dict[str, Any]]:
    eight = tensor(wire.NET_RESULT, "TYPE_UINT8", [side, side, 3])
    return [eight, tensor(wire.NET_RESULT_16, "TYPE_INT32", [side, side, 3])]


def cutout_net(network: Cutout, config: Config) -> dict[str, Any]:
    """A cut-out network: a square of uint8 in, a square of float32 out."""
    side = network.side
    image = tensor(wire.NET_IMAGE, "TYPE_UINT8", [side, side, 3])
    author = tensor(wire.NET_AUTHOR, "TYPE_UINT8", [1])
    return _batched(
        network,
        config,
        batch=LARGEST_CUTOUT_BATCH,
        inputs=[image, author] if network.author else [image],
        outputs=[tensor(wire.NET_MASK, "TYPE_FP32", [side, side])],
    )


def inpainting_net(network: Inpainter, config: Config) -> dict[str, Any]:
    """A network that paints: a picture and its hole in, a picture out."""
    side = network.side if network.side == network.largest else -1
    image = tensor(wire.NET_IMAGE, "TYPE_UINT8", [side, side, 3])
    return _batched(
        network,
        config,
        batch=LARGEST_INPAINTING_BATCH,
        inputs=[image, tensor(wire.NET_HOLE, "TYPE_UINT8", [side, side])],
        outputs=[tensor(wire.NET_RESULT, "TYPE_UINT8", [side, side, 3])],
        backend=network.backend,
    )


def _batched(
    network: Network,
    config: Config,
    batch: int,
    inputs: list[Any],
    outputs: list[Any],
    backend: Backend = "onnxruntime",
    one_by_one: bool = False,
) -> dict[str, Any]:
    """A network, batched by Triton, as config.yaml wants it: by its name, or as all of them."""
    asked = _asked(network, config)
    return {
        "name": network.folder,
        "backend": backend,
        "default_model_filename": network.file,
        "max_batch_size": 1 if one_by_one else asked.batch or batch,
        "input": inputs,
        "output": outputs,
        # On every GPU that Triton sees, else on the CPU. No `gpus` here: Triton refuses a list of
        # them on a machine without any, so `gpu_id` narrows what Triton sees instead.
        "instance_group": [{"kind": "KIND_AUTO", "count": asked.instances}],
        "dynamic_batching": {"max_queue_delay_microseconds": asked.queue_delay},
        "parameters": _engine(network, backend, asked, config.server.cpu_threads),
        **_accelerated(asked.accelerator, backend),
    }


def _asked(network: Network, config: Config) -> NetworkSettings:
    by_name = {wire.canonical(name): own for name, own in config.server.networks.items()}
    own = by_name.get(network.name, NetworkSettings())
    common = {name: getattr(config.server, name) for name in NetworkSettings.model_fields}
    return NetworkSettings(**(common | own.model_dump(exclude_none=True)))


def _accelerated(accelerator: Accelerator | None, backend: Backend) -> dict[str, Any]:
    """What runs a network inside onnxruntime, if that isn't onnxruntime itself."""
    if backend != "onnxruntime" or accelerator not in ACCELERATORS:
        return {}
    return {"optimization": {"execution_accelerators": ACCELERATORS[accelerator]}}


def _engine(
    network: Network, backend: Backend, asked: NetworkSettings, threads: int
) -> dict[str, dict[str, str]]:
    """Parameters by the names that Triton's backends have for them; the last two are of the
    stand-in alone."""
    if backend == "pytorch":
        # TorchScript's optimiser would compile anew in the first calls, for minutes.
        return parameters(DISABLE_OPTIMIZED_EXECUTION=True, INTRA_OP_THREAD_COUNT=threads)
    precision = asked.precision
    if precision == "auto":
        precision = "bf16" if network.bf16 else "fp32"
    return parameters(
        intra_op_thread_count=threads,
        # cuDNN's exhaustive search would run anew for every shape of tile; 1 is HEURISTIC.
        cudnn_conv_algo_search=1,
        # A network that nobody here has tried stays with what its export was compared in.
        accelerator="none" if network.own and asked.accelerator == "auto" else asked.accelerator,
        precision=precision,
    )


def largest_batch(network: Upscaler, config: Config) -> int:
    """How many of the largest tiles go into one batch."""
    side = config.limits.tile_size + 2 * network.halo
    return max(1, min(LARGEST_BATCH, BATCH_PIXELS[network.architecture] // side**2))


def tensor(name: str, data_type: str, dims: list[int]) -> dict[str, Any]:
    return {"name": name, "data_type": data_type, "dims": dims}


INNER = tensor(wire.NET_INNER, "TYPE_UINT8", [-1, -1, -1, -1])


def parameters(**values: Any) -> dict[str, dict[str, str]]:
    return {name: {"string_value": json.dumps(value)} for name, value in values.items()}
