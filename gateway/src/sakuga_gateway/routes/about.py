"""What the gateway is and how it does: actions, networks, health, metrics."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from sakuga_core.actions import ACTIONS, Action
from sakuga_core.config.schema import Config
from sakuga_core.errors import ServerUnavailable
from sakuga_core.networks.choices import choices
from sakuga_gateway import metrics, schemas
from sakuga_gateway.context import Here, Known

router = APIRouter()

READY_SECONDS = 5  # that the server has to say whether it is ready
_OPEN: dict[str, Any] = {"security": []}  # needs no key
_OBJECT = {"application/json": {"schema": {"type": "object"}}}


@router.get("/v1/actions", tags=["Actions and networks"], responses=schemas.problems())
async def actions(here: Here, caller: Known) -> dict[str, Any]:
    """Every action: where it is, the kind and the default of its networks, and the JSON Schema of
    its options, with the defaults of this gateway."""
    return {"actions": [_about(action, here.config) for action in ACTIONS.values()]}


def _about(action: Action, config: Config) -> dict[str, Any]:
    usual = config.options_for(action.name)
    return {
        "name": action.name.value,
        "summary": action.summary,
        "kind": action.kind,
        "path": f"/v1/{action.command}",
        "model": usual["model"],
        "results": action.results,
        "options": schemas.options_schema(action, usual),
    }


@router.get("/v1/models", tags=["Actions and networks"], responses=schemas.problems(504))
async def models(here: Here, caller: Known) -> dict[str, Any]:
    """What `model` may name: what each network or family does, its licence, its native scales and
    denoise levels, and whether it is loaded."""
    found = choices(await here.images.triton.networks())
    models = [{"name": name, **facts} for name, facts in found.items()]
    for model in models:
        if model["kind"] == "upscale":
            model["default_scales"] = _default_scales(model, here.config)
    return {"models": models}


def _default_scales(model: Mapping[str, Any], config: Config) -> dict[str, float]:
    """How many times as large a result is, where a request doesn't say, by action."""
    usual = {
        action.name.value: config.options_for(action.name, {"model": model["name"]}).get("scale")
        for action in ACTIONS.values()
        if action.kind == "upscale"
    }
    return {name: scale or model["scale"] for name, scale in usual.items()}


@router.get("/healthz", tags=["Health"], openapi_extra=_OPEN)
async def healthz() -> dict[str, str]:
    """Whether the gateway itself runs."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    tags=["Health"],
    responses={200: {"content": _OBJECT}, **schemas.problems()},
    openapi_extra=_OPEN,
)
async def readyz(request: Request, here: Here) -> Response:
    """Whether a picture would be taken: the server answers, and so does the store of jobs."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            status, _ = await asyncio.gather(here.images.triton.status(), here.jobs.check())
    except Exception as error:  # the server's, or the database's
        raise ServerUnavailable("the server doesn't answer") from error
    if not status["ready"]:
        raise ServerUnavailable("the server isn't ready")
    return JSONResponse({"status": "ready"})


@router.get(
    "/metrics",
    tags=["Health"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    openapi_extra=_OPEN,
)
async def prometheus(here: Here) -> Response:
    """Counts, in Prometheus's format."""
    counts = await here.jobs.counts()
    for state, number in counts.items():
        here.metrics.jobs.labels(state).set(number)
    return Response(here.metrics.text(), media_type=metrics.MEDIA_TYPE)
