"""The tables of the jobs, on SQLite or PostgreSQL: pictures, results, states and events.

The queue itself is DBOS's, in tables of its own in the same database.
"""

import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from sakuga_core.errors import ConfigError

metadata = sa.MetaData()

jobs = sa.Table(
    "sakuga_jobs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("webhook", sa.Text),
    sa.Column("idempotency", sa.String(200)),
    sa.Column("digest", sa.String(64), nullable=False),  # of the request, to tell another one
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("queued", sa.Boolean, nullable=False),  # whether all of it is in the queue
    sa.Column("finished", sa.Float, index=True),
    sa.UniqueConstraint("owner", "idempotency"),
)

pictures = sa.Table(
    "sakuga_pictures",
    metadata,
    sa.Column("job", sa.ForeignKey("sakuga_jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("state", sa.String(12), nullable=False, index=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("gateway", sa.String(36)),  # which worked on it last
    sa.Column("started", sa.Float),
    sa.Column("finished", sa.Float),
    sa.Column("unit", sa.String(12)),
    sa.Column("done", sa.Integer),
    sa.Column("total", sa.Integer),
    sa.Column("error", sa.Text),  # problem details, as JSON
    sa.Column("report", sa.Text),
    sa.Column("result_name", sa.Text),
    sa.Column("media_type", sa.String(80)),
    sa.Column("bytes", sa.BigInteger, nullable=False),  # of the picture
    sa.Column("result_bytes", sa.BigInteger, nullable=False),
)

parts = sa.Table(
    "sakuga_parts",
    metadata,
    sa.Column("job", sa.ForeignKey("sakuga_jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),  # image or result
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

events = sa.Table(
    "sakuga_events",
    metadata,
    sa.Column(
        "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True
    ),  # SQLite counts by itself in an INTEGER alone
    sa.Column("job", sa.ForeignKey("sakuga_jobs.id", ondelete="CASCADE"), index=True),
    sa.Column("type", sa.String(12), nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sqlite_autoincrement=True,  # so that no number comes again
)

gateways = sa.Table(
    "sakuga_gateways",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("seen", sa.Float, nullable=False),
)


# Of gateways that start at once, one makes the tables, and the others find them.
BUSY_SECONDS = 30  # that a transaction waits for another one
_ALONE = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(7236)"}


def opened(url: str) -> sa.Engine:
    """The database at a URL, with these tables.

    Raises:
        ConfigError: it isn't one, can't be reached, or is another version's.
    """
    try:
        engine = _engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text(_ALONE[engine.dialect.name]))
            metadata.create_all(connection)
            _check(connection)
    except (sa.exc.SQLAlchemyError, OSError, ModuleNotFoundError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise ConfigError(f"the store of gateway.jobs can't be used: {reason}") from error
    return engine


def _check(connection: sa.Connection) -> None:
    """
    Raises:
        ConfigError: the tables aren't as they are above.
    """
    found = sa.inspect(connection)
    for table in metadata.sorted_tables:
        there = {column["name"] for column in found.get_columns(table.name)}
        if there != set(table.columns.keys()):
            raise ConfigError(
                "the store of gateway.jobs was made by another version of sakuga-gateway; let that "
                "version finish its jobs, then remove the store, or name another one"
            )


def _engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        driver = parsed.set(drivername="postgresql+psycopg")
        return sa.create_engine(driver, pool_pre_ping=True, pool_size=8)
    if backend != "sqlite" or not parsed.database:
        raise ConfigError(
            f"gateway.jobs is {parsed.render_as_string()!r}; allowed: postgresql://user@host/"
            "database, sqlite:///file"
        )
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(parsed)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: Any) -> None:
    # Only then does a transaction that writes wait for its turn, where it would otherwise fail.
    connection.isolation_level = "IMMEDIATE"
    connection.execute(f"PRAGMA busy_timeout={1000 * BUSY_SECONDS}")
    connection.execute("PRAGMA auto_vacuum=FULL")  # what is removed leaves the disk
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=NORMAL")  # a killed process loses nothing
    connection.execute("PRAGMA foreign_keys=ON")


def _write_ahead(connection: Any) -> None:
    """Switches to a write-ahead log. Of several programs that do so at once, SQLite refuses some
    without waiting for busy_timeout."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.05)
