"""Options of requests as flags of commands."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, get_args

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

P = ParamSpec("P")
T = TypeVar("T")


def option_flags(kind: type[BaseModel]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Every option of a request as a flag of its name; flags left out aren't sent."""

    def add(command: Callable[P, T]) -> Callable[P, T]:
        for name, field in reversed(kind.model_fields.items()):
            command = _flag(name, field)(command)
        return command

    return add


class BoxType(click.ParamType[list[int]]):
    name = "X,Y,WIDTH,HEIGHT"

    def convert(self, value: Any, parameter: Any, context: Any) -> list[int]:
        try:
            x, y, width, height = map(int, value.split(","))
        except ValueError:
            self.fail(f"{value!r} isn't four whole numbers: {self.name}", parameter, context)
        return [x, y, width, height]


# Options whose flags aren't plain values.
_SPECIAL: dict[str, dict[str, Any]] = {
    "regions": {
        "param_decls": ("--region", "regions"),
        "type": BoxType(),
        "multiple": True,
        "callback": lambda context, parameter, value: list(value) or None,
    },
    "mask": {
        "param_decls": ("--mask", "mask"),
        "type": click.File("rb"),
        "callback": lambda context, parameter, value: value and value.read(),
    },
}


def _flag(name: str, field: FieldInfo) -> Callable[[Callable[P, T]], Callable[P, T]]:
    if special := _SPECIAL.get(name):
        names = special["param_decls"]
        rest = {key: value for key, value in special.items() if key != "param_decls"}
        return click.option(*names, help=field.description, **rest)
    kinds = [k for k in get_args(field.annotation) or (field.annotation,) if k is not type(None)]
    dashed = name.replace("_", "-")
    help_text = field.description
    if kinds == [bool]:
        both = f"--{dashed}/--no-{dashed}"
        return click.option(both, name, default=None, help=help_text)
    if isinstance(kinds[0], str):
        return click.option(f"--{dashed}", name, type=click.Choice(kinds), help=help_text)
    names = [f"--{dashed}", *(["--denoise"] if name == "denoise_strength" else [])]
    return click.option(*names, name, type=kinds[0], help=help_text)
