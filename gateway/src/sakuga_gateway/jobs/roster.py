"""The gateways of a store: who is there, and who has gone."""

import os
import socket
import time
import uuid
from typing import Any

import sqlalchemy as sa

from sakuga_gateway.jobs.tables import gateways

SILENT_SECONDS = 15  # after which a gateway that says nothing counts as gone


class Roster:
    """The gateways of a database, of which this process is one."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._heard: dict[str, tuple[float, float]] = {}
        """Of each other gateway: what it said last, and when that was new, by a clock of this
        process. So neither a clock that is set nor clocks that differ make one count as gone."""
        self.name = str(uuid.uuid4())

    def beat(self) -> None:
        """Says that this gateway is there."""
        now = time.time()
        with self._engine.begin() as connection:
            mine = sa.update(gateways).where(gateways.c.id == self.name)
            if not connection.execute(mine.values(seen=now)).rowcount:
                row = {"id": self.name, "host": _host(), "pid": os.getpid(), "seen": now}
                connection.execute(sa.insert(gateways), row)

    def leave(self) -> None:
        """Says that this gateway goes: another one, or the next start, sees to what it leaves."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(gateways).where(gateways.c.id == self.name).values(seen=0.0)
            )

    def claim_gone(self) -> str | None:
        """A gateway that has gone, for the caller to see to its work; nobody else gets it now."""
        with self._engine.begin() as connection:
            for row in connection.execute(sa.select(gateways)).all():
                if row.id != self.name and self._is_gone(row):
                    claim = sa.update(gateways).where(
                        gateways.c.id == row.id, gateways.c.seen == row.seen
                    )
                    # From now on it is this process's to see to; should that die, another's again.
                    taken = claim.values(seen=time.time(), host=_host(), pid=os.getpid())
                    if connection.execute(taken).rowcount:
                        return str(row.id)
        return None

    def forget(self, gateway: str) -> None:
        """Forgets a gateway whose work is seen to."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(gateways).where(gateways.c.id == gateway))
        self._heard.pop(gateway, None)

    def _is_gone(self, row: Any) -> bool:
        """Whether a gateway has ended: it said so, or says nothing, or its process isn't there."""
        now = time.monotonic()
        said, since = self._heard.get(row.id, (None, now))
        if said != row.seen:
            self._heard[row.id] = row.seen, now
            since = now
        return not row.seen or now - since > SILENT_SECONDS or _has_ended(row)


def _host() -> str:
    return socket.gethostname()


def _has_ended(row: Any) -> bool:
    """Whether a gateway of this host isn't there any more."""
    # In a container that was started again, this process has the number of the one before.
    return row.host == _host() and (row.pid == os.getpid() or not _runs(row.pid))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
