"""The OpenAPI document: valid, whole, with examples that work, and nothing open behind it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from callers import bearer, key
from gateway_for_tests import Web
from sakuga_core.actions import ACTIONS, Action

# What a JSON Schema can't say: whether bytes are a picture, whether a network is there, which
# options exclude each other, and that a form's text `1` counts as true.
UNSAYABLE = "positive_data_acceptance,negative_data_rejection"
# Paths that work on pictures, for which every edge of every schema would take minutes.
PICTURES = (
    "^/v1/(upscale|enhance|rembg|fix-artifacts|jobs)$|^/api/remove$|removebg|/predictions|extra-"
)
FORM = "multipart/form-data"


@pytest.fixture(scope="module")
def keyed(triton: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A gateway with a key, so that what needs none is noticed."""
    settings = {"keys": [key("alice", rate=1_000_000, in_flight=64)]}
    web = Web(tmp_path_factory.mktemp("openapi"), triton, settings)
    web.start()
    yield web
    web.end()


@pytest.fixture(scope="module")
def document(keyed: Web) -> dict[str, Any]:
    with keyed.client() as client:
        found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_it_is_valid(document: dict[str, Any]) -> None:
    assert not list(OpenAPIV31SpecValidator(document).iter_errors())


def form_of(document: dict[str, Any], path: str) -> dict[str, Any]:
    form: dict[str, Any] = document["paths"][path]["post"]["requestBody"]["content"][FORM]["schema"]
    return form


@pytest.mark.parametrize("action", ACTIONS.values(), ids=list(ACTIONS))
def test_every_option_is_in_it(document: dict[str, Any], action: Action) -> None:
    options, path = set(action.options.model_fields), f"/v1/{action.command}"
    form = form_of(document, path)["properties"]
    assert set(form) == {*options, "image", "options"}
    assert set(form["options"]["properties"]) == options
    query = {each["name"] for each in document["paths"][path]["post"]["parameters"]}
    assert query == {*options, "options"} - {"mask"}
    assert options < set(form_of(document, "/v1/jobs")["properties"])


def test_every_route_names_its_errors(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path.startswith("/v1/"):
                problems = {"400", "401", "403", "413", "429", "503"}
                assert problems <= set(operation["responses"])


@pytest.mark.parametrize("action", ACTIONS.values(), ids=list(ACTIONS))
def test_its_examples_work(
    keyed: Web, document: dict[str, Any], picture: bytes, action: Action
) -> None:
    """All at once, as Swagger UI sends them."""
    path = f"/v1/{action.command}"
    wanted = (404, "ModelNotInstalled") if action.name == "enhance" else (200, None)
    values = dict(examples(form_of(document, path)))
    assert values
    with keyed.client(headers=bearer("alice")) as client:
        answer = client.post(path, files={"image": ("a.png", picture)}, data=values)
    error = answer.json()["error"] if answer.is_error else None
    assert (answer.status_code, error) == wanted, answer.text


def examples(form: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The examples and defaults of a form's fields, as forms send them."""
    for name, schema in form["properties"].items():
        if (value := schema.get("example", schema.get("default"))) is not None:
            yield name, json.dumps(value) if isinstance(value, dict) else value


@pytest.mark.parametrize(
    "chosen",
    [
        ("--exclude-path-regex", PICTURES, "--phases", "coverage,fuzzing", "--max-examples", "2"),
        ("--include-path-regex", PICTURES, "--phases", "fuzzing", "--max-examples", "3"),
    ],
    ids=["others", "pictures"],
)
def test_nothing_is_open_behind_it(keyed: Web, tmp_path: Path, chosen: tuple[str, ...]) -> None:
    """No server error, no undocumented answer, and no way around the key, by schemathesis."""
    ran = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "run", f"{keyed.url}/openapi.json"),
            *("--header", "X-Api-Key: alice", "--exclude-checks", UNSAYABLE, *chosen),
            *("--generation-deterministic", "--continue-on-failure", "--request-timeout", "60"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-9000:] + ran.stderr
    assert "Traceback" not in keyed.log.text


def test_keys_are_in_it_where_they_are_needed(document: dict[str, Any], http: httpx.Client) -> None:
    assert document["security"] == [{"key": []}, {"bearer": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert http.get("/openapi.json").json()["security"] == [{}]
