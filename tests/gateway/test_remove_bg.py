"""remove.bg's interface, by its client from PyPI and by requests as its manual makes them."""

import base64
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from removebg import RemoveBg, removebg

from gateway_for_tests import NewWeb, Web
from pictures import encoded, sample
from sakuga_gateway.access import digest

PATH = "/v1.0/removebg"
KEY = {"x-api-key": "any"}


@pytest.fixture(scope="module")
def drawing() -> bytes:
    """A figure on a background."""
    return encoded(sample("heroine")[::4, ::4], "PNG")


def ours(http: httpx.Client, picture: bytes, **options: str) -> bytes:
    options = {"format": "png", **options}
    answer = http.post("/v1/rembg", files={"image": ("a.png", picture)}, data=options)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.fixture
def client(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoveBg:
    """Its client, which knows one address only."""
    monkeypatch.setattr(removebg, "API_ENDPOINT", web.url + PATH)
    return RemoveBg("any", str(tmp_path / "errors.log"))


def test_its_client_gets_what_rembg_gives(
    client: RemoveBg, http: httpx.Client, drawing: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(drawing)
    client.remove_background_from_img_file(str(file))
    assert Path(f"{file}_no_bg.png").read_bytes() == ours(http, drawing)
    text, result = base64.b64encode(drawing).decode(), tmp_path / "result"
    client.remove_background_from_base64_img(text, new_file_name=str(result))
    assert result.read_bytes() == ours(http, drawing)
    client.remove_background_from_base64_img(
        text, size="4k", new_file_name=str(result), bg_color="2f7d5b"
    )
    expected = ours(http, drawing, background_color="#2f7d5b", format="jpeg")
    assert result.read_bytes() == expected


def test_its_client_is_told_that_urls_are_not_fetched(client: RemoveBg) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.png"
        with pytest.raises(requests.HTTPError) as refused:
            client.remove_background_from_img_url(url)
        (error,) = refused.value.response.json()["errors"]
        assert refused.value.response.status_code == 400
        assert error["code"] == "invalid_image_url"
        assert "the gateway fetches no URLs" in error["title"]
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    ("form", "options", "kind"),
    [
        ({}, {}, "image/png"),
        ({"size": "full", "type": "graphic", "crop": "false"}, {}, "image/png"),
        ({"format": "png", "bg_color": "fff"}, {"background_color": "#fff"}, "image/png"),
        ({"bg_color": "81d4fa77"}, {"background_color": "#81d4fa77"}, "image/png"),
        ({"bg_color": "Green"}, {"background_color": "#008000", "format": "jpeg"}, "image/jpeg"),
        ({"bg_color": "#0a0B0cff"}, {"background_color": "#0a0b0c", "format": "jpg"}, "image/jpeg"),
        ({"format": "jpg"}, {"format": "jpeg"}, "image/jpeg"),
        ({"format": "webp"}, {"format": "webp"}, "image/webp"),
        ({"channels": "alpha"}, {"only_mask": "true"}, "image/png"),
        ({"channels": "alpha", "bg_color": "red"}, {"only_mask": "true"}, "image/png"),
    ],
    ids=str,
)
def test_parameters_are_options_of_ours(
    http: httpx.Client, drawing: bytes, form: dict[str, str], options: dict[str, str], kind: str
) -> None:
    answer = http.post(PATH, files={"image_file": ("a b.png", drawing)}, data=form, headers=KEY)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == kind
    assert answer.content == ours(http, drawing, **options)
    height, width = sample("heroine")[::4, ::4].shape[:2]
    sizes = answer.headers["x-width"], answer.headers["x-height"]
    assert sizes == (str(width), str(height))
    assert answer.headers["x-credits-charged"] == "0"


def test_json_in_and_json_out(http: httpx.Client, drawing: bytes) -> None:
    expected = ours(http, drawing)
    text = base64.b64encode(drawing).decode()
    accept = {**KEY, "accept": "application/json"}
    for source in (text, f"data:image/png;base64,{text}"):
        body = {"image_file_b64": source, "image_url": "", "crop": False, "bg_color": None}
        answer = http.post(PATH, json=body, headers=accept)
        assert base64.b64decode(answer.json()["data"]["result_b64"]) == expected
        assert http.post(PATH, json=body).content == expected


def test_a_picture_of_megabytes_comes_in_base64(http: httpx.Client) -> None:
    drawing = encoded(sample("heroine"), "BMP") + bytes(2**21)  # which readers of BMP skip
    text = base64.b64encode(drawing).decode()
    expected = ours(http, drawing)
    for sent in ({"data": {"image_file_b64": text}}, {"files": {"image_file_b64": (None, text)}}):
        answer = http.post(PATH, **sent)  # type: ignore[arg-type]
        assert answer.content == expected, answer.text[:200]


def test_what_has_no_effect_is_told(http: httpx.Client, drawing: bytes) -> None:
    def notes(picture: bytes, **form: str) -> str:
        answer = http.post(PATH, files={"image_file": picture}, data=form)
        return answer.headers.get("sakuga-notes", "")

    large = encoded(sample("heroine").repeat(2, 0).repeat(2, 1), "PNG")  # 0.69 megapixels
    assert notes(drawing, size="preview", type_level="none") == ""
    assert notes(large, size="auto") == notes(large, size="hd") == ""
    assert notes(large, size="preview").startswith("size preview has no effect")
    assert notes(drawing, type="person", type_level="latest").count("has no effect") == 2


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"crop": "true"}, "'crop' is 'true'; allowed: false, as results keep the picture's size"),
        ({"add_shadow": "true"}, "'add_shadow' is 'true'; allowed: false, as none are drawn"),
        ({"semitransparency": "false"}, "allowed: true"),
        ({"format": "zip"}, "'format' is 'zip'; allowed: auto, png, jpg, webp"),
        ({"size": "huge"}, "'size' is 'huge'; allowed: auto, preview"),
        ({"bg_color": "greenish"}, "allowed: hexadecimal rgb, rrggbb or rrggbbaa, or black"),
        ({"bg_image_url": "http://x/y.png"}, "allowed: none, as a colour alone"),
        ({"roi": "0% 0% 50% 50%"}, "allowed: 0% 0% 100% 100%, the whole picture"),
        ({"scale": "80%"}, "allowed: original"),
        ({"position": "center"}, "allowed: original"),
        ({"shadow_type": "drop"}, "allowed: none"),
        ({"colour": "red"}, "'colour' is unknown; allowed: size, type"),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused(
    http: httpx.Client, drawing: bytes, form: dict[str, str], words: str
) -> None:
    answer = http.post(PATH, files={"image_file": drawing}, data=form)
    assert answer.status_code == 400, answer.text
    (error,) = answer.json()["errors"]
    assert error["code"] == "invalid_parameter"
    assert words in error["title"]


