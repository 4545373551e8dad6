"""What reading config.yaml alone can't see: names of networks that don't exist, and what
networks lack."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from sakuga_core.actions import ACTIONS
from sakuga_core.config.schema import Config
from sakuga_core.protocol import Kind, canonical


class Listed(Protocol):
    """A network, as far as has to be known here; see `networks.facts.Listing`."""

    @property
    def kind(self) -> Kind: ...
    @property
    def family(self) -> str | None: ...
    @property
    def denoise_level(self) -> str | None: ...


def unknown_networks(config: Config, networks: Mapping[str, Listed]) -> Iterator[tuple[str, str]]:
    """The settings that name a network which doesn't exist, or does something else.

    Args:
        networks: by name; see `repository.writer.known`.

    Returns:
        The path of each such setting, and what is wrong, as a sentence.
    """
    for path, model, kind in _named(config):
        fitting = {name: row for name, row in networks.items() if kind in (None, row.kind)}
        allowed = dict.fromkeys(row.family or name for name, row in fitting.items())
        if canonical(model) not in {*fitting, *allowed}:
            yield path, f"{path!r} is {model!r}; allowed: {', '.join(allowed)}"


def missing_levels(config: Config, networks: Mapping[str, Listed]) -> Iterator[tuple[str, str]]:
    """As `unknown_networks`, of the denoise levels that the model of their block lacks."""
    for action in ACTIONS.values():
        block = config.block(action.name)
        level = getattr(block, "denoise_level", None)
        model = canonical(block.model or getattr(config, action.default_family).model or "")
        levels = [row.denoise_level for row in networks.values() if row.family == model]
        if level and levels and level not in levels:
            path = f"providers.image.{action.name.value}.denoise_level"
            listed = ", ".join(dict.fromkeys(filter(None, levels)))
            yield path, f"{path!r} is {level!r}; allowed for {model}: {listed}"


def _named(config: Config) -> Iterator[tuple[str, str, Kind | None]]:
    """Each network that config.yaml names: the setting's path, the name, what it has to do."""
    for action in ACTIONS.values():
        block = config.block(action.name)
        if block.model and not block.provider:
            yield f"providers.image.{action.name.value}.model", block.model, action.kind
    for family, kind in {row.default_family: row.kind for row in ACTIONS.values()}.items():
        if model := getattr(config, family).model:
            yield f"{family}.model", model, kind
    for name in config.server.networks:
        yield f"server.networks.{name}", name, None
    if config.server.preload != "all":
        yield from (("server.preload", name, None) for name in config.server.preload)
