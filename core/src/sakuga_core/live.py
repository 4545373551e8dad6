"""Following the edits of config.yaml, in whatever calls a server."""

from collections.abc import Iterable

from sakuga_core.config.file import refresh
from sakuga_core.config.schema import Config


def follow_edits(config: Config) -> bool:
    """Updates a configuration from its file, if that changed; see `refresh`.

    An edit that names a network which doesn't exist changes nothing, either. Where `server.url`
    names a server, that alone knows its custom networks, so they aren't checked here.
    """
    return refresh(config, _problems)


def _problems(config: Config) -> Iterable[str]:
    if config.server.url != "auto":
        return ()
    from sakuga_core.repository.checks import problems  # takes time, and is seldom needed

    return problems(config)
