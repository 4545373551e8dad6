"""Networks of this server, called from a pipeline over BLS (Triton's business logic scripting)."""

import asyncio
import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from types import MappingProxyType
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

from sakuga_core import logs, protocol
from sakuga_core.errors import (
    Cancelled,
    ModelNotLoaded,
    ServerError,
    from_message,
    says_crowded,
    says_died,
    says_not_loaded,
)
from sakuga_server.cancellation import stop_if
from sakuga_server.imaging.picture import Array
from sakuga_server.networks import Tile
from sakuga_server.triton.model import cancelled, crowded, internal_error, text_tensor, trace

log = logging.getLogger("sakuga")

# Times that a network is requested which is unloaded again and again.
LOADS = 3

# Seconds in which a network is loaded again of which a process has died, and between two attempts.
HEAL_SECONDS, RETRY_SECONDS = 30.0, 0.25

# Between two calls for an image that is being computed: a share of the time that it has taken, but
# at least and at most so many seconds.
SHARE, SHORTEST_PAUSE, LONGEST_PAUSE = 20, 0.01, 0.2

NONE: Mapping[str, str] = MappingProxyType({})


class BLSNetworks:
    """The networks of this server; see `pipelines.networks.Networks`."""

    async def upscale(self, model: str, tile: Tile) -> Array:
        """One tile through a super-resolution network."""
        inputs = [pb.Tensor(name, value) for name, value in tile.inputs.items()]
        return await _until_computed(model, inputs, tile.output)

    async def inpaint(self, model: str, image: Array, hole: Array) -> Array:
        """One window through an inpainting network."""
        inputs = [pb.Tensor(protocol.NET_IMAGE, image), pb.Tensor(protocol.NET_HOLE, hole)]
        return await _until_computed(model, inputs, protocol.NET_RESULT)

    async def segment(self, model: str, square: Array, letterbox: bool | None) -> Array:
        """One picture through a segmentation network."""
        inputs = [pb.Tensor(protocol.NET_IMAGE, square)]
        if letterbox is not None:
            inputs.append(pb.Tensor(protocol.NET_LETTERBOX, np.array([[letterbox]], np.uint8)))
        return await _until_computed(model, inputs, protocol.NET_MASK)


async def _until_computed(model: str, inputs: list[Any], output: str) -> Array:
    """An image's output. Where images take long, the call is repeated until there is one; see
    `protocol.TILE_KEY`."""
    for _ in range(LOADS):
        with suppress(_TileLost):
            return await _computed(model, inputs, output)
    raise _logged(model, f"{protocol.TILE_LOST}, again and again")


def _logged(model: str, message: str) -> ServerError:
    """The error for a caller, who isn't told the reason; the log is."""
    log.error("network %s: %s", model, message)
    return internal_error()


class _TileLost(Exception):
    """The network was loaded anew while it computed a tile."""


async def _computed(model: str, inputs: list[Any], output: str) -> Array:
    """
    Raises:
        _TileLost: the tile has to be sent again.
    """
    key = {protocol.TILE_KEY: secrets.token_hex(8)}
    start = monotonic()
    result = await _run(model, inputs, output, key)
    if result.size:
        return result
    again, give_up = (key | {protocol.TILE_CALL: c} for c in (protocol.AGAIN, protocol.GIVE_UP))
    inputs = _without_pixels(inputs)
    try:
        while not result.size:
            await asyncio.sleep(_pause(monotonic() - start))
            stop_if(cancelled.get())
            result = await _run(model, inputs, output, again)
    except (asyncio.CancelledError, Cancelled):
        await _call(protocol.folder(model), inputs, [output], give_up)
        raise
    return result


def _pause(seconds: float) -> float:
    """Seconds until a result is asked for again that has been computed for so long."""
    return min(max(seconds / SHARE, SHORTEST_PAUSE), LONGEST_PAUSE)


def _without_pixels(inputs: list[Any]) -> list[Any]:
    """The inputs of the calls after the first: the image, which comes first, is blank."""
    first, *others = inputs
    return [pb.Tensor(protocol.NET_IMAGE, np.zeros(first.shape(), np.uint8)), *others]


async def _run(
    model: str, inputs: list[Any], output: str, parameters: Mapping[str, str] = NONE
) -> Array:
    """A network's output."""
    response = await _answered(model, protocol.folder(model), inputs, [output], parameters)
    result: Array = pb.get_output_tensor_by_name(response, output).as_numpy()
    return result


async def _answered(
    network: str,
    model: str,
    inputs: list[Any],
    outputs: Sequence[str],
    parameters: Mapping[str, str] = NONE,
) -> Any:
    """The response of the Triton model that serves a network; if it isn't loaded, it is loaded
    first, should the server do that."""
    for _ in range(LOADS):
        response = await _call_until_alive(model, inputs, outputs, parameters)
        if not response.has_error():
            return response
        # Statuses of nested calls all come back as INTERNAL, so the text has to tell.
        message = response.error().message()
        if protocol.TILE_LOST in message:
            raise _TileLost
        if says_crowded(message):
            raise crowded()
        if not says_not_loaded(message):
            raise from_message(message) or _logged(network, message)
        await _load_on_demand(network)
    raise ModelNotLoaded.loadable(network)


async def _call_until_alive(
    model: str, inputs: list[Any], outputs: Sequence[str], parameters: Mapping[str, str]
) -> Any:
    """The response of a Triton model; while the process that would give it is dead, the call is
    repeated."""
    end = monotonic() + HEAL_SECONDS
    while True:
        response = await _call(model, inputs, outputs, parameters)
        died = response.has_error() and says_died(response.error().message())
        if not died or monotonic() > end:
            return response
        stop_if(cancelled.get())
        await asyncio.sleep(RETRY_SECONDS)


# What is being loaded for pictures of this process, by network.
_loading: dict[str, asyncio.Task[None]] = {}


async def _load_on_demand(model: str) -> None:
    """Has `networks` load it; tiles that need the same network wait for one request."""
    if model not in _loading:
        task = _loading[model] = asyncio.ensure_future(_load(model))
        task.add_done_callback(lambda _: _loading.pop(model))
    await asyncio.shield(_loading[model])  # a tile that is given up doesn't stop the others' load


async def _load(model: str) -> None:
    wanted = text_tensor(json.dumps({"load": model}).encode())
    inputs = [pb.Tensor(protocol.OPTIONS, wanted)]
    response = await _call(protocol.NETWORKS, inputs, [protocol.REPORT])
    if response.has_error():
        message = response.error().message()
        raise from_message(message) or ModelNotLoaded.loadable(model)


async def _call(
    model: str,
    inputs: list[Any],
    outputs: Sequence[str],
    parameters: Mapping[str, str] = NONE,
) -> Any:
    request = pb.InferenceRequest(
        model_name=model,
        requested_output_names=list(outputs),
        inputs=inputs,
        request_id=logs.current_id(),
        preferred_memory=pb.PreferredMemory(pb.TRITONSERVER_MEMORY_CPU),
        **({"trace": current} if (current := trace.get()) else {}),
        **({"parameters": dict(parameters)} if parameters else {}),
    )
    return await request.async_exec()
