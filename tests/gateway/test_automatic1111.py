"""AUTOMATIC1111's extras, by `webuiapi` from PyPI and by requests as other clients make them."""

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from webuiapi import WebUIApi
from webuiapi.webuiapi import raw_b64_img

from gateway_for_tests import NewWeb, Web
from pictures import encoded, gradient
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import by_name
from sakuga_core.options import UpscaleOptions, parse_options
from sakuga_gateway.access import digest
from sakuga_gateway.routes.automatic1111_lists import NAMES, NOTHING

PATH = "/sdapi/v1/extra-single-image"
VIDEO, SIX = "R-ESRGAN AnimeVideo", "R-ESRGAN 4x+ Anime6B"


@pytest.fixture(scope="module")
def drawing() -> Image.Image:
    return Image.fromarray(gradient(40, 60))


@pytest.fixture(scope="module")
def api(web: Web) -> WebUIApi:
    return WebUIApi(host="127.0.0.1", port=web.port)


def ours(http: httpx.Client, drawing: Image.Image, **options: str) -> bytes:
    answer = http.post(
        "/v1/upscale", files={"image": base64.b64decode(raw_b64_img(drawing))}, data=options
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def file_of(result: Any) -> bytes:
    return base64.b64decode(result.json["image"])


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"upscaler_1": VIDEO}, {"model": "realesr-animevideov3", "scale": "2"}),
        (
            {"upscaler_1": VIDEO, "upscaling_resize": 3.5, "upscaler_2": SIX},
            {"model": "realesr-animevideov3", "scale": "3.5"},
        ),
        ({"upscaler_1": SIX}, {"model": "realesrgan-x4plus-anime", "scale": "2"}),
        ({"upscaler_1": "realesr-animevideov3"}, {"model": "realesr-animevideov3", "scale": "2"}),
    ],
    ids=str,
)
def test_its_client_gets_what_upscale_gives(
    api: WebUIApi,
    http: httpx.Client,
    drawing: Image.Image,
    fields: dict[str, Any],
    options: dict[str, str],
) -> None:
    result = api.extra_single_image(drawing, **fields)
    assert file_of(result) == ours(http, drawing, **options)
    assert options["model"] in result.info


@pytest.mark.parametrize(
    ("wanted", "crop", "size"),
    [
        ((90, 60), True, (90, 60)),  # 1.5 times
        ((90, 50), False, (90, 60)),
        ((80, 80), False, (120, 80)),
        ((61, 10), False, (61, 40)),
    ],
)
def test_a_size_is_covered(
    api: WebUIApi,
    http: httpx.Client,
    drawing: Image.Image,
    wanted: tuple[int, int],
    crop: bool,
    size: tuple[int, int],
) -> None:
    width, height = wanted
    sizes = {"upscaling_resize_w": width, "upscaling_resize_h": height, "upscaling_crop": crop}
    result = api.extra_single_image(drawing, resize_mode=1, upscaler_1=VIDEO, **sizes)
    assert result.image.size == size
    side = {"width": str(width)} if size[0] == width else {"height": str(height)}
    assert file_of(result) == ours(http, drawing, **side)


def test_what_would_have_to_be_cropped_is_refused(api: WebUIApi, drawing: Image.Image) -> None:
    with pytest.raises(RuntimeError, match="60x40 becomes 120x80, which is no 80x80 without"):
        api.extra_single_image(
            drawing, resize_mode=1, upscaling_resize_w=80, upscaling_resize_h=80, upscaler_1=VIDEO
        )


@pytest.mark.parametrize("mode", [0, 1])
def test_none_leaves_a_picture_as_it_is(api: WebUIApi, drawing: Image.Image, mode: int) -> None:
    result = api.extra_single_image(drawing, resize_mode=mode)  # its default: no upscaler
    assert np.array_equal(np.asarray(result.image), np.asarray(drawing))
    assert result.image.format == "PNG"


def test_none_makes_a_png_of_any_picture(http: httpx.Client, picture: bytes) -> None:
    webp = encoded(gradient(20, 30), "WEBP", lossless=True)
    for data in (webp, picture):
        answer = http.post(PATH, json={"image": base64.b64encode(data).decode()})
        result = Image.open(io.BytesIO(base64.b64decode(answer.json()["image"])))
        assert result.format == "PNG"
        assert np.array_equal(np.asarray(result), np.asarray(Image.open(io.BytesIO(data))))


def test_a_batch(api: WebUIApi, http: httpx.Client, drawing: Image.Image) -> None:
    drawings = [drawing, Image.fromarray(gradient(30, 20))]
    names = ["../../a.png", "b"]
    result = api.extra_batch_images(drawings, names, upscaler_1=VIDEO, upscaling_resize=2)
    files = [base64.b64decode(text) for text in result.json["images"]]
    assert files == [ours(http, each, scale="2") for each in drawings]
    assert result.info.count("<p>") == 2


def test_its_client_starts_with_a_key_as_its_password(
    new_web: NewWeb, drawing: Image.Image
) -> None:
    web = new_web(settings={"keys": [{"name": "artist", "sha256": digest("secret")}]})
    where = {"host": "127.0.0.1", "port": web.port}
    known = WebUIApi(**where, username="anybody", password="secret")
    assert known.extra_single_image(drawing, upscaler_1=VIDEO).image.size == (120, 80)
    stranger = WebUIApi(**where, username="anybody", password="wrong")
    with pytest.raises(RuntimeError) as refused:
        stranger.extra_single_image(drawing, upscaler_1=VIDEO)
    assert refused.value.args[0] == 401
    assert '"error":"PermissionDenied"' in refused.value.args[1]