def _form(**fields: Any) -> dict[str, Any]:
    return {"files": fields}


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"data": {"size": "auto"}}, 400, "missing_source"),
        (_form(image_file=b""), 400, "missing_source"),
        (_form(image_file=(None, "text")), 400, "missing_source"),
        (_form(image_file=b"x", image_file_b64=(None, "eA==")), 400, "multiple_sources"),
        ({"files": [("image_file", b"x"), ("image_file", b"y")]}, 400, "multiple_sources"),
        ({"data": {"image_file_b64": "no base64!"}}, 400, "invalid_parameter"),
        ({"data": {"image_file_b64": "http://x/y"}}, 400, "invalid_parameter"),
        ({"json": {"image_file_b64": 3}}, 400, "missing_source"),
        ({"json": {"image_file_b64": {"a": [1]}}}, 400, "missing_source"),
        ({"json": [1]}, 400, "invalid_parameter"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, None),
        ({"content": b"x", "headers": {"content-type": "image/png"}}, 415, "bad_request"),
        (_form(image_file=b"no picture"), 400, "invalid_image"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bad_requests_have_its_errors(
    http: httpx.Client, sent: dict[str, Any], status: int, code: str | None
) -> None:
    answer = http.post(PATH, **sent)
    assert answer.status_code == status, answer.text
    (error,) = answer.json()["errors"]
    assert set(error) == {"title", "code"}
    assert code in (error["code"], None)


def test_several_errors_come_at_once(http: httpx.Client, drawing: bytes) -> None:
    form = {"crop": "true", "size": "huge"}
    answer = http.post(PATH, files={"image_file": drawing}, data=form)
    assert len(answer.json()["errors"]) == 2


def test_keys_rates_and_limits_have_its_errors(new_web: NewWeb, drawing: bytes) -> None:
    key = {"name": "artist", "sha256": digest("secret"), "rate": 2}
    web = new_web(settings={"keys": [key]}, limits={"input_bytes": 100_000})
    with web.client() as client:

        def answer(**sent: Any) -> httpx.Response:
            return client.post(PATH, **{"files": {"image_file": drawing}, **sent})

        refused = answer(headers={"x-api-key": "wrong"})
        assert refused.status_code == 403
        assert refused.json()["errors"][0]["code"] == "auth_failed"
        secret = {"x-api-key": "secret"}
        large = answer(files={"image_file": bytes(2_000_000)}, headers=secret)
        assert large.status_code == 413
        assert large.json()["errors"][0]["code"] == "image_too_large"
        assert answer(headers=secret).status_code == 200
        assert answer(headers=secret).status_code == 200
        late = answer(headers=secret)
        assert late.status_code == 429
        assert late.json()["errors"][0]["code"] == "rate_limit_exceeded"
        assert int(late.headers["retry-after"]) >= 1
        assert client.get(PATH, headers=secret).json()["errors"][0]["code"] == "bad_request"
