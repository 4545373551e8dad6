"""A Triton model in Python: requests to arrays, errors to statuses.

This folder alone imports `triton_python_backend_utils`, which exists inside Triton's stub only; the
stand-in backends are Triton's own side and apart.
"""

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

from sakuga_core import logs, protocol
from sakuga_core.errors import BadOption, Overloaded, SakugaError, ServerError, says_crowded
from sakuga_server.cancellation import CallerWatch
from sakuga_server.imaging.picture import Array
from sakuga_server.memory import Idle, trim
from sakuga_server.parent_watch import end_with_parent
from sakuga_server.stderr import Captured

log = logging.getLogger("sakuga")

IDLE = 1.0  # seconds without a request, after which freed memory goes back to the system

# gRPC's names and pb.TritonError's. They are looked up late: the stub fills `pb` after this import.
STATUSES = {"INVALID_ARGUMENT": "INVALID_ARG", "NOT_FOUND": "NOT_FOUND", "CANCELLED": "CANCELLED"}

# The trace of the current request, if it has one: what it asks of networks belongs to it.
trace: ContextVar[Any] = ContextVar("trace", default=None)

# Whether the caller of the current request has gone.
cancelled: ContextVar[CallerWatch] = ContextVar("cancelled")


class PictureModel(ABC):
    """A Triton model that answers each request by itself, and survives whatever one brings."""

    def initialize(self, args: Mapping[str, str]) -> None:
        end_with_parent()
        self.name = args["model_name"]
        self.repository = Path(args["model_repository"]).parent
        logs.set_up_in_child(model=self.name)
        self.start(json.loads(args["model_config"])["parameters"])
        self.idle = Idle(trim, IDLE)
        self.stderr = Captured.of_model(self.name)  # now, as who fails before is no supervisor's

    @abstractmethod
    def start(self, parameters: Mapping[str, Mapping[str, str]]) -> None:
        """Takes the parameters of config.pbtxt."""

    @abstractmethod
    async def answer(self, request: Any) -> dict[str, Array]:
        """The output tensors of one request, by name."""

    async def execute(self, requests: list[Any]) -> list[Any]:
        return [await self._response(request) for request in requests]

    async def _response(self, request: Any) -> Any:
        self.stderr.log()  # what belongs to no request
        with self.idle.use(), logs.request_id(request.request_id()):
            try:
                return await self._answered(request)
            finally:
                self.stderr.log()

    async def _answered(self, request: Any) -> Any:
        # Whatever escaped from here would reach the caller as a traceback with the server's paths.
        trace.set(request.trace())
        watch = CallerWatch(request.is_cancelled)
        cancelled.set(watch)
        try:
            outputs = await self.answer(request)
            tensors = [pb.Tensor(name, value) for name, value in outputs.items()]
            return pb.InferenceResponse(output_tensors=tensors)
        except SakugaError as error:
            return failure(error)
        except Exception as error:
            log.exception("%s failed", type(self).__name__)
            return failure(crowded() if says_crowded(str(error)) else internal_error())
        finally:
            watch.close()


def crowded() -> Overloaded:
    """For a caller whose picture /dev/shm has no room for beside others."""
    return Overloaded("the server is short of shared memory; try again later")


def internal_error() -> ServerError:
    """For a caller, who isn't told the reason; the log has it, with the request's id."""
    return ServerError(
        f"internal error; the server's log has the reason, at request {logs.current_id()}"
    )


def failure(error: SakugaError) -> Any:
    status = getattr(pb.TritonError, STATUSES.get(error.status, "INTERNAL"))
    return pb.InferenceResponse(error=pb.TritonError(error.to_message(), status))


def text_tensor(value: bytes) -> Array:
    return np.array([value], dtype=object)


def bytes_of(request: Any, name: str) -> bytes:
    tensor = pb.get_input_tensor_by_name(request, name)
    if tensor is None:
        return b""
    values = tensor.as_numpy().reshape(-1)
    return bytes(values[0]) if len(values) else b""


def options_of(request: Any) -> dict[str, Any]:
    text = bytes_of(request, protocol.OPTIONS) or b"{}"
    try:
        options = json.loads(text)
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict):
        raise BadOption(f"{protocol.OPTIONS} is {text[:60]!r}; allowed: a JSON object")
    return options
