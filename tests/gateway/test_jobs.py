"""Jobs: submitted, followed, cancelled, fetched; on SQLite and on PostgreSQL."""

import io
import json
import uuid
import zipfile

import httpx
import pytest

from gateway_for_tests import NewWeb, Web, events, finished, submitted
from pictures import encoded, gradient
from slow import full


def test_a_job_gives_what_the_plain_call_gives(jobs: httpx.Client, picture: bytes) -> None:
    plain = jobs.post("/v1/upscale", params={"scale": "2"}, content=picture)
    location = submitted(jobs, picture)
    kinds = [event.kind for event in events(jobs, location)]
    assert [kind for kind in kinds if kind not in ("queued", "progress")] == [
        *("started", "picture", "finished")
    ]
    job = jobs.get(location).json()
    assert job["state"] == "succeeded"
    assert job["pictures"][0]["report"]["model"] == "realesr-animevideov3"
    result = jobs.get(job["links"]["result"])
    assert result.content == plain.content
    assert result.headers["content-type"] == "image/png"
    assert "filename*=UTF-8''0.png" in result.headers["content-disposition"]
    assert jobs.get(job["pictures"][0]["result"]["link"]).content == plain.content


def test_prefer_makes_a_job_of_a_plain_call(jobs: httpx.Client, picture: bytes) -> None:
    headers = {"prefer": "respond-async"}
    answer = jobs.post("/v1/rembg", files={"image": ("a.png", picture)}, headers=headers)
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert finished(jobs, answer.headers["location"])["action"] == "rembg"


def test_events_go_on_after_the_last_that_was_seen(jobs: httpx.Client, picture: bytes) -> None:
    location = submitted(jobs, picture, picture)
    whole = [event for event in events(jobs, location) if event.kind != "queued"]
    numbers = [event.number for event in whole]
    assert numbers == sorted(set(numbers))
    rest = list(events(jobs, location, after=whole[2].number))
    assert rest == whole[3:]
    assert {event.data.get("number") for event in whole} == {0, 1, None}


def test_many_files_come_back_as_a_zip_and_a_bad_one_fails_alone(
    jobs: httpx.Client, picture: bytes
) -> None:
    files = [("image", (f"{at}/a.png", data)) for at, data in enumerate([picture, b"no", picture])]
    answer = jobs.post("/v1/jobs", files=files, data={"action": "upscale", "scale": "2"})
    job = finished(jobs, answer.headers["location"])
    assert job["state"] == "failed"
    assert job["counts"] == {"succeeded": 2, "failed": 1}
    states = [each["state"] for each in job["pictures"]]
    assert states == ["succeeded", "failed", "succeeded"]
    assert job["pictures"][1]["error"]["error"] == "BadImage"
    archive = zipfile.ZipFile(io.BytesIO(jobs.get(job["links"]["result"]).content))
    assert archive.testzip() is None
    assert archive.namelist() == ["a.png", "a-2.png", "job.json"]
    plain = jobs.post("/v1/upscale", params={"scale": "2"}, content=picture).content
    assert archive.read("a.png") == archive.read("a-2.png") == plain
    assert json.loads(archive.read("job.json"))["counts"] == job["counts"]
    bad = jobs.get(f"{answer.headers['location']}/pictures/1")
    assert (bad.status_code, bad.json()["error"]) == (422, "BadImage")


def test_the_same_key_gives_the_same_job(jobs: httpx.Client, picture: bytes) -> None:
    first = submitted(jobs, picture, key="a")
    assert submitted(jobs, picture, key="a") == first
    assert submitted(jobs, picture, key="b") != first
    other = jobs.post(
        "/v1/jobs",
        files={"image": ("a.png", picture)},
        data={"action": "upscale", "scale": "3"},
        headers={"idempotency-key": "a"},
    )
    assert other.status_code == 409
    assert "'a' belongs to another request" in other.json()["detail"]
    assert finished(jobs, first)["state"] == "succeeded"
    assert submitted(jobs, picture, key="a") == first


