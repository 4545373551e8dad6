"""Options from what a caller sends, and one sentence for each that is wrong."""

import reprlib
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sakuga_core.errors import BadOption

SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 80  # a mask may be megabytes long

Options = TypeVar("Options", bound=BaseModel)


def parse_options(kind: type[Options], values: Mapping[str, Any]) -> Options:
    """What a caller sends as an action's options.

    Args:
        kind: the class of the options.
        values: by the options' names; those left out have their defaults.

    Raises:
        BadOption: naming the option, the value and what is allowed.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise BadOption("; ".join(explain(kind, e, "option ") for e in error.errors())) from None


def explain(kind: type[BaseModel], error: ErrorDetails, prefix: str) -> str:
    """One validation error as a sentence that names the field, the value and what is allowed."""
    name = ".".join(str(part) for part in error["loc"]) or "the whole"
    if error["type"] in ("extra_forbidden", "no_such_attribute"):
        return f"{prefix}{name!r} is unknown; allowed: {', '.join(kind.model_fields)}"
    if error["type"] == "value_error" and not error["loc"]:  # of several fields together
        several = prefix.replace("option ", "options ")
        return f"{several}{error['msg'].removeprefix('Value error, ')}"
    allowed = _allowed(kind, error["loc"]) if error["loc"] else "a mapping"
    value = SHORT.repr(error["input"])
    return f"{prefix}{name!r} is {value}; allowed: {allowed or error['msg']}"


def _allowed(kind: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """What a field allows, in words; nothing where its type doesn't say."""
    names = ["denoise_strength" if name == "denoise" else str(name) for name in location]
    field = kind.model_fields.get(names[-1]) or kind.model_fields.get(names[0])
    if field is None:
        return ""
    if field.examples:
        return ", ".join(field.examples)
    types = [k for k in get_args(field.annotation) or (field.annotation,) if k is not type(None)]
    types = list(get_args(types[0])) if get_origin(types[0]) is Literal else types
    if isinstance(types[0], str):
        return ", ".join(types)
    word = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}
    ends = [
        f"{say} {getattr(constraint, end)}"
        for end, say in (("ge", "from"), ("gt", "over"), ("le", "to"))
        for constraint in field.metadata
        if hasattr(constraint, end)
    ]
    return " ".join([word.get(types[0], ""), *ends]).strip()
