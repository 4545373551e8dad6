"""What a person chooses from: networks, and families in place of their networks."""

from collections.abc import Mapping
from typing import Any

Facts = Mapping[str, Any]
"""Of a network, as servers list it; see `facts.Listing`."""

# Of a family, what all its networks share.
SHARED = ("kind", "title", "licence", "spdx", "commercial", "side", "good_for")


def choices(networks: Mapping[str, Facts]) -> dict[str, dict[str, Any]]:
    """What `model` may name, in the networks' order, each with `scales`, the native ones, and
    `denoise_levels`, by scale; of a family also `networks`, by their names. A family that is
    exported in part has the scales and levels of that part."""
    families: dict[str, dict[str, Facts]] = {}
    for name, facts in networks.items():
        families.setdefault(facts.get("family") or name, {})[name] = facts
    return {name: _choice(name, members) for name, members in families.items()}


def _choice(name: str, members: Mapping[str, Facts]) -> dict[str, Any]:
    first = next(iter(members.values()))
    if not first.get("family"):
        scales = [first["scale"]] if first.get("scale") else []
        return {"scales": scales, "denoise_levels": {}, **first}
    usable = {name: facts for name, facts in members.items() if facts.get("installed")} or members
    scales = sorted({facts["scale"] for facts in usable.values()})
    sizes = [facts.get("megabytes") for facts in members.values()]
    memory = [facts.get("memory") for facts in members.values()]
    return {
        **{name: first.get(name) for name in SHARED},
        "source": _common([facts["source"] for facts in members.values()]),
        "scale": min((scale for scale in scales if scale > 1), default=scales[0]),
        "scales": scales,
        "denoise_levels": {str(scale): _levels(usable, scale) for scale in scales},
        "installed": any(facts.get("installed") for facts in members.values()),
        "loaded": any(facts.get("loaded") for facts in members.values()),
        "megabytes": _sum(sizes),
        "memory": _sum(memory),
        "networks": {name: dict(facts) for name, facts in members.items()},
    }


def _levels(members: Mapping[str, Facts], scale: int) -> list[str]:
    return [facts["denoise_level"] for facts in members.values() if facts["scale"] == scale]


def _common(sources: list[str]) -> str:
    """The address that all of these lie below."""
    first, *others = (source.split("/") for source in sources)
    shared = [
        part for at, part in enumerate(first) if all(o[at : at + 1] == [part] for o in others)
    ]
    return "/".join(shared)


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
