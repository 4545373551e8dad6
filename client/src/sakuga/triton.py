"""The connection to Triton: the only place that knows tritonclient."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc
import numpy as np
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from sakuga import errors, wire

# gRPC's own default of 4 MB is less than one enlarged picture; protobuf can't carry more than this.
MAX_MESSAGE_BYTES = 2**31 - 1
# `channel_args` replaces all of tritonclient's defaults, so the message lengths stand here again.
CHANNEL_ARGS = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.primary_user_agent", "sakuga"),
]


class Reply(NamedTuple):
    """A finished picture."""

    result: bytes
    """The picture, an encoded file."""
    report: dict[str, Any]
    """What was done: model, sizes, tiles, milliseconds per stage, warnings, notes."""


class Triton:
    """One server, reached over one gRPC channel, from one event loop."""

    def __init__(self, url: str, timeout: float) -> None:
        self.url = url
        self.timeout = timeout
        self._client: InferenceServerClient | None = None

    @property
    def client(self) -> InferenceServerClient:
        # Made at first use: a gRPC channel belongs to the event loop it was made in.
        if self._client is None:
            self._client = InferenceServerClient(self.url, channel_args=CHANNEL_ARGS)
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def infer(
        self, model: str, image: bytes, options: Mapping[str, Any], timeout: float | None = None
    ) -> Reply:
        """Sends one encoded picture through a public model.

        Args:
            model: a pipeline or ensemble of the contract, such as `upscale` or `rembg_u2net`.
            image: an encoded picture file.
            options: of that model; sent as JSON.
            timeout: seconds; left out, the connection's own.

        Raises:
            SakugaError: of the class that fits; see `sakuga.errors`.
        """
        inputs = [
            _bytes_input(wire.IMAGE, image),
            _bytes_input(wire.OPTIONS, json.dumps(dict(options)).encode()),
        ]
        async with self._errors(model):
            answer = await self.client.infer(
                model,
                inputs,
                outputs=[InferRequestedOutput(name) for name in (wire.RESULT, wire.REPORT)],
                client_timeout=timeout or self.timeout,
            )
            result, report = (answer.as_numpy(name) for name in (wire.RESULT, wire.REPORT))
        return Reply(bytes(result[0]), json.loads(report[0]))

    async def loaded(self, model: str) -> bool:
        """Whether the server serves `model` (a folder's name) now."""
        async with self._errors(model):
            return bool(await self.client.is_model_ready(model, client_timeout=10))

    async def networks(
        self, pipelines: Iterable[str] = (wire.UPSCALE, wire.REMBG_PREPARE, wire.FIX_ARTIFACTS)
    ) -> dict[str, dict[str, Any]]:
        """Facts on each network that the server's pipelines know, by name, `loaded` among them."""
        networks: dict[str, dict[str, Any]] = {}
        for pipeline in pipelines:
            async with self._errors(pipeline):
                config = await self.client.get_model_config(pipeline, as_json=True)
            parameters = config["config"]["parameters"]
            for kind in ("networks", "inpainters"):
                networks |= json.loads(parameters.get(kind, {}).get("string_value", "{}"))
        loaded = await asyncio.gather(*(self.loaded(wire.folder(name)) for name in networks))
        for facts, ready in zip(networks.values(), loaded, strict=True):
            facts["loaded"] = ready
        return networks

    async def status(self) -> dict[str, Any]:
        """The server's version, readiness, and what each loaded model has done so far."""
        async with self._errors("the server"):
            about = await self.client.get_server_metadata(client_timeout=10)
            ready = await self.client.is_server_ready(client_timeout=10)
            statistics = await self.client.get_inference_statistics(client_timeout=10)
        models = {m.name: _activity(m) for m in statistics.model_stats}
        return {"url": self.url, "version": about.version, "ready": ready, "models": models}

    @asynccontextmanager
    async def _errors(self, what: str) -> AsyncIterator[None]:
        try:
            yield
        except InferenceServerException as error:
            raise self._translate(error, what) from error
        except grpc.RpcError as error:
            raise errors.ServerUnavailable(f"the connection to {self.url} broke") from error

    def _translate(self, error: InferenceServerException, what: str) -> errors.SakugaError:
        # UNAVAILABLE has several meanings in Triton; only the text tells them apart.
        status, text = error.status() or "", error.message() or ""
        if known := errors.from_wire(text):
            return known
        if "DEADLINE_EXCEEDED" in status or "Deadline" in text:
            return errors.DeadlineExceeded(
                f"no answer from {self.url} in the time allowed; raise server.timeout, "
                "or send a smaller picture"
            )
        if "maximum queue size" in text:
            return errors.Overloaded(f"the queue of {what} at {self.url} is full; try again later")
        if "unknown model" in text or "not ready" in text or "no available versions" in text:
            return errors.ModelNotLoaded(f"{what} isn't served at {self.url}")
        if "UNAVAILABLE" in status:
            return errors.ServerUnavailable(
                f"no server answers at {self.url}; start one with `sakuga serve`, or add --embedded"
            )
        return errors.ServerError(text or status)


def _bytes_input(name: str, value: bytes) -> InferInput:
    tensor = InferInput(name, [1], "BYTES")
    tensor.set_data_from_numpy(np.array([value], dtype=object))
    return tensor


def _activity(statistics: Any) -> dict[str, float]:
    """What a model's statistics say: requests, batches, and mean milliseconds of each."""
    done, count = statistics.inference_stats, statistics.inference_count
    per = 1e6 * max(done.success.count, 1)
    return {
        "requests": done.success.count,
        "failed": done.fail.count,
        "images": count,
        "batches": statistics.execution_count,
        "queue_ms": done.queue.ns / per,
        "compute_ms": done.compute_infer.ns / per,
    }
