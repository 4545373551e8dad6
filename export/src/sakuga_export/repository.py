"""Every config.pbtxt of the model repository, written from the rows and config.yaml.

The files are committed, so that a repository can be read, reviewed and mounted as it is; they are
never edited. `sakuga-export --check` fails where one isn't what these functions write.
"""

import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from sakuga import wire
from sakuga.config import Config
from sakuga_export.networks import NETWORKS, Network

# An RRDBNet's largest tensor has 64 channels of 16 samples for each pixel of the input; TensorRT
# takes tensors of less than 2^31 elements.
BATCH_PIXELS = 2**31 // (64 * 16)
LARGEST_BATCH = 16

HEADER = "# Written by `sakuga-export` from networks.py and config.yaml; edit those instead.\n"


def write(repository: Path, config: Config) -> list[Path]:
    """Writes every config.pbtxt that differs from what it should be; gives those."""
    changed = drift(repository, config)
    for file in changed:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(texts(config)[file.parent.name], encoding="utf-8")
    return changed


def drift(repository: Path, config: Config) -> list[Path]:
    """The config.pbtxt files that are missing, or aren't what `config` asks for."""
    files = {repository / name / "config.pbtxt": text for name, text in texts(config).items()}
    return [
        file
        for file, text in files.items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    ]


def texts(config: Config) -> dict[str, str]:
    """Each model's config.pbtxt, by the name of its folder."""
    models = [upscale(config), *(net(network, config) for network in NETWORKS)]
    return {model["name"]: as_text(model) for model in models}


def as_text(model: dict[str, Any]) -> str:
    """
    Raises:
        json_format.ParseError: a field that Triton's ModelConfig doesn't have.
    """
    text = text_format.MessageToString(json_format.ParseDict(model, ModelConfig()))
    if not model["max_batch_size"]:
        # protobuf drops a zero, and Triton would then take 4.
        text += "max_batch_size: 0\n"
    return HEADER + text


def net(network: Network, config: Config) -> dict[str, Any]:
    """A network: uint8 in and out, served by Triton's onnxruntime backend, batched by Triton."""
    image = _tensor(wire.NET_IMAGE, "TYPE_UINT8", [-1, -1, -1])
    strength = _tensor(wire.NET_DENOISE, "TYPE_UINT8", [-1])
    return {
        "name": network.folder,
        "backend": "onnxruntime",
        "default_model_filename": "model.onnx",
        "max_batch_size": largest_batch(network, config),
        "input": [image, strength] if network.denoise else [image],
        "output": [
            _tensor(wire.NET_RESULT, "TYPE_UINT8", [-1, -1, 3]),
            _tensor(wire.NET_RESULT_16, "TYPE_INT32", [-1, -1, 3]),
        ],
        # On every GPU that Triton sees, else on the CPU. No `gpus` here: Triton refuses a list of
        # them on a machine without any, so `gpu_id` narrows what Triton sees instead.
        "instance_group": [{"kind": "KIND_AUTO", "count": 1}],
        "dynamic_batching": {"max_queue_delay_microseconds": config.server.queue_delay},
        "parameters": _parameters(
            intra_op_thread_count=config.server.cpu_threads,
            # cuDNN's exhaustive search would run anew for every shape of tile; 1 is HEURISTIC.
            cudnn_conv_algo_search=1,
        ),
    }


def largest_batch(network: Network, config: Config) -> int:
    """How many of the largest tiles go into one batch."""
    side = config.limits.tile_size + 2 * network.halo
    return max(1, min(LARGEST_BATCH, BATCH_PIXELS // side**2))


def upscale(config: Config) -> dict[str, Any]:
    """The pipeline: pictures in, pictures out; networks, defaults and limits as parameters."""
    defaults = config.upscale_options(config.providers.image.upscale, {})
    return {
        "name": wire.UPSCALE,
        "backend": "python",
        "max_batch_size": 0,
        "input": [
            _tensor(wire.IMAGE, "TYPE_STRING", [1]),
            {**_tensor(wire.OPTIONS, "TYPE_STRING", [1]), "optional": True},
        ],
        "output": [_tensor(name, "TYPE_STRING", [1]) for name in (wire.RESULT, wire.REPORT)],
        "instance_group": [{"kind": "KIND_CPU", "count": config.server.pipelines}],
        # Nothing is batched here; without the block the queue would have no bound.
        "dynamic_batching": {"default_queue_policy": {"max_queue_size": config.server.queue_size}},
        "parameters": _parameters(
            networks={n.name: n.facts.model_dump() for n in NETWORKS},
            defaults=defaults,
            limits=config.limits.model_dump(),
        ),
    }


def _tensor(name: str, data_type: str, dims: list[int]) -> dict[str, Any]:
    return {"name": name, "data_type": data_type, "dims": dims}


def _parameters(**values: Any) -> dict[str, dict[str, str]]:
    return {name: {"string_value": json.dumps(value)} for name, value in values.items()}
