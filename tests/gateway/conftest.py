"""A real Triton with two networks, and `sakuga web` before it."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

import chromium
import page_for_tests
import postgres
from families_for_tests import CUNETS
from gateway_for_tests import U2NET, VIDEO, NewWeb, Web
from networks_for_tests import EXPORTED, Once, add, is_exported, link
from page_for_tests import Sakuga
from pictures import encoded, gradient
from sakuga import Config, Images, SyncImages, connect, connect_sync
from sakuga_core.repository import writer
from sakuga_server.runtime.embedded import free_port, run_triton

assert VIDEO in EXPORTED


@pytest.fixture(scope="session")
def repository(once: Once, family_export: Callable[[str], Path]) -> Path:
    """What `make run` exports, and two networks of a family: the same on every machine, whatever
    else was exported into the project's own repository."""

    def fill(folder: Path) -> None:
        writer.write(folder, Config())
        link(folder, *EXPORTED, U2NET, *filter(is_exported, ("migan",)))
        for name in CUNETS:
            add(folder, name, family_export(name))

    return once("web-repository", fill)


@pytest.fixture(scope="session")
def triton(repository: Path) -> Iterator[str]:
    """host:port of the server."""
    config = Config()
    config.server.repository = repository
    config.server.precision = "fp32"
    config.server.upscale_workers = 2
    config.server.matting_workers = config.server.fix_artifacts_workers = 1
    config.providers.image.upscale.model = VIDEO
    config.providers.image.rembg.model = U2NET
    config.providers.image.fix_artifacts.model = VIDEO
    with run_triton(config) as server:
        yield server.url


@pytest.fixture(scope="session")
def web(triton: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One gateway for all tests that don't change it."""
    web = Web(tmp_path_factory.mktemp("web"), triton)
    web.start()
    yield web
    web.end()


@pytest.fixture(scope="session")
def http(web: Web) -> Iterator[httpx.Client]:
    with web.client() as client:
        yield client


@pytest.fixture
def new_web(triton: str, tmp_path: Path) -> Iterator[NewWeb]:
    """Starts a gateway of the test's own, by its settings."""
    started: list[Web] = []

    def start(**options: Any) -> Web:
        folder = tmp_path / f"web{len(started)}"
        folder.mkdir()
        web = Web(folder, triton, **options)
        started.append(web)
        web.start()
        return web

    yield start
    for web in started:
        web.end()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real PostgreSQL."""
    if postgres.binaries() is None:
        pytest.skip(postgres.MISSING)
    with postgres.running(free_port()) as url:
        yield url


STORES = ("sqlite", "postgresql")


def new_store(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store of jobs, of the kind that a fixture is asked for."""
    if request.param == "sqlite":
        folder = request.getfixturevalue("tmp_path_factory").mktemp("store")
        return f"sqlite:///{folder / 'jobs.sqlite'}"
    return postgres.new_database(request.getfixturevalue("postgresql"))


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store of jobs."""
    return new_store(request)


@pytest.fixture(scope="module", params=STORES)
def jobs(
    request: pytest.FixtureRequest, triton: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A gateway of a module's own, on either store."""
    web = Web(tmp_path_factory.mktemp("jobs"), triton, {"jobs": new_store(request)})
    web.start()
    with web.client() as client:
        yield client
    web.end()


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A small PNG."""
    return encoded(gradient(48, 40), "PNG")


@pytest.fixture
async def images(web: Web) -> AsyncIterator[Images]:
    async with connect(web.url) as images:
        yield images


@pytest.fixture
async def by_grpc(triton: str) -> AsyncIterator[Images]:
    async with connect(Config(), url=triton) as images:
        yield images


@pytest.fixture(scope="module")
def twin(web: Web) -> Iterator[SyncImages]:
    with connect_sync(web.url) as images:
        yield images


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium. (Not the session's: while Playwright runs, no other event loop may.)"""
    if chromium.path() is None:
        pytest.skip(chromium.MISSING)
    with page_for_tests.started() as browser:
        yield browser


@pytest.fixture
def sakuga(browser: Browser, web: Web) -> Iterator[Sakuga]:
    """The page, of which the browser has nothing to complain."""
    page = Sakuga(browser, web)
    yield page
    page.close()
    assert page.complaints == []
