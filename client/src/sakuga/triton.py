"""Calls to Triton over gRPC: the only importer of tritonclient."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from sakuga import tracing
from sakuga.channel import CHANNEL_ARGS, Connection, credentials
from sakuga.forks import grpc_origin
from sakuga.local import AUTO, LocalServer, running
from sakuga.reply import Reply
from sakuga.retry import Attempts, Budget, Deadline, Slots, repeated, within
from sakuga.streaming import NoTwin, OnProgress, last_answer, once
from sakuga.translation import activity, translated, unreachable
from sakuga.transport import ModelTransport, is_http
from sakuga_core import actions, errors, protocol
from sakuga_core.config.server import Server
from sakuga_core.progress import Progress

# The part of a request's time left that it may wait in a server's queue. The rest is for its work
# or, if the wait was in vain, for another server.
QUEUE_SHARE = 0.5
STATUS_SECONDS = 10  # that questions about the server may take
LENGTH = 4  # bytes before each element of a tensor of BYTES, which say how long it is
REPLY = (protocol.RESULT, protocol.REPORT)
Inputs = Mapping[str, bytes]  # tensors, by name
ADMIN_HEADER = f"triton-grpc-protocol-{protocol.ADMIN_HEADER}"


class Triton(ModelTransport):
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
        self._twinless: set[tuple[str, str]] = set()  # servers, and models they can't stream
        self._has_answered = False
        """Whether the server of the current connection has."""
        self._budget = Budget()
        self._slots = Slots()

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

    async def infer(
        self,
        model: str,
        image: bytes,
        options: Mapping[str, Any],
        deadline: Deadline | None = None,
        on_progress: OnProgress | None = None,
    ) -> Reply:
        """Sends one encoded picture to a public model; again, if a server is lost meanwhile.

        Args:
            model: a pipeline or ensemble of the protocol, such as `upscale` or `rembg_u2net`.
            image: an encoded picture file.
            options: of that model; sent as JSON.
            deadline: by when; if unset, `server.timeout` from now.
            on_progress: called in this event loop; never, where the server doesn't tell.

        Raises:
            SakugaError: of the class that fits; see `sakuga_core.errors`.
            Exception: whatever `on_progress` raises, which ends the work.
        """
        attempts = self._attempts(deadline)
        inputs = {protocol.IMAGE: image, protocol.OPTIONS: json.dumps(dict(options)).encode()}
        call = partial(self._call, model, inputs, REPLY)
        if on_progress and model in actions.programs():
            call = partial(self._streamed, model, inputs, on_progress)
        async with within(attempts.deadline, self.url), self._slots.one(self.server.in_flight):
            result, report = await self._repeated(call, attempts)
        return Reply(result, json.loads(report))

    def _attempts(self, deadline: Deadline | None) -> Attempts:
        self._budget.earn()
        deadline = deadline or Deadline(self.server.timeout)
        return Attempts(self.server.retries, deadline, self._budget)

    async def _repeated(
        self, call: Callable[[Deadline], Awaitable[list[bytes]]], attempts: Attempts
    ) -> list[bytes]:
        return await repeated(call, attempts, self.url, lambda: self._has_answered)

    async def _call(
        self, model: str, inputs: Inputs, outputs: Iterable[str], deadline: Deadline
    ) -> list[bytes]:
        async with self._connected(model) as client:
            call = client.infer(
                outputs=[InferRequestedOutput(name) for name in outputs],
                client_timeout=deadline.positive,
                headers=tracing.headers(),
                **_request(model, inputs, deadline),
            )
            return _contents(await call, outputs, self.url)

    async def _streamed(
        self, model: str, inputs: Inputs, on_progress: OnProgress, deadline: Deadline
    ) -> list[bytes]:
        """As `_call`, by the model's twin that streams; by the model, where the server has none."""
        twin = await self._address(), model
        if twin not in self._twinless:
            try:
                return await self._stream(model, inputs, on_progress, deadline)
            except NoTwin:
                self._twinless.add(twin)
        return await self._call(model, inputs, REPLY, deadline)

    async def _stream(
        self, model: str, inputs: Inputs, on_progress: OnProgress, deadline: Deadline
    ) -> list[bytes]:
        async with self._connected(model) as client:
            answers = client.stream_infer(
                once(_request(protocol.streaming(model), inputs, deadline)),
                stream_timeout=deadline.positive,
                headers=tracing.headers(),
            )

            def progressed(progress: Progress) -> None:
                self._has_answered = True
                on_progress(progress)

            try:
                return _contents(await last_answer(answers, progressed), REPLY, self.url)
            finally:
                answers.cancel()  # so that the server stops; after the last answer nothing is left

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
            self._has_answered = True
        except InferenceServerException as error:
            known = self._translated(error.status(), error.message(), model, url)
            self._has_answered |= not isinstance(known, errors.ServerUnavailable)
            raise known from error
        except grpc.aio.AioRpcError as error:
            raise self._translated(str(error.code()), error.details(), model, url) from error
        except grpc.RpcError as error:
            raise errors.ServerUnavailable(f"the connection to {url} broke") from error

    def _translated(
        self, status: str | None, text: str | None, model: str, url: str
    ) -> errors.SakugaError:
        return translated(status or "", text or "", model, url, self.server.tls.ca is not None)

    async def _address(self) -> str:
        """host:port of the server, for `auto` of the one that was found or started.

        Raises:
            ConfigError: it is the address of a gateway, which is reached by another transport.
        """
        if is_http(self.url):
            raise errors.ConfigError(
                f"server.url is {self.url!r}, an HTTP gateway's; allowed here: auto, or host:port "
                "of Triton's gRPC"
            )
        if self.url != AUTO:
            return self.url
        if self.local:
            return await asyncio.to_thread(self.local.url)
        found = await asyncio.to_thread(running)
        if found is None:
            raise unreachable(AUTO)
        return found.url

    async def _connection(self, url: str) -> Connection[InferenceServerClient]:
        grpc_origin().check()
        # Made at first use: a gRPC channel belongs to the event loop it was made in.
        tls = self.server.tls
        key = (url, tls.ca, tls.certificate, tls.key)
        if self._current and self._current[0] == key:
            return self._current[1]
        client = InferenceServerClient(url, creds=credentials(tls), channel_args=CHANNEL_ARGS)
        before, self._current = self._current, (key, connection := Connection(client))
        self._has_answered = False
        if before:
            await before[1].replace()
        return connection

    async def networks(self) -> dict[str, dict[str, Any]]:
        """What the server lists of each network, by name: `sakuga_core.networks.facts.Listing`, and
        `installed`, `loaded`, `megabytes` (of its file) and `memory` (in MB).
        """
        question = {protocol.OPTIONS: b"{}"}
        deadline = Deadline(self.server.timeout)
        (report,) = await self._call(protocol.NETWORKS, question, [protocol.REPORT], deadline)
        networks: dict[str, dict[str, Any]] = json.loads(report)["networks"]
        return networks

    async def device(self, model: str) -> str:
        """What a loaded Triton model runs on: the CPU, or GPUs by their numbers."""
        async with self._connected(model) as client:
            answer = await client.get_model_config(model, client_timeout=STATUS_SECONDS)
        gpus = sorted({gpu for group in answer.config.instance_group for gpu in group.gpus})
        return f"GPU {', '.join(map(str, gpus))}" if gpus else "CPU"

    async def instances(self, model: str) -> int:
        """How many requests a loaded Triton model works on at once."""
        async with self._connected(model) as client:
            answer = await client.get_model_config(model, client_timeout=STATUS_SECONDS)
        return sum(int(group.count) for group in answer.config.instance_group)

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
        models = {model.name: activity(model) for model in statistics.model_stats}
        return {"url": url, "version": about.version, "ready": ready, "models": models}


