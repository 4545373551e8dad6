"""The Triton models that are programs, and the ensembles that join them with networks."""

from collections.abc import Sequence
from typing import Any

from sakuga_core import protocol
from sakuga_core.actions import ACTIONS, Action, ImageAction, Program
from sakuga_core.config.schema import Config
from sakuga_core.networks import registry
from sakuga_core.networks.custom import CustomNetwork
from sakuga_core.networks.facts import Listing
from sakuga_core.networks.families import CustomUpscaler, Network, Segmenter
from sakuga_core.networks.licences import is_permissive
from sakuga_core.networks.registry import ENHANCERS, INPAINTERS, MEMBERS, SEGMENTERS, UPSCALERS
from sakuga_core.repository.networks import parameters, tensor

# Decoding takes a tenth of what matting does, so two processes feed many.
PREPARE_WORKERS = 2

Model = dict[str, Any]
"""A configuration, as `text.as_text` takes it."""


def pipelines(config: Config, custom: Sequence[CustomNetwork] = ()) -> list[Model]:
    """Every pipeline: those of the actions, by their rows, and those behind the ensembles."""
    return [
        *(
            model
            for action in ACTIONS.values()
            if action.program
            for model in action_pipelines(action, action.program, config, custom)
        ),
        networks(config, custom),
        rembg_prepare(config, custom),
        alpha_matting(config),
    ]


def action_pipelines(
    action: Action, program: Program, config: Config, custom: Sequence[CustomNetwork] = ()
) -> list[Model]:
    """The pipeline of an action, a file in, a file and a report out, and its twin that streams
    progress. Networks, default options and limits are their parameters."""
    known = {
        "upscale": {
            "networks": _upscalers(action, custom),
            "blocks": config.block_options(action.name),
        },
        "inpaint": {"inpainters": _facts(INPAINTERS)},
        "segment": {"networks": _facts(segmenters(custom))},
    }
    facts: dict[str, Any] = {
        name: rows for kind in program.networks for name, rows in known[kind].items()
    }
    name = action.name.value
    plain = _python(
        name,
        config,
        count=getattr(config.server, program.workers),
        inputs=_request(),
        outputs=_reply(),
        **facts,
        refused=_refused(config, custom),
        defaults=config.options_for(action.name),
        limits=config.limits.model_dump(),
    )
    progress = tensor(protocol.PROGRESS, "TYPE_STRING", [1])
    streams = {
        "name": protocol.streaming(name),
        "output": [*_reply(), progress],
        "model_transaction_policy": {"decoupled": True},
    }
    return [plain, {**plain, **streams}]


def networks(config: Config, custom: Sequence[CustomNetwork] = ()) -> Model:
    """The pipeline that lists and loads networks: one process, so that none is loaded twice."""
    return _python(
        protocol.NETWORKS,
        config,
        count=1,
        inputs=[{**tensor(protocol.OPTIONS, "TYPE_STRING", [1]), "optional": True}],
        outputs=[tensor(protocol.REPORT, "TYPE_STRING", [1])],
        networks={name: row.model_dump() for name, row in listings(config, custom).items()},
        load_on_demand=config.server.load_on_demand,
    )


def listings(config: Config, custom: Sequence[CustomNetwork] = ()) -> dict[str, Listing]:
    """What is listed of each network, by name."""
    rows = (*registry.NETWORKS, *custom)
    return {row.name: _listing(registry.configured(row, config)) for row in rows}


def _listing(row: Network) -> Listing:
    return row.listing.model_copy(update={"good_for": registry.purposes(row)})


def _refused(config: Config, custom: Sequence[CustomNetwork]) -> dict[str, str]:
    """The licence of each network that config.yaml doesn't want because of it."""
    if config.server.licences == "any":
        return {}
    rows = (*registry.NETWORKS, *custom)
    return {row.name: row.licence for row in rows if not is_permissive(row.licence)}


