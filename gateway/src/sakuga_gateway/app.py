"""The app: every route, with what holds for all of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from sakuga import connect
from sakuga.local import AUTO, LocalServer
from sakuga_core.config.schema import Config
from sakuga_core.protocol import REQUEST_ID
from sakuga_gateway import answers, problems, schemas
from sakuga_gateway.access import Access
from sakuga_gateway.context import Context
from sakuga_gateway.jobs.jobs import Jobs
from sakuga_gateway.metrics import Counted, Metrics
from sakuga_gateway.middleware import Bounds, Cors, Following, Heads, Identified, Outermost
from sakuga_gateway.routes import (
    about,
    actions,
    automatic1111,
    docs,
    jobs,
    page,
    rembg,
    remove_bg,
    replicate,
)

_ABOUT = """Upscale, enhance, repair and remove the background of drawn and anime pictures.

`curl -F image=@a.png -F scale=2 localhost:8080/v1/upscale -o b.png`
"""
# Headers of answers that pages of other sites may read.
_EXPOSED = (answers.REPORT, "Content-Disposition", "Location", "Retry-After", REQUEST_ID)


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[FastAPI]:
    """The gateway as an ASGI app, connected to the server and to the store of jobs.

    Raises:
        ConfigError: either can't be used as configured.
    """
    access = Access(config)
    metrics = Metrics(lambda: access.in_work)
    local = LocalServer(config)
    if config.server.url == AUTO:  # so that it is there when the first picture comes
        await asyncio.to_thread(local.begin)
    async with connect(config, local=local) as images, Jobs.opened(config, images) as jobs:
        yield create_app(Context(config, access, metrics, images, jobs))


def create_app(context: Context) -> FastAPI:
    """The gateway as an ASGI app."""
    config = context.config
    app = FastAPI(
        title="Sakuga",
        version=version("sakuga-gateway"),
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.context = context
    problems.install(app)
    for module in (actions, jobs, rembg, remove_bg, automatic1111, replicate, about, docs):
        app.include_router(module.router)
    page.install(app)
    app.add_middleware(Bounds, config=config)
    app.add_middleware(Cors, config=config, exposed=_EXPOSED)
    app.add_middleware(Following, config=config)
    app.add_middleware(Counted, metrics=context.metrics)
    app.add_middleware(Heads)
    app.add_middleware(Outermost)
    app.add_middleware(Identified)
    app.openapi = _documented(app, config)  # type: ignore[method-assign]
    return app


def _documented(app: FastAPI, config: Config) -> Callable[[], dict[str, Any]]:
    """FastAPI's document, with the errors and keys as they are."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        components = document.setdefault("components", {}).setdefault("schemas", {})
        components["Problem"] = schemas.PROBLEM
        document["components"]["securitySchemes"] = {
            "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        document["security"] = [{"key": []}, {"bearer": []}] if config.gateway.keys else [{}]
        return document

    return openapi
