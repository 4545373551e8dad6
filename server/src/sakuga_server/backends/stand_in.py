"""What the stand-ins share: where their file lies, and requests that Triton batched, joined for one
call and parted again."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

from sakuga_core import protocol
from sakuga_core.errors import TooLarge
from sakuga_server import cuda
from sakuga_server.imaging.picture import Array
from sakuga_server.parent_watch import end_with_parent


def opened(args: Mapping[str, str], file: str) -> tuple[Path, dict[str, Any], list[str]]:
    """Of the arguments of `initialize`: the network's file, which is called `file` unless
    config.pbtxt says otherwise, the parameters, and the inputs' names."""
    end_with_parent()
    config = json.loads(args["model_config"])
    name = _chosen(config, args) or file
    path = Path(args["model_repository"], args["model_version"], name)
    parameters = {k: json.loads(v["string_value"]) for k, v in config["parameters"].items()}
    return path, parameters, [tensor["name"] for tensor in config["input"]]


def _chosen(config: Mapping[str, Any], args: Mapping[str, str]) -> str:
    """The file that config.pbtxt names for this device, as the native backends read it."""
    if args["model_instance_kind"] == "GPU":
        capability = cuda.compute_capability(int(args["model_instance_device_id"]))
        if found := config.get("cc_model_filenames", {}).get(capability):
            return str(found)
    return str(config.get("default_model_filename", ""))


def refused(request: Any, first_input: str, most: float) -> Any | None:
    """The response to a request whose image has more pixels than a pipeline ever sends."""
    shape = pb.get_input_tensor_by_name(request, first_input).shape()
    height, width = shape[1:3]
    if height * width <= most:
        return None
    text = f"{first_input} has {width}x{height} = {width * height} pixels; allowed: {most:.0f}"
    return pb.InferenceResponse(
        error=pb.TritonError(TooLarge(text).to_message(), pb.TritonError.INVALID_ARG)
    )


def joined(requests: list[Any], name: str) -> Array:
    """All requests' tensors of a name, along the first axis."""
    tensors = [pb.get_input_tensor_by_name(request, name).as_numpy() for request in requests]
    return tensors[0] if len(tensors) == 1 else np.concatenate(tensors)


def parted(requests: list[Any], first_input: str, results: Mapping[str, Array]) -> list[Any]:
    """Each request's share of the results: as many rows as it brought."""
    responses, at = [], 0
    for request in requests:
        end = at + pb.get_input_tensor_by_name(request, first_input).as_numpy().shape[0]
        wanted = request.requested_output_names()
        responses.append(answer({name: results[name][at:end] for name in wanted}))
        at = end
    return responses


def answer(results: Mapping[str, Array]) -> Any:
    """One response."""
    tensors = [pb.Tensor(name, np.ascontiguousarray(value)) for name, value in results.items()]
    return pb.InferenceResponse(output_tensors=tensors)


def lost() -> Any:
    """The response to a call for a tile that this process doesn't know."""
    return pb.InferenceResponse(error=pb.TritonError(protocol.TILE_LOST))


def unfinished(names: Iterable[str]) -> Any:
    """The response to a call that is to be repeated: results without a pixel."""
    share = np.zeros((1, 0), np.float32)
    empty: dict[str, Array] = {
        protocol.NET_RESULT: np.zeros((1, 0, 0, 3), np.uint8),
        protocol.NET_RESULT_16: np.zeros((1, 0, 0, 3), np.int32),
        protocol.NET_MASK: np.zeros((1, 0, 0), np.float32),
    }
    return answer({name: empty.get(name, share) for name in names})


def failed(requests: list[Any], backend: str, error: Exception) -> list[Any]:
    """The same short answer to each; the reason is for the log."""
    pb.Logger.log_error(f"{backend}: {error}")
    failure = pb.TritonError(f"{backend} failed; the server's log has the reason")
    return [pb.InferenceResponse(error=failure) for _ in requests]
