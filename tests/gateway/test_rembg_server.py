"""rembg's server: its parameters, its defaults, and what its own options give at /v1/rembg."""

import ast
import importlib.util
import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic.fields import FieldInfo

from gateway_for_tests import NewWeb
from pictures import encoded, sample
from sakuga_gateway.access import digest
from sakuga_gateway.routes.rembg import Parameters
from sakuga_server.runtime.embedded import free_port

PATH = "/api/remove"


@pytest.fixture(scope="module")
def drawing() -> bytes:
    """A figure on a background."""
    return encoded(sample("heroine")[::4, ::4], "PNG")


def removed(http: httpx.Client, picture: bytes, **form: str) -> httpx.Response:
    """As `curl -F file=@a.png -F a=true …` asks for it."""
    answer = http.post(PATH, files={"file": ("a.png", picture)}, data=form)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return answer


def ours(http: httpx.Client, picture: bytes, **options: str) -> bytes:
    answer = http.post("/v1/rembg", files={"image": ("a.png", picture)}, data=options)
    assert answer.status_code == 200, answer.text
    return answer.content


PLAIN = {"model": "u2net", "alpha_matting": "false"}


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ({}, PLAIN),
        (
            {"a": "true"},
            {
                **{"model": "u2net", "alpha_matting": "true"},
                **{"alpha_matting_foreground_threshold": "240"},
                "alpha_matting_background_threshold": "10",
            },
        ),
        (
            {"a": "1", "af": "200", "ab": "50", "ae": "3"},
            {
                **{"model": "u2net", "alpha_matting": "true", "alpha_matting_erode_size": "3"},
                "alpha_matting_foreground_threshold": "200",
                "alpha_matting_background_threshold": "50",
            },
        ),
        ({"om": "true"}, {**PLAIN, "only_mask": "true"}),
        ({"ppm": "on", "om": "on"}, {**PLAIN, "only_mask": "true", "post_process_mask": "true"}),
        ({"bgc": "10,20,30,255"}, {**PLAIN, "background_color": "#0a141eff"}),
        ({"bgc": "10, 20, 30"}, {**PLAIN, "background_color": "#0a141e"}),
        ({"extras": '{"premultiplied": true}'}, {**PLAIN, "premultiplied": "true"}),
    ],
    ids=str,
)
def test_parameters_are_options_of_ours(
    http: httpx.Client, drawing: bytes, form: dict[str, str], options: dict[str, str]
) -> None:
    answer = removed(http, drawing, **form)
    assert answer.content == ours(http, drawing, **options)
    assert json.loads(answer.headers["sakuga-report"])["model"] == options["model"]


def test_rembgs_own_names_are_known(http: httpx.Client, drawing: bytes) -> None:
    """A network that isn't exported here is told from an unknown one."""
    files = {"file": ("a.png", drawing)}
    answer = http.post(PATH, files=files, data={"model": "u2net_human_seg"})
    if answer.status_code == 404:
        assert "sakuga export u2net-human-seg" in answer.json()["detail"]
    else:
        assert json.loads(answer.headers["sakuga-report"])["model"] == "u2net-human-seg"


def test_the_query_counts_too(http: httpx.Client, picture: bytes) -> None:
    by_query = http.post(PATH, files={"file": picture}, params={"om": "true", "bgc": "1,2,3,4"})
    assert by_query.content == ours(http, picture, only_mask="true", **PLAIN)


def test_defaults_are_rembgs_whatever_the_configuration_says(
    new_web: NewWeb, triton: str, http: httpx.Client, drawing: bytes, tmp_path: Path
) -> None:
    port, file = free_port(), tmp_path / "others.yaml"
    block = {"alpha_matting": True, "post_process_mask": True, "background_color": "#ff0000"}
    blocks = {"gateway": {"port": port}, "server": {"url": triton}, "rembg": block}
    file.write_text(json.dumps(blocks))
    web = new_web(port=port, environment={"SAKUGA_CONFIG": str(file)})
    with web.client() as client:
        assert removed(client, drawing).content == removed(http, drawing).content
        theirs = ours(client, drawing, model="u2net")
        assert theirs != ours(http, drawing, **PLAIN), "the configuration has no effect at all"


