"""The page of HTTP, from the gateway's OpenAPI document."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from sakuga import Images
from sakuga_core.config.schema import Config
from sakuga_gateway.access import Access
from sakuga_gateway.app import create_app
from sakuga_gateway.context import Context
from sakuga_gateway.jobs.jobs import Jobs
from sakuga_gateway.metrics import Metrics
from sitepages.markdown import NONE, code, codes, page, sentence, slug, table, text
from sitepages.schema import NOTHING, Schema, default, values

ABOUT = """# HTTP API

Every route of the gateway, `sakuga web`, from its OpenAPI document. A gateway serves that at
`/openapi.json`, and at `/docs` a page to try it. [HTTP](../guides/http.md) explains it by examples.

**Keys.** A gateway that has keys takes them as {keys}; where a route needs none, it says so.

**Errors.** Those of `/v1` are [problem details](#errors); the other tools' interfaces have the form
of theirs."""

PROBLEM = "application/problem+json"
METHODS = ("get", "post", "put", "delete")


def document() -> dict[str, Any]:
    """The OpenAPI document of a gateway that is configured by nothing; none has to run for it."""
    config = Config()
    images, jobs = cast(Images, None), cast(Jobs, None)  # which only requests need
    context = Context(config, Access(config), Metrics(lambda: 0), images, jobs)
    return create_app(context).openapi()


def http_api_page() -> str:
    """Every route, by its tag."""
    whole = document()
    return page(
        ABOUT.format(keys=_keys(whole)),
        *_routes(whole),
        "## Errors {#errors}",
        _problem(whole["components"]["schemas"]["Problem"]),
        table(("status", "meaning"), _statuses(whole)),
    )


def _keys(whole: Schema) -> str:
    found = whole["components"]["securitySchemes"].values()
    ways = [
        f"the header `{each['name']}: KEY`"
        if each["type"] == "apiKey"
        else "the header `Authorization: Bearer KEY`"
        for each in found
    ]
    return " or ".join(ways)


def operations(whole: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Each route: its method, path and operation."""
    for path, operation in whole["paths"].items():
        for method in METHODS:
            if method in operation:
                yield method.upper(), path, operation[method]


def _routes(whole: Schema) -> Iterator[str]:
    tags: dict[str, list[str]] = {}
    for method, path, operation in operations(whole):
        tags.setdefault(operation["tags"][0], []).append(_route(method, path, operation, whole))
    for tag, routes in tags.items():
        yield page(f"## {tag}", *routes)


def _route(method: str, path: str, operation: Schema, whole: Schema) -> str:
    fields = list(_fields(operation, whole))
    in_body = {name for name, _ in fields}
    parameters = operation.get("parameters", [])
    also = [
        each["name"] for each in parameters if each["name"] in in_body and each["in"] == "query"
    ]
    return page(
        f"### `{method} {path}` {{#{slug(f'{method} {path}')}}}",
        sentence(operation.get("summary", "")),
        _about(operation),
        table(
            ("parameter", "in", "values", "meaning"),
            (_parameter(each, whole) for each in parameters if each["name"] not in also),
        ),
        _body(operation),
        table(("field", "values", "default", "meaning"), (row for _, row in fields)),
        _in_query(also, in_body),
        _answers(operation),
    )


def _about(operation: Schema) -> str:
    said = " ".join(operation.get("description", "").split())
    free = " Needs no key." if operation.get("security") == [] else ""
    return (sentence(said) if said != operation.get("summary") else "") + free


def _parameter(parameter: Schema, whole: Schema) -> tuple[str, ...]:
    required = " Required." if parameter.get("required") and parameter["in"] != "path" else ""
    schema = parameter.get("schema", NOTHING)
    return (
        code(parameter["name"]),
        parameter["in"],
        values(schema, _definitions(whole)),
        sentence(parameter.get("description", "")) + required,
    )


def _definitions(whole: Schema) -> Schema:
    found: Schema = whole["components"]["schemas"]
    return found


def _contents(operation: Schema) -> Mapping[str, Any]:
    found: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
    return found


def _body(operation: Schema) -> str:
    """The types that a body may have."""
    contents = _contents(operation)
    if not contents:
        return ""
    forms = [kind for kind, each in contents.items() if "properties" in each["schema"]]
    raw = [kind for kind in contents if kind not in forms]
    alone = f", or the picture alone as {codes(raw)}" if raw else ""
    return f"Body: {codes(forms)} with these fields{alone}."


def _fields(operation: Schema, whole: Schema) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The fields of a body, of whatever type it is."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for each in _contents(operation).values():
        properties |= each["schema"].get("properties", {})
        required += each["schema"].get("required", [])
    for name, schema in properties.items():
        yield from _field(name, schema, name in required, whole)


def _field(
    name: str, schema: Schema, required: bool, whole: Schema
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A field; then those within it, but for `options`, which are those beside it."""
    said = schema.get("description", "")
    shown = (
        "a JSON object" if schema.get("type") == "object" else values(schema, _definitions(whole))
    )
    usual = "required" if required else default(schema.get("default"))
    yield name, (code(name), shown or "any", NONE if usual == "`{}`" else usual, sentence(said))
    if name.rpartition(".")[2] != "options":
        for inner, of in schema.get("properties", {}).items():
            yield from _field(f"{name}.{inner}", of, inner in schema.get("required", []), whole)


def _in_query(also: list[str], in_body: set[str]) -> str:
    if not also:
        return ""
    left_out = sorted(in_body - set(also))
    return (
        f"All fields but {codes(left_out)} can also be in the query, for example if the body is "
        "only the picture."
    )


def _answers(operation: Schema) -> str:
    """What is answered, and by which statuses requests fail."""
    lines, failures = [], []
    for status, answer in operation["responses"].items():
        kinds = list(answer.get("content", {}))
        is_error = status[0] in "45"
        if PROBLEM in kinds or (is_error and status.isdigit()):
            failures.append(f"[{status}](#status-{status})")
            continue
        told = f" ({codes(kinds)})" if kinds and not is_error else ""
        lines.append(f"- `{status}`{told}: {text(answer['description'])}")
        headers = answer.get("headers", {})
        lines += [f"    - header {code(n)}" + _said(h) for n, h in headers.items()]
    if failures:
        lines.append(f"- Errors: {', '.join(sorted(failures))}")
    return "Answers:\n\n" + "\n".join(lines)


def _said(header: Schema) -> str:
    return f": {text(header['description'])}" if "description" in header else ""


def _problem(schema: Schema) -> str:
    rows = (
        (code(name), code(str(each.get("example", ""))), sentence(each.get("description", "")))
        for name, each in schema["properties"].items()
    )
    about = f"The body of an error is {code(PROBLEM)}: {text(schema['description'])}."
    listed = table(("member", "example", "meaning"), rows)
    return f"{about} [Errors](errors.md) has the classes.\n\n{listed}"


def _statuses(whole: Schema) -> Iterator[tuple[str, ...]]:
    found = {
        status: answer["description"]
        for _, _, operation in operations(whole)
        for status, answer in operation["responses"].items()
        if status[0] in "45" and status.isdigit()
    }
    for status, meaning in sorted(found.items()):
        yield code(status, f"status-{status}"), sentence(meaning)
