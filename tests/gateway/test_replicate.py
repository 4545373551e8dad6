"""Predictions as Cog's servers have them: at once, once only, and as jobs."""

import base64
import json
from datetime import datetime
from typing import Any

import httpx
import pytest

from gateway_for_tests import NewWeb, finished, submitted
from pictures import encoded, gradient
from sakuga_gateway.access import digest

PATH = "/predictions"
ASYNC = {"prefer": "respond-async"}


def url_of(picture: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}"


def body(picture: bytes, **options: Any) -> dict[str, Any]:
    return {"input": {"image": url_of(picture), **options}}


def ours(http: httpx.Client, picture: bytes, action: str, **options: Any) -> bytes:
    form = {name: str(value) for name, value in options.items()}
    answer = http.post(f"/v1/{action}", files={"image": picture}, data=form)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scale": 2}, {"action": "upscale", "scale": 2}),
        ({"action": "rembg", "only_mask": True}, {"action": "rembg", "only_mask": "true"}),
        (
            {"action": "fix-artifacts", "scale": 1.5, "regions": [[1, 1, 4, 4]]},
            {"action": "fix-artifacts", "scale": 1.5, "regions": "1,1,4,4"},
        ),
        ({"scale": 2, "format": "webp"}, {"action": "upscale", "scale": 2, "format": "webp"}),
    ],
    ids=str,
)
def test_a_prediction_at_once(
    http: httpx.Client, picture: bytes, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    answer = http.post(PATH, json=body(picture, **options))
    assert answer.status_code == 200, answer.text
    prediction = answer.json()
    kind = "image/webp" if "format" in options else "image/png"
    assert prediction["output"] == url_of(ours(http, picture, **expected), kind)
    assert (prediction["status"], prediction["error"]) == ("succeeded", None)
    assert prediction["metrics"]["predict_time"] > 0
    times = [datetime.fromisoformat(prediction[f"{name}_at"]) for name in ("started", "completed")]
    assert times[0] <= times[1]


def test_a_mask_is_a_data_url_too(http: httpx.Client, picture: bytes) -> None:
    mask = encoded(gradient(48, 40)[..., 0] // 200 * 255, "PNG")
    form = {"image": picture, "mask": mask}
    expected = http.post("/v1/fix-artifacts", files=form, data={"result": "restored"}).content
    for text in (url_of(mask), base64.b64encode(mask).decode()):
        sent = body(picture, action="fix_artifacts", result="restored", mask=text)
        assert http.post(PATH, json=sent).json()["output"] == url_of(expected)


def test_work_that_fails_is_a_prediction_that_failed(http: httpx.Client) -> None:
    broken = body(b"no picture", scale=2)
    for answer in (http.post(PATH, json=broken), http.put(f"{PATH}/broken", json=broken)):
        prediction = answer.json()
        assert (answer.status_code, prediction["status"]) == (200, "failed")
        assert prediction["output"] is None
        assert "format is unknown" in prediction["error"]


def test_the_same_put_gives_the_same_prediction(http: httpx.Client, picture: bytes) -> None:
    sent = body(picture, scale=2)
    begun = http.put(f"{PATH}/once-1", json=sent, headers=ASYNC)
    assert begun.status_code == 202
    assert begun.headers["location"] == f"{PATH}/once-1"
    assert begun.json()["status"] in ("starting", "processing", "succeeded")
    waited = http.put(f"{PATH}/once-1", json=sent)
    assert waited.status_code == 200
    assert waited.json()["output"] == url_of(ours(http, picture, "upscale", scale=2))
    again = http.post(PATH, json={**sent, "id": "once-1"}).json()
    assert again == waited.json() == http.get(f"{PATH}/once-1").json()
    assert again["id"] == "once-1"
    other = http.put(f"{PATH}/once-1", json=body(picture, scale=3))
    assert other.status_code == 409
    assert "belongs to another request" in other.json()["detail"]


def test_an_asynchronous_prediction_is_a_job(http: httpx.Client, picture: bytes) -> None:
    begun = http.post(PATH, json=body(picture, scale=2), headers=ASYNC)
    assert begun.status_code == 202
    identity = begun.json()["id"]
    assert begun.headers["location"] == f"{PATH}/{identity}"
    assert finished(http, f"/v1/jobs/{identity}")["state"] == "succeeded"
    prediction = http.get(f"{PATH}/{identity}").json()
    assert prediction["output"] == url_of(ours(http, picture, "upscale", scale=2))
    assert prediction["metrics"]["predict_time"] > 0
    another = http.post(PATH, json=body(picture, scale=2), headers=ASYNC).json()["id"]
    assert another != identity


def test_cancelling(http: httpx.Client, picture: bytes) -> None:
    large = encoded(gradient(1500, 1500), "PNG")
    begun = http.put(f"{PATH}/long", json=body(large, scale=4), headers=ASYNC)
    assert begun.json()["status"] in ("starting", "processing")
    cancelled = http.post(f"{PATH}/long/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "canceled")
    assert cancelled.json()["completed_at"]
    assert http.get(f"{PATH}/long").json() == cancelled.json()
    done = http.put(f"{PATH}/short", json=body(picture, scale=2)).json()
    assert http.post(f"{PATH}/short/cancel").json() == done
    assert http.get(f"{PATH}/short").json() == done, "it was removed"


def test_what_is_no_prediction_is_not_found(http: httpx.Client, picture: bytes) -> None:
    several = submitted(http, picture, picture).rpartition("/")[2]
    for identity in ("nothing", several, "a%00b", "%F0%9F%8E%A8", "x" * 300):
        for answer in (
            http.get(f"{PATH}/{identity}"),
            http.post(f"{PATH}/{identity}/cancel"),
        ):
            assert answer.status_code == 404, identity
            assert "there is no prediction" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ({"input": {"scale": 2}}, ["input", "image"], "'input.image' is missing"),
        ({"input": 3}, ["input"], "'input' is 3"),
        ({"inputs": {}}, ["inputs"], "'inputs' is unknown; allowed: input, id, webhook"),
        ({"id": "a/b"}, None, "'id' is 'a/b'; allowed: 1 to 100 letters"),
        ({"id": 3}, ["id"], "'id' is 3; allowed: text"),
        ({"webhook": "https://example.org/x"}, [], "the host of 'webhook' is 'example.org'"),
        ({"webhook": 1}, ["webhook"], "'webhook' is 1; allowed: text"),
        ({"webhook_events_filter": ["start"]}, ["webhook_events_filter", 0], "no other event"),
        ({"output_file_prefix": "http://x"}, ["output_file_prefix"], "is unknown"),
    ],
    ids=str,
)
def test_bad_fields_are_errors_of_fastapi(
    http: httpx.Client,
    picture: bytes,
    change: dict[str, Any],
    place: list[Any] | None,
    words: str,
) -> None:
    answer = http.post(PATH, json={**body(picture), **change})
    assert answer.status_code == 422, answer.text
    (item,) = answer.json()["detail"]
    assert place is None or item["loc"] == ["body", *place]
    assert words in item["msg"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 99}, "option 'scale' is 99; allowed: a number from 1 to"),
        ({"scale": "x"}, "option 'scale' is 'x'"),
        ({"colour": 1}, "option 'colour' is unknown; allowed: model,"),
        ({"model": "nothing"}, "'nothing'; allowed:"),
        ({"action": "paint"}, "action is 'paint'; allowed: upscale"),
        ({"image": "https://example.org/a.png"}, "the gateway fetches no URLs"),
        ({"image": "data:image/png;base64,"}, "'image' is empty"),
        ({"image": "data:image/png;base64,&"}, "isn't base64"),
        ({"action": "fix_artifacts", "mask": "http://x/y"}, "'mask' is a URL"),
        ({"\ud800": 1}, "'input' is '\\ud800'"),
    ],
    ids=ascii,
)
def test_bad_input_is_an_error_of_fastapi(
    http: httpx.Client, picture: bytes, options: dict[str, Any], words: str
) -> None:
    sent = {"content": json.dumps(body(picture, **options))}
    kind = {"content-type": "application/json"}
    answer = http.post(PATH, **sent, headers=kind)  # type: ignore[arg-type]
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"][0]["msg"]


