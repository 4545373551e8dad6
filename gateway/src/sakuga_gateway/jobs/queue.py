"""The queue of the jobs: the only importer of DBOS.

DBOS keeps queue and progress of each workflow in the database, so that what a killed gateway had in
work is done by the next one. It was chosen because it does so on SQLite as well as on PostgreSQL,
inside of the gateway's own process: huey, which has both, too, loses what its worker had taken, and
saq, taskiq, arq and Procrastinate have no SQLite.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from dbos import DBOS, DBOSConfig, SetWorkflowID, error

PICTURES, WEBHOOKS = "sakuga_pictures", "sakuga_webhooks"  # names of queues
POLL_SECONDS = 0.25
# Of the workflows below: only gateways with the same one take each other's work.
VERSION = "1"
_WEBHOOK_ATTEMPTS, _WEBHOOK_SECONDS = 8, 2.0  # with pauses that double
_WORK_ATTEMPTS, _WORK_SECONDS = 8, 1.0  # as well


class Worker(Protocol):
    """Does what is in the queue. Both may be asked for the same again after a crash."""

    async def work(self, job: str, number: int) -> bool:
        """Works on a picture; gives whether its job has ended, and a webhook is to be told."""

    async def notify(self, job: str) -> None:
        """Tells a job's webhook that it has ended."""


_worker: Worker | None = None  # DBOS's workflows are functions of a module


# What fails here is the database, as a picture that fails is a result, too.
@DBOS.step(
    name="work",
    preemptible=True,
    retries_allowed=True,
    max_attempts=_WORK_ATTEMPTS,
    interval_seconds=_WORK_SECONDS,
)
async def _work(job: str, number: int) -> bool:
    assert _worker
    return await _worker.work(job, number)


@DBOS.workflow(name="picture")
async def _picture(job: str, number: int) -> None:
    if await _work(job, number):  # a step can't enqueue anything
        await _enqueue_webhook(job)


@DBOS.step(
    name="notify",
    retries_allowed=True,
    max_attempts=_WEBHOOK_ATTEMPTS,
    interval_seconds=_WEBHOOK_SECONDS,
)
async def _notify(job: str) -> None:
    assert _worker
    await _worker.notify(job)


@DBOS.workflow(name="webhook")
async def _webhook(job: str) -> None:
    await _notify(job)


async def _enqueue_webhook(job: str) -> None:
    with SetWorkflowID(f"{job}.webhook"):
        await DBOS.enqueue_workflow_async(WEBHOOKS, _webhook, job)


def _is_fault(record: logging.LogRecord) -> bool:
    """Whether DBOS tells of a fault, and not of a picture that its caller has cancelled."""
    cancelled = (error.DBOSAwaitedWorkflowCancelledError, error.DBOSWorkflowCancelledError)
    return record.exc_info is None or not isinstance(record.exc_info[1], cancelled)


class Queue:
    """The queue in a database; a process has one.

    Args:
        url: of SQLite or PostgreSQL.
        name: of this gateway, unlike that of any other.
        workers: pictures that this gateway works on at once.
    """

    def __init__(self, url: str, name: str, workers: int) -> None:
        self._workers = workers
        logger = logging.getLogger("dbos")
        logger.setLevel(logging.ERROR)
        logger.addFilter(_is_fault)
        # Where it has handlers, DBOS adds none of its own, whose format would be another one.
        logger.handlers[:] = logging.getLogger().handlers
        logger.propagate = not logger.handlers
        DBOS(
            config=DBOSConfig(
                name="sakuga-gateway",
                system_database_url=url,
                executor_id=name,
                application_version=VERSION,
                log_level="ERROR",
            )
        )

    async def open(self, worker: Worker) -> None:
        """Begins to work; called in the event loop that does."""
        global _worker
        _worker = worker
        DBOS.launch()
        await DBOS.register_queue_async(
            PICTURES,
            worker_concurrency=self._workers,
            polling_interval_sec=POLL_SECONDS,
            on_conflict="always_update",
        )
        await DBOS.register_queue_async(WEBHOOKS, on_conflict="always_update")

    async def close(self) -> None:
        """Stops to work; what is in work is done by another gateway, or by the next start."""
        # DBOS has made its own threads those of the loop, and ends them.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        await asyncio.to_thread(DBOS.destroy)

    async def add(self, job: str, number: int) -> None:
        """Adds a picture; one that is there already isn't added again."""
        with SetWorkflowID(_id(job, number)):
            await DBOS.enqueue_workflow_async(PICTURES, _picture, job, number)

    async def add_webhook(self, job: str) -> None:
        """Adds the message that a job has ended; it is sent once."""
        await _enqueue_webhook(job)

    async def cancel(self, job: str, numbers: list[int]) -> None:
        """Cancels pictures, wherever they are worked on; there it takes effect within a second."""
        await DBOS.cancel_workflows_async([_id(job, number) for number in numbers])

    async def take_over(self, gateway: str) -> None:
        """Puts what a gateway that has gone had in work back into the queue."""
        for queue, name in ((PICTURES, "picture"), (WEBHOOKS, "webhook")):
            left = await DBOS.list_workflows_async(
                executor_id=gateway, status="PENDING", name=name, load_input=False
            )
            if left:
                ids = [each.workflow_id for each in left]
                await DBOS.resume_workflows_async(ids, queue_name=queue)

    async def forget(self, job: str, numbers: list[int]) -> None:
        """Removes what the queue keeps of a job."""
        ids = [*(_id(job, number) for number in numbers), f"{job}.webhook"]
        await DBOS.delete_workflows_async(ids)


def _id(job: str, number: int) -> str:
    return f"{job}.{number}"
