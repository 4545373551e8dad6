"""The block `gateway` of config.yaml."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from sakuga_core.config.block import Block
from sakuga_core.config.server import Count
from sakuga_core.logs import LogFormat

Seconds = Annotated[float, Field(gt=0)]


class GatewayKey(Block):
    """A key that callers send. `sakuga web --new-key NAME` generates one and prints this block."""

    name: Annotated[str, Field(pattern=r"^[\w.-]{1,64}$", examples=["letters, digits, _ . -"])]
    """The owner; shown in logs and metrics. Only this owner sees the jobs of the key."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", examples=["64 hexadecimal digits"])]
    """The key's SHA-256, so that this file doesn't reveal it."""
    rate: Count | None = None
    """Requests per minute; if unset, those of `gateway.rate`."""
    in_flight: Count | None = None
    """Concurrent requests; if unset, those of `gateway.in_flight`."""


class Gateway(Block):
    """HTTP: `sakuga web`. Changes of address, port, `log_format`, `jobs` and `job_workers` need a
    restart; other changes take effect immediately."""

    host: str = "127.0.0.1"
    """Address to listen on. Any address except loopback needs `keys`, or `--no-auth`."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    hosts: list[str] = Field(default_factory=list)
    """Additional host names that browsers may use to reach a gateway without keys."""
    origins: list[str] = Field(default_factory=list)
    """Origins of other sites whose pages may call it (CORS): https://example.org, or `*`."""
    keys: list[GatewayKey] = Field(
        default_factory=list, examples=["a list of {name: …, sha256: …}"]
    )
    """Keys of callers. Without keys, everyone who can reach the address may call the gateway."""
    rate: Count = 600
    """Requests per minute of one key, or of one address without keys."""
    in_flight: Count = 16
    """In-flight pictures of one key, or of one address without keys; jobs don't count."""
    max_in_flight: Count = 64
    """In-flight pictures of all callers together; further ones are refused as Overloaded."""
    event_streams: Count = 64
    """Open event streams of one key, or of one address without keys."""
    connections: Count = 512
    """Open connections; further ones are refused."""
    body_bytes: Count = 2**30
    """Size of a job's request with all of its files, in bytes. For a request with one picture,
    `limits.input_bytes` applies."""
    files: Count = 1000
    """Maximum number of files in one job."""
    read_timeout: Seconds = 20.0
    """Seconds within which a request's head must arrive, and then each part of its body."""
    write_timeout: Seconds = 60.0
    """Seconds within which a caller must receive each part of a response."""
    log_format: LogFormat = "text"
    """Format of the gateway's log: text, or json, one object per line with the request's id, and
    a line for each request."""
    exit_timeout: Annotated[int, Field(ge=1)] = 25
    """Seconds for in-flight requests to finish when the gateway stops. Jobs continue in another
    gateway, or when it starts again."""
    jobs: str | None = Field(
        default=None, examples=["postgresql://user@host/database, or sqlite:///file"]
    )
    """Database of the jobs: postgresql://user@host/database, which several gateways can share, or
    a file (sqlite:///path); if unset, a file in the user's data folder. SAKUGA_JOBS overrides it.
    PostgreSQL's usual environment variables (PGPASSWORD, PGSSLMODE, …) apply."""
    job_workers: Count = 4
    """Concurrent pictures of jobs per gateway. If several gateways share a database, the setting of
    the one that started last applies to all."""
    keep_results: Seconds = 24 * 3600.0
    """Seconds until a finished job and its results are deleted."""
    job_bytes: Count = 10 * 2**30
    """Size of the pictures and results of all jobs, in bytes. To free space, the oldest finished
    jobs are deleted; if that isn't enough, new jobs are refused as Overloaded."""
    webhook_hosts: list[str] = Field(default_factory=list)
    """Hosts, or host:port, of allowed webhooks; none by default. Webhooks are signed with the
    secret in SAKUGA_WEBHOOK_SECRET (Standard Webhooks)."""

    def jobs_url(self, data: Path) -> str:
        """Where jobs are kept, by default in a file.

        Args:
            data: the folder of that file.
        """
        if self.jobs and self.jobs.startswith("postgres://"):  # as many operators' Secrets have it
            return self.jobs.replace("postgres", "postgresql", 1)
        return self.jobs or f"sqlite:///{data / 'jobs.sqlite'}"
