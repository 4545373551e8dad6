"""The connection to Triton: the only place that knows tritonclient."""

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
ADMIN_KEY = "SAKUGA_ADMIN_KEY"  # the environment's name of that key
ADMIN_HEADER = "triton-grpc-protocol-admin"  # of `--grpc-restricted-protocol=…:admin=KEY`


class Reply(NamedTuple):
    """A finished picture."""

    result: bytes
    """The picture, an encoded file."""
    report: dict[str, Any]
    """What was done: model, sizes, tiles, milliseconds per stage, warnings, notes."""


class Triton:
    """One server, reached over one gRPC channel, from one event loop.

    Args:
        url: host:port of its gRPC. Assigning another takes effect with the next call; those under
            way go on.
        timeout: seconds that an answer may take.
        key: what `load` and `unload` need where the server's administration is locked.
    """

    def __init__(self, url: str, timeout: float, key: str | None = None) -> None:
        self.url = url
        self.timeout = timeout
        self._headers = {ADMIN_HEADER: key} if key else None
        self._clients: dict[str, InferenceServerClient] = {}

    @property
    def client(self) -> InferenceServerClient:
        # Made at first use: a gRPC channel belongs to the event loop it was made in.
        if self.url not in self._clients:
            made = InferenceServerClient(self.url, channel_args=CHANNEL_ARGS)
            self._clients[self.url] = made
        return self._clients[self.url]

    async def close(self) -> None:
        while self._clients:
            await self._clients.popitem()[1].close()

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
        result, report = await self._call(
            model,
            {wire.IMAGE: image, wire.OPTIONS: json.dumps(dict(options)).encode()},
            (wire.RESULT, wire.REPORT),
            timeout,
        )
        return Reply(result, json.loads(report))

    async def _call(
        self,
        model: str,
        inputs: Mapping[str, bytes],
        outputs: Iterable[str],
        timeout: float | None = None,
    ) -> list[bytes]:
        async with self._errors(model):
            answer = await self.client.infer(
                model,
                [_bytes_input(name, value) for name, value in inputs.items()],
                outputs=[InferRequestedOutput(name) for name in outputs],
                client_timeout=timeout or self.timeout,
            )
            return [bytes(answer.as_numpy(name)[0]) for name in outputs]

    async def networks(self) -> dict[str, dict[str, Any]]:
        """What the server tells of each network that it knows, by name: `wire.Listing`, and
        `installed`, `loaded`, `megabytes` (of its file) and `memory` (in MB).
        """
        networks: dict[str, dict[str, Any]] = (await self._ask_networks())["networks"]
        return networks

    async def load_on_demand(self, model: str, kind: wire.Kind) -> None:
        """Has the server load a network that a request needs, for which nobody needs a key.

        Raises:
            BadOption: there is no such network of that kind.
            ModelNotInstalled: it was never exported.
            ModelNotLoaded: the server doesn't load what a request needs.
        """
        await self._ask_networks(load=model, kind=kind)

    async def _ask_networks(self, **options: str) -> dict[str, Any]:
        asked = {wire.OPTIONS: json.dumps(options).encode()}
        (report,) = await self._call(wire.NETWORKS, asked, [wire.REPORT])
        told: dict[str, Any] = json.loads(report)
        return told

    async def device(self, model: str) -> str:
        """What a loaded Triton model runs on: the CPU, or GPUs by their numbers."""
        async with self._errors(model):
            answer = await self.client.get_model_config(model, client_timeout=10)
        gpus = sorted({gpu for group in answer.config.instance_group for gpu in group.gpus})
        return f"GPU {', '.join(map(str, gpus))}" if gpus else "CPU"

    async def load(self, model: str) -> None:
        """Loads a Triton model, or loads it anew where its files changed: returns when it is ready.
        Requests under way are finished by what was there before."""
        async with self._errors(model):
            await self.client.load_model(model, headers=self._headers)

    async def unload(self, model: str) -> None:
        """Unloads a Triton model, after the requests that it has."""
        async with self._errors(model):
            await self.client.unload_model(model, headers=self._headers)

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
        if "protocol is restricted" in text:
            return errors.NotAllowed(
                f"{self.url} lets nobody administer it without its key; set {ADMIN_KEY}"
            )
        if "maximum queue size" in text:
            return errors.Overloaded(f"the queue of {what} at {self.url} is full; try again later")
        if errors.says_not_loaded(text):
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
