"""The page of the actions' options, from their classes."""

from collections.abc import Iterator
from typing import Any

import click

from sakuga.cli.images import command_of
from sakuga_core.actions import ACTIONS, Action
from sakuga_core.networks.ncnn_families import FAMILIES
from sakuga_gateway.schemas import options_schema
from sitepages.markdown import NONE, code, codes, page, sentence, table
from sitepages.models import SUPER_RESOLUTION
from sitepages.schema import default, values

ABOUT = """# Options

The options of each action. They are given with a request (`{"scale": 2}`), as a flag (`--scale 2`),
as a field of a form over HTTP, or in [config.yaml](config.md); the first of these that has an
option wins. The defaults are those of an empty config.yaml. An unknown option, or a value that
isn't allowed, is a [`BadOption`](errors.md#BadOption) that lists what is."""


def options_page() -> str:
    """A table for each action."""
    return page(ABOUT, *(_section(action) for action in ACTIONS.values()))


def _section(action: Action) -> str:
    head = ("option, flag", "values", "default", "description")
    return page(
        f"## {action.name.value} {{#{action.name.value}}}",
        f"{action.summary} On the command line: "
        f"[`sakuga {action.command}`](command-line.md#sakuga-{action.command}).",
        table(head, _rows(action)),
    )


def _rows(action: Action) -> Iterator[tuple[str, ...]]:
    flags = {each.name: each for each in command_of(action).params}
    for name, schema in options_schema(action)["properties"].items():
        field = action.options.model_fields[name]
        shown = {**schema, "examples": field.examples} if field.examples else schema
        yield (
            _called(action, name, flags.get(name)),
            values(shown),
            default_of(action, name),
            sentence(str(field.description)),
        )


def _called(action: Action, name: str, flag: click.Parameter | None) -> str:
    """An option's names, and its flags below."""
    first, *others = _names(action, name)
    also = f", {codes(others)}" if others else ""
    flags = [*flag.opts, *flag.secondary_opts] if flag else []
    below = f"<br>{'<br>'.join(map(code, flags))}" if flags else ""
    return f"{code(first, f'{action.name.value}.{name}')}{also}{below}"


def _names(action: Action, name: str) -> list[str]:
    """What an option may be called."""
    alias: Any = action.options.model_fields[name].validation_alias
    return list(getattr(alias, "choices", [name]))


def default_of(action: Action, name: str) -> str:
    """An option's default; where the networks have their own, these."""
    value = action.defaults.get(name, action.options.model_fields[name].default)
    if value is not None:
        return default(value)
    if name == "model":
        return code(action.default_model)
    return {
        "scale": _of_networks(_scales(), action.default_model),
        "denoise_level": _of_networks({each.name: each.usual for each in FAMILIES}),
        "tile_size": _tile_sizes(),
    }.get(name, NONE)


def _scales() -> dict[str, str]:
    """The scale of requests that name none, by what they name."""
    scales: dict[str, list[int]] = {}
    for row in SUPER_RESOLUTION:
        scales.setdefault(row.called, []).append(row.scale)
    return {name: str(min(s for s in of if s > 1)) for name, of in scales.items()}


def _of_networks(by_name: dict[str, str], usual: str = "") -> str:
    """A default that differs between networks: each value, and for which it is.

    Args:
        by_name: the value of each network or family.
        usual: one of them, whose value is that of all that aren't named.
    """
    names: dict[str, list[str]] = {}
    for name, value in by_name.items():
        names.setdefault(value, []).append(name)
    named = [value for value in names if value != by_name.get(usual)]
    listed = [f"{code(value)} for {codes(names[value])}" for value in named]
    return "; ".join([*([code(by_name[usual])] if usual in by_name else []), *listed])


def _tile_sizes() -> str:
    """The largest tile: the limit's, or a network's own."""
    sizes: dict[int, set[str]] = {}
    for row in SUPER_RESOLUTION:
        if size := row.facts.tile_size:
            sizes.setdefault(size, set()).add(f"{row.called} at {row.scale}x")
    listed = [f"at most {code(str(size))} of {', '.join(sorted(of))}" for size, of in sizes.items()]
    return "; ".join([code("limits.tile_size"), *listed])
