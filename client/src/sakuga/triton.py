"""The connection to Triton: the only place that knows tritonclient."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import grpc
import numpy as np
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from sakuga import tracing
from sakuga.retry import Attempts, Budget
from sakuga_core import errors, protocol
from sakuga_core.config.server import TLS, Server

log = logging.getLogger("sakuga")

# gRPC's own default of 4 MB is less than one upscaled picture; protobuf can't carry more than this.
MAX_MESSAGE_BYTES = 2**31 - 1
# `channel_args` replaces all of tritonclient's defaults, so the message lengths stand here again.
# Where a name has several addresses, calls go round those that answer.
CHANNEL_ARGS = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.primary_user_agent", "sakuga"),
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    # A server that comes back is found again within seconds, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5000),
]
# Of what is left of a picture's time, the part that it may wait in a server's queue. The rest is
# for its work; or, when the wait was in vain, for another server.
QUEUE_SHARE = 0.5
ADMIN_KEY = "SAKUGA_ADMIN_KEY"  # the environment's name of that key
ADMIN_HEADER = "triton-grpc-protocol-admin"  # of `--grpc-restricted-protocol=…:admin=KEY`


class Reply(NamedTuple):
    """A finished picture."""

    result: bytes
    """The picture, an encoded file."""
    report: dict[str, Any]
    """What was done: model, sizes, tiles, milliseconds per stage, warnings, notes."""


class Triton:
    """One server, or several that are one to the caller, reached over one gRPC channel, from one
    event loop.

    Args:
        server: how it is reached. A change of it takes effect with the next call; those under way
            go on.
        key: what `load` and `unload` need where the server's administration is locked.
        url: goes before the one in `server`.

    Raises:
        ConfigError: with the first call, if a certificate can't be read.
    """

    def __init__(self, server: Server, key: str | None = None, url: str | None = None) -> None:
        self.server = server
        self._key_headers = {ADMIN_HEADER: key} if key else None
        self._url = url
        self._clients: dict[tuple[object, ...], InferenceServerClient] = {}
        self._budget = Budget()
        self._places: tuple[int, asyncio.Semaphore] | None = None

    @property
    def url(self) -> str:
        """host:port of its gRPC."""
        return self._url or self.server.url

    @property
    def client(self) -> InferenceServerClient:
        # Made at first use: a gRPC channel belongs to the event loop it was made in.
        tls = self.server.tls
        key = (self.url, tls.ca, tls.certificate, tls.key)
        if key not in self._clients:
            made = InferenceServerClient(
                self.url, creds=_credentials(tls), channel_args=CHANNEL_ARGS
            )
            self._clients[key] = made
        return self._clients[key]

    async def close(self) -> None:
        while self._clients:
            await self._clients.popitem()[1].close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def infer(self, model: str, image: bytes, options: Mapping[str, Any]) -> Reply:
        """Sends one encoded picture through a public model; anew, if a server is lost on the way.

        Args:
            model: a pipeline or ensemble of the contract, such as `upscale` or `rembg_u2net`.
            image: an encoded picture file.
            options: of that model; sent as JSON.

        Raises:
            SakugaError: of the class that fits; see `sakuga.errors`.
        """
        inputs = {protocol.IMAGE: image, protocol.OPTIONS: json.dumps(dict(options)).encode()}
        attempts = self._attempts()
        async with self._place(attempts):
            result, report = await self._sent(
                model, inputs, (protocol.RESULT, protocol.REPORT), attempts
            )
            return Reply(result, json.loads(report))

    def _attempts(self) -> Attempts:
        self._budget.earn()
        return Attempts(self.server.retries, self.server.timeout, self._budget)

    async def _sent(
        self,
        model: str,
        inputs: Mapping[str, bytes],
        outputs: Iterable[str],
        attempts: Attempts,
    ) -> list[bytes]:
        """As `_call`; anew, where another attempt may succeed."""
        while True:
            try:
                return await self._call(model, inputs, outputs, attempts.left)
            except errors.SakugaError as error:
                pause = attempts.pause() if errors.is_retryable(error) else None
                if pause is None:
                    raise
                log.info("attempt %d at %s: %s", attempts.made, self.url, error)
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def _place(self, attempts: Attempts) -> AsyncIterator[None]:
        """Waits until fewer than `in_flight` pictures are under way; that takes of their time."""
        count = self.server.in_flight
        if self._places is None or self._places[0] != count:
            self._places = count, asyncio.Semaphore(count)
        places = self._places[1]
        try:
            await asyncio.wait_for(places.acquire(), attempts.left)
        except TimeoutError:
            raise errors.DeadlineExceeded(
                f"{count} other pictures were under way all the time; raise server.timeout, "
                "or server.in_flight"
            ) from None
        try:
            yield
        finally:
            places.release()

    async def _call(
        self,
        model: str,
        inputs: Mapping[str, bytes],
        outputs: Iterable[str],
        seconds: float | None = None,
    ) -> list[bytes]:
        seconds = max(seconds or self.server.timeout, 0.001)
        async with self._errors(model):
            answer = await self.client.infer(
                model,
                [_bytes_input(name, value) for name, value in inputs.items()],
                outputs=[InferRequestedOutput(name) for name in outputs],
                timeout=int(seconds * QUEUE_SHARE * 1e6),
                client_timeout=seconds,
                headers=tracing.headers(),
            )
            return [bytes(answer.as_numpy(name)[0]) for name in outputs]

    async def networks(self) -> dict[str, dict[str, Any]]:
        """What the server tells of each network that it knows, by name: `facts.Listing`, and
        `installed`, `loaded`, `megabytes` (of its file) and `memory` (in MB).
        """
        (report,) = await self._call(
            protocol.NETWORKS, {protocol.OPTIONS: b"{}"}, [protocol.REPORT]
        )
        networks: dict[str, dict[str, Any]] = json.loads(report)["networks"]
        return networks

    async def load_on_demand(self, model: str, kind: protocol.Kind) -> None:
        """Has the server load a network that a request needs, for which nobody needs a key.

        Raises:
            BadOption: there is no such network of that kind.
            ModelNotInstalled: it was never exported.
            ModelNotLoaded: the server doesn't load what a request needs.
        """
        asked = {protocol.OPTIONS: json.dumps({"load": model, "kind": kind}).encode()}
        await self._sent(protocol.NETWORKS, asked, [protocol.REPORT], self._attempts())

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
            await self.client.load_model(model, headers=self._key_headers)

    async def unload(self, model: str) -> None:
        """Unloads a Triton model: it takes no more requests, and goes after those that it has."""
        async with self._errors(model):
            await self.client.unload_model(model, headers=self._key_headers)

    async def leaving(self) -> list[str]:
        """The Triton models that were told to go, and still have requests."""
        async with self._errors("the server"):
            index = await self.client.get_model_repository_index(headers=self._key_headers)
        return [model.name for model in index.models if model.state == "UNLOADING"]

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
        if known := errors.from_message(text) or self._meant(text, what):
            return known
        if "DEADLINE_EXCEEDED" in status or "Deadline" in text:
            return errors.DeadlineExceeded(
                f"no answer from {self.url} in the time allowed; raise server.timeout, "
                "or send a smaller picture"
            )
        if "UNAVAILABLE" in status:
            return errors.ServerUnavailable(self._unreachable())
        return errors.ServerError(text or status)

    def _meant(self, text: str, what: str) -> errors.SakugaError | None:
        """What Triton itself means, if it is one of the things that it says in words alone."""
        if "Request timeout expired" in text:
            return errors.QueueTimeout(
                f"the queue of {what} at {self.url} was too long for the time allowed; "
                "raise server.timeout, or try again later"
            )
        if "protocol is restricted" in text:
            return errors.PermissionDenied(
                f"{self.url} lets nobody administer it without its key; set {ADMIN_KEY}"
            )
        if "maximum queue size" in text:
            return errors.Overloaded(f"the queue of {what} at {self.url} is full; try again later")
        if errors.says_stopping(text, what):
            return errors.ServerUnavailable(f"the server at {self.url} is stopping")
        if errors.says_not_loaded(text):
            return errors.ModelNotLoaded(f"{what} isn't served at {self.url}")
        return None

    def _unreachable(self) -> str:
        if self.server.tls.ca:
            return f"no server answers at {self.url}, or none that takes what server.tls has"
        return f"no server answers at {self.url}; start one with `sakuga serve`, or add --embedded"


def _credentials(tls: TLS) -> Any:
    """
    Raises:
        ConfigError: a file can't be read.
    """
    if tls.ca is None:
        return None
    files = (None if tls.of_system else tls.ca, tls.key, tls.certificate)
    return grpc.ssl_channel_credentials(*map(_read, files))


def _read(file: Path | None) -> bytes | None:
    try:
        return file.read_bytes() if file else None
    except OSError as error:
        raise errors.ConfigError(f"server.tls: {file} can't be read ({error.strerror})") from error


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
