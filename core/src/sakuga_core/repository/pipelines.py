"""The Triton models that are programs, and the ensembles that join them with networks."""

from collections.abc import Sequence
from typing import Any

from sakuga_core import protocol
from sakuga_core.actions import ACTIONS, Action, Program
from sakuga_core.config.schema import Config
from sakuga_core.networks import registry
from sakuga_core.networks.custom import CustomNetwork
from sakuga_core.networks.facts import Listing
from sakuga_core.networks.families import CustomUpscaler, Network, Segmenter
from sakuga_core.networks.licences import is_permissive
from sakuga_core.networks.registry import ENHANCERS, INPAINTERS, MEMBERS, SEGMENTERS, UPSCALERS
from sakuga_core.repository.networks import parameters, tensor

Model = dict[str, Any]
"""A configuration, as `text.as_text` takes it."""


def pipelines(config: Config, custom: Sequence[CustomNetwork] = ()) -> list[Model]:
    """Every pipeline: those of the actions, by their rows, and the one that lists networks."""
    return [
        *(
            model
            for action in ACTIONS.values()
            if action.program
            for model in action_pipelines(action, action.program, config, custom)
        ),
        networks(config, custom),
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
    outputs = [*_reply(), *(_results(segmenters(custom)) if "segment" in program.networks else ())]
    plain = _python(
        name,
        config,
        count=getattr(config.server, program.workers),
        inputs=_request(),
        outputs=outputs,
        **facts,
        refused=_refused(config, custom),
        defaults=config.options_for(action.name),
        limits=config.limits.model_dump(),
    )
    progress = tensor(protocol.PROGRESS, "TYPE_STRING", [1])
    streams = {
        "name": protocol.streaming(name),
        "output": [*outputs, progress],
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


def ensemble(network: Segmenter) -> Model:
    """A public model that removes backgrounds by one network, for clients that name no options."""
    reply = {protocol.RESULT: protocol.result_by(network.name), protocol.REPORT: protocol.REPORT}
    step = {
        "model_name": protocol.REMBG,
        "model_version": -1,
        "input_map": {name: name for name in (protocol.IMAGE, protocol.OPTIONS)},
        "output_map": {theirs: ours for ours, theirs in reply.items()},
    }
    return {
        "name": protocol.ensemble(network.name),
        "platform": "ensemble",
        "max_batch_size": 0,
        "input": _request(),
        "output": _reply(),
        "ensemble_scheduling": {"step": [step]},
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


def _request() -> list[Model]:
    image, options = (
        tensor(name, "TYPE_STRING", [1]) for name in (protocol.IMAGE, protocol.OPTIONS)
    )
    return [image, {**options, "optional": True}]


def _reply() -> list[Model]:
    return [tensor(name, "TYPE_STRING", [1]) for name in (protocol.RESULT, protocol.REPORT)]


def _results(networks: Sequence[Segmenter]) -> list[Model]:
    """What tells a pipeline the network; see `protocol.result_by`."""
    return [tensor(protocol.result_by(row.name), "TYPE_STRING", [1]) for row in networks]


def _python(
    name: str,
    config: Config,
    count: int,
    inputs: list[Any],
    outputs: list[Any],
    **settings: Any,
) -> Model:
    """A pipeline in Triton's Python backend, `count` processes of it."""
    # Nothing is batched here; without this the queue would have no bound, and a picture would be
    # begun that its caller has given up.
    policy = {
        "max_queue_size": config.limits.queue_size,
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
        "dynamic_batching": queue,
        "parameters": parameters(**settings),
    }
