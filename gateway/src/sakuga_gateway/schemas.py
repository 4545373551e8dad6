"""The actions' options as OpenAPI has them: JSON Schemas, forms and query parameters."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from sakuga_core.actions import ACTIONS, Action, ImageAction
from sakuga_gateway.requests import OPTIONS, PICTURE

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
PROBLEM = {
    "type": "object",
    "description": "Problem details, RFC 9457",
    "properties": {
        "type": {"type": "string", "example": "urn:sakuga:error:BadOption"},
        "title": {"type": "string", "example": "BadOption"},
        "status": {"type": "integer", "example": 400},
        "detail": {"type": "string", "example": "option 'scale' is '99'; allowed: …"},
        "error": {"type": "string", "description": "the class of the error in Python"},
    },
    "required": ["type", "title", "status", "detail", "error"],
}
# Of options, as fields of a form or of the query have them.
EXAMPLES: dict[str, Any] = {
    "scale": 2,
    "format": "png",
    "background_color": "#2f7d5b",
    "regions": ["10,20,16,16"],
}
MEANINGS = {
    400: "an option is unknown or not allowed, or the request is malformed",
    401: "the key is missing or unknown",
    403: "a page of another site sends this",
    404: "there is no such job, file or network",
    408: "the body came too slowly",
    409: "the job isn't finished, or the Idempotency-Key belongs to another request",
    413: "a limit is exceeded",
    415: "the body is no picture or form",
    422: "the file isn't a picture, or is damaged",
    431: "the head of the request is too large",
    429: "the caller sends too many requests; Retry-After says when to come back",
    500: "the server failed",
    503: "the server or the gateway is busy or stopping; Retry-After says when to come back",
    504: "no result within the time allowed",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Answers of a route that are problems, besides those of every route."""
    every = (400, 401, 403, 413, 415, 429, 500, 503)
    return {
        status: {
            "description": MEANINGS[status],
            "content": {"application/problem+json": {"schema": _PROBLEM}},
        }
        for status in sorted({*every, *statuses})
    }


def options_schema(action: Action, usual: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON Schema of an action's options, without references.

    Args:
        usual: defaults in place of those of the options.
    """
    whole, usual = _options_schema(action.name), usual or {}
    properties = {
        name: {**values, "default": usual[name]} if name in usual else values
        for name, values in whole["properties"].items()
    }
    return {**whole, "properties": properties}


@cache
def _options_schema(name: ImageAction) -> dict[str, Any]:
    action = ACTIONS[name]
    whole = inlined(action.options)
    for option, values in whole["properties"].items():
        values.pop("title", None)
        if option in action.defaults:
            values["default"] = action.defaults[option]
    return {**whole, "title": action.name.value, "description": action.summary}


def inlined(kind: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a class, without references."""
    schema = kind.model_json_schema()
    definitions = schema.pop("$defs", {})
    whole: dict[str, Any] = _inlined(schema, definitions)
    return whole


def _inlined(value: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_inlined(each, definitions) for each in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        value = definitions[value["$ref"].rpartition("/")[2]]
    # Pydantic's examples of errors are sentences and no values.
    kept = {name: each for name, each in value.items() if name != "examples"}
    return {name: _inlined(each, definitions) for name, each in kept.items()}


def body(action: Action) -> dict[str, Any]:
    """The body of a request for an action: a form, or the picture alone."""
    picture = {"type": "string", "format": "binary", "description": "a picture file"}
    properties = {PICTURE: picture, **_texts(action), OPTIONS: _whole(action)}
    form = _form(properties, PICTURE)
    raw = {"schema": {"type": "string", "format": "binary"}}
    content = {"multipart/form-data": {"schema": form}}
    kinds = ("image/png", "image/jpeg", "image/webp", "image/*")
    return {"required": True, "content": {**content, **dict.fromkeys(kinds, raw)}}


def job_body() -> dict[str, Any]:
    """The body of a request for a job: a form with pictures, and the options of every action."""
    picture = {"type": "string", "format": "binary"}
    texts: dict[str, Any] = {}
    for action in ACTIONS.values():
        texts = {**_texts(action), **texts}
    properties = {
        PICTURE: {"type": "array", "items": picture, "minItems": 1, "description": "picture files"},
        "action": {"type": "string", "enum": list(ACTIONS), "example": ImageAction.UPSCALE.value},
        "webhook": {"type": "string", "description": "told when the job has ended; see the docs"},
        # Which default an option has depends on the action.
        **{name: _without(text, "default") for name, text in texts.items()},
        OPTIONS: {"type": "object", "description": "options of the action"},
    }
    form = _form(properties, PICTURE, "action")
    return {"required": True, "content": {"multipart/form-data": {"schema": form}}}


def _form(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _without(schema: dict[str, Any], left_out: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != left_out}


def query(action: Action) -> list[dict[str, Any]]:
    """The options of an action as query parameters."""
    texts = {name: each for name, each in _texts(action).items() if name != "mask"}
    parameters = [
        {"name": name, "description": schema.get("description", ""), "schema": schema}
        for name, schema in texts.items()
    ]
    whole = {"name": OPTIONS, "content": {"application/json": {"schema": _whole(action)}}}
    return [{**each, "in": "query", "required": False} for each in (*parameters, whole)]


def _whole(action: Action) -> dict[str, Any]:
    about = {"description": "options as one JSON object; others override it", "default": {}}
    return {**_without(options_schema(action), "title"), **about, "example": {"format": "webp"}}


def _texts(action: Action) -> dict[str, Any]:
    """Each option's schema, as far as a field of text can have it."""
    return {
        name: _text(name, schema) for name, schema in options_schema(action)["properties"].items()
    }


def _text(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    kinds = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    kept = {"description": schema.get("description", "")}
    if schema.get("default") is not None:
        kept["default"] = schema["default"]
    if name in EXAMPLES:
        kept["example"] = EXAMPLES[name]
    if name == "mask":
        return {**kept, "type": "string", "format": "binary"}
    if name == "regions":
        return {**kept, "type": "array", "items": {"type": "string"}}
    if isinstance(kinds[0].get("type"), list):  # a colour
        return {**kept, "type": "string"}
    return {**{key: each for key, each in kinds[0].items() if key != "title"}, **kept}
