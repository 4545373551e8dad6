"""What a server tells of its pictures: metrics beside Triton's, and a log with requests' ids."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.grpc.aio import InferenceServerClient

from calls import until_begun
from gateway_for_tests import Web, finished, submitted
from networks_for_tests import link
from pictures import encoded, gradient
from sakuga import Config, Images, connect, request_id
from sakuga.health import _checked
from sakuga.triton import Triton
from sakuga_core import protocol
from sakuga_core.errors import BadImage, BadOption, SakugaError
from sakuga_core.repository import writer
from sakuga_server import metrics
from sakuga_server.metrics import METRICS, STAGES
from sakuga_server.runtime.embedded import free_port, run_triton

VIDEO, SEGMENTER = "realesr-animevideov3", "u2net"
MODELS = ("upscale", "upscale_stream", "fix_artifacts", "rembg", "networks", "realesr_animevideov3")
MODELS += ("u2net", "rembg_u2net")
SMALL = encoded(gradient(40, 50))
QUICK = {"model": VIDEO, "scale": 1}
TILED = QUICK | {"tile_size": 32}
LONGEST = 60  # seconds that anything may take to be counted or logged


@dataclass
class Serving:
    """A running server, its metrics and its log."""

    config: Config
    url: str
    log: Path

    def wait(self) -> None:
        """Until it has metrics, whose port Triton opens after that of gRPC."""
        end = time.monotonic() + LONGEST
        while True:
            try:
                self.read()
                return
            except httpx.ConnectError:
                assert time.monotonic() < end
                time.sleep(0.02)

    def read(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.config.server.metrics_port}/metrics").text

    def lines(self) -> list[dict[str, Any]]:
        """Its log; every line is an object."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONGEST):
            while not condition():
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with a network of each kind, and one process of each model, but two of `upscale`."""
    folder, config = tmp_path_factory.mktemp("metrics"), Config()
    config.providers.image.upscale.model = VIDEO
    config.providers.image.rembg.model = SEGMENTER
    writer.write(folder / "models", config)
    link(folder / "models", VIDEO, SEGMENTER)
    config.server.repository = folder / "models"
    config.server.upscale_workers = 2
    config.server.matting_workers = config.server.fix_artifacts_workers = 1
    config.server.metrics_port, config.server.log_format = free_port(), "json"
    with (
        (folder / "log").open("w") as log,
        run_triton(config, models=MODELS, log=log) as running,
    ):
        serving = Serving(config, running.url, folder / "log")
        serving.wait()
        yield serving


@pytest.fixture(scope="module")
async def images(serving: Serving) -> AsyncIterator[Images]:
    async with connect(serving.config, url=serving.url) as images:
        yield images


@dataclass
class Change:
    """How far the metrics of a server are from what they were."""

    serving: Serving
    before: Counter[tuple[str, tuple[tuple[str, str], ...]]]

    @classmethod
    def begun(cls, serving: Serving) -> "Change":
        return cls(serving, cls.values(serving))

    @staticmethod
    def values(serving: Serving) -> Counter[tuple[str, tuple[tuple[str, str], ...]]]:
        families = text_string_to_metric_families(serving.read())
        samples = [s for family in families for s in family.samples if s.name.startswith("sakuga_")]
        named = [(s.name, tuple(sorted(s.labels.items()))) for s in samples]
        assert len(named) == len(set(named))  # one value for all processes
        return Counter(dict(zip(named, (s.value for s in samples), strict=True)))

    def of(self, name: str, **labels: str) -> float:
        """How much the samples of a name with these labels have grown together."""
        grown = self.values(self.serving)
        grown.subtract(self.before)
        return sum(n for (of, has), n in grown.items() if of == name and labels.items() <= set(has))


@pytest.fixture
def change(serving: Serving) -> Change:
    return Change.begun(serving)


async def outcome(call: Awaitable[object]) -> str:
    try:
        await call
    except SakugaError as error:
        return type(error).__name__
    return metrics.OK


async def test_outcomes_tiles_pixels_and_times_are_those_of_the_requests(
    images: Images, change: Change
) -> None:
    second = Image.fromarray(gradient(8, 9)[::-1])
    animation = encoded(gradient(8, 9), "GIF", save_all=True, append_images=[second])
    calls: list[tuple[str, bytes, dict[str, Any]]] = [
        *(("upscale", SMALL, QUICK),) * 4,
        ("upscale", SMALL, TILED),
        ("enhance", SMALL, QUICK),
        ("fix_artifacts", SMALL, QUICK),
        ("rembg", SMALL, {"model": SEGMENTER}),
        ("rembg", animation, {"model": SEGMENTER}),
    ]
    replies = await asyncio.gather(*(images.run(data, name, o) for name, data, o in calls))
    replies.append(await images.run(SMALL, "upscale", TILED, on_progress=lambda _: None))
    sent = Counter([*(name for name, *_ in calls), "upscale"])
    assert change.of("sakuga_pictures_total") == sum(sent.values())
    reports = [reply.report for reply in replies]
    for action, count in sent.items():
        assert change.of("sakuga_pictures_total", action=action, outcome=metrics.OK) == count
        for stage in (metrics.QUEUE, *STAGES):
            got = change.of("sakuga_stage_seconds_count", action=action, stage=stage)
            assert got == count, (action, stage)
    for name in ("tiles", "tiles_computed"):
        assert change.of(f"sakuga_{name}_total", model=VIDEO) == sum(
            r.get(name, 0) for r in reports
        )
    assert change.of("sakuga_tiles_total", action="upscale") > 5
    for direction in ("input", "output"):
        sides = [
            (r[direction]["width"], r[direction]["height"], r.get("frames", 1)) for r in reports
        ]
        pixels = sum(width * height * frames for width, height, frames in sides)
        assert change.of("sakuga_pixels_total", direction=direction) == pixels
    spent = sum(report["milliseconds"].get("network", 0) for report in reports) / 1000
    assert sorted(report.get("frames", 1) for report in reports) == [1] * 9 + [2]
    assert change.of("sakuga_stage_seconds_sum", stage="network") == pytest.approx(spent)


async def test_every_error_counts_as_its_class(images: Images, change: Change) -> None:
    triton: Any = images.triton
    calls = [
        (images.run(b"no picture", "upscale", QUICK), BadImage, VIDEO),
        (images.run(b"no picture", "rembg", {"model": SEGMENTER}), BadImage, SEGMENTER),
        (triton.infer("upscale", SMALL, {"model": "a.free/text"}), BadOption, metrics.UNKNOWN),
        (triton.infer("rembg_u2net", SMALL, {"model": "u2netp"}), BadOption, SEGMENTER),
        (triton.infer("upscale", SMALL, {"model": ["x"]}), BadOption, metrics.UNKNOWN),
    ]
    for call, kind, model in calls:
        before = Change.begun(change.serving)
        assert await outcome(call) == kind.__name__
        labels = {"outcome": kind.__name__, "model": model}
        assert before.of("sakuga_pictures_total", **labels) == 1
        assert before.of("sakuga_pictures_total") == 1
    assert change.of("sakuga_tiles_total") == change.of("sakuga_pixels_total") == 0


async def test_work_that_was_stopped_counts_as_cancelled(images: Images, change: Change) -> None:
    triton: Any = images.triton
    large = encoded(gradient(400, 400))
    async with until_begun(triton, "realesr_animevideov3"):
        call = asyncio.ensure_future(images.run(large, "upscale", TILED))
        await asyncio.sleep(0)
    call.cancel()
    await change.serving.until(
        lambda: change.of("sakuga_pictures_total", outcome="Cancelled", model=VIDEO) == 1
    )
    assert change.of("sakuga_pictures_total") == 1


async def test_probes_are_no_pictures(serving: Serving, change: Change) -> None:
    async with Triton(serving.config.server, url=serving.url) as triton:
        for model in ("upscale", "upscale_stream", "rembg"):
            assert (await _checked(triton, model, serving.config, LONGEST)).error is None
    assert change.of("sakuga_pictures_total") == 0


async def test_strangers_make_up_no_labels(serving: Serving, change: Change) -> None:
    parameters: list[dict[str, Any]] = [
        {protocol.ACTION: "x" * 300, protocol.ATTEMPT: -1, protocol.SENT: 2**62},
        {protocol.ACTION: "rembg", protocol.ATTEMPT: "2", protocol.SENT: "now"},
        {protocol.ACTION: "enhance", protocol.ATTEMPT: 2, protocol.SENT: 0},
    ]
    async with Triton(serving.config.server, url=serving.url) as triton:
        for each in parameters:
            async with triton._connected("upscale") as client:
                await _infer(client, each)
    known = {metric.name: metric.labels for metric in METRICS}
    grown = Change.values(serving)
    assert not any("x" * 300 in str(labels) for _, labels in grown)
    assert change.of("sakuga_pictures_total", action="upscale") == 2
    assert change.of("sakuga_pictures_total", action="enhance") == 1
    assert change.of("sakuga_retried_total") == 1
    waited = change.of("sakuga_stage_seconds_sum", stage="queue", action="enhance")
    assert waited == metrics.SECONDS[-1]  # since 1970: as long as any
    labels = {name: {key for key, _ in has} - {"le"} for name, has in grown if name in known}
    assert all(labels[name] == set(known[name]) for name in labels)


async def _infer(client: InferenceServerClient, parameters: dict[str, Any]) -> None:
    from sakuga.triton import _bytes_input

    options = json.dumps(QUICK).encode()
    inputs = [_bytes_input(protocol.IMAGE, SMALL), _bytes_input(protocol.OPTIONS, options)]
    await client.infer("upscale", inputs, parameters=parameters)


async def test_every_metric_is_served_in_the_form_that_prometheus_reads(
    images: Images, serving: Serving
) -> None:
    await images.run(SMALL, "upscale", QUICK)
    families = {f.name: f for f in text_string_to_metric_families(serving.read())}
    for metric in METRICS:
        if metric is metrics.RETRIED and metric.name not in serving.read():
            continue  # nobody has
        family = families[metric.name.removesuffix("_total")]
        assert family.type == metric.kind
        assert family.documentation == metric.about
    buckets = {
        sample.labels["le"]
        for sample in families["sakuga_stage_seconds"].samples
        if sample.name.endswith("_bucket")
    }
    assert {float(le) for le in buckets} == {*metrics.SECONDS, float("inf")}


async def test_a_pictures_id_is_in_the_log_and_in_the_error(
    images: Images, serving: Serving
) -> None:
    with request_id("picture-7"):
        await images.run(SMALL, "upscale", QUICK)
        assert await outcome(images.run(b"x", "rembg", {"model": SEGMENTER})) == BadImage.__name__
    await images.run(SMALL, "upscale", QUICK)  # which gets one
    done = [line for line in serving.lines() if line["message"] == "a picture was answered"]
    mine = [line for line in done if line["request"] == "picture-7"]
    assert [(line["model"], line["outcome"]) for line in mine] == [
        ("upscale", metrics.OK),
        ("rembg", BadImage.__name__),
    ]
    assert mine[0]["network"] == VIDEO
    assert mine[0]["milliseconds"]["network"] > 0
    ids = [line["request"] for line in done]
    assert all(ids)
    assert len(set(ids)) > len(ids) / 2


async def test_lines_of_c_libraries_have_the_request_that_they_are_about(
    images: Images, serving: Serving
) -> None:
    whole = encoded(gradient(40, 50), "JPEG")
    damaged = whole[:-2] + bytes(range(1, 60)) + whole[-2:]
    with request_id("damaged-1"):
        await images.run(damaged, "fix_artifacts", QUICK)
    found = [line for line in serving.lines() if "extraneous bytes" in line["message"]]
    assert found
    for line in found:
        assert (line["request"], line["model"]) == ("damaged-1", "fix_artifacts")
        assert (line["logger"], line["level"]) == ("sakuga.stderr", "WARNING")


@pytest.fixture
def web(serving: Serving, tmp_path: Path) -> Iterator[Web]:
    """A gateway in front of that server, with a log in JSON."""
    web = Web(tmp_path, serving.url, {"log_format": "json"})
    web.start()
    yield web
    web.end()
    for line in web.log.text.splitlines():
        assert json.loads(line)["time"]


async def test_a_request_over_http_has_one_id_from_the_caller_to_triton(
    serving: Serving, web: Web
) -> None:
    with web.client() as client:
        body = {"content": SMALL, "params": {"model": VIDEO, "scale": 1}}
        answers = [
            client.post("/v1/upscale", headers={protocol.REQUEST_ID: sent}, **body)
            for sent in ("of-a-caller", "of a stranger\u00e9".encode())
        ]
        job = submitted(client, SMALL, action="upscale", model=VIDEO, scale="1")
        assert finished(client, job)["state"] == "succeeded"
    async with connect(web.url) as images:
        with request_id("of-a-client"):
            await images.run(SMALL, "upscale", QUICK)
    assert [answer.status_code for answer in answers] == [200, 200]
    named, made = (answer.headers[protocol.REQUEST_ID] for answer in answers)
    assert named == "of-a-caller"
    assert re.fullmatch(r"[0-9a-f]{16}", made)
    done = [each for each in serving.lines() if each["message"] == "a picture was answered"]
    assert [line["request"] for line in done[-4:]] == [
        *("of-a-caller", made),
        f"{job.rpartition('/')[2]}.0",
        "of-a-client",
    ]
    await web.log.until(lambda text: "of-a-client" in text)
    lines = map(json.loads, web.log.text.splitlines())
    assert [line["request"] for line in lines if line.get("route") == "/v1/upscale"] == [
        *("of-a-caller", made),
        "of-a-client",
    ]
