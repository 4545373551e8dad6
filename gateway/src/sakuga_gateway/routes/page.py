"""The web page, from the files of this package."""

from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent.parent / "web"


class _Files(StaticFiles):
    """Files that browsers keep, but ask about by their ETag."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


async def _page() -> FileResponse:
    return FileResponse(FOLDER / "index.html", headers={"Cache-Control": "no-cache"})


def install(app: FastAPI) -> None:
    """Serves the page at /, and what it is made of below /web."""
    app.add_api_route("/", _page, include_in_schema=False)
    app.mount("/web", GZipMiddleware(_Files(directory=FOLDER)))
