"""Every config.pbtxt of the model repository, written from the rows and config.yaml, and every
pipeline's model.py. With them an empty folder becomes a repository.

The files are committed, so that a repository can be read, reviewed and mounted as it is; they are
never edited. `sakuga-export --check` fails where one isn't what these functions write.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from sakuga import wire
from sakuga.config import Config
from sakuga_export import own, triton_nets
from sakuga_export.kinds import Cutout, OwnUpscaler
from sakuga_export.networks import CUTOUTS, ENHANCERS, INPAINTERS, NETWORKS, UPSCALERS, chosen
from sakuga_export.own import Own
from sakuga_export.triton_nets import parameters, tensor

# Decoding takes a tenth of what matting does, so two processes feed many.
PREPARING = 2

# What each pipeline is, and its class in `sakuga_server.triton_model`.
PROGRAMS = {
    wire.UPSCALE: (
        "Upscaling: every super-resolution network behind one public model.",
        "UpscaleModel",
    ),
    wire.FIX_ARTIFACTS: (
        "Mending: damage found and undone before a network enlarges.",
        "FixArtifactsModel",
    ),
    wire.NETWORKS: (
        "What networks there are, loaded or not; and loading one that a request needs.",
        "NetworksModel",
    ),
    wire.REMBG_PREPARE: (
        "Cutting out, first step: an encoded picture to what the network sees.",
        "RembgPrepareModel",
    ),
    wire.ALPHA_MATTING: (
        "Cutting out, last step: a mask and the picture to an encoded cut-out.",
        "AlphaMattingModel",
    ),
}

HEADER = "# Written by `sakuga-export` from networks.py and config.yaml; edit those instead.\n"


def write(repository: Path, config: Config) -> list[Path]:
    """Writes every file that differs from what it should be; gives those."""
    changed = _changed(repository, config)
    # Without a pause: a running server looks for changes, and takes them once nothing is new.
    for file, text in changed.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for network in _cutouts(own.rows(repository)):
        # Triton wants a version of every model, and git keeps no empty folder.
        (repository / wire.ensemble(network.name) / "1").mkdir(exist_ok=True)
    return list(changed)


def drift(repository: Path, config: Config) -> list[Path]:
    """The files that are missing, or aren't what `config` asks for."""
    return list(_changed(repository, config))


def _changed(repository: Path, config: Config) -> dict[Path, str]:
    configs = texts(config, own.rows(repository))
    files = {repository / name / "config.pbtxt": text for name, text in configs.items()}
    for name, about in PROGRAMS.items():
        files[repository / name / "1" / "model.py"] = _program(*about)
    return {
        file: text
        for file, text in files.items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    }


def _program(about: str, kind: str) -> str:
    imported = f"from sakuga_server.triton_model import {kind} as TritonPythonModel  # noqa: F401"
    return f'"""{about}"""\n\n{imported}\n'


def texts(config: Config, mine: Sequence[Own] = ()) -> dict[str, str]:
    """Each model's config.pbtxt, by the name of its folder; `mine`: the networks of one's own."""
    models = [
        upscale(config, mine),
        *(triton_nets.net(network, config) for network in UPSCALERS),
        *(triton_nets.tile_net(chosen(network, config), config) for network in ENHANCERS),
        *(triton_nets.own_net(row, config) for row in mine if isinstance(row, OwnUpscaler)),
        fix_artifacts(config, mine),
        *(triton_nets.inpainting_net(network, config) for network in INPAINTERS),
        rembg_prepare(config, mine),
        alpha_matting(config),
        *(triton_nets.cutout_net(network, config) for network in _cutouts(mine)),
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
        inputs=[{**tensor(wire.OPTIONS, "TYPE_STRING", [1]), "optional": True}],
        outputs=[tensor(wire.REPORT, "TYPE_STRING", [1])],
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
        tensor(wire.prepared(n.name), "TYPE_UINT8", [1, n.side, n.side, 3]) for n in _cutouts(mine)
    ]
    return _python(
        wire.REMBG_PREPARE,
        config,
        count=PREPARING,
        inputs=_request(),
        outputs=[*squares, tensor(wire.NET_AUTHOR, "TYPE_UINT8", [1, 1]), *_carried()],
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
        inputs=[tensor(wire.NET_MASK, "TYPE_FP32", [-1, -1, -1]), *_carried()],
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
    image, options = (tensor(name, "TYPE_STRING", [1]) for name in (wire.IMAGE, wire.OPTIONS))
    return [image, {**options, "optional": True}]


def _reply() -> list[dict[str, Any]]:
    return [tensor(name, "TYPE_STRING", [1]) for name in (wire.RESULT, wire.REPORT)]


def _carried() -> list[dict[str, Any]]:
    """What goes past the network, from the first step of an ensemble to its last."""
    picture = tensor(wire.PICTURE, "TYPE_UINT8", [-1, -1, -1])
    return [picture, tensor(wire.JOB, "TYPE_STRING", [1])]


def _python(
    name: str,
    config: Config,
    count: int,
    inputs: list[Any],
    outputs: list[Any],
    bounded: bool = True,
    **settings: Any,
) -> dict[str, Any]:
    """A pipeline in Triton's Python backend, `count` processes of it."""
    # Nothing is batched here; without this the queue would have no bound, and a picture would be
    # begun that its caller has given up.
    policy = {
        "max_queue_size": config.server.queue_size,
        # The caller's own limit, which Triton takes only where it is shorter than one given here.
        "allow_timeout_override": True,
        "default_timeout_microseconds": int(config.server.timeout * 1e6),
    }
    queue = {"default_queue_policy": policy}
    return {
        "name": name,
        "backend": "python",
        "max_batch_size": 0,
        "input": inputs,
        "output": outputs,
        "instance_group": [{"kind": "KIND_CPU", "count": count}],
        **({"dynamic_batching": queue} if bounded else {}),
        "parameters": parameters(**settings),
    }
