"""Calls with progress, on a gRPC server that answers as a test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as service

from sakuga import (
    BadImage,
    BadOption,
    DeadlineExceeded,
    ModelNotLoaded,
    Progress,
    Reply,
    SakugaError,
    ServerError,
    ServerUnavailable,
    trace_context,
)
from sakuga.triton import Triton
from sakuga_core.config.server import Server

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Context = grpc.aio.ServicerContext
Answers = Callable[[Context], AsyncIterator[pb.ModelStreamInferResponse]]


def tensors(**values: object) -> pb.ModelInferResponse:
    """Outputs, each a text of shape [1]."""
    answer = pb.ModelInferResponse()
    for name, value in values.items():
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        answer.outputs.add(name=name, datatype="BYTES", shape=[1])
        answer.raw_output_contents.append(len(data).to_bytes(4, "little") + data)
    return answer


def progress(done: int, total: int = 3) -> pb.ModelStreamInferResponse:
    values = {"unit": "tiles", "done": done, "total": total}
    return pb.ModelStreamInferResponse(infer_response=tensors(PROGRESS=values))


def result(text: bytes = b"a picture") -> pb.ModelStreamInferResponse:
    return pb.ModelStreamInferResponse(infer_response=tensors(RESULT=text, REPORT={"tiles": 3}))


def error(text: str) -> pb.ModelStreamInferResponse:
    return pb.ModelStreamInferResponse(error_message=text)


class Scripted(service.GRPCInferenceServiceServicer):
    """A Triton whose streams answer by a script; plain calls give a picture."""

    def __init__(self, *scripts: Answers) -> None:
        self.scripts = list(scripts)
        self.streamed: list[str] = []
        self.plain: list[str] = []
        self.headers: dict[str, str] = {}
        self.ended = asyncio.Event()
        self.cancelled = False
        self.damaged: list[pb.ModelInferResponse] = []
        """What plain calls give first."""

    async def ModelStreamInfer(  # noqa: N802
        self, requests: AsyncIterator[pb.ModelInferRequest], context: Context
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        self.headers = dict(context.invocation_metadata())
        self.streamed.extend([request.model_name async for request in requests])
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            async for answer in script(context):
                yield answer
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.ended.set()

    async def ModelInfer(  # noqa: N802
        self, request: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        self.plain.append(request.model_name)
        return self.damaged.pop(0) if self.damaged else tensors(RESULT=b"plain", REPORT={})


@asynccontextmanager
async def connected(*scripts: Answers, **settings: Any) -> AsyncIterator[tuple[Scripted, Triton]]:
    server, triton = grpc.aio.server(), Scripted(*scripts)
    service.add_GRPCInferenceServiceServicer_to_server(triton, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with Triton(Server(url=f"127.0.0.1:{port}", **settings)) as client:
            yield triton, client
    finally:
        await server.stop(None)


async def whole(context: Context) -> AsyncIterator[pb.ModelStreamInferResponse]:
    for done in range(4):
        yield progress(done)
    yield result()


async def endless(context: Context) -> AsyncIterator[pb.ModelStreamInferResponse]:
    yield progress(0)
    await asyncio.Event().wait()


def says(text: str) -> Answers:
    async def script(context: Context) -> AsyncIterator[pb.ModelStreamInferResponse]:
        yield progress(1)
        yield error(text)

    return script


def breaks(code: grpc.StatusCode, text: str = "") -> Answers:
    async def script(context: Context) -> AsyncIterator[pb.ModelStreamInferResponse]:
        yield progress(1)
        await context.abort(code, text)

    return script


async def upscaled(triton: Triton, seen: list[Progress] | None = None, **options: Any) -> Reply:
    told = (lambda _: None) if seen is None else seen.append
    return await triton.infer("upscale", b"picture", options, on_progress=told)


async def test_progress_comes_before_the_result() -> None:
    seen: list[Progress] = []
    async with connected(whole) as (server, triton):
        reply = await upscaled(triton, seen)
    assert reply == Reply(b"a picture", {"tiles": 3})
    assert seen == [Progress("tiles", done, 3) for done in range(4)]
    assert (server.streamed, server.plain) == (["upscale_stream"], [])
    assert not server.cancelled


async def test_nobody_who_wants_no_progress_gets_a_stream() -> None:
    async with connected(whole) as (server, triton):
        await triton.infer("upscale", b"picture", {})
        await triton.infer("rembg_u2net", b"picture", {}, on_progress=lambda _: None)
    assert server.streamed == []


async def test_the_request_belongs_to_the_callers_trace() -> None:
    async with connected(whole) as (server, triton):
        with trace_context(PARENT):
            await upscaled(triton)
    assert server.headers["traceparent"] == PARENT


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Failed to process: BadOption: option 'scale' is 70; allowed: 1 to 16", BadOption),
        ("BadImage: it is empty", BadImage),
        ("ModelNotLoaded: model 'x' isn't loaded", ModelNotLoaded),
        ("the stub is broken", ServerError),
    ],
)
async def test_an_error_in_a_stream_keeps_its_class(text: str, kind: type[SakugaError]) -> None:
    async with connected(says(text)) as (server, triton):
        with pytest.raises(kind) as caught:
            await upscaled(triton)
    assert type(caught.value) is kind
    assert server.plain == []


@pytest.mark.parametrize(
    "lost",
    [
        breaks(grpc.StatusCode.UNAVAILABLE, "Socket closed"),
        says("Request for unknown model: 'upscale_stream' has no available versions"),
        says("Server is stopping, scheduler for model has stopped accepting new requests"),
    ],
    ids=["connection", "unloaded", "stopping"],
)
async def test_a_stream_whose_server_is_lost_is_sent_again(lost: Answers) -> None:
    seen: list[Progress] = []
    async with connected(lost, whole) as (server, triton):
        assert (await upscaled(triton, seen)).result == b"a picture"
    assert [each.done for each in seen] == [1, 0, 1, 2, 3]
    assert server.streamed == ["upscale_stream"] * 2
    assert server.plain == []


async def test_a_stream_that_ends_without_a_result_is_a_broken_connection() -> None:
    async def cut(context: Context) -> AsyncIterator[pb.ModelStreamInferResponse]:
        yield progress(1)

    async with connected(cut, retries=0) as (_, triton):
        with pytest.raises(ServerUnavailable, match="broke"):
            await upscaled(triton)


@pytest.mark.parametrize("code", ["UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "INTERNAL"])
async def test_a_stream_that_is_refused_has_the_error_of_a_plain_call(code: str) -> None:
    async with connected(breaks(grpc.StatusCode[code], "no"), retries=0) as (server, triton):
        with pytest.raises(SakugaError) as caught:
            await upscaled(triton)
    assert type(caught.value).__name__ in ("PermissionDenied", "TooLarge", "ServerError")
    assert server.plain == []


@pytest.mark.parametrize(
    "missing",
    [
        says("Request for unknown model: 'upscale_stream' is not found"),
        breaks(grpc.StatusCode.UNIMPLEMENTED, "no streams here"),
    ],
    ids=["older server", "no streams"],
)
async def test_without_a_twin_the_plain_call_is_made_and_that_is_remembered(
    missing: Answers,
) -> None:
    async with connected(missing) as (server, triton):
        assert [(await upscaled(triton)).result for _ in range(3)] == [b"plain"] * 3
        assert (server.streamed, server.plain) == (["upscale_stream"], ["upscale"] * 3)
        await triton.infer("fix_artifacts", b"picture", {}, on_progress=lambda _: None)
    assert server.streamed == ["upscale_stream", "fix_artifacts_stream"]


async def test_another_server_is_asked_again() -> None:
    missing = says("Request for unknown model: 'upscale_stream' is not found")
    async with connected(missing) as (_, triton), connected(whole) as (newer, other):
        await upscaled(triton)
        triton.server.url = other.url
        assert (await upscaled(triton)).result == b"a picture"
    assert newer.streamed == ["upscale_stream"]


async def test_a_cancelled_call_cancels_the_stream() -> None:
    begun = asyncio.Event()
    async with connected(endless) as (server, triton):
        call = asyncio.ensure_future(
            triton.infer("upscale", b"picture", {}, on_progress=lambda _: begun.set())
        )
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(server.ended.wait(), 30)
    assert server.cancelled


async def test_an_exception_of_the_callback_ends_the_stream_and_reaches_the_caller() -> None:
    def broken(progress: Progress) -> None:
        raise KeyError("mine")

    async with connected(endless) as (server, triton):
        with pytest.raises(KeyError, match="mine"):
            await triton.infer("upscale", b"picture", {}, on_progress=broken)
        await asyncio.wait_for(server.ended.wait(), 30)
    assert server.cancelled


async def test_the_deadline_ends_a_stream() -> None:
    async with connected(endless, timeout=0.3) as (server, triton):
        with pytest.raises(DeadlineExceeded, match=r"server\.timeout"):
            await upscaled(triton)
        await asyncio.wait_for(server.ended.wait(), 30)
    assert server.cancelled


async def test_streams_count_among_the_requests_in_flight() -> None:
    most, now = 0, 0

    async def counting(context: Context) -> AsyncIterator[pb.ModelStreamInferResponse]:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        yield result()

    async with connected(counting, in_flight=2) as (_, triton):
        await asyncio.gather(*(upscaled(triton) for _ in range(8)))
    assert most == 2


def damaged() -> dict[str, pb.ModelInferResponse]:
    """Answers that a server sent while it went down."""
    empty = tensors(RESULT=b"x", REPORT={})
    empty.raw_output_contents[0] = b""
    return {"no outputs": tensors(), "one output": tensors(RESULT=b"x"), "no bytes": empty}


@pytest.mark.parametrize("kind", damaged())
async def test_an_answer_that_isnt_whole_is_asked_for_again(kind: str) -> None:
    async with connected(whole, retries=1) as (server, triton):
        server.damaged = [damaged()[kind]]
        assert (await triton.infer("upscale", b"a picture", {})).result == b"plain"
        assert len(server.plain) == 2
        server.damaged = 5 * [damaged()[kind]]  # a server that has answered before is waited for
        assert (await triton.infer("upscale", b"a picture", {})).result == b"plain"
    async with connected(whole, retries=1) as (server, triton):
        server.damaged = 2 * [damaged()[kind]]
        with pytest.raises(ServerUnavailable, match="isn't whole"):
            await triton.infer("upscale", b"a picture", {})


async def test_a_stream_whose_last_answer_isnt_whole_is_asked_for_again() -> None:
    async def cut(context: Context) -> AsyncIterator[pb.ModelStreamInferResponse]:
        yield pb.ModelStreamInferResponse(infer_response=tensors(RESULT=b"x"))

    async with connected(cut, whole, retries=1) as (_, triton):
        assert (await upscaled(triton, [])).result == b"a picture"
