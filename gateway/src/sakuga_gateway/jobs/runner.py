"""The work on one picture of a job."""

import asyncio
import logging
import time
from contextlib import suppress

from sakuga import Images, Progress, Reply
from sakuga_core.errors import Overloaded, ServerUnavailable
from sakuga_core.logs import request_id
from sakuga_gateway import answers, problems
from sakuga_gateway.jobs.store import Store, Work

log = logging.getLogger("sakuga.gateway")

TELL_SECONDS = 0.3  # between two notes of how far a picture is
# How long a picture waits where the server is busy or away, before it is sent again.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


class Runner:
    """Works on the pictures of jobs, several at once."""

    def __init__(self, images: Images, store: Store) -> None:
        self._images, self._store = images, store
        self._in_work: dict[tuple[str, int], asyncio.Task[Reply]] = {}

    def stop(self, job: str, numbers: list[int]) -> None:
        """Ends the work on pictures that this gateway has in work."""
        for number in numbers:
            if task := self._in_work.get((job, number)):
                task.cancel()

    async def run(self, job: str, number: int) -> None:
        """Works on a picture, and keeps what comes of it."""
        work = await asyncio.to_thread(self._store.start, job, number)
        if work is None:
            return
        try:
            reply = await self._cancellable(job, number, work)
        except Stopped:
            return
        except Exception as error:
            problem = problems.details(problems.as_refusal(error))
            await asyncio.to_thread(self._store.fail, job, number, problem)
            return
        answer = answers.answer_of(reply, work.name)
        await asyncio.to_thread(self._store.succeed, job, number, answer)

    async def _cancellable(self, job: str, number: int, work: Work) -> Reply:
        task = asyncio.ensure_future(self._processed(job, number, work))
        self._in_work[job, number] = task
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current and current.cancelling():  # the whole gateway stops, or the queue cancels
                raise
            raise Stopped from None
        finally:
            task.cancel()
            del self._in_work[job, number]

    async def _processed(self, job: str, number: int, work: Work) -> Reply:
        """The result; while the server is busy, or away, the picture waits. Logs and Triton know it
        by its job."""
        with request_id(f"{job}.{number}"):
            return await self._patient(job, number, work)

    async def _patient(self, job: str, number: int, work: Work) -> Reply:
        end = time.monotonic() + self._images.config.server.timeout
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._told(job, number, work)
            except ServerUnavailable as error:
                if time.monotonic() + pause > end:
                    raise
                if not isinstance(error, Overloaded):
                    log.warning("a picture of a job waits: %s", error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _told(self, job: str, number: int, work: Work) -> Reply:
        """The result, with notes of how far it is."""
        latest: list[Progress] = []
        teller = asyncio.ensure_future(self._tell(job, number, latest))
        try:
            return await self._images.run(
                work.data, work.action, work.options, on_progress=latest.append
            )
        finally:
            teller.cancel()
            with suppress(asyncio.CancelledError):
                await teller

    async def _tell(self, job: str, number: int, latest: list[Progress]) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            if latest:
                last = latest[-1]
                latest.clear()
                await asyncio.shield(asyncio.to_thread(self._store.progress, job, number, last))


class Stopped(Exception):
    """The picture was cancelled."""
