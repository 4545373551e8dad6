"""The page of the networks, from their rows."""

from collections.abc import Iterator, Sequence

from sakuga_core.actions import ACTIONS
from sakuga_core.networks.families import Enhancer, Network, Upscaler
from sakuga_core.networks.licences import is_permissive
from sakuga_core.networks.ncnn_families import FAMILIES, Family
from sakuga_core.networks.registry import (
    ENHANCERS,
    INPAINTERS,
    MEMBERS,
    NETWORKS,
    SEGMENTERS,
    UPSCALERS,
    by_name,
    purposes,
)
from sakuga_core.protocol import ALIASES
from sitepages.markdown import NONE, code, codes, page, sentence, table, text

SUPER_RESOLUTION: tuple[Upscaler | Enhancer, ...] = (*UPSCALERS, *MEMBERS, *ENHANCERS)

ABOUT = """# All models

Every network that Sakuga serves. `sakuga models` lists those of a server, with
what they need there; `sakuga export NAME` adds one. [Which network to take](quality.md) compares
them by [figures](benchmarks/quality.md) on drawings that the [gallery](../benchmarks/gallery)
draws. Your own are [custom models](guides/custom-models.md)."""

WORK = """*Work* is the number of multiply-accumulates for a pixel of the input, against the
default's. *Receptive field* is its radius in pixels of the input: the padding with which a tile
gives exactly what the whole picture gives. Networks of one tile size see overlapping tiles,
which are blended. *bf16* and *fp16* say what `server.precision: auto` may run it in."""

PURPOSE = """*Good for* lists the values of `sakuga models --for`."""


def models_page() -> str:
    """A table for each kind."""
    return page(
        ABOUT,
        "## Upscaling {#upscale}",
        _upscaling(),
        PURPOSE,
        "### How they work {#upscale-facts}",
        WORK,
        _facts(),
        "### Families {#families}",
        "A [family](guides/families.md) has one network for each scale and denoise level.",
        table(("family", "denoise levels", "default level", "networks"), map(_family, FAMILIES)),
        "## Background removal {#segment}",
        _segmenting(),
        "## Inpainting {#inpaint}",
        "In order of preference: `inpaint: auto` takes the first that the server has.",
        _inpainting(),
        "## Where weights come from {#sources}",
        table(
            ("network", "source", "package with the same weights"),
            map(_source, NETWORKS),
        ),
    )


def _named(row: Network) -> str:
    also = [alias for alias, name in ALIASES.items() if name == row.called]
    named = code(row.called, row.called)
    return f"{named}, also {codes(also)}" if also else named


def _defaults(name: str) -> str:
    """The actions that take a network where nothing else is said."""
    return codes(each.name.value for each in ACTIONS.values() if each.default_model == name)


def _licence(row: Network) -> str:
    return text(row.licence) + ("" if is_permissive(row.licence) else ", not permissive")


def _upscaling() -> str:
    first: dict[str, list[Upscaler | Enhancer]] = {}
    for row in SUPER_RESOLUTION:
        first.setdefault(row.called, []).append(row)
    head = ("name", "what it is", "scales", "good for", "default of", "licence of the weights")
    rows = (
        (
            _named(rows[0]),
            sentence(rows[0].title),
            ", ".join(f"{scale}x" for scale in sorted({row.scale for row in rows})),
            codes(purposes(rows[0])),
            _defaults(name),
            _licence(rows[0]),
        )
        for name, rows in first.items()
    )
    return table(head, rows)


def _facts() -> str:
    head = (
        "network",
        "work",
        "receptive field",
        "starts at multiples of",
        "largest tile",
        "parameters",
        "precisions",
    )
    return table(head, (_fact_row(row) for row in _different()))


def _different() -> Iterator[Upscaler | Enhancer]:
    """The networks, of a family one for each scale: its levels differ in their weights alone."""
    seen: set[tuple[str, int]] = set()
    for row in SUPER_RESOLUTION:
        if (row.called, row.scale) not in seen:
            seen.add((row.called, row.scale))
            yield row


def _fact_row(row: Upscaler | Enhancer) -> tuple[str, ...]:
    facts = row.facts
    is_free = facts.side is None
    return (
        f"{code(row.called)}, {row.scale}x",
        work(row),
        f"{facts.receptive_field} px" if is_free else NONE,
        f"{facts.multiple} px" if facts.multiple > 1 else NONE,
        f"{facts.tile_size or 'any'}" if is_free else f"{facts.side}², always",
        f"{row.parameters / 1e6:.1f} million",
        ", ".join(["fp32", *(["fp16"] if row.half else []), *(["bf16"] if row.bf16 else [])]),
    )


def work(row: Upscaler | Enhancer) -> str:
    """How much work a network is, against the default's."""
    usual = by_name(next(iter(ACTIONS.values())).default_model)
    assert isinstance(usual, Upscaler)
    ratio = row.kilomacs / usual.kilomacs
    return f"{ratio:.2g}" if ratio > 0.95 else f"1/{round(1 / ratio)}"


def _family(family: Family) -> tuple[str, ...]:
    levels: dict[int, list[str]] = {}
    for scale, level in family.sha256:
        levels.setdefault(scale, []).append(level)
    return (
        code(family.name),
        "; ".join(f"{scale}x: {codes(each)}" for scale, each in levels.items()),
        code(family.usual),
        codes(row.name for row in family.members),
    )


def _segmenting() -> str:
    head = (
        "name",
        "what it is",
        "input",
        "fp16",
        "tried on its weights",
        "default of",
        "licence of the weights",
    )
    rows = (
        (
            _named(row),
            sentence(row.title),
            f"{row.side}²",
            _yes(row.half),
            _yes(row.tried),
            _defaults(row.name),
            _licence(row),
        )
        for row in SEGMENTERS
    )
    return table(head, rows)


def _inpainting() -> str:
    head = ("name", "what it is", "input", "licence of the weights")
    rows = (
        (
            _named(row),
            sentence(row.title),
            f"{row.side}²" + (f" to {row.largest}²" if row.largest > row.side else ""),
            _licence(row),
        )
        for row in INPAINTERS
    )
    return table(head, rows)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _source(row: Network) -> tuple[str, ...]:
    links = [f"[{each.file}]({each.url})" for each in row.weights]
    packages = [each.packaged.requirement for each in row.weights if each.packaged]
    return code(row.name, f"source-{row.name}"), ", ".join(links), codes(_once(packages))


def _once(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))
