"""Jobs that outlive the processes which work on them."""

import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook

from gateway_for_tests import NewWeb, Web, events, finished, submitted
from pictures import encoded, gradient
from slow import full

JOBS = 50
LONG = 6  # the number of the picture with many tiles
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLw8v"


def some(number: int) -> bytes:
    """A picture that its height tells from the others."""
    return encoded(gradient(80 + number, 1200 if number == LONG else 100))


def rows(store: str, table: str) -> list[Any]:
    engine = sa.create_engine(store.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        found = connection.execute(sa.text(f"SELECT * FROM sakuga_{table}")).all()
    engine.dispose()
    return list(found)


def end_states(web: Web, locations: list[str]) -> Counter[str]:
    with web.client() as client, ThreadPoolExecutor(8) as threads:
        jobs = list(threads.map(lambda each: finished(client, each), locations))
        for job in jobs:
            width = job["pictures"][0]["report"]["output"]["height"]
            assert width == 2 * (80 + int(job["pictures"][0]["name"].partition(".")[0]))
    return Counter(job["state"] for job in jobs)


def submit(web: Web, number: int) -> str:
    form = {"action": "upscale", "scale": "2", "tile_size": "48" if number == LONG else "512"}
    with web.client() as client:
        files = {"image": (f"{number}.png", some(number))}
        answer = client.post("/v1/jobs", files=files, data=form)
        assert answer.status_code == 202
        return str(answer.headers["location"])


def test_a_killed_gateway_loses_no_job_and_does_none_twice(new_web: NewWeb, store: str) -> None:
    web = new_web(settings={"jobs": store, "job_workers": 1})
    with ThreadPoolExecutor(8) as threads:
        locations = list(threads.map(partial(submit, web), range(JOBS)))
    with web.client() as client:
        for event in events(client, locations[LONG]):
            if event.kind == "progress":
                break
    web.kill()  # in the middle of its work
    states = Counter(row.state for row in rows(store, "pictures"))
    assert states["queued"]
    assert states["running"] == 1
    before = {row.job: row.finished for row in rows(store, "pictures") if row.finished}
    web.start()
    assert end_states(web, locations) == {"succeeded": JOBS}
    after = {row.job: row.finished for row in rows(store, "pictures")}
    assert before.items() <= after.items()  # what was done stayed as it was
    ends = Counter((row.job, row.type) for row in rows(store, "events"))
    assert all(
        ends[row.id, "finished"] == ends[row.id, "picture"] == 1 for row in rows(store, "jobs")
    )


@pytest.mark.parametrize("store", ["postgresql", full("sqlite")], indirect=True)
def test_two_gateways_share_the_work_and_one_takes_over_when_the_other_dies(
    new_web: NewWeb, store: str
) -> None:
    first, second = (new_web(settings={"jobs": store, "job_workers": 2}) for _ in range(2))
    locations = [submit(first, number) for number in range(JOBS // 2)]
    with second.client() as client:
        assert finished(client, locations[10])["state"] == "succeeded"  # told by either
    first.kill()
    assert end_states(second, locations) == {"succeeded": JOBS // 2}
    workers = Counter(row.gateway for row in rows(store, "pictures"))
    assert len(workers) == 2
    assert min(workers.values()) >= 3


@pytest.mark.parametrize("store", ["sqlite", full("postgresql")], indirect=True)
def test_either_gateway_cancels_what_the_other_works_on(new_web: NewWeb, store: str) -> None:
    first, second = (new_web(settings={"jobs": store, "job_workers": 1}) for _ in range(2))
    with first.client() as one, second.client() as two:
        long = encoded(gradient(700, 700))
        locations = [submitted(one, long, tile_size="48") for _ in range(2)]
        for location in locations:  # one is worked on by each
            for event in events(two, location):
                if event.kind == "progress":
                    break
        assert len({row.gateway for row in rows(store, "pictures")}) == 2
        for location in locations:
            assert one.delete(location).json()["state"] == "cancelled"
        # Both are free again at once, and not after the hundreds of tiles.
        assert finished(two, submitted(two, some(1)))["state"] == "succeeded"
        assert finished(one, submitted(one, some(2)))["state"] == "succeeded"


@pytest.mark.parametrize("store", ["postgresql", full("sqlite")], indirect=True)
def test_a_job_whose_gateway_died_before_it_was_queued_is_done(new_web: NewWeb, store: str) -> None:
    web = new_web(settings={"jobs": store, "job_workers": 1})
    location = submit(web, 1)
    with web.client() as client:
        assert finished(client, location)["state"] == "succeeded"
    web.end()
    engine = sa.create_engine(store.replace("postgresql:", "postgresql+psycopg:"))
    job = "11111111-1111-4111-8111-111111111111"
    with engine.begin() as connection:
        source = rows(store, "jobs")[0].id
        connection.execute(
            sa.text(
                "INSERT INTO sakuga_jobs (id, owner, action, options, digest, created, queued) "
                "SELECT :job, owner, action, options, digest, created - 60, :no "
                "FROM sakuga_jobs WHERE id = :source"
            ),
            {"job": job, "source": source, "no": False},
        )
        connection.execute(
            sa.text(
                "INSERT INTO sakuga_pictures (job, number, name, state, created, bytes, "
                "result_bytes) VALUES (:job, 0, '1.png', 'queued', 0, 0, 0)"
            ),
            {"job": job},
        )
        data = {"job": job, "data": some(1)}
        statement = "INSERT INTO sakuga_parts VALUES (:job, 0, 'image', 0, :data)"
        connection.execute(sa.text(statement), data)
    engine.dispose()
    web.start()
    assert end_states(web, [f"/v1/jobs/{job}"]) == {"succeeded": 1}


@pytest.mark.parametrize(
    ("store", "by"),
    [
        ("sqlite", signal.SIGINT),
        ("postgresql", signal.SIGTERM),
        full("sqlite", signal.SIGTERM),
        full("postgresql", signal.SIGINT),
    ],
    indirect=["store"],
)
def test_a_gateway_that_is_stopped_leaves_its_jobs_at_once(
    new_web: NewWeb, store: str, by: signal.Signals
) -> None:
    web = new_web(settings={"jobs": store, "job_workers": 1})
    locations = [submit(web, number) for number in (LONG, *range(LONG))]
    with web.client() as client:
        for event in events(client, locations[0]):
            if event.kind == "progress":
                break
    web.end(by)  # in the middle of its work
    assert web.log.text.endswith("Stopped.\n")
    assert Counter(row.state for row in rows(store, "pictures")) == {"running": 1, "queued": LONG}
    assert [row.seen for row in rows(store, "gateways")] == [0]
    web.start()
    assert end_states(web, locations) == {"succeeded": LONG + 1}
    assert len(rows(store, "gateways")) == 1


@pytest.fixture
def receiver() -> Any:
    """A host that takes webhooks: the second time each is sent."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            server.calls.append((dict(self.headers.items()), body))  # type: ignore[attr-defined]
            self.send_response(500 if len(server.calls) == 1 else 200)  # type: ignore[attr-defined]
            self.end_headers()
            if len(server.calls) == 2:  # type: ignore[attr-defined]
                server.done.set()  # type: ignore[attr-defined]

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.calls, server.done = [], threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_a_webhook_is_told_and_signed_until_it_takes_it(
    new_web: NewWeb, receiver: Any, picture: bytes
) -> None:
    host = f"127.0.0.1:{receiver.server_port}"
    environment = {"SAKUGA_WEBHOOK_SECRET": SECRET}
    web = new_web(settings={"webhook_hosts": [host]}, environment=environment)
    with web.client() as client:
        location = submitted(client, picture, webhook=f"http://{host}/done")
        assert receiver.done.wait(60)
        headers, body = receiver.calls[1]
        message = Webhook(SECRET).verify(body, {k.lower(): v for k, v in headers.items()})
        assert message["type"] == "job.succeeded"
        assert message["data"]["links"]["self"] == location
        assert receiver.calls[0][0]["webhook-id"] == headers["webhook-id"]


@pytest.mark.parametrize(
    ("webhook", "words"),
    [
        ("https://example.org/x", "the host of 'webhook' is 'example.org'; allowed: none"),
        ("file:///etc/passwd", "allowed: an https URL"),
        ("http://example.org/x", "allowed: an https URL"),
        ("https://127.0.0.1/x", "the host of 'webhook' is '127.0.0.1'; allowed: none"),
        ("https://[::1", "allowed: an https URL"),
    ],
)
def test_other_webhooks_are_refused(
    http: httpx.Client, picture: bytes, webhook: str, words: str
) -> None:
    form = {"action": "upscale", "webhook": webhook}
    answer = http.post("/v1/jobs", files={"image": ("a.png", picture)}, data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "BadOption")
    assert words in answer.json()["detail"]


def test_the_store_is_checked_at_the_start(new_web: NewWeb) -> None:
    for jobs in ("mysql://x/y", "postgresql://nobody@127.0.0.1:1/x", "nonsense"):
        with pytest.raises(AssertionError, match=r"gateway\.jobs"):
            new_web(settings={"jobs": jobs})
