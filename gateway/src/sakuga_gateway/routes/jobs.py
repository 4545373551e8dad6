"""Jobs: pictures that are worked on while nobody waits."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from sakuga_core import actions
from sakuga_core.actions import ACTIONS, Action
from sakuga_core.errors import BadOption
from sakuga_gateway import answers, problems, requests, schemas
from sakuga_gateway.access import Caller
from sakuga_gateway.context import Context, Here, InPlace, Known
from sakuga_gateway.jobs.jobs import KEY_LENGTH, digest
from sakuga_gateway.jobs.store import NewJob
from sakuga_gateway.zips import zipped

router = APIRouter(tags=["Jobs"])

_KEY = re.compile(f"[!-~]{{1,{KEY_LENGTH}}}")
LOOK_SECONDS = 0.25  # between two looks for events
PING_SECONDS = 15
ZIP = "application/zip"

_JOB = {"application/json": {"schema": {"type": "object"}}}
ACCEPTED: dict[str, Any] = {
    "description": "the job, which will be worked on",
    "headers": {"Location": {"schema": {"type": "string"}}},
    "content": _JOB,
}
Key = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=KEY_LENGTH,
        pattern="^[!-~]+$",
        description="the same request with the same key gives the same job",
    ),
]
JobId = Annotated[str, Path(description="the job's `id`", pattern="^[0-9a-f-]{36}$")]


@router.post(
    "/v1/jobs",
    status_code=202,
    response_class=Response,
    summary="Work on one or many pictures",
    responses={202: ACCEPTED, **schemas.problems(408, 409)},
    openapi_extra={"requestBody": schemas.job_body()},
)
async def create(
    request: Request,
    here: Here,
    caller: InPlace,
    idempotency_key: Key = None,
) -> Response:
    """A form with files `image`, the `action`, its options and, if wanted, a `webhook`. Several
    files come back as a zip."""
    return await submit(request, here, caller)


async def submit(
    request: Request, here: Context, caller: Caller, action: Action | None = None
) -> Response:
    """Takes a job.

    Args:
        action: of its pictures; None: the request names it.
    """
    sent = await requests.read(request, here.config.gateway.files)
    values = dict(sent.values)
    webhook = _webhook(values.pop("webhook", None))
    action = action or _named(values.pop("action", None))
    options = requests.options_of(action, values)
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise problems.bad_request(
            f"Idempotency-Key is {key[:80]!r}; allowed: 1 to {KEY_LENGTH} letters of ASCII"
        )
    pictures = [upload.data for upload in sent.uploads]
    new = NewJob(
        owner=caller.owner,
        action=action.name.value,
        options=options,
        uploads=sent.uploads,
        digest=await asyncio.to_thread(digest, action.name.value, options, pictures, webhook),
        webhook=webhook,
        idempotency=key,
    )
    job = await here.jobs.submit(new)
    state = await here.jobs.job(job, caller.owner)
    headers = {"Location": state["links"]["self"], "Preference-Applied": "respond-async"}
    return JSONResponse(state, 202, headers=headers)


def _webhook(url: Any) -> str | None:
    """
    Raises:
        BadOption: it is no text.
    """
    if url is not None and not (isinstance(url, str) and url.isprintable()):
        raise BadOption(f"'webhook' is {str(url)[:80]!r}; allowed: an https URL")
    return url


def _named(name: Any) -> Action:
    if name is None:
        raise BadOption(f"'action' is missing; allowed: {', '.join(ACTIONS)}")
    return actions.find(str(name).replace("-", "_"))


@router.get("/v1/jobs/{job}", responses=schemas.problems(404))
async def state(job: JobId, here: Here, caller: Known) -> dict[str, Any]:
    """The state of a job, and of each of its pictures."""
    return await here.jobs.job(job, caller.owner)


@router.delete("/v1/jobs/{job}", responses=schemas.problems(404))
async def cancel(job: JobId, here: Here, caller: Known) -> dict[str, Any]:
    """Cancel a job: the server stops within a tile. One that has ended is removed."""
    return await here.jobs.cancel(job, caller.owner)


@router.get(
    "/v1/jobs/{job}/events",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **schemas.problems(404),
    },
)
async def events(
    job: JobId,
    here: Here,
    caller: Known,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventSourceResponse:
    """Server-sent events until the job ends: `queued` with the number of pictures before it,
    `started`, `progress` in tiles, steps or frames, `picture` for each that ends, `finished`."""
    await here.jobs.job(job, caller.owner)
    here.access.check_streams(caller)
    text = last_event_id or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise problems.bad_request(f"Last-Event-ID is {text[:40]!r}; allowed: a whole number")
    stream = here.access.stream(caller)
    return _Stream(stream, _events(here, job, int(text)), ping=PING_SECONDS)


class _Stream(EventSourceResponse):
    """Events, counted as long as they are sent.

    Args:
        counted: lasts as long as they do.
    """

    def __init__(self, counted: AbstractContextManager[None], *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.counted = counted

    async def __call__(self, *args: Any) -> None:
        with self.counted:
            await super().__call__(*args)


async def _events(here: Context, job: str, after: int) -> AsyncIterator[ServerSentEvent]:
    place = None
    while True:
        is_over = await here.jobs.is_over(job)
        for number, kind, data in await here.jobs.events(job, after):
            after = number
            if kind != "queued":
                yield ServerSentEvent(data, event=kind, id=str(number))
            is_over |= kind == "finished"
        if is_over:
            return
        now = await here.jobs.place(job)
        if now is not None and now != place:
            place = now
            yield ServerSentEvent(json.dumps({"place": place}), event="queued", id=str(after))
        await asyncio.sleep(LOOK_SECONDS)


@router.get(
    "/v1/jobs/{job}/result",
    response_class=Response,
    responses={
        200: {
            "description": "the picture; of several a zip",
            "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}},
        },
        **schemas.problems(404, 409, 422),
    },
)
async def result(job: JobId, here: Here, caller: Known) -> Response:
    """The result of a job that has finished: the picture, or a zip of several."""
    found = await here.jobs.job(job, caller.owner)
    if not found["finished"]:
        raise problems.conflict(
            f"the job is {found['state']}; its result is there once it has finished",
            {"Retry-After": "1"},
        )
    if len(found["pictures"]) == 1:
        return await _file(here, job, found["pictures"][0])
    return answers.stream(zipped(here.jobs, found), None, f"{job}.zip", ZIP)


@router.get(
    "/v1/jobs/{job}/pictures/{number}",
    response_class=Response,
    responses={
        200: {"content": {answers.RAW: {"schema": {"type": "string", "format": "binary"}}}},
        **schemas.problems(404, 409, 422),
    },
)
async def picture(
    job: JobId, number: Annotated[int, Path(ge=0, lt=2**31)], here: Here, caller: Known
) -> Response:
    """One result of a job, as soon as it is there."""
    found = (await here.jobs.job(job, caller.owner))["pictures"]
    if number >= len(found):
        raise problems.not_found(f"the job has no picture {number}; allowed: 0 to {len(found) - 1}")
    return await _file(here, job, found[number])


async def _file(here: Context, job: str, picture: dict[str, Any]) -> Response:
    """
    Raises:
        Refusal: the picture has no result, or has none any more.
    """
    if picture["error"]:
        raise problems.repeated(picture["error"])
    if picture["result"] is None:
        raise problems.conflict(f"the picture is {picture['state']}", {"Retry-After": "1"})
    about = picture["result"]
    headers = answers.report_header(picture["report"])
    parts = here.jobs.result(job, picture["number"])
    # The first one before the head is sent: a job that expires meanwhile gets its right status.
    first = await asyncio.to_thread(next, parts, None)
    if first is None:
        raise problems.not_found("the job has expired")
    return answers.stream(
        chain((first,), parts), about["bytes"], about["name"], about["media_type"], headers
    )
