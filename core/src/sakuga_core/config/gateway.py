"""The block `gateway` of config.yaml."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from sakuga_core.config.block import Block
from sakuga_core.config.server import Count
from sakuga_core.logs import LogFormat

Seconds = Annotated[float, Field(gt=0)]


class GatewayKey(Block):
    """A key that callers send. `sakuga web --new-key NAME` makes one, and prints this block."""

    name: Annotated[str, Field(pattern=r"^[\w.-]{1,64}$", examples=["letters, digits, _ . -"])]
    """Who it belongs to; shown in logs and metrics. Jobs belong to it, too."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", examples=["64 hexadecimal digits"])]
    """The key's SHA-256, so that this file doesn't reveal it."""
    rate: Count | None = None
    """Requests a minute, where they differ from those of all."""
    in_flight: Count | None = None
    """Concurrent requests, where they differ from those of all."""


class Gateway(Block):
    """HTTP: `sakuga web`. Address, port, `log_format`, `jobs` and `job_workers` need a restart;
    edits of the others are followed."""

    host: str = "127.0.0.1"
    """Address to listen on. Any other than this machine's own needs `keys`, or `--no-auth`."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    hosts: list[str] = Field(default_factory=list)
    """Names under which browsers may reach it without keys, besides this machine's own."""
    origins: list[str] = Field(default_factory=list)
    """Origins of other sites whose pages may call it (CORS): https://example.org, or `*`."""
    keys: list[GatewayKey] = Field(
        default_factory=list, examples=["a list of {name: …, sha256: …}"]
    )
    """Keys of callers. Without any, whoever reaches the address may call it."""
    rate: Count = 600
    """Requests a minute that one key may make, or one address without keys."""
    in_flight: Count = 16
    """Pictures that one key may have in work at once, or one address without keys; jobs don't
    count."""
    max_in_flight: Count = 64
    """Pictures in work for all callers together; one more is refused as Overloaded."""
    event_streams: Count = 64
    """Open streams of jobs' events that one key may have, or one address without keys."""
    connections: Count = 512
    """Open connections; one more is refused."""
    body_bytes: Count = 2**30
    """Size of a job's request with all of its files. A request for one picture may be as large as
    `limits.input_bytes` allows."""
    files: Count = 1000
    """Files of one job."""
    read_timeout: Seconds = 20.0
    """Seconds in which a request's head must have come, and then each next part of its body."""
    write_timeout: Seconds = 60.0
    """Seconds in which a caller must take each part of an answer."""
    log_format: LogFormat = "text"
    """The gateway's log: text, or json, an object a line, with the id of the request; also a line
    for each request."""
    exit_timeout: Annotated[int, Field(ge=1)] = 25
    """Seconds that requests in flight have to finish when the gateway stops. Jobs go on in another
    gateway, or when it starts again."""
    jobs: str | None = Field(
        default=None, examples=["postgresql://user@host/database, or sqlite:///file"]
    )
    """Where jobs are kept: postgresql://user@host/database, shared by several gateways, or a file
    (sqlite:///path); if unset, a file in the user's data folder. SAKUGA_JOBS replaces it.
    PostgreSQL's usual environment variables (PGPASSWORD, PGSSLMODE, …) apply."""
    job_workers: Count = 4
    """Pictures of jobs that one gateway has in work at once. Of several gateways on one store, the
    one that started last says it for all."""
    keep_results: Seconds = 24 * 3600.0
    """Seconds after its end for which a job, with its results, is kept."""
    job_bytes: Count = 10 * 2**30
    """Size of the pictures and results of all jobs. The oldest finished jobs make room; where that
    isn't enough, new jobs are refused as Overloaded."""
    webhook_hosts: list[str] = Field(default_factory=list)
    """Hosts, or host:port, which jobs may name as webhooks; none by default. They are signed with
    the secret in SAKUGA_WEBHOOK_SECRET (Standard Webhooks)."""

    def jobs_url(self, data: Path) -> str:
        """Where jobs are kept, by default in a file.

        Args:
            data: the folder of that file.
        """
        if self.jobs and self.jobs.startswith("postgres://"):  # as many operators' Secrets have it
            return self.jobs.replace("postgres", "postgresql", 1)
        return self.jobs or f"sqlite:///{data / 'jobs.sqlite'}"