def test_what_is_not_there_is_said(http: httpx.Client, picture: bytes) -> None:
    stream = http.post(PATH, json=body(picture), headers={"accept": "text/event-stream"})
    assert stream.status_code == 406
    assert "aren't streamed" in str(stream.json()["detail"])
    assert http.post(PATH, content=b"x").status_code == 415
    assert http.put(PATH, json={}).json() == {"detail": "Method Not Allowed"}


def test_keys_and_a_full_store(new_web: NewWeb, picture: bytes) -> None:
    rows = [{"name": name, "sha256": digest(name)} for name in ("one", "two")]
    web = new_web(settings={"keys": rows, "job_bytes": 3 * len(picture)})
    with web.client() as client:
        sent = body(picture, scale=1)
        assert client.post(PATH, json=sent).status_code == 401
        one, two = ({"authorization": f"Token {name}"} for name in ("one", "two"))
        made = client.put(f"{PATH}/mine", json=sent, headers=one)
        assert made.json()["status"] == "succeeded"
        assert client.get(f"{PATH}/mine", headers=two).status_code == 404
        assert client.post(f"{PATH}/mine/cancel", headers=two).status_code == 404
        large = body(encoded(gradient(300, 300), "BMP"), scale=1)
        full = client.put(f"{PATH}/large", json=large, headers=two)
        assert full.status_code == 409
        assert "the store of jobs has no room for" in full.json()["detail"]
