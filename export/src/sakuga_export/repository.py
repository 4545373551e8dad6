"""Every config.pbtxt of the model repository, written from the rows and config.yaml.

The files are committed, so that a repository can be read, reviewed and mounted as it is; they are
never edited. `sakuga-export --check` fails where one isn't what these functions write.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from sakuga import wire
from sakuga.config import Accelerator, Backend, Config, NetworkSettings
from sakuga_export import own
from sakuga_export.kinds import Cutout, Enhancer, Inpainter, Network, OwnUpscaler, Upscaler
from sakuga_export.networks import CUTOUTS, ENHANCERS, INPAINTERS, NETWORKS, UPSCALERS, chosen
from sakuga_export.own import Own

# An RRDBNet's largest tensor has 64 channels of 16 samples for each pixel of the input; TensorRT
# takes tensors of less than 2^31 elements.
BATCH_PIXELS = 2**31 // (64 * 16)
LARGEST_BATCH = 16
LARGEST_TILE_BATCH = 8
LARGEST_CUTOUT_BATCH = 4
LARGEST_INPAINTING_BATCH = 4

# Decoding takes a tenth of what matting does, so two processes feed many.
PREPARING = 2

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

HEADER = "# Written by `sakuga-export` from networks.py and config.yaml; edit those instead.\n"


def write(repository: Path, config: Config) -> list[Path]:
    """Writes every config.pbtxt that differs from what it should be; gives those."""
    mine = own.rows(repository)
    written, changed = texts(config, mine), drift(repository, config)
    # Without a pause: a running server looks for changes, and takes them once nothing is new.
    for file in changed:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(written[file.parent.name], encoding="utf-8")
    for network in _cutouts(mine):
        # Triton wants a version of every model, and git keeps no empty folder.
        (repository / wire.ensemble(network.name) / "1").mkdir(exist_ok=True)
    return changed


def drift(repository: Path, config: Config) -> list[Path]:
    """The config.pbtxt files that are missing, or aren't what `config` asks for."""
    written = texts(config, own.rows(repository))
    files = {repository / name / "config.pbtxt": text for name, text in written.items()}
    return [
        file
        for file, text in files.items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    ]


def texts(config: Config, mine: Sequence[Own] = ()) -> dict[str, str]:
    """Each model's config.pbtxt, by the name of its folder; `mine`: the networks of one's own."""
    models = [
        upscale(config, mine),
        *(net(network, config) for network in UPSCALERS),
        *(tile_net(chosen(network, config), config) for network in ENHANCERS),
        *(own_net(row, config) for row in mine if isinstance(row, OwnUpscaler)),
        fix_artifacts(config, mine),
        *(inpainting_net(network, config) for network in INPAINTERS),
        rembg_prepare(config, mine),
        alpha_matting(config),
        *(cutout_net(network, config) for network in _cutouts(mine)),
        *(ensemble(network) for network in _cutouts(mine)),
        networks(config, mine),
    ]
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


def net(network: Upscaler, config: Config) -> dict[str, Any]:
    """A super-resolution network: uint8 in and out, of any size."""
    image = _tensor(wire.NET_IMAGE, "TYPE_UINT8", [-1, -1, -1])
    strength = _tensor(wire.NET_DENOISE, "TYPE_UINT8", [-1])
    return _batched(
        network,
        config,
        batch=largest_batch(network, config),
        inputs=[image, strength] if network.denoise else [image],
        outputs=_results(-1),
    )


