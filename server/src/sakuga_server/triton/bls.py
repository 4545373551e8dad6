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
    says_died,
    says_not_loaded,
)
from sakuga_server.cancellation import stop_if
from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.networks import Tile
from sakuga_server.triton.model import cancelled, internal_error, text_tensor, trace

log = logging.getLogger("sakuga")

# Times that a network is requested which is unloaded again and again.
LOADS = 3

# Seconds in which a network is loaded again of which a process has died, and between two attempts.
HEAL_SECONDS, RETRY_SECONDS = 30.0, 0.25

NONE: Mapping[str, str] = MappingProxyType({})
# What a pipeline asks of an ensemble is a part of a picture, which it counts itself.
PART: Mapping[str, str] = MappingProxyType({protocol.UNCOUNTED: "part"})


class BLSNetworks:
    """The networks of this server; see `pipelines.networks.Networks`."""

    async def upscale(self, model: str, tile: Tile) -> Array:
        """One tile through a super-resolution network."""
        inputs = [pb.Tensor(name, value) for name, value in tile.inputs.items()]
        return await _until_computed(model, inputs, tile.output)

    async def inpaint(self, model: str, image: Array, hole: Array) -> Array:
        """One window through an inpainting network."""
        inputs = [pb.Tensor(protocol.NET_IMAGE, image), pb.Tensor(protocol.NET_HOLE, hole)]
        return await _run(model, inputs, protocol.NET_RESULT)

    async def rembg(
        self, model: str, image: bytes, options: Mapping[str, Any]
    ) -> tuple[Picture, dict[str, Any]]:
        """One picture through the ensemble of a network that removes backgrounds."""
        text = json.dumps({**options, "model": model, "format": "raw"}).encode()
        inputs = [
            pb.Tensor(name, text_tensor(value))
            for name, value in ((protocol.IMAGE, image), (protocol.OPTIONS, text))
        ]
        outputs = (protocol.RESULT, protocol.REPORT)
        response = await _answered(model, protocol.ensemble(model), inputs, outputs, PART)
        return _picture(*(_bytes(response, name) for name in outputs))


def _bytes(response: Any, name: str) -> bytes:
    return bytes(pb.get_output_tensor_by_name(response, name).as_numpy().reshape(-1)[0])


def _picture(pixels: bytes, text: bytes) -> tuple[Picture, dict[str, Any]]:
    """Raw pixels as a picture, and the report that describes them."""
    report = json.loads(text)
    _, height, width, channels = report["output"]["shape"]
    shape = (height, width, channels)
    samples = np.frombuffer(pixels, report["output"]["dtype"]).reshape(shape)
    alpha = np.ascontiguousarray(samples[..., -1]) if channels in (2, 4) else None
    colour = samples[..., 0] if channels < 3 else samples[..., :3]
    return Picture(np.ascontiguousarray(colour), alpha, warnings=report["warnings"]), report


async def _until_computed(model: str, inputs: list[Any], output: str) -> Array:
    """A tile's output. Where tiles take long, the call is repeated until there is one; see
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
    result = await _run(model, inputs, output, key)
    try:
        while not result.size:
            stop_if(cancelled.get())
            result = await _run(model, _later(inputs, protocol.AGAIN), output, key)
    except (asyncio.CancelledError, Cancelled):
        await _call(protocol.folder(model), _later(inputs, protocol.GIVE_UP), [output], key)
        raise
    return result


def _later(inputs: list[Any], channels: int) -> list[Any]:
    """The inputs of a call after the first: the image, which comes first, without its pixels."""
    first, *others = inputs
    height, width = first.shape()[1:3]
    blank = np.zeros((1, height, width, channels), np.uint8)
    return [pb.Tensor(protocol.NET_IMAGE, blank), *others]


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
