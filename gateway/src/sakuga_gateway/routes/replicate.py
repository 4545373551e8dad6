"""Predictions as Replicate's servers (Cog) have them: at once, or as jobs."""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from sakuga_core import actions
from sakuga_core.errors import BadInput, BadOption, Overloaded, SakugaError, ServerUnavailable
from sakuga_gateway import answers, fields, problems, requests
from sakuga_gateway.access import Caller
from sakuga_gateway.context import Context, Here, Known
from sakuga_gateway.jobs.jobs import digest
from sakuga_gateway.jobs.store import NewJob
from sakuga_gateway.problems import Refusal
from sakuga_gateway.requests import Upload

router = APIRouter(prefix="/predictions", tags=["As Replicate"])

LOOK_SECONDS = 0.1  # between two looks whether a prediction has ended
STATUSES = {
    "queued": "starting",
    "running": "processing",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "canceled",
}
_ID = re.compile(r"[\w.-]{1,100}", re.ASCII)


def _refused(refusal: Refusal) -> JSONResponse:
    """An error as Cog has it: 409 where there is no room."""
    if isinstance(refusal.error, Overloaded) and refusal.status == 503:
        refusal = Refusal(409, refusal.error, refusal.headers)
    return fields.as_fastapi(refusal)


problems.FORMS["/predictions"] = _refused


class Input(fields.Fields):
    """The picture, what to do with it, and the options of that."""

    model_config = fields.Fields.model_config | {"extra": "allow"}

    image: Annotated[str, Field(description="a picture file as a data URL, or in base64")]
    action: Annotated[str, Field(description=f"one of {', '.join(actions.ACTIONS)}")] = "upscale"


class Body(fields.Fields):
    """A prediction that is asked for."""

    input: Input
    id: str | None = None
    webhook: Annotated[
        str | None, Field(description="told when it has ended; see gateway.webhook_hosts")
    ] = None
    webhook_events_filter: Annotated[
        list[Literal["completed"]], Field(examples=["completed, as no other event is told"])
    ] = ["completed"]  # noqa: RUF012 - pydantic copies it
    created_at: Annotated[Any, Field(description="no effect")] = None
    context: Annotated[Any, Field(description="no effect")] = None


@dataclass(frozen=True)
class Wanted:
    """A prediction that is asked for, checked."""

    id: str | None
    action: actions.Action
    options: Mapping[str, Any]
    data: bytes
    webhook: str | None

    def job(self, owner: str) -> NewJob:
        """It as a job."""
        name, options = self.action.name.value, dict(self.options)
        about = digest(name, options, [self.data], self.webhook)
        key = None if self.id is None else _key(self.id)
        return NewJob(owner, name, options, [Upload("", self.data)], about, self.webhook, key)


def _key(identity: str) -> str:
    """The Idempotency-Key of a prediction."""
    return f"prediction {identity}"


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: fields.answer(about="the prediction; its output is a data URL"),
    **fields.failures(fields.FASTAPI_ERROR),
}
_ASKED: dict[str, Any] = {
    "response_class": JSONResponse,
    "responses": {**_RESPONSES, 202: fields.answer(about="the prediction has begun")},
    "openapi_extra": {"requestBody": fields.body(fields.JSON, kind=Body)},
}


@router.post("", summary="Predict: work on a picture", **_ASKED)
async def create(request: Request, here: Here, caller: Known) -> Response:
    """Waits for the result; with `Prefer: respond-async` the answer comes at once."""
    wanted = await _wanted(request)
    if wanted.id or wanted.webhook or requests.prefers_async(request.headers):
        return await _as_job(request, here, caller, wanted)
    async with here.access.place(caller):
        return JSONResponse(await _at_once(request, here, wanted))


@router.put("/{prediction}", summary="Predict, once only", **_ASKED)
async def create_once(request: Request, here: Here, caller: Known, prediction: str) -> Response:
    """The same request again gives the same prediction, which isn't made anew."""
    return await _as_job(request, here, caller, await _wanted(request, prediction))


async def _wanted(request: Request, identity: str | None = None) -> Wanted:
    """What a request asks for.

    Args:
        identity: of the prediction, where the path has one.

    Raises:
        Refusal: it is malformed, or asks for a stream.
        BadOption: a field is unknown or not allowed.
    """
    if requests.wants(request.headers, "text/event-stream"):
        raise Refusal(406, BadInput("predictions aren't streamed; allowed: application/json"))
    body = fields.parsed(Body, await fields.json_object(request))
    if identity and body.id not in (None, identity):
        raise fields.invalid(("body", "id"), "'id' isn't that of the path; allowed: none")
    identity = identity or body.id
    if identity is not None and not _ID.fullmatch(identity):
        allowed = "1 to 100 letters, digits, _ . -"
        raise fields.invalid(("path", "id"), f"'id' is {identity[:80]!r}; allowed: {allowed}")
    action, options = await _options(body.input)
    data = await fields.picture(body.input.image, ("body", "input", "image"))
    return Wanted(identity, action, options, data, body.webhook)


