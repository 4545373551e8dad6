"""Between Triton and the pipelines: requests to arrays, errors to statuses, networks over BLS.

The only importer of `triton_python_backend_utils`, which exists inside Triton's stub alone; the
stand-in backends are Triton's own side and apart.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

from sakuga import wire
from sakuga.errors import BadOption, ModelNotLoaded, SakugaError, ServerError
from sakuga_server.pipelines.picture import Array
from sakuga_server.pipelines.upscale import Upscale
from sakuga_server.settings import Settings

log = logging.getLogger("sakuga")

# gRPC's names and pb.TritonError's. They are looked up late: the stub fills `pb` after this import.
STATUSES = {"INVALID_ARGUMENT": "INVALID_ARG", "NOT_FOUND": "NOT_FOUND"}


class UpscaleModel:
    """Triton's `upscale`: the public model of every super-resolution network."""

    def initialize(self, args: Mapping[str, str]) -> None:
        parameters = json.loads(args["model_config"])["parameters"]
        self.upscale = Upscale(run_network, Settings.from_parameters(parameters))

    async def execute(self, requests: list[Any]) -> list[Any]:
        return [await self._answer(request) for request in requests]

    async def _answer(self, request: Any) -> Any:
        # Whatever escaped from here would reach the caller as a traceback with the server's paths.
        try:
            image, options = _input(request, wire.IMAGE), _options(request)
            result, report = await self.upscale(image, options, request.is_cancelled)
        except SakugaError as error:
            return _failure(error)
        except Exception:
            log.exception("upscale failed")
            return _failure(ServerError("internal error; the server's log has the reason"))
        outputs = {wire.RESULT: result, wire.REPORT: json.dumps(report).encode()}
        tensors = [pb.Tensor(n, np.array([v], dtype=object)) for n, v in outputs.items()]
        return pb.InferenceResponse(output_tensors=tensors)


def _failure(error: SakugaError) -> Any:
    status = getattr(pb.TritonError, STATUSES.get(error.status, "INTERNAL"))
    return pb.InferenceResponse(error=pb.TritonError(error.to_wire(), status))


def _input(request: Any, name: str) -> bytes:
    tensor = pb.get_input_tensor_by_name(request, name)
    if tensor is None:
        return b""
    values = tensor.as_numpy().reshape(-1)
    return bytes(values[0]) if len(values) else b""


def _options(request: Any) -> dict[str, Any]:
    text = _input(request, wire.OPTIONS) or b"{}"
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise BadOption(f"{wire.OPTIONS} is {text[:60]!r}; allowed: a JSON object")
    return options


async def run_network(model: str, tile: Array, denoise: float | None) -> Array:
    """One tile through a network of this server; see `pipelines.upscale.Net`."""
    output = wire.NET_RESULT if tile.shape[-1] == 3 else wire.NET_RESULT_16
    inputs = [pb.Tensor(wire.NET_IMAGE, tile)]
    if denoise is not None:
        strength = np.zeros((1, wire.denoise_length(denoise)), np.uint8)
        inputs.append(pb.Tensor(wire.NET_DENOISE, strength))
    request = pb.InferenceRequest(
        model_name=wire.folder(model),
        requested_output_names=[output],
        inputs=inputs,
        preferred_memory=pb.PreferredMemory(pb.TRITONSERVER_MEMORY_CPU),
    )
    response = await request.async_exec()
    if response.has_error():
        raise _network_error(model, response.error().message())
    result: Array = pb.get_output_tensor_by_name(response, output).as_numpy()
    return result


def _network_error(model: str, message: str) -> SakugaError:
    # Statuses of nested calls all come back as INTERNAL, so the text has to tell.
    if "not ready" in message or "not found" in message or "unknown model" in message:
        return ModelNotLoaded(
            f"model {model!r} isn't loaded on this server; export it with "
            f"`sakuga-export {model}` and start the server again"
        )
    log.error("network %s: %s", model, message)
    return ServerError("internal error; the server's log has the reason")
