"""Plain calls: a picture in, a picture out."""

import base64
import json
from email import message_from_bytes

import httpx
import pytest

from gateway_for_tests import Web
from sakuga import Config, connect
from sakuga_core.actions import ACTIONS

SCALE = {"scale": "2"}


async def by_grpc(triton: str, picture: bytes, action: str, options: dict[str, object]) -> bytes:
    async with connect(Config(), url=triton) as images:
        return await images.process(picture, action, options)


@pytest.mark.parametrize("name", [each for each in ACTIONS if each != "enhance"])
async def test_a_form_gives_what_grpc_gives(
    http: httpx.Client, triton: str, picture: bytes, name: str
) -> None:
    action = ACTIONS[name]  # type: ignore[index]
    model = "u2net" if name == "rembg" else "realesr-animevideov3"
    form = {"model": model} | ({} if name == "rembg" else SCALE)
    answer = http.post(f"/v1/{action.command}", files={"image": ("a.png", picture)}, data=form)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    options = {} if name == "rembg" else {"scale": 2}
    assert answer.content == await by_grpc(triton, picture, name, {"model": model, **options})
    assert json.loads(answer.headers["sakuga-report"])["action"] == name


def test_the_body_and_the_query_give_the_same(http: httpx.Client, picture: bytes) -> None:
    form = http.post("/v1/upscale", files={"image": ("a.png", picture)}, data=SCALE)
    for kind in ("image/png", "application/octet-stream", "application/x-www-form-urlencoded"):
        raw = http.post(
            "/v1/upscale", params=SCALE, content=picture, headers={"content-type": kind}
        )
        assert raw.content == form.content
    whole = {"options": json.dumps({"scale": 2})}
    assert http.post("/v1/upscale", params=whole, content=picture).content == form.content


def test_the_report_comes_in_json_or_in_parts(http: httpx.Client, picture: bytes) -> None:
    plain = http.post("/v1/upscale", params=SCALE, content=picture)
    answer = http.post(
        "/v1/upscale", params=SCALE, content=picture, headers={"accept": "application/json"}
    ).json()
    assert base64.b64decode(answer["image"]["base64"]) == plain.content
    assert answer["image"]["media_type"] == "image/png"
    assert answer["report"]["model"] == "realesr-animevideov3"
    parts = http.post(
        "/v1/upscale", params=SCALE, content=picture, headers={"accept": "multipart/form-data"}
    )
    head = f"Content-Type: {parts.headers['content-type']}\r\n\r\n".encode()
    image, report = message_from_bytes(head + parts.content).get_payload()
    assert image.get_payload(decode=True) == plain.content
    assert json.loads(report.get_payload(decode=True))["model"] == "realesr-animevideov3"


@pytest.mark.parametrize(
    ("sent", "saved"),
    [
        ("line art.png", "line art.webp"),
        ("../../etc/passwd", "passwd.webp"),
        ("C:\\pictures\\a.png", "a.webp"),
        ("線画.jpeg", "線画.webp"),
        ('a"\r\nX: y.png', "aX: y.webp"),
        ("", "picture.webp"),
    ],
)
def test_the_result_is_named_after_the_file(
    http: httpx.Client, picture: bytes, sent: str, saved: str
) -> None:
    answer = http.post(
        "/v1/upscale", files={"image": (sent or "x", picture)}, data={"format": "webp", **SCALE}
    )
    assert answer.headers["content-type"] == "image/webp"
    if sent:
        plain = answer.headers["content-disposition"].split('"')[1]  # for who reads ASCII alone
        assert plain.isascii()
        assert len(plain) == len(saved)
        name = httpx.URL("/" + answer.headers["content-disposition"].partition("UTF-8''")[2]).path
        assert name == "/" + saved


@pytest.mark.parametrize(
    ("options", "status", "error", "words"),
    [
        ({"scale": "99"}, 400, "BadOption", "option 'scale' is '99'; allowed: a number from 1 to"),
        ({"colour": "red"}, 400, "BadOption", "option 'colour' is unknown; allowed: model,"),
        ({"model": "nothing"}, 400, "BadOption", "'nothing'; allowed: "),
        ({"options": "[1]"}, 400, "BadOption", "'options' isn't a JSON object"),
        ({"image": "text"}, 400, "BadInput", "the field 'image' is text"),
    ],
)
def test_bad_options_are_problems(
    http: httpx.Client, picture: bytes, options: dict[str, str], status: int, error: str, words: str
) -> None:
    files = {} if "image" in options else {"image": ("a.png", picture)}
    form = {name: (None, value) for name, value in options.items()}
    answer = http.post("/v1/upscale", files={**files, **form})
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert words in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_no_picture_is_a_problem(http: httpx.Client) -> None:
    answer = http.post("/v1/upscale", content=b"nothing")
    assert (answer.status_code, answer.json()["error"]) == (422, "BadImage")
    assert http.post("/v1/upscale", content=b"").status_code == 400
    assert http.post("/v1/upscale", json={"a": 1}).status_code == 415


def test_actions_and_networks_are_listed(http: httpx.Client) -> None:
    actions = http.get("/v1/actions").json()["actions"]
    assert [each["name"] for each in actions] == list(ACTIONS)
    scale = actions[0]["options"]["properties"]["scale"]
    assert "$ref" not in json.dumps(actions)
    assert scale["anyOf"][0]["maximum"] == 16
    models = {each["name"]: each for each in http.get("/v1/models").json()["models"]}
    assert models["u2net"]["loaded"]


def test_health_and_metrics(web: Web, http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json() == {"status": "ready"}
    text = http.get("/metrics").text
    assert 'sakuga_gateway_requests_total{method="GET",route="/healthz",status="200"}' in text
    assert 'sakuga_gateway_job_pictures{state="queued"}' in text


def test_the_documentation_needs_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/docs")
    assert "http" not in page.text.replace("HTTP", "")
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
        assert f"/docs/{name}" in page.text
        assert http.get(f"/docs/{name}").status_code == 200
    # Older ones show nothing of a document of OpenAPI 3.1.
    assert http.get("/openapi.json").json()["openapi"].startswith("3.1")
    assert b"isOAS31" in http.get("/docs/swagger-ui-bundle.js").content
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert http.get("/docs/../../etc/passwd").status_code == 404