def test_a_job_is_cancelled_within_a_tile(jobs: httpx.Client, triton: str) -> None:
    long = encoded(gradient(600, 600))
    location = submitted(jobs, long, tile_size="48")
    for event in events(jobs, location):
        if event.kind == "progress":
            break
    total = event.data["total"]
    assert event.data["done"] < total / 2  # there is something left to cancel
    assert jobs.delete(location).json()["state"] == "cancelled"
    after = list(events(jobs, location))
    assert [each.kind for each in after][-2:] == ["picture", "finished"]
    assert after[-1].data == {"state": "cancelled"}
    # The pipeline's two processes are free again: a picture for each is done while the long one
    # would have gone on.
    assert finished(jobs, submitted(jobs, encoded(gradient(16, 16))))["state"] == "succeeded"
    assert jobs.get(f"{location}/result").status_code == 409
    assert max(e.data["done"] for e in after if e.kind == "progress") < total


@pytest.mark.parametrize("store", ["sqlite", full("postgresql")], indirect=True)
def test_a_job_that_waits_knows_its_place_and_is_cancelled_before_it_starts(
    new_web: NewWeb, store: str, picture: bytes
) -> None:
    web = new_web(settings={"jobs": store, "job_workers": 1})
    with web.client() as client:
        long = submitted(client, encoded(gradient(600, 600)), tile_size="48")
        for event in events(client, long):
            if event.kind == "started":
                break
        waiting = [submitted(client, picture) for _ in range(3)]
        assert [client.get(each).json()["place"] for each in waiting] == [0, 1, 2]
        first = next(events(client, waiting[2]))
        assert (first.kind, first.data) == ("queued", {"place": 2})
        assert client.delete(waiting[1]).json()["state"] == "cancelled"
        assert client.get(waiting[2]).json()["place"] == 1
        client.delete(long)
        assert finished(client, waiting[2])["state"] == "succeeded"
        assert client.get(waiting[1]).json()["pictures"][0]["state"] == "cancelled"
    assert "Traceback" not in web.log.text


def test_a_finished_job_is_removed(jobs: httpx.Client, picture: bytes) -> None:
    location = submitted(jobs, picture)
    finished(jobs, location)
    assert jobs.delete(location).json()["state"] == "succeeded"
    for path in (location, f"{location}/result", f"{location}/events"):
        assert jobs.get(path).status_code == 404


def test_what_isnt_there_is_said(http: httpx.Client, web: Web, picture: bytes) -> None:
    nothing = f"/v1/jobs/{uuid.uuid4()}"
    for answer in (http.get(nothing), http.delete(nothing), http.get(f"{nothing}/events")):
        assert (answer.status_code, answer.json()["error"]) == (404, "BadInput")
    location = submitted(http, picture)
    finished(http, location)
    answer = http.get(f"{location}/pictures/1")
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "the job has no picture 1; allowed: 0 to 0",
    )
    form = {"image": ("a.png", picture)}
    for data in ({}, {"action": "paint"}, {"action": "upscale", "scale": "99"}):
        assert http.post("/v1/jobs", files=form, data=data).status_code == 400


@pytest.mark.parametrize("store", ["postgresql", full("sqlite")], indirect=True)
def test_results_expire_and_the_oldest_make_room(new_web: NewWeb, store: str) -> None:
    large = encoded(gradient(100, 100))
    with new_web(settings={"jobs": store, "job_bytes": 50_000}).client() as client:
        first = submitted(client, large)
        size = finished(client, first)["pictures"][0]["result"]["bytes"]
        assert size < 50_000 < 5 * size
        for _ in range(4):
            assert finished(client, submitted(client, large))["state"] == "succeeded"
        assert client.get(first).status_code == 404
        full = client.post("/v1/jobs", files={"image": b"0" * 60_000}, data={"action": "upscale"})
        assert (full.status_code, full.json()["error"]) == (503, "Overloaded")
        assert "retry-after" in full.headers


@pytest.mark.parametrize("store", ["sqlite", full("postgresql")], indirect=True)
def test_a_result_is_gone_once_it_has_expired(new_web: NewWeb, store: str, picture: bytes) -> None:
    with new_web(settings={"jobs": store, "keep_results": 0.5}).client() as client:
        location = submitted(client, picture)
        *_, last = events(client, location)
        assert last.kind == "finished"
        # The next looks of the gateway remove it; a job of its own stays as long as it works.
        while (answer := client.get(f"{location}/result")).status_code == 200:
            assert answer.content
        # Asked for amid the removal, its files are gone and its row is still there.
        assert (answer.status_code, answer.json()["error"]) == (404, "BadInput")
        assert "has expired" in answer.json()["detail"] or "no job" in answer.json()["detail"]
        while client.get(location).status_code == 200:
            pass
        assert "there is no job" in client.get(f"{location}/result").json()["detail"]