async def _options(given: Input) -> tuple[actions.Action, dict[str, Any]]:
    """The action of a prediction, and its options.

    Raises:
        BadOption: one is unknown or not allowed.
    """
    action = actions.find(given.action.replace("-", "_"))
    options = {name: value for name, value in (given.model_extra or {}).items() if value != ""}
    if isinstance(options.get("mask"), str):
        options["mask"] = await fields.picture(options["mask"], ("body", "input", "mask"))
    return action, requests.options_of(action, options)


async def _at_once(request: Request, here: Context, wanted: Wanted) -> dict[str, Any]:
    """A prediction that nobody can ask for afterwards.

    Raises:
        SakugaError: the request can't be worked on; what fails in the work is part of the
            prediction.
    """
    begun, started = datetime.now(UTC), time.monotonic()
    output = error = None
    try:
        work = here.images.run(wanted.data, wanted.action.name, wanted.options)
        reply = await requests.while_connected(request, work)
        answer = answers.answer_of(reply, "")
        output = await asyncio.to_thread(fields.data_url, answer.data, answer.media_type)
    except (BadOption, ServerUnavailable):
        raise
    except SakugaError as failure:
        error = str(problems.as_refusal(failure).error)
    return _prediction(
        None,
        wanted.action.name.value,
        "failed" if error else "succeeded",
        output=output,
        error=error,
        times=(begun.isoformat(), begun.isoformat(), datetime.now(UTC).isoformat()),
        seconds=time.monotonic() - started,
    )


async def _as_job(request: Request, here: Context, caller: Caller, wanted: Wanted) -> Response:
    job = await here.jobs.submit(wanted.job(caller.owner))
    identity = wanted.id or job
    at_once = requests.prefers_async(request.headers)
    if not at_once:
        await requests.while_connected(request, _ended(here, job, caller.owner))
    headers = {"Location": f"/predictions/{identity}"}
    shown = await _shown(here, job, caller.owner, identity)
    return JSONResponse(shown, 202 if at_once else 200, headers=headers)


async def _ended(here: Context, job: str, owner: str) -> None:
    while not (await here.jobs.job(job, owner))["finished"]:
        await asyncio.sleep(LOOK_SECONDS)


@router.get("/{prediction}", responses=_RESPONSES, summary="The state of a prediction")
async def state(here: Here, caller: Known, prediction: str) -> dict[str, Any]:
    """Of one that was put, or began with `Prefer: respond-async`."""
    job = await _job(here, caller, prediction)
    return await _shown(here, job, caller.owner, prediction)


@router.post("/{prediction}/cancel", responses=_RESPONSES, summary="Cancel a prediction")
async def cancel(here: Here, caller: Known, prediction: str) -> dict[str, Any]:
    """The server stops within a tile. One that has ended stays as it is."""
    job = await _job(here, caller, prediction)
    if not (await here.jobs.job(job, caller.owner))["finished"]:
        await here.jobs.cancel(job, caller.owner)
    return await _shown(here, job, caller.owner, prediction)


async def _job(here: Context, caller: Caller, identity: str) -> str:
    """The job of a prediction.

    Raises:
        Refusal: there is none.
    """
    missing = problems.not_found(f"there is no prediction {identity[:80]!r}")
    if not _ID.fullmatch(identity):
        raise missing
    job = await here.jobs.known_as(_key(identity), caller.owner) or identity
    try:
        found = await here.jobs.job(job, caller.owner)
    except Refusal:
        raise missing from None
    if len(found["pictures"]) != 1:  # a job of several, which no prediction has made
        raise missing
    return job


async def _shown(here: Context, job: str, owner: str, identity: str) -> dict[str, Any]:
    """A job as a prediction."""
    found = await here.jobs.job(job, owner)
    (picture,) = found["pictures"]
    output, result = None, picture["result"]
    if result:
        data = await asyncio.to_thread(b"".join, here.jobs.result(job, 0))
        output = await asyncio.to_thread(fields.data_url, data, result["media_type"])
    times = tuple(found[name] for name in ("created", "started", "finished"))
    return _prediction(
        identity,
        found["action"],
        STATUSES[found["state"]],
        output=output,
        error=picture["error"] and picture["error"]["detail"],
        times=times,
        seconds=_between(times[1], times[2]),
    )


def _between(start: str | None, end: str | None) -> float | None:
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _prediction(
    identity: str | None,
    action: str,
    status: str,
    *,
    output: str | None,
    error: str | None,
    times: tuple[str | None, ...],
    seconds: float | None,
) -> dict[str, Any]:
    """A prediction as JSON.

    Args:
        times: when it was created, was started, and ended.
        seconds: that it took.
    """
    created, started, completed = times
    return {
        "id": identity,
        "status": status,
        "input": {"action": action},
        "output": output,
        "error": error,
        "logs": "",
        "metrics": {} if seconds is None else {"predict_time": seconds},
        "created_at": created,
        "started_at": started,
        "completed_at": completed,
    }