def tile_net(network: Enhancer, config: Config) -> dict[str, Any]:
    """A super-resolution network for tiles of one size: uint8 in and out."""
    side = network.side
    return _batched(
        network,
        config,
        batch=LARGEST_TILE_BATCH,
        inputs=[_tensor(wire.NET_IMAGE, "TYPE_UINT8", [side, side, -1])],
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
        inputs=[_tensor(wire.NET_IMAGE, "TYPE_UINT8", [side, side, -1])],
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
    eight = _tensor(wire.NET_RESULT, "TYPE_UINT8", [side, side, 3])
    return [eight, _tensor(wire.NET_RESULT_16, "TYPE_INT32", [side, side, 3])]


def cutout_net(network: Cutout, config: Config) -> dict[str, Any]:
    """A cut-out network: a square of uint8 in, a square of float32 out."""
    side = network.side
    image = _tensor(wire.NET_IMAGE, "TYPE_UINT8", [side, side, 3])
    author = _tensor(wire.NET_AUTHOR, "TYPE_UINT8", [1])
    return _batched(
        network,
        config,
        batch=LARGEST_CUTOUT_BATCH,
        inputs=[image, author] if network.author else [image],
        outputs=[_tensor(wire.NET_MASK, "TYPE_FP32", [side, side])],
    )


def inpainting_net(network: Inpainter, config: Config) -> dict[str, Any]:
    """A network that paints: a picture and its hole in, a picture out."""
    side = network.side if network.side == network.largest else -1
    image = _tensor(wire.NET_IMAGE, "TYPE_UINT8", [side, side, 3])
    return _batched(
        network,
        config,
        batch=LARGEST_INPAINTING_BATCH,
        inputs=[image, _tensor(wire.NET_HOLE, "TYPE_UINT8", [side, side])],
        outputs=[_tensor(wire.NET_RESULT, "TYPE_UINT8", [side, side, 3])],
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
        "parameters": _engine(backend, config.server.cpu_threads),
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


def _engine(backend: Backend, threads: int) -> dict[str, dict[str, str]]:
    """Parameters by the names that Triton's backends have for them."""
    if backend == "pytorch":
        # TorchScript's optimiser would compile anew in the first calls, for minutes.
        return _parameters(DISABLE_OPTIMIZED_EXECUTION=True, INTRA_OP_THREAD_COUNT=threads)
    # cuDNN's exhaustive search would run anew for every shape of tile; 1 is HEURISTIC.
    return _parameters(intra_op_thread_count=threads, cudnn_conv_algo_search=1)


def largest_batch(network: Upscaler, config: Config) -> int:
    """How many of the largest tiles go into one batch."""
    side = config.limits.tile_size + 2 * network.halo
    return max(1, min(LARGEST_BATCH, BATCH_PIXELS // side**2))


def listings(config: Config, mine: Sequence[Own] = ()) -> dict[str, wire.Listing]:
    """What is told of each network, by name."""
    return {row.name: chosen(row, config).listing for row in (*NETWORKS, *mine)}


def known(config: Config) -> dict[str, wire.Listing]:
    """The same, those of one's own in the repository included."""
    return listings(config, own.rows(config.server.repository))


def networks(config: Config, mine: Sequence[Own] = ()) -> dict[str, Any]:
    """The pipeline that tells of networks and loads them: one process, so none is loaded twice."""
    return _python(
        wire.NETWORKS,
        config,
        count=1,
        inputs=[{**_tensor(wire.OPTIONS, "TYPE_STRING", [1]), "optional": True}],
        outputs=[_tensor(wire.REPORT, "TYPE_STRING", [1])],
        networks={name: row.model_dump() for name, row in listings(config, mine).items()},
        load_on_demand=config.server.load_on_demand,
    )


def upscale(config: Config, mine: Sequence[Own] = ()) -> dict[str, Any]:
    """The pipeline: pictures in, pictures out; networks, defaults and limits as parameters."""
    return _python(
        wire.UPSCALE,
        config,
        count=config.server.pipelines,
        inputs=_request(),
        outputs=_reply(),
        networks=_super_resolution(mine),
        defaults=config.upscale_options({}),
        limits=config.limits.model_dump(),
    )


def fix_artifacts(config: Config, mine: Sequence[Own] = ()) -> dict[str, Any]:
    """The pipeline that mends before it enlarges; with the networks that paint as a parameter."""
    return _python(
        wire.FIX_ARTIFACTS,
        config,
        count=config.server.fixing_instances,
        inputs=_request(),
        outputs=_reply(),
        networks=_super_resolution(mine),
        inpainters={n.name: n.facts.model_dump() for n in INPAINTERS},
        defaults=config.fix_artifacts_options({}),
        limits=config.limits.model_dump(),
    )


def _super_resolution(mine: Sequence[Own]) -> dict[str, Any]:
    facts = {n.name: n.facts for n in UPSCALERS} | {n.name: n.facts for n in ENHANCERS}
    facts |= {row.name: row.facts for row in mine if isinstance(row, OwnUpscaler)}
    return {name: known.model_dump() for name, known in facts.items()}


def _cutouts(mine: Sequence[Own]) -> tuple[Cutout, ...]:
    return (*CUTOUTS, *(row for row in mine if isinstance(row, Cutout)))


def rembg_prepare(config: Config, mine: Sequence[Own] = ()) -> dict[str, Any]:
    """The first step of cutting out: one output a network, of which each ensemble takes its own."""
    defaults = config.rembg_options({})
    del defaults["model"]  # the ensemble is the model
    squares = [
        _tensor(wire.prepared(n.name), "TYPE_UINT8", [1, n.side, n.side, 3]) for n in _cutouts(mine)
    ]
    return _python(
        wire.REMBG_PREPARE,
        config,
        count=PREPARING,
        inputs=_request(),
        outputs=[*squares, _tensor(wire.NET_AUTHOR, "TYPE_UINT8", [1, 1]), *_carried()],
        networks={n.name: n.facts.model_dump() for n in _cutouts(mine)},
        defaults=defaults,
        limits=config.limits.model_dump(),
    )


def alpha_matting(config: Config) -> dict[str, Any]:
    """The last step of cutting out, which is work for CPUs and has instances of its own."""
    return _python(
        wire.ALPHA_MATTING,
        config,
        count=config.server.matting_instances,
        inputs=[_tensor(wire.NET_MASK, "TYPE_FP32", [-1, -1, -1]), *_carried()],
        outputs=_reply(),
        # Before Triton 26.03 a request whose later step is refused is never answered.
        bounded=False,
    )


def ensemble(network: Cutout) -> dict[str, Any]:
    """A public model that cuts out: prepare, network, matting."""
    author = _same(wire.NET_AUTHOR) if network.author else {}
    carried = _same(wire.PICTURE, wire.JOB)
    square = wire.prepared(network.name)
    steps = [
        _step(
            wire.REMBG_PREPARE,
            takes=_same(wire.IMAGE, wire.OPTIONS),
            gives={square: square, **author, **carried},
        ),
        _step(network.folder, takes={wire.NET_IMAGE: square, **author}, gives=_same(wire.NET_MASK)),
        _step(
            wire.ALPHA_MATTING,
            takes={**_same(wire.NET_MASK), **carried},
            gives=_same(wire.RESULT, wire.REPORT),
        ),
    ]
    return {
        "name": wire.ensemble(network.name),
        "platform": "ensemble",
        "max_batch_size": 0,
        "input": _request(),
        "output": _reply(),
        "ensemble_scheduling": {"step": steps},
    }


def _step(model: str, takes: dict[str, str], gives: dict[str, str]) -> dict[str, Any]:
    """A step of an ensemble; both maps go from the model's tensors to the ensemble's."""
    return {"model_name": model, "model_version": -1, "input_map": takes, "output_map": gives}


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _request() -> list[dict[str, Any]]:
    image, options = (_tensor(name, "TYPE_STRING", [1]) for name in (wire.IMAGE, wire.OPTIONS))
    return [image, {**options, "optional": True}]


def _reply() -> list[dict[str, Any]]:
    return [_tensor(name, "TYPE_STRING", [1]) for name in (wire.RESULT, wire.REPORT)]


def _carried() -> list[dict[str, Any]]:
    """What goes past the network, from the first step of an ensemble to its last."""
    picture = _tensor(wire.PICTURE, "TYPE_UINT8", [-1, -1, -1])
    return [picture, _tensor(wire.JOB, "TYPE_STRING", [1])]


def _python(
    name: str,
    config: Config,
    count: int,
    inputs: list[Any],
    outputs: list[Any],
    bounded: bool = True,
    **parameters: Any,
) -> dict[str, Any]:
    """A pipeline in Triton's Python backend, `count` processes of it."""
    # Nothing is batched here; without this the queue would have no bound.
    queue = {"default_queue_policy": {"max_queue_size": config.server.queue_size}}
    return {
        "name": name,
        "backend": "python",
        "max_batch_size": 0,
        "input": inputs,
        "output": outputs,
        "instance_group": [{"kind": "KIND_CPU", "count": count}],
        **({"dynamic_batching": queue} if bounded else {}),
        "parameters": _parameters(**parameters),
    }


def _tensor(name: str, data_type: str, dims: list[int]) -> dict[str, Any]:
    return {"name": name, "data_type": data_type, "dims": dims}


def _parameters(**values: Any) -> dict[str, dict[str, str]]:
    return {name: {"string_value": json.dumps(value)} for name, value in values.items()}
