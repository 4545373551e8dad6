"""Settings that a running program took when it started; edits of all others are followed."""

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
