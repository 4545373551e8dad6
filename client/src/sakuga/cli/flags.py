"""Options of requests as flags of commands, and how the help shows them."""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, ParamSpec, TypeVar, get_args

import click
from pydantic.fields import FieldInfo

from sakuga.cli.errors import nearest
from sakuga_core.actions import Action
from sakuga_core.formats import ALIASES
from sakuga_core.options.upscale import SIZES

P = ParamSpec("P")
T = TypeVar("T")

FILE = ("format", "quality", "lossless", "animation", "keep_metadata")

# Defaults that aren't values of the options themselves.
_DEFAULTS = {"scale": "the network's, usually 4"}


def option_flags(action: Action) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Every option of an action's requests as a flag of its name; flags left out aren't sent."""

    def add(command: Callable[P, T]) -> Callable[P, T]:
        for name, field in reversed(action.options.model_fields.items()):
            command = _flag(name, field, _default(action, name, field))(command)
        return command

    return add


def _default(action: Action, name: str, field: FieldInfo) -> str:
    """What the help says of the default; nothing where the description does."""
    value = action.defaults.get(name, field.default)
    if isinstance(value, bool):
        value = "on" if value else None
    elif isinstance(value, float):
        value = f"{value:g}"
    elif value is None:
        value = action.default_model if name == "model" else _DEFAULTS.get(name)
    return "" if value is None else f"  [default: {value}]"


class BoxType(click.ParamType[list[int]]):
    name = "X,Y,WIDTH,HEIGHT"

    def convert(self, value: Any, parameter: Any, context: Any) -> list[int]:
        try:
            x, y, width, height = map(int, value.split(","))
        except ValueError:
            self.fail(f"{value!r} isn't four whole numbers: {self.name}", parameter, context)
        if min(width, height) < 1:
            reason = "has no size; allowed: a WIDTH and a HEIGHT of at least 1"
            self.fail(f"{value!r} {reason}", parameter, context)
        return [x, y, width, height]


class NearChoice(click.Choice[str]):
    """One of several words, in any case; for another one, the word that was probably meant."""

    def __init__(self, choices: list[str], aliases: Mapping[str, str]) -> None:
        super().__init__(choices)
        self._aliases = aliases

    def convert(self, value: Any, parameter: Any, context: Any) -> str:
        word = self._aliases.get(str(value).lower(), str(value).lower())
        if word not in (*self.choices, *self._aliases.values()):
            allowed = list(self.choices)
            near = nearest(word, allowed)
            self.fail(f"{value!r} isn't one of {', '.join(allowed)}{near}", parameter, context)
        return word


class ModelType(click.ParamType[str]):
    """A network, also by the name of its weights' file."""

    name = "name"

    def convert(self, value: Any, parameter: Any, context: Any) -> str:
        from sakuga_core.networks.registry import NETWORKS

        plain = _plain(value)
        files = {
            _plain(PurePosixPath(weights.file).stem): row.name
            for row in NETWORKS
            if row.called == row.name  # files of families aren't called by their family
            for weights in reversed(row.weights)
        }
        known = {name: name for row in NETWORKS for name in (row.called, row.name)}
        return (files | known).get(plain, str(value))


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


class FileOption(click.Option):
    """A flag that says of files, and not of pictures."""


def file_flags(command: Callable[P, T]) -> Callable[P, T]:
    """The flags of every command that writes results."""
    for names, rest in reversed(_FILE_FLAGS):
        command = click.option(*names, cls=FileOption, **rest)(command)
    return command


_FILE_FLAGS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("-o", "--output"),
        {
            "metavar": "OUTPUT",
            "help": "folder, file, archive (.cbz, .zip), address, - for standard output, or a "
            "pattern such as 'out/{stem}-{scale}x.{ext}'  [default: out]",
        },
    ),
    (
        ("--skip-existing",),
        {"is_flag": True, "help": "keep existing results, and create the others"},
    ),
    (("--overwrite",), {"is_flag": True, "help": "replace existing results"}),
    (("--json", "as_json"), {"is_flag": True, "help": "print a JSON object for each picture"}),
    (("--report",), {"is_flag": True, "help": "print the server's reports as JSON"}),
    (("-q", "--quiet"), {"is_flag": True, "help": "print only errors"}),
    (
        ("--embedded",),
        {"is_flag": True, "help": "start a server for this command, even if one is running"},
    ),
)

# Options whose flags aren't plain values.
_SPECIAL: dict[str, dict[str, Any]] = {
    "model": {"param_decls": ("--model", "model"), "type": ModelType()},
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


def _flag(name: str, field: FieldInfo, default: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    shown: dict[str, Any] = {"default": None, "help": f"{_described(name, field)}{default}"}
    if special := _SPECIAL.get(name):
        rest = {key: value for key, value in special.items() if key != "param_decls"}
        return click.option(*special["param_decls"], **{**shown, **rest})
    kinds = [k for k in get_args(field.annotation) or (field.annotation,) if k is not type(None)]
    kinds = [word for kind in kinds for word in get_args(kind) or (kind,)]
    dashed = name.replace("_", "-")
    if kinds == [bool]:
        return click.option(f"--{dashed}/--no-{dashed}", name, **shown)
    if isinstance(kinds[0], str):
        words = [word for word in kinds if word != "raw"]  # which is no file
        aliases = (ALIASES | {"raw": "raw"}) if name == "format" else {}
        return click.option(f"--{dashed}", name, type=NearChoice(words, aliases), **shown)
    names = [f"--{dashed}", *(["--denoise"] if name == "denoise_strength" else [])]
    return click.option(*names, name, type=kinds[0], **shown)


def _described(name: str, field: FieldInfo) -> str:
    """What the help says of an option: its description, as far as a flag allows it."""
    parts = str(field.description).split("; ")
    text = "; ".join(part for part in parts if not part.startswith("raw:"))
    colours = [form for form in field.examples or () if str(form).startswith("#")]
    return f"{text}: {', '.join(colours)}" if colours else text


class ActionCommand(click.Command):
    """The command of an action, whose help has its flags in groups."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The groups: files, size, format, and the rest."""
        titles = ("Files", "Size of the result", "Format of the result", "Options")
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in titles}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context)
            if record and isinstance(parameter, click.Option):
                groups[group_of(parameter)].append(record)
        for title, records in groups.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def group_of(parameter: click.Parameter) -> str:
    """The title under which the help has a flag."""
    if parameter.name in SIZES:
        return "Size of the result"
    if parameter.name in FILE:
        return "Format of the result"
    return "Files" if isinstance(parameter, FileOption) else "Options"
