"""What is kept of each job. Every method is one transaction, and may take a while: call it in a
thread."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sakuga_core.progress import Progress
from sakuga_gateway.answers import Answer
from sakuga_gateway.jobs import changes
from sakuga_gateway.jobs.changes import ACTIVE, ENDED
from sakuga_gateway.jobs.tables import events, jobs, parts, pictures
from sakuga_gateway.requests import Upload


@dataclass(frozen=True)
class NewJob:
    """A job as its caller sends it."""

    owner: str
    action: str
    options: Mapping[str, Any]
    uploads: Sequence[Upload]
    digest: str
    """Of all of that."""
    webhook: str | None = None
    idempotency: str | None = None


@dataclass(frozen=True)
class Work:
    """A picture to work on."""

    action: str
    options: dict[str, Any]
    name: str
    data: bytes


class Store:
    """The jobs in a database.

    Args:
        engine: of the database.
        gateway: who works on what is started here.
    """

    def __init__(self, engine: sa.Engine, gateway: str) -> None:
        self._engine, self._gateway = engine, gateway

    # Jobs

    def add(self, new: NewJob) -> str:
        """Keeps a new job, all of it or nothing; gives its number."""
        job, now = str(uuid.uuid4()), time.time()
        row = {
            "id": job,
            "owner": new.owner,
            "action": new.action,
            "options": json.dumps(dict(new.options)),
            "webhook": new.webhook,
            "idempotency": new.idempotency,
            "digest": new.digest,
            "created": now,
            "queued": False,
        }
        with self._engine.begin() as connection:
            connection.execute(sa.insert(jobs), row)
            for number, upload in enumerate(new.uploads):
                self._add_picture(connection, job, number, upload, now)
            changes.add_event(connection, job, "queued", {"pictures": len(new.uploads)})
        return job

    def _add_picture(
        self, connection: sa.Connection, job: str, number: int, upload: Upload, now: float
    ) -> None:
        row = {
            "job": job,
            "number": number,
            "name": upload.name or "picture",
            "state": "queued",
            "created": now,
            "bytes": len(upload.data),
            "result_bytes": 0,
        }
        connection.execute(sa.insert(pictures), row)
        changes.add_parts(connection, job, number, "image", upload.data)

    def same(self, owner: str, idempotency: str) -> tuple[str, str] | None:
        """The job of an Idempotency-Key, and the digest of its request."""
        query = sa.select(jobs.c.id, jobs.c.digest).where(
            jobs.c.owner == owner, jobs.c.idempotency == idempotency
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return (row.id, row.digest) if row else None

    def job(self, job: str, owner: str | None = None) -> dict[str, Any] | None:
        """A job with its `pictures`, as rows; None if there is none, or not of that owner."""
        wanted = [jobs.c.id == job, *([] if owner is None else [jobs.c.owner == owner])]
        rows = sa.select(pictures).where(pictures.c.job == job).order_by(pictures.c.number)
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(jobs).where(*wanted)).mappings().first()
            if found is None:
                return None
            return {**found, "pictures": [dict(row) for row in connection.execute(rows).mappings()]}

    def place(self, job: str) -> int | None:
        """How many pictures wait before the first one of a job that does; None if none does."""
        first = sa.select(sa.func.min(pictures.c.created)).where(
            pictures.c.job == job, pictures.c.state == "queued"
        )
        with self._engine.connect() as connection:
            created = connection.execute(first).scalar()
            if created is None:
                return None
            before = sa.select(sa.func.count()).where(
                pictures.c.state == "queued", pictures.c.created < created
            )
            return int(connection.execute(before).scalar() or 0)

    def is_over(self, job: str) -> bool:
        """Whether a job has ended, or isn't there any more."""
        query = sa.select(jobs.c.id).where(jobs.c.id == job, jobs.c.finished.is_(None))
        with self._engine.connect() as connection:
            return connection.execute(query).first() is None

    def is_to_be_told(self, job: str) -> bool:
        """Whether a job has ended that names a webhook."""
        wanted = jobs.c.finished.is_not(None), jobs.c.webhook.is_not(None)
        query = sa.select(jobs.c.id).where(jobs.c.id == job, *wanted)
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def counts(self) -> dict[str, int]:
        """Pictures, by state."""
        query = sa.select(pictures.c.state, sa.func.count()).group_by(pictures.c.state)
        with self._engine.connect() as connection:
            found = {row.state: row[1] for row in connection.execute(query)}
        return {state: found.get(state, 0) for state in (*ACTIVE, *ENDED)}

    def mark_queued(self, job: str) -> None:
        """Notes that all pictures of a job are in the queue."""
        with self._engine.begin() as connection:
            connection.execute(sa.update(jobs).where(jobs.c.id == job).values(queued=True))

    def unqueued(self, seconds: float) -> list[tuple[str, int]]:
        """Jobs that somebody died over before they were in the queue: each with its number of
        pictures."""
        query = (
            sa.select(jobs.c.id, sa.func.count())
            .join(pictures, pictures.c.job == jobs.c.id)
            .where(~jobs.c.queued, jobs.c.created < time.time() - seconds)
            .group_by(jobs.c.id)
        )
        with self._engine.connect() as connection:
            return [(job, number) for job, number in connection.execute(query)]

    # The work on a picture

    def start(self, job: str, number: int) -> Work | None:
        """The work to do; None if it is done or cancelled."""
        now = time.time()
        with self._engine.begin() as connection:
            begin = {"state": "running", "started": now, "gateway": self._gateway}
            begun = changes.change(connection, job, number, **begin)
            if begun is None:
                return None
            row = connection.execute(sa.select(jobs).where(jobs.c.id == job)).mappings().one()
            changes.add_event(connection, job, "started", {"number": number, "name": begun["name"]})
        data = b"".join(self.parts(job, number, "image"))
        return Work(row["action"], json.loads(row["options"]), begun["name"], data)

    def progress(self, job: str, number: int, progress: Progress) -> None:
        """Notes how far a picture is."""
        values = progress._asdict()
        with self._engine.begin() as connection:
            if changes.change(connection, job, number, **values) is not None:
                changes.add_event(connection, job, "progress", {"number": number, **values})

    def succeed(self, job: str, number: int, answer: Answer) -> None:
        """Keeps a result, unless the picture was cancelled."""
        values = {
            "report": json.dumps(answer.report),
            "result_name": answer.name,
            "media_type": answer.media_type,
            "result_bytes": len(answer.data),
        }
        with self._engine.begin() as connection:
            if changes.end(connection, job, number, "succeeded", **values) is not None:
                changes.add_parts(connection, job, number, "result", answer.data)
                changes.finish(connection, job)

    def fail(self, job: str, number: int, problem: Mapping[str, Any]) -> None:
        """Notes why a picture failed, unless it was cancelled."""
        error = json.dumps(dict(problem))
        with self._engine.begin() as connection:
            if changes.end(connection, job, number, "failed", error=error) is not None:
                changes.finish(connection, job)

    def cancel(self, job: str) -> list[int]:
        """Cancels what isn't finished of a job; gives the numbers of those pictures."""
        query = sa.select(pictures.c.number).where(
            pictures.c.job == job, pictures.c.state.in_(ACTIVE)
        )
        with self._engine.begin() as connection:
            numbers = list(connection.execute(query.with_for_update()).scalars())
            for number in numbers:
                changes.end(connection, job, number, "cancelled")
            changes.finish(connection, job)
        return numbers

    # Files and events

    def parts(self, job: str, number: int, kind: str) -> Iterator[bytes]:
        """A picture or a result, part by part."""
        query = sa.select(parts.c.data).where(
            parts.c.job == job, parts.c.number == number, parts.c.kind == kind
        )
        part = 0
        while True:
            with self._engine.connect() as connection:
                data = connection.execute(query.where(parts.c.part == part)).scalar()
            if data is None:
                return
            yield bytes(data)
            part += 1

    def events(self, job: str, after: int) -> list[tuple[int, str, str]]:
        """Events of a job after one: number, type, and data as JSON."""
        query = (
            sa.select(events.c.id, events.c.type, events.c.data)
            .where(events.c.job == job, events.c.id > after)
            .order_by(events.c.id)
        )
        with self._engine.connect() as connection:
            return [(row.id, row.type, row.data) for row in connection.execute(query)]

    # Room

    def size(self) -> int:
        """Bytes of all pictures and results."""
        query = sa.select(sa.func.sum(pictures.c.bytes + pictures.c.result_bytes))
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar() or 0)

    def expired(self, before: float) -> list[str]:
        """Jobs that ended before a time."""
        with self._engine.connect() as connection:
            query = sa.select(jobs.c.id).where(jobs.c.finished < before)
            return list(connection.execute(query).scalars())

    def oldest_finished(self) -> str | None:
        """The job that ended first."""
        query = sa.select(jobs.c.id).where(jobs.c.finished.is_not(None)).order_by(jobs.c.finished)
        with self._engine.connect() as connection:
            job: str | None = connection.execute(query.limit(1)).scalar()
            return job

    def remove(self, job: str) -> list[int]:
        """Forgets a job with all of its files; gives the numbers of its pictures."""
        query = sa.select(pictures.c.number).where(pictures.c.job == job)
        with self._engine.begin() as connection:
            numbers = list(connection.execute(query).scalars())
            connection.execute(sa.delete(jobs).where(jobs.c.id == job))
        return numbers
