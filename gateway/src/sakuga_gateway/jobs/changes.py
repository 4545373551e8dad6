"""Changes of a job's pictures, as parts of a transaction: what each of them does to the whole."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from sakuga_gateway.jobs.tables import events, jobs, parts, pictures

PART = 2**20  # bytes of a picture or result in one row
ACTIVE = ("queued", "running")
ENDED = ("succeeded", "failed", "cancelled")


def change(connection: sa.Connection, job: str, number: int, **values: Any) -> sa.RowMapping | None:
    """Changes a picture that hasn't ended, and gives it; None if it has, or is gone."""
    change = (
        sa.update(pictures)
        .where(pictures.c.job == job, pictures.c.number == number, pictures.c.state.in_(ACTIVE))
        .values(**values)
        .returning(pictures)
    )
    return connection.execute(change).mappings().first()


def end(
    connection: sa.Connection, job: str, number: int, state: str, **values: Any
) -> sa.RowMapping | None:
    """Ends a picture, and says so; its file isn't needed any more."""
    row = change(connection, job, number, state=state, finished=time.time(), **values)
    if row is not None:
        gone = sa.delete(parts).where(
            parts.c.job == job, parts.c.number == number, parts.c.kind == "image"
        )
        connection.execute(gone)
        about = {"number": number, "name": row["name"], "state": state}
        error = {"error": json.loads(row["error"])} if row["error"] else {}
        add_event(connection, job, "picture", {**about, **error})
    return row


def finish(connection: sa.Connection, job: str) -> None:
    """Ends a job whose pictures have all ended."""
    # Locked first, so that of two gateways with its last two pictures one comes after the other.
    # That doesn't keep out the foreign keys of events and parts, which either has added before.
    lock = sa.select(jobs.c.finished).where(jobs.c.id == job).with_for_update(key_share=True)
    if connection.execute(lock).scalar() is not None:
        return
    query = sa.select(pictures.c.state).where(pictures.c.job == job)
    states = list(connection.execute(query).scalars())
    if not states or any(state in ACTIVE for state in states):
        return
    connection.execute(sa.update(jobs).where(jobs.c.id == job).values(finished=time.time()))
    add_event(connection, job, "finished", {"state": overall(states)})


def overall(states: Sequence[str]) -> str:
    """The state of a job, by those of its pictures."""
    if all(state in ENDED for state in states):
        return next((s for s in ("cancelled", "failed") if s in states), "succeeded")
    return "queued" if all(state == "queued" for state in states) else "running"


def add_parts(connection: sa.Connection, job: str, number: int, kind: str, data: bytes) -> None:
    for part, start in enumerate(range(0, len(data), PART)):
        row = {"job": job, "number": number, "kind": kind, "part": part}
        connection.execute(sa.insert(parts), {**row, "data": data[start : start + PART]})


def add_event(connection: sa.Connection, job: str, kind: str, data: Mapping[str, Any]) -> None:
    row = {"job": job, "type": kind, "data": json.dumps(dict(data))}
    connection.execute(sa.insert(events), row)
