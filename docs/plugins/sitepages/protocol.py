"""The page of the protocol, from its names and from the models of the repository."""

import io
import tokenize
from collections.abc import Iterable, Iterator
from inspect import getsource
from typing import NamedTuple

from sakuga_core import errors, protocol
from sakuga_core.actions import ACTIONS
from sakuga_core.config.schema import Config
from sakuga_core.networks.registry import SEGMENTERS
from sakuga_core.repository.pipelines import Model, ensemble, pipelines
from sitepages.markdown import code, codes, page, sentence, table, text

ABOUT = """# Protocol

Any Triton client in any language can call the public models: over gRPC, with an encoded file and a
JSON object in, and an encoded file and a JSON object out. All tensors are BYTES of shape [1];
`OPTIONS` may be left out. The [options](options.md) of an action are the members of the JSON
object."""

STREAMS = f"""Each pipeline from file to file has a twin whose name ends with
`{protocol.STREAM}`. It streams: any number of responses that have `{protocol.PROGRESS}` alone,
then one that has `{protocol.RESULT}` and `{protocol.REPORT}`."""

ERRORS = """An error is a gRPC status and the text `ClassName: message`; a prefix of Triton's may
stand before it, such as the name of a step. [Errors](errors.md) lists the classes with their
statuses. Over HTTP, a gateway answers with problem details (RFC 9457), whose `error` is the name
of the class."""

NETWORKS = """Tensors of the networks, which the pipelines call inside the server. A network is a
Triton model of its own, named as requests name it, with `_` for `-`; [all models](../models.md)
lists them."""

_TENSORS = ("IMAGE", "OPTIONS", "RESULT", "REPORT", "PROGRESS")
_PARAMETERS = ("ACTION", "ATTEMPT", "SENT", "UNCOUNTED")
_NETWORK_PARAMETERS = ("TILE_KEY", "TILE_CALL", "AGAIN", "GIVE_UP")


class Name(NamedTuple):
    """A name of the protocol."""

    constant: str
    value: str
    comment: str
    """What its module says beside or above it."""


def protocol_page() -> str:
    """Models, tensors, parameters, and how errors travel."""
    models = _models()
    return page(
        ABOUT,
        "## Models {#models}",
        table(("model", "what it does", "inputs", "outputs"), map(_row, models)),
        "An input with a question mark may be left out.",
        STREAMS,
        "## Tensors {#tensors}",
        _table(each for each in names() if each.constant in _TENSORS),
        "## Request parameters {#parameters}",
        _parameters(),
        "## Errors {#errors}",
        ERRORS,
        f"A message has at most {errors.LONGEST} bytes as gRPC encodes it; of a longer one the "
        "middle is left out.",
        "## Networks {#networks}",
        NETWORKS,
        _table(each for each in names() if each.constant.startswith("NET_")),
        f"Functions that are named here are in {code(protocol.__name__)}.",
        f"{codes(getattr(protocol, each) for each in _NETWORK_PARAMETERS)}: {_said('TILE_KEY')}",
    )


def _models() -> list[Model]:
    config = Config()
    return [*pipelines(config), *map(ensemble, SEGMENTERS)]


def _row(model: Model) -> tuple[str, ...]:
    named = model["name"]
    outputs = [each["name"] for each in model["output"]]
    by_network = [name for name in outputs if name.startswith(f"{protocol.RESULT}_")]
    shown = codes(name for name in outputs if name not in by_network)
    return (
        code(named, f"model-{named}"),
        sentence(_about(named)),
        codes(each["name"] + ("?" if each.get("optional") else "") for each in model["input"]),
        f"{shown}, {code('RESULT_…')} by network" if by_network else shown,
    )


def _about(model: str) -> str:
    """What a model does."""
    plain = model.removesuffix(protocol.STREAM)
    for action in ACTIONS.values():
        if action.program and action.triton_model == plain:
            streams = ", and streams progress" if plain != model else ""
            return action.summary.rstrip(".") + streams
    if model == protocol.NETWORKS:
        return "lists the networks, and loads one that a request needs"
    network = next(each.name for each in SEGMENTERS if protocol.ensemble(each.name) == model)
    return f"`rembg` by `{network}`, for clients that name no options"


def _table(found: Iterable[Name]) -> str:
    rows = ((code(each.value), sentence(each.comment)) for each in found)
    return table(("name", "what it is"), rows)


def _parameters() -> str:
    about = _said(_PARAMETERS[0])
    for constant in _PARAMETERS:
        about = about.replace(f"{constant}:", f"{code(getattr(protocol, constant))}:")
    header = code(protocol.REQUEST_ID)
    return f"{about}\n\nA request's id is gRPC's own; a gateway takes and gives it in {header}."


def _said(constant: str) -> str:
    """What the module says of a constant."""
    return text(next(each.comment for each in names() if each.constant == constant))


def names() -> Iterator[Name]:
    """Each name of the module, with the comment beside it, else the one above it."""
    lines = getsource(protocol).splitlines()
    comments = dict(_comments(getsource(protocol)))
    for number, line in enumerate(lines, 1):
        constants = line.split(" = ")[0].split(", ") if " = " in line else []
        if not all(each.isupper() for each in constants):
            continue
        said = comments.get(number) or _above(number, lines, comments)
        values = ((each, getattr(protocol, each)) for each in constants)
        yield from (Name(name, value, said) for name, value in values if isinstance(value, str))


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")


def _above(number: int, lines: list[str], comments: dict[int, str]) -> str:
    """The lines of comment directly before a line, or before those that follow the same comment."""
    found: list[str] = []
    at = number - 1
    while at > 0 and lines[at - 1].strip() and at not in comments:
        at -= 1
    while at in comments and lines[at - 1].startswith("#"):
        found.insert(0, comments[at])
        at -= 1
    return " ".join(found)