def test_only_networks_that_are_installed_are_listed(
    api: WebUIApi, http: httpx.Client, picture: bytes
) -> None:
    listed = {each["name"] for each in api.get_upscalers()}
    models = {each["name"]: each for each in http.get("/v1/models").json()["models"]}
    missing = [name for name, (model, _) in NAMES.items() if not models[model]["installed"]]
    assert listed >= NAMES.keys() - set(missing)
    assert not listed & set(missing)
    for name in missing:
        body = {"image": base64.b64encode(picture).decode(), "upscaler_1": name}
        answer = http.post(PATH, json=body)
        assert answer.status_code == 404
        assert answer.json()["error"] == "ModelNotInstalled"
        assert repr(NAMES[name][0]) in answer.json()["detail"]


def test_what_clients_ask_when_they_start(api: WebUIApi, http: httpx.Client) -> None:
    upscalers = {each["name"]: each for each in api.get_upscalers()}
    assert upscalers["None"]["model_name"] is None
    assert upscalers[SIX]["model_name"] == "realesrgan-x4plus-anime"
    assert upscalers[VIDEO]["scale"] == 4
    assert SIX in {each["name"] for each in api.get_realesrgan_models()}
    assert api.get_scripts() == {"txt2img": [], "img2img": []}
    assert (api.get_options(), api.get_samplers(), api.get_cmd_flags()) == ({}, [], {})
    assert api.util_get_model_names() == api.get_face_restorers() == []
    api.util_wait_for_ready()
    for name in NOTHING:
        assert http.get(f"/sdapi/v1/{name}").status_code == 200


def test_every_name_is_that_of_a_network() -> None:
    for model, options in NAMES.values():
        network = by_name(model)
        assert isinstance(network, Upscaler)
        assert network.name == model
        assert network.denoise == ("denoise_strength" in options)
        parse_options(UpscaleOptions, options)


@pytest.mark.parametrize(
    ("fields", "place", "words"),
    [
        ({"upscaler_1": "SwinIR_4x"}, "upscaler_1", "'SwinIR_4x'; allowed: None, R-ESRGAN 4x+ An"),
        ({"upscaler_1": 3}, "upscaler_1", "allowed: text"),
        ({"resize_mode": 2}, "resize_mode", "'resize_mode' is 2; allowed: 0, by a factor"),
        ({"gfpgan_visibility": 0.5}, "gfpgan_visibility", "allowed: 0, as no network restores"),
        ({"codeformer_visibility": 1}, "codeformer_visibility", "allowed: 0, as no network"),
        (
            {"extras_upscaler_2_visibility": 0.1},
            "extras_upscaler_2_visibility",
            "allowed: 0, as two results aren't blended",
        ),
        ({"upscaling_resize": 0.5}, "upscaling_resize", "allowed: a number from 1 to 16"),
        ({"upscaling_resize": "x"}, "upscaling_resize", "allowed: a number from 1 to 16"),
        ({"upscaling_resize_w": 0}, "upscaling_resize_w", "allowed: a whole number from 1"),
        ({"upscaling_crop": []}, "upscaling_crop", "allowed: true or false"),
        ({"image": "http://127.0.0.1/a.png"}, "image", "the gateway fetches no URLs"),
        ({"image": "data:image/png,abc"}, "image", "without base64"),
        ({"image": "&&&"}, "image", "isn't base64"),
        ({"image": ""}, "image", "'image' is empty"),
        ({"image": None}, "image", "allowed: text"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_not_allowed_is_an_error_of_fastapi(
    http: httpx.Client, picture: bytes, fields: dict[str, Any], place: str, words: str
) -> None:
    body = {"image": base64.b64encode(picture).decode(), "upscaler_1": VIDEO, **fields}
    answer = http.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    (item,) = answer.json()["detail"]
    assert item["loc"] == ["body", place]
    assert words in item["msg"]


def test_unknown_fields_are_ignored_and_told(http: httpx.Client, picture: bytes) -> None:
    image = base64.b64encode(picture).decode()
    body = {"image": image, "upscaler_1": VIDEO, "resize-mode": 0, "<b>": 1, "\u00e9": 2}
    answer = http.post(PATH, json=body).json()
    assert "<p>Ignored: &lt;b&gt;, resize-mode, \\xe9</p>" in answer["html_info"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"content": b"{"}, 422),
        ({"content": b"[" * 100_000}, 422),
        ({"content": b'{"image": "eA==", "upscaling_resize": NaN}'}, 422),
        ({"content": b"[]"}, 422),
        ({"content": b'{"image": "eA==", "\\ud800": 1}'}, 422),
        ({"content": b"{}"}, 422),
        ({"content": b"\xff\xfe\x00"}, 422),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ({"json": {"image": "eA=="}}, 422),  # no picture
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_bodies_are_refused(http: httpx.Client, sent: dict[str, Any], status: int) -> None:
    answer = http.post(PATH, **{"headers": {"content-type": "application/json"}, **sent})
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]


def test_bad_batches_are_refused(http: httpx.Client, picture: bytes) -> None:
    good = {"data": base64.b64encode(picture).decode(), "name": "a"}
    for images in (None, [], [good, {}], [good, {"data": "&&&"}], [3], good):
        answer = http.post("/sdapi/v1/extra-batch-images", json={"imageList": images})
        assert answer.status_code == 422, images
        assert answer.json()["detail"][0]["loc"][:2] == ["body", "imageList"]


def test_there_is_no_generation_of_pictures(api: WebUIApi, http: httpx.Client) -> None:
    with pytest.raises(RuntimeError) as refused:
        api.txt2img(prompt="a picture")
    assert refused.value.args[0] == 404
    assert http.post("/sdapi/v1/txt2img").json()["detail"] == "Not Found"
