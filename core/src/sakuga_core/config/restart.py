"""Settings that a running program took when it started; edits of all others are followed."""

from collections.abc import Iterator
from operator import attrgetter

from sakuga_core.config.schema import Config

Blocks = tuple[tuple[str, tuple[str, ...]], ...]
"""Blocks of config.yaml, each with names of its settings."""

# Arguments of Triton's command line.
SERVER: Blocks = (
    (
        "server",
        (
            *("url", "repository", "host", "http_port", "metrics_port"),
            *("trace_url", "trace_rate", "log_format"),
        ),
    ),
    ("server.tls", ("ca", "certificate", "key", "mutual")),
    ("realesrgan", ("gpu_id",)),
)

GATEWAY: Blocks = (("gateway", ("host", "port", "log_format", "jobs", "job_workers")),)


def needs_restart(path: str) -> bool:
    """Whether an edit of a setting waits for a restart.

    Args:
        path: of the setting: `server.host`.
    """
    block, _, name = path.rpartition(".")
    return any(block == each and name in names for each, names in (*SERVER, *GATEWAY))


class Held:
    """The settings of a running program that edits don't change.

    Args:
        config: as it was when the program started; it changes with its file.
        blocks: the program's: `SERVER` or `GATEWAY`.
    """

    def __init__(self, config: Config, blocks: Blocks) -> None:
        self.config = config
        self.values = {
            (block, name): getattr(attrgetter(block)(config), name)
            for block, names in blocks
            for name in names
        }

    def restore(self) -> Iterator[str]:
        """After an edit: puts back what it changed of these, and names each."""
        for (block, name), value in self.values.items():
            settings = attrgetter(block)(self.config)
            if getattr(settings, name) != value:
                settings.set_default(name, value)
                yield f"{block}.{name}"