def server_of_rembg() -> dict[str, dict[str, Any]]:
    """The parameters of rembg's own server, as its source has them: default, ge and le."""
    found = importlib.util.find_spec("rembg")
    if found is None or found.origin is None:
        pytest.skip("rembg isn't installed: `make reference`")
    source = (Path(found.origin).parent / "commands" / "s_command.py").read_text()
    classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    (posted,) = [each for each in classes if each.name == "CommonQueryPostParams"]
    (init,) = [each for each in posted.body if isinstance(each, ast.FunctionDef)]
    calls = zip(init.args.args[1:], init.args.defaults, strict=True)
    return {
        name.arg: {
            each.arg: each.value.value
            for each in call.keywords
            if isinstance(each.value, ast.Constant) and each.arg in ("default", "ge", "le")
        }
        for name, call in calls
        if isinstance(call, ast.Call)
    }


def test_names_defaults_and_ranges_are_those_of_its_source() -> None:
    theirs = server_of_rembg()
    assert set(theirs) == set(Parameters.model_fields)
    for name, about in theirs.items():
        field = Parameters.model_fields[name]
        if name != "extras":
            assert field.get_default() == about["default"], name
        for end in ("ge", "le"):
            if end in about:
                assert limit(field, end) == about[end], name


def limit(field: FieldInfo, end: str) -> Any:
    return next(getattr(each, end) for each in field.metadata if hasattr(each, end))


@pytest.mark.parametrize(
    ("form", "place", "words"),
    [
        ({"af": "300"}, "af", "'af' is '300'; allowed: a whole number from 0 to 255"),
        ({"ab": "x"}, "ab", "allowed: a whole number from 0 to 255"),
        ({"ae": "101"}, "ae", "allowed: a whole number from 0 to 100"),
        ({"a": "maybe"}, "a", "allowed: true or false"),
        ({"bgc": "1,2"}, "bgc", "allowed: red,green,blue,alpha, each of 0 to 255"),
        ({"bgc": "1,2,3,256"}, "bgc", "allowed: red,green,blue,alpha, each of 0 to 255"),
        ({"extras": "{"}, "extras", "allowed: a JSON object with options of /v1/rembg"),
        ({"extras": '{"sam_prompt": []}'}, None, "option 'sam_prompt' is unknown"),
        ({"model": "u2net_cloth_seg"}, None, "'u2net_cloth_seg'; allowed: isnet-anime,"),
        ({"alpha": "1"}, "alpha", "'alpha' is unknown; allowed: model, a, af"),
    ],
    ids=str,
)
def test_what_is_not_allowed_is_an_error_of_fastapi(
    http: httpx.Client, picture: bytes, form: dict[str, str], place: str | None, words: str
) -> None:
    answer = http.post(PATH, files={"file": picture}, data=form)
    assert answer.status_code == 422, answer.text
    (item,) = answer.json()["detail"]
    assert set(item) == {"type", "loc", "msg"}
    assert item["loc"] == (["body"] if place is None else ["body", place])
    assert words in item["msg"]


def test_a_network_that_is_not_installed_is_named(http: httpx.Client, picture: bytes) -> None:
    networks = http.get("/v1/models").json()["models"]
    missing = [n["name"] for n in networks if n["kind"] == "segment" and not n["installed"]]
    if not missing:
        pytest.skip("every background-removal network is installed")
    answer = http.post(PATH, files={"file": picture}, data={"model": missing[0]})
    assert answer.status_code == 404
    assert repr(missing[0]) in answer.json()["detail"]


def test_a_request_without_a_picture(http: httpx.Client, picture: bytes) -> None:
    for answer in (http.post(PATH, json={"a": True}), http.post(PATH, content=picture)):
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body", "file"]
    wrong = http.post(PATH, files={"image": picture})
    assert (wrong.status_code, wrong.json()) == (
        400,
        {"detail": "the form has 0 files 'file'; allowed: 1"},
    )
    broken = http.post(PATH, files={"file": b"no picture"})
    assert (broken.status_code, set(broken.json())) == (422, {"detail"})
    assert isinstance(broken.json()["detail"], str)


def test_a_url_is_refused_and_never_fetched(http: httpx.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.png"
        answer = http.get(PATH, params={"url": url, "model": "u2net"})
        assert answer.status_code == 400
        assert "the gateway fetches no URLs" in answer.json()["detail"]
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_keys_hold_here_too(new_web: NewWeb, picture: bytes) -> None:
    web = new_web(settings={"keys": [{"name": "artist", "sha256": digest("secret")}]})
    with web.client() as client:
        for answer in (client.post(PATH, files={"file": picture}), client.get(PATH)):
            assert answer.status_code == 401
            assert set(answer.json()) == {"detail"}
        key = {"authorization": "Bearer secret"}
        assert client.post(PATH, files={"file": picture}, headers=key).status_code == 200
