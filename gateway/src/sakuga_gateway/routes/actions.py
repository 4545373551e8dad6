"""The actions: a picture in, a picture out."""

from typing import Any

from fastapi import APIRouter, Request, Response

from sakuga_core.actions import ACTIONS, Action
from sakuga_core.formats import FORMATS
from sakuga_gateway import answers, requests, schemas
from sakuga_gateway.context import Here, InPlace
from sakuga_gateway.routes import jobs

router = APIRouter(tags=["Pictures"])


def _add(action: Action) -> None:
    """The route of an action."""

    async def process(request: Request, here: Here, caller: InPlace) -> Response:
        if requests.prefers_async(request.headers):
            return await jobs.submit(request, here, caller, action)
        sent = await requests.read(request)
        options = requests.options_of(action, sent.values)
        upload = sent.uploads[0]
        work = here.images.run(upload.data, action.name, options)
        reply = await requests.while_connected(request, work)
        return answers.response(answers.answer_of(reply, upload.name), request.headers)

    router.add_api_route(
        f"/v1/{action.command}",
        process,
        methods=["POST"],
        name=action.name.value,
        summary=action.summary.rstrip("."),
        description=_DESCRIPTION,
        operation_id=action.name.value,
        response_class=Response,
        responses={200: _result(), 202: jobs.ACCEPTED, **schemas.problems(404, 408, 409, 422, 504)},
        openapi_extra={
            "requestBody": schemas.body(action),
            "parameters": schemas.query(action),
        },
    )


def _result() -> dict[str, Any]:
    file = {"schema": {"type": "string", "format": "binary"}}
    kinds = dict.fromkeys([row.media_type for row in FORMATS if row.writes], file)
    report = {"schema": {"type": "string"}, "description": "the server's report, as JSON"}
    return {
        "description": "the picture; by `Accept`, in JSON or in parts, with its report",
        "headers": {answers.REPORT: report},
        "content": {
            **kinds,
            answers.RAW: file,
            "application/json": {"schema": {"type": "object"}},
            "multipart/form-data": {"schema": {"type": "object"}},
        },
    }


_DESCRIPTION = (
    "The picture is the file `image` of a form, or the body itself. Options are fields of the "
    "form, the query, or one JSON object `options`. With `Prefer: respond-async` the answer is a "
    "job at once."
)

for _action in ACTIONS.values():
    _add(_action)
