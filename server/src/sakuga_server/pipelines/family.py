"""Which network of a family serves a request: by scale, then by denoise level."""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from sakuga_core.errors import BadOption
from sakuga_core.networks.facts import NetworkFacts
from sakuga_core.options import UpscaleOptions

Networks = Mapping[str, NetworkFacts]
"""By their names."""

STRONGEST = 3  # denoise level


def members(networks: Networks, family: str) -> Networks:
    """The networks of a family; empty where there is none of that name."""
    return {name: facts for name, facts in networks.items() if facts.family == family}


def native(family: Networks) -> int:
    """The scale of requests that name none: the smallest one that upscales."""
    return min(facts.scale for facts in family.values() if facts.scale > 1)


def chosen(family: Networks, factor: float | Fraction, options: UpscaleOptions) -> str:
    """The network for a scale factor and a denoise level.

    Raises:
        BadOption: the family has no such denoise level at the scales for that factor.
    """
    scales = fitting({facts.scale for facts in family.values()}, factor)
    at = {(f.scale, f.denoise_level): name for name, f in family.items()}
    levels = [level for scale, level in at if level and scale == scales[0]]
    wanted: str | None = options.denoise_level
    if wanted is None and options.denoise_strength is not None:
        wanted = nearest(options.denoise_strength, levels)
    wanted = wanted or next(f.denoise_level for f in family.values() if f.is_usual)
    found = [at[scale, wanted] for scale in scales if (scale, wanted) in at]
    if not found:
        name = next(iter(family.values())).family
        raise BadOption(
            f"option 'denoise_level' is {wanted!r}; {name} has at {scales[0]}x: {', '.join(levels)}"
        )
    return found[0]


def fitting(scales: Iterable[int], factor: float | Fraction) -> list[int]:
    """The native scales that serve a factor, the best one first: those that reach it, else the
    largest, in several passes."""
    ordered = sorted(scales)
    return [scale for scale in ordered if scale >= factor] or ordered[-1:]


def nearest(strength: float, levels: Iterable[str]) -> str:
    """The denoise level that is nearest to a strength of 0 to 1; of two, the weaker one."""
    ordered = sorted(levels, key=_strength)
    return min(ordered, key=lambda level: abs(_strength(level) - strength))


def _strength(level: str) -> float:
    """What a level is as a strength: `none` is 0, the strongest 1."""
    if level == "conservative":
        return 0.1  # after `none`, where there are both
    return 0.0 if level == "none" else (int(level) + 1) / (STRONGEST + 1)
