"""Whether the networks exist that a configuration names."""

from collections.abc import Iterator

from sakuga_core.config.check import missing_levels, unknown_networks
from sakuga_core.config.schema import Config
from sakuga_core.repository.writer import known


def problems(config: Config) -> Iterator[str]:
    """A line for each setting that names a network, or a denoise level, which doesn't exist."""
    place = config.source.place if config.source else str
    networks = known(config)
    for path, problem in (*unknown_networks(config, networks), *missing_levels(config, networks)):
        yield f"{place(path)}: {problem}"