def rembg_prepare(config: Config, custom: Sequence[CustomNetwork] = ()) -> Model:
    """The first step of removing a background: one output a network, of which each ensemble takes
    its own."""
    defaults = config.options_for(ImageAction.REMBG)
    del defaults["model"]  # the ensemble is the model
    squares = [
        tensor(protocol.prepared(row.name), "TYPE_UINT8", [1, row.side, row.side, 3])
        for row in segmenters(custom)
    ]
    letterbox = tensor(protocol.NET_LETTERBOX, "TYPE_UINT8", [1, 1])
    return _python(
        protocol.REMBG_PREPARE,
        config,
        count=PREPARE_WORKERS,
        inputs=_request(),
        outputs=[*squares, letterbox, *_passed_on()],
        networks=_facts(segmenters(custom)),
        refused=_refused(config, custom),
        defaults=defaults,
        limits=config.limits.model_dump(),
    )


def alpha_matting(config: Config) -> Model:
    """The last step of removing a background, which is work for CPUs and has workers of its own."""
    return _python(
        protocol.ALPHA_MATTING,
        config,
        count=config.server.matting_workers,
        inputs=[tensor(protocol.NET_MASK, "TYPE_FP32", [-1, -1, -1]), *_passed_on()],
        outputs=_reply(),
        limits=config.limits.model_dump(),
        # Before Triton 26.03 a request whose later step is refused is never answered.
        bounded=False,
    )


def ensemble(network: Segmenter) -> Model:
    """A public model that removes backgrounds: prepare, network, matting."""
    letterbox = _same(protocol.NET_LETTERBOX) if network.letterbox else {}
    passed_on = _same(protocol.PICTURE, protocol.CONTEXT)
    square = protocol.prepared(network.name)
    steps = [
        _step(
            protocol.REMBG_PREPARE,
            takes=_same(protocol.IMAGE, protocol.OPTIONS),
            gives={square: square, **letterbox, **passed_on},
        ),
        _step(
            network.folder,
            takes={protocol.NET_IMAGE: square, **letterbox},
            gives=_same(protocol.NET_MASK),
        ),
        _step(
            protocol.ALPHA_MATTING,
            takes={**_same(protocol.NET_MASK), **passed_on},
            gives=_same(protocol.RESULT, protocol.REPORT),
        ),
    ]
    return {
        "name": protocol.ensemble(network.name),
        "platform": "ensemble",
        "max_batch_size": 0,
        "input": _request(),
        "output": _reply(),
        "ensemble_scheduling": {"step": steps},
    }


def segmenters(custom: Sequence[CustomNetwork]) -> tuple[Segmenter, ...]:
    """Every network that removes backgrounds."""
    return (*SEGMENTERS, *(row for row in custom if isinstance(row, Segmenter)))


def _upscalers(action: Action, custom: Sequence[CustomNetwork]) -> dict[str, Any]:
    """The facts of every super-resolution network, with the block of config.yaml that it has."""
    customs = [row for row in custom if isinstance(row, CustomUpscaler)]
    facts = _facts(UPSCALERS, MEMBERS, ENHANCERS, customs)
    return {name: {**row, "block": action.family(name)} for name, row in facts.items()}


def _facts(*tables: Sequence[Any]) -> dict[str, Any]:
    return {row.name: row.facts.model_dump() for rows in tables for row in rows}


def _step(model: str, takes: dict[str, str], gives: dict[str, str]) -> Model:
    """A step of an ensemble; both maps go from the model's tensors to the ensemble's."""
    return {"model_name": model, "model_version": -1, "input_map": takes, "output_map": gives}


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _request() -> list[Model]:
    image, options = (
        tensor(name, "TYPE_STRING", [1]) for name in (protocol.IMAGE, protocol.OPTIONS)
    )
    return [image, {**options, "optional": True}]


def _reply() -> list[Model]:
    return [tensor(name, "TYPE_STRING", [1]) for name in (protocol.RESULT, protocol.REPORT)]


def _passed_on() -> list[Model]:
    """What goes past the network, from the first step of an ensemble to its last."""
    picture = tensor(protocol.PICTURE, "TYPE_UINT8", [-1, -1, -1])
    return [picture, tensor(protocol.CONTEXT, "TYPE_STRING", [1])]


def _python(
    name: str,
    config: Config,
    count: int,
    inputs: list[Any],
    outputs: list[Any],
    bounded: bool = True,
    **settings: Any,
) -> Model:
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
