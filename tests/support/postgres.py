"""A PostgreSQL of Debian's package, in a folder of its own."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

MISSING = "PostgreSQL isn't installed (Debian's package postgresql)"
USER = "postgres"  # it refuses to run as root


def binaries() -> Path | None:
    """The folder of its programs; None if it isn't installed."""
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


@contextmanager
def running(port: int) -> Iterator[str]:
    """Runs one on this machine's own address; gives the URL of its database."""
    programs = binaries()
    assert programs
    # Not among pytest's own folders, which only their owner may enter.
    with TemporaryDirectory(prefix="sakuga-postgresql-") as folder:
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            for each in (folder, data):
                shutil.chown(each, USER)
        _run(programs / "initdb", "-D", data, "-U", "sakuga", "--auth=trust", "--no-sync")
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        )
        _run(programs / "pg_ctl", "-D", data, "-o", options, "-l", data / "log", "-w", "start")
        try:
            yield f"postgresql://sakuga@127.0.0.1:{port}/postgres"
        finally:
            _run(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def new_database(url: str) -> str:
    """The URL of a new, empty database beside that of `url`."""
    name = f"jobs_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{url.rpartition('/')[0]}/{name}"


def _run(*command: object) -> None:
    become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    prefix = become if os.geteuid() == 0 else []
    subprocess.run([*prefix, *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd="/")
