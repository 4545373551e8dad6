"""The store of jobs by itself, on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from sakuga_core.config.gateway import Gateway
from sakuga_core.errors import ConfigError
from sakuga_gateway.answers import Answer
from sakuga_gateway.jobs.store import NewJob, Store
from sakuga_gateway.jobs.tables import metadata, opened
from sakuga_gateway.requests import Upload

LARGE = bytes(4 * 2**20)


def added(store: Store, pictures: int = 1, webhook: str | None = None) -> str:
    uploads = [Upload(f"{number}.png", b"picture") for number in range(pictures)]
    return store.add(NewJob("", "upscale", {}, uploads, "digest", webhook))


def test_gateways_that_start_at_once_find_the_same_tables(store: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        engines = list(threads.map(opened, [store] * 8))
    for engine in engines:
        assert set(metadata.tables) <= set(sa.inspect(engine).get_table_names())
        engine.dispose()


def test_the_store_of_another_version_is_refused(store: str) -> None:
    engine = opened(store)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE sakuga_pictures RENAME COLUMN unit TO units"))
    engine.dispose()
    with pytest.raises(ConfigError, match=r"gateway\.jobs was made by another version"):
        opened(store)


def test_a_job_is_over_and_told_of_once_its_last_picture_has_ended(store: str) -> None:
    engine = opened(store)
    jobs = Store(engine, "gateway")
    job = added(jobs, pictures=2, webhook="https://example.org/done")
    for number in range(2):
        assert not jobs.is_over(job)
        assert not jobs.is_to_be_told(job)
        assert jobs.start(job, number)
        jobs.succeed(job, number, Answer(b"result", "a.png", "image/png", {}))
    assert jobs.is_over(job)
    assert jobs.is_to_be_told(job)
    silent = added(jobs)
    jobs.cancel(silent)
    assert jobs.is_over(silent)
    assert not jobs.is_to_be_told(silent)
    jobs.remove(job)
    assert jobs.is_over(job)
    engine.dispose()


def test_two_pictures_of_a_job_end_at_once(store: str) -> None:
    engine = opened(store)
    jobs = Store(engine, "gateway")
    with ThreadPoolExecutor(2) as threads:
        for _ in range(20):
            job = added(jobs, pictures=2)
            ends = [(job, number, Answer(b"r", "a.png", "image/png", {})) for number in range(2)]
            list(threads.map(lambda end: jobs.succeed(*end), ends))
            assert jobs.is_over(job)
    engine.dispose()


def test_what_is_removed_leaves_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "jobs.sqlite"
    engine = opened(f"sqlite:///{file}")
    jobs = Store(engine, "gateway")
    job = added(jobs)
    jobs.succeed(job, 0, Answer(LARGE, "a.png", "image/png", {}))
    jobs.remove(job)
    engine.dispose()  # with the last connection the log of what was written goes, too
    assert file.stat().st_size < len(LARGE) / 8


def test_postgresqls_other_name_is_taken(tmp_path: Path) -> None:
    settings = Gateway(jobs="postgres://sakuga@host/jobs")
    assert settings.jobs_url(tmp_path) == "postgresql://sakuga@host/jobs"
    assert Gateway().jobs_url(tmp_path) == f"sqlite:///{tmp_path}/jobs.sqlite"
