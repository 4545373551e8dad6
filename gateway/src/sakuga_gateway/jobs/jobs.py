"""The jobs of a gateway: what its routes call."""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sakuga import Images
from sakuga_core.config.gateway import Gateway
from sakuga_core.config.schema import Config
from sakuga_core.errors import Overloaded
from sakuga_core.paths import data_folder
from sakuga_gateway import problems
from sakuga_gateway.jobs import shown, webhooks
from sakuga_gateway.jobs.queue import Queue
from sakuga_gateway.jobs.roster import Roster
from sakuga_gateway.jobs.runner import Runner
from sakuga_gateway.jobs.store import NewJob, Store
from sakuga_gateway.jobs.tables import opened

log = logging.getLogger("sakuga.gateway")

BEAT_SECONDS = 2.0
UNQUEUED_SECONDS = 10  # after which somebody else queues a job
KEY_LENGTH = 200


class Jobs:
    """Jobs in a store that several gateways may share."""

    def __init__(
        self, config: Config, images: Images, store: Store, roster: Roster, queue: Queue
    ) -> None:
        self._config, self._store, self._roster, self._queue = config, store, roster, queue
        self._runner = Runner(images, store)

    @classmethod
    @asynccontextmanager
    async def opened(cls, config: Config, images: Images) -> AsyncIterator["Jobs"]:
        """The jobs of `gateway.jobs`; while the block lasts, they are worked on.

        Raises:
            ConfigError: the store can't be used.
        """
        url = config.gateway.jobs_url(data_folder())
        engine = await asyncio.to_thread(opened, url)
        roster = Roster(engine)
        queue = Queue(url, roster.name, config.gateway.job_workers)
        jobs = cls(config, images, Store(engine, roster.name), roster, queue)
        await asyncio.to_thread(roster.beat)
        await queue.open(jobs)
        upkeep = asyncio.ensure_future(jobs._keep_up())
        try:
            yield jobs
        finally:
            upkeep.cancel()
            with suppress(asyncio.CancelledError):
                await upkeep
            await queue.close()
            await asyncio.to_thread(roster.leave)
            engine.dispose()

    @property
    def settings(self) -> Gateway:
        """The block of config.yaml."""
        return self._config.gateway

    # What routes ask

    async def submit(self, new: NewJob) -> str:
        """Takes a job, unless it was taken before; gives its number.

        Raises:
            Refusal: its Idempotency-Key belongs to another request.
            Overloaded: there is no room for it.
            BadOption: its webhook isn't allowed.
        """
        if new.webhook is not None:
            webhooks.check(new.webhook, self.settings.webhook_hosts)
        if (known := await self._same(new)) is not None:
            return known
        size = sum(len(upload.data) for upload in new.uploads)
        if not await self._make_room(size):
            raise Overloaded(
                f"the store of jobs has no room for {size} bytes; allowed: "
                f"{self.settings.job_bytes} for all jobs"
            )
        try:
            job = await asyncio.to_thread(self._store.add, new)
        except Exception:  # another request with this Idempotency-Key was sooner
            if (known := await self._same(new)) is None:
                raise
            return known
        await self._enqueue(job, len(new.uploads))
        return job

    async def _same(self, new: NewJob) -> str | None:
        if new.idempotency is None:
            return None
        found = await asyncio.to_thread(self._store.same, new.owner, new.idempotency)
        if found and found[1] != new.digest:
            raise problems.conflict(
                f"the Idempotency-Key {new.idempotency!r} belongs to another request"
            )
        return found[0] if found else None

    async def _enqueue(self, job: str, pictures: int) -> None:
        for number in range(pictures):
            await self._queue.add(job, number)
        await asyncio.to_thread(self._store.mark_queued, job)

    async def _make_room(self, size: int, keep: str | None = None) -> bool:
        """Removes the oldest finished jobs, except one, until so many bytes have room; gives
        whether they have."""
        while await asyncio.to_thread(self._store.size) + size > self.settings.job_bytes:
            job = await asyncio.to_thread(self._store.oldest_finished)
            if job in (None, keep):
                return False
            assert job
            await self._remove(job)
        return True

    async def job(self, job: str, owner: str) -> dict[str, Any]:
        """A job as its caller sees it.

        Raises:
            Refusal: there is none of that owner.
        """
        row = await asyncio.to_thread(self._store.job, job, owner)
        if row is None:
            raise problems.not_found(f"there is no job {job[:80]!r}")
        place = await asyncio.to_thread(self._store.place, job)
        return shown.job(row, place, self.settings.keep_results)

    async def known_as(self, idempotency: str, owner: str) -> str | None:
        """The job of an Idempotency-Key, if there is one."""
        found = await asyncio.to_thread(self._store.same, owner, idempotency)
        return found[0] if found else None

    async def cancel(self, job: str, owner: str) -> dict[str, Any]:
        """Cancels a job; one that has ended is removed with its results.

        Raises:
            Refusal: there is none of that owner.
        """
        before = await self.job(job, owner)
        if before["finished"]:
            await self._remove(job)
            return before
        numbers = await asyncio.to_thread(self._store.cancel, job)
        await self._queue.cancel(job, numbers)
        self._runner.stop(job, numbers)
        after = await self.job(job, owner)
        if await asyncio.to_thread(self._store.is_to_be_told, job):
            await self._queue.add_webhook(job)
        return after

    def result(self, job: str, number: int) -> Iterator[bytes]:
        """A result, part by part; each part is read when it is asked for."""
        return self._store.parts(job, number, "result")

    async def events(self, job: str, after: int) -> list[tuple[int, str, str]]:
        """Events of a job after one: number, type, and data as JSON."""
        return await asyncio.to_thread(self._store.events, job, after)

    async def is_over(self, job: str) -> bool:
        """Whether a job has ended, or isn't there any more."""
        return await asyncio.to_thread(self._store.is_over, job)

    async def place(self, job: str) -> int | None:
        """How many pictures wait before the first one of a job that does."""
        return await asyncio.to_thread(self._store.place, job)

    async def counts(self) -> dict[str, int]:
        """Pictures of all jobs, by state."""
        return await asyncio.to_thread(self._store.counts)

    async def check(self) -> None:
        """Whether the store answers.

        Raises:
            Exception: it doesn't.
        """
        await asyncio.to_thread(self._store.counts)

    # What the queue asks

    async def work(self, job: str, number: int) -> bool:
        """Works on a picture; gives whether its job has ended, and a webhook is to be told."""
        await self._runner.run(job, number)
        await self._make_room(0, keep=job)  # its result has taken some
        return await asyncio.to_thread(self._store.is_to_be_told, job)

    async def notify(self, job: str) -> None:
        """Tells a job's webhook that it has ended."""
        row = await asyncio.to_thread(self._store.job, job)
        if row and row["webhook"]:
            await webhooks.send(row["webhook"], shown.job(row, None, self.settings.keep_results))

    # What is to be done now and then

    async def _keep_up(self) -> None:
        while True:
            try:
                await self._keep_up_once()
            except Exception as error:
                log.error("the store of jobs: %s", str(error).partition("\n")[0])
            await asyncio.sleep(BEAT_SECONDS)

    async def _keep_up_once(self) -> None:
        await asyncio.to_thread(self._roster.beat)
        while gone := await asyncio.to_thread(self._roster.claim_gone):
            await self._queue.take_over(gone)
            await asyncio.to_thread(self._roster.forget, gone)
        for job, pictures in await asyncio.to_thread(self._store.unqueued, UNQUEUED_SECONDS):
            await self._enqueue(job, pictures)
        before = time.time() - self.settings.keep_results
        for job in await asyncio.to_thread(self._store.expired, before):
            await self._remove(job)

    async def _remove(self, job: str) -> None:
        numbers = await asyncio.to_thread(self._store.remove, job)
        await self._queue.forget(job, numbers)


def digest(action: str, options: dict[str, Any], pictures: list[bytes], webhook: str | None) -> str:
    """Of a request, to tell whether another one with the same Idempotency-Key is the same."""
    about = json.dumps([action, options, webhook], sort_keys=True).encode()
    whole = hashlib.sha256(about)
    for data in pictures:
        whole.update(hashlib.sha256(data).digest())
    return whole.hexdigest()