def _request(model: str, inputs: Inputs, deadline: Deadline) -> dict[str, Any]:
    """What tritonclient's calls share: the model, its inputs, and how long they may be queued."""
    return {
        "model_name": model,
        "inputs": [_bytes_input(name, value) for name, value in inputs.items()],
        "timeout": int(deadline.positive * QUEUE_SHARE * 1e6),
    }


def _contents(answer: InferResult | None, names: Iterable[str], url: str) -> list[bytes]:
    """Outputs of shape [1].

    Raises:
        ServerUnavailable: there is no answer, or it lacks one, as those of a server that just goes
            down do.
    """
    if answer is None:
        raise errors.ServerUnavailable(f"the connection to {url} broke")
    raw = _raw(answer)
    del answer  # a picture may be large: as it came and as it is given are copies enough
    found = [_content(raw.pop(name, b"")) for name in names]
    whole = [each for each in found if each is not None]
    if len(whole) < len(found):
        raise errors.ServerUnavailable(f"{url} sent an answer that isn't whole")
    return whole


def _raw(answer: InferResult) -> dict[str, bytes]:
    """The outputs of an answer as they came. (tritonclient's arrays of them would be another
    copy.)"""
    response = answer.get_response()
    names = (output.name for output in response.outputs)
    return dict(zip(names, response.raw_output_contents, strict=False))


def _content(raw: bytes) -> bytes | None:
    """The one element of an output of BYTES, after its length; None if it isn't whole."""
    whole = len(raw) >= LENGTH and int.from_bytes(raw[:LENGTH], "little") == len(raw) - LENGTH
    return raw[LENGTH:] if whole else None


def _bytes_input(name: str, value: bytes) -> InferInput:
    tensor = InferInput(name, [1], "BYTES")
    tensor.set_data_from_numpy(np.array([value], dtype=object))
    return tensor
