"""Calls to Triton over gRPC: the only importer of tritonclient."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import grpc
import numpy as np
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from sakuga import tracing
from sakuga.channel import CHANNEL_ARGS, Connection, credentials
from sakuga.local import AUTO, LocalServer, running
from sakuga.reply import Reply
from sakuga.retry import Attempts, Budget, Deadline
from sakuga.translation import late, translated, unreachable
from sakuga_core import errors, protocol
from sakuga_core.config.server import Server

log = logging.getLogger("sakuga")

# The part of a request's time left that it may wait in a server's queue. The rest is for its work
# or, if the wait was in vain, for another server.
QUEUE_SHARE = 0.5
STATUS_SECONDS = 10  # that questions about the server may take
ADMIN_HEADER = f"triton-grpc-protocol-{protocol.ADMIN_HEADER}"


class Triton:
    """A server, or several behind one address, reached over one gRPC channel from one event loop.

    Args:
        server: how it is reached. A change takes effect with the next call; calls in flight go on.
        key: what `load` and `unload` need where the server's administration is locked.
        url: replaces the one in `server`.
        local: the server for `server.url: auto`; if unset, only one that already answers is used.

    Raises:
        ConfigError: with the first call, if a certificate can't be read, or no server can be had.
    """

    def __init__(
        self,
        server: Server,
        key: str | None = None,
        url: str | None = None,
        local: LocalServer | None = None,
    ) -> None:
        self.server, self.local = server, local
        self._key_headers = {ADMIN_HEADER: key} if key else None
        self._url = url
        self._current: tuple[tuple[object, ...], Connection[InferenceServerClient]] | None = None
        self._budget = Budget()
        self._in_flight: tuple[int, asyncio.Semaphore] | None = None

    @property
    def url(self) -> str:
        """The address as configured: host:port, or `auto`."""
        return self._url or self.server.url

    async def close(self) -> None:
        """Closes the channel, and ends the embedded server if one was started for it."""
        current, self._current = self._current, None
        if current:
            await current[1].client.close()
        if self.local:
            await asyncio.to_thread(self.local.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def infer(
        self,
        model: str,
        image: bytes,
        options: Mapping[str, Any],
        deadline: Deadline | None = None,
    ) -> Reply:
        """Sends one encoded picture to a public model; again, if a server is lost meanwhile.

        Args:
            model: a pipeline or ensemble of the protocol, such as `upscale` or `rembg_u2net`.
            image: an encoded picture file.
            options: of that model; sent as JSON.
            deadline: by when; if unset, `server.timeout` from now.

        Raises:
            SakugaError: of the class that fits; see `sakuga_core.errors`.
        """
        attempts = self._attempts(deadline)
        inputs = {protocol.IMAGE: image, protocol.OPTIONS: json.dumps(dict(options)).encode()}
        outputs = (protocol.RESULT, protocol.REPORT)
        async with self._within(attempts.deadline), self._slot():
            result, report = await self._sent(model, inputs, outputs, attempts)
        return Reply(result, json.loads(report))

    def _attempts(self, deadline: Deadline | None) -> Attempts:
        self._budget.earn()
        return Attempts(
            self.server.retries, deadline or Deadline(self.server.timeout), self._budget
        )

    @asynccontextmanager
    async def _within(self, deadline: Deadline) -> AsyncIterator[None]:
        """
        Raises:
            DeadlineExceeded: the block took longer.
        """
        try:
            async with asyncio.timeout(max(deadline.left, 0)):
                yield
        except TimeoutError:
            raise late(self.url) from None

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Waits until fewer than `in_flight` requests are in flight."""
        count = self.server.in_flight
        if self._in_flight is None or self._in_flight[0] != count:
            self._in_flight = count, asyncio.Semaphore(count)
        async with self._in_flight[1]:
            yield

    async def _sent(
        self,
        model: str,
        inputs: Mapping[str, bytes],
        outputs: Iterable[str],
        attempts: Attempts,
    ) -> list[bytes]:
        """As `_call`; again, where another attempt may succeed."""
        while True:
            try:
                return await self._call(model, inputs, outputs, attempts.deadline.left)
            except errors.SakugaError as error:
                pause = attempts.pause() if errors.is_retryable(error) else None
                if pause is None:
                    raise
                log.info("attempt %d at %s: %s", attempts.made, self.url, error)
            await asyncio.sleep(pause)

    async def _call(
        self,
        model: str,
        inputs: Mapping[str, bytes],
        outputs: Iterable[str],
        seconds: float,
    ) -> list[bytes]:
        seconds = max(seconds, 0.001)
        async with self._connected(model) as client:
            answer = await client.infer(
                model,
                [_bytes_input(name, value) for name, value in inputs.items()],
                outputs=[InferRequestedOutput(name) for name in outputs],
                timeout=int(seconds * QUEUE_SHARE * 1e6),
                client_timeout=seconds,
                headers=tracing.headers(),
            )
            return [bytes(answer.as_numpy(name)[0]) for name in outputs]

    @asynccontextmanager
    async def _connected(self, model: str) -> AsyncIterator[InferenceServerClient]:
        """A client, with its errors translated.

        Args:
            model: what is called, for messages.
        """
        url = await self._address()
        connection = await self._connection(url)
        try:
            async with connection.used() as client:
                yield client
        except InferenceServerException as error:
            status, text = error.status() or "", error.message() or ""
            tls = self.server.tls.ca is not None
            raise translated(status, text, model, url, tls) from error
        except grpc.RpcError as error:
            raise errors.ServerUnavailable(f"the connection to {url} broke") from error

    async def _address(self) -> str:
        """host:port of the server, for `auto` of the one that was found or started."""
        if self.url != AUTO:
            return self.url
        if self.local:
            return await asyncio.to_thread(self.local.url)
        found = await asyncio.to_thread(running)
        if found is None:
            raise unreachable("this machine")
        return found.url

    async def _connection(self, url: str) -> Connection[InferenceServerClient]:
        # Made at first use: a gRPC channel belongs to the event loop it was made in.
        tls = self.server.tls
        key = (url, tls.ca, tls.certificate, tls.key)
        if self._current and self._current[0] == key:
            return self._current[1]
        client = InferenceServerClient(url, creds=credentials(tls), channel_args=CHANNEL_ARGS)
        before, self._current = self._current, (key, connection := Connection(client))
        if before:
            await before[1].replace()
        return connection

    async def networks(self) -> dict[str, dict[str, Any]]:
        """What the server lists of each network, by name: `sakuga_core.networks.facts.Listing`, and
        `installed`, `loaded`, `megabytes` (of its file) and `memory` (in MB).
        """
        question = {protocol.OPTIONS: b"{}"}
        (report,) = await self._call(
            protocol.NETWORKS, question, [protocol.REPORT], self.server.timeout
        )
        networks: dict[str, dict[str, Any]] = json.loads(report)["networks"]
        return networks

    async def load_on_demand(
        self, model: str, kind: protocol.Kind, deadline: Deadline | None = None
    ) -> None:
        """Has the server load a network that a request needs; this needs no key.

        Raises:
            BadOption: there is no such network of that kind.
            ModelNotInstalled: it was never exported.
            ModelNotLoaded: the server doesn't load networks on demand.
        """
        attempts = self._attempts(deadline)
        inputs = {protocol.OPTIONS: json.dumps({"load": model, "kind": kind}).encode()}
        async with self._within(attempts.deadline):
            await self._sent(protocol.NETWORKS, inputs, [protocol.REPORT], attempts)

    async def device(self, model: str) -> str:
        """What a loaded Triton model runs on: the CPU, or GPUs by their numbers."""
        async with self._connected(model) as client:
            answer = await client.get_model_config(model, client_timeout=STATUS_SECONDS)
        gpus = sorted({gpu for group in answer.config.instance_group for gpu in group.gpus})
        return f"GPU {', '.join(map(str, gpus))}" if gpus else "CPU"

    async def load(self, model: str) -> None:
        """Loads a Triton model, or loads it again where its files changed; returns once it is
        ready. Requests in flight are finished by the version before."""
        async with self._connected(model) as client:
            await client.load_model(model, headers=self._key_headers)

    async def unload(self, model: str) -> None:
        """Unloads a Triton model: it takes no more requests, and ends after those in flight."""
        async with self._connected(model) as client:
            await client.unload_model(model, headers=self._key_headers)

    async def status(self) -> dict[str, Any]:
        """The server's address, version, readiness, and the statistics of each loaded model."""
        url = await self._address()
        async with self._connected("the server") as client:
            about = await client.get_server_metadata(client_timeout=STATUS_SECONDS)
            ready = await client.is_server_ready(client_timeout=STATUS_SECONDS)
            statistics = await client.get_inference_statistics(client_timeout=STATUS_SECONDS)
        models = {model.name: _activity(model) for model in statistics.model_stats}
        return {"url": url, "version": about.version, "ready": ready, "models": models}


def _bytes_input(name: str, value: bytes) -> InferInput:
    tensor = InferInput(name, [1], "BYTES")
    tensor.set_data_from_numpy(np.array([value], dtype=object))
    return tensor


def _activity(statistics: Any) -> dict[str, float]:
    """A model's statistics: requests, batches, and mean milliseconds of each."""
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
