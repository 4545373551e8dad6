"""The schema of config.yaml, and the options that one request gets from it.

The blocks of the actions are made from their rows in `sakuga_core.actions`. Reading the file is in
`file`; who set each value is in `provenance`.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from textwrap import dedent
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    WithJsonSchema,
    create_model,
    model_validator,
)

from sakuga_core import actions
from sakuga_core.actions import ACTIONS, ImageAction
from sakuga_core.config.block import Block, Source
from sakuga_core.config.gateway import Gateway
from sakuga_core.config.server import Backend, Limits, Server
from sakuga_core.options import (
    PictureOptions,
    RembgOptions,
    UpscaleOptions,
    overridden,
    parse_options,
)
from sakuga_core.protocol import canonical

FAMILY_BLOCKS = ("realesrgan", "aurasr")  # of super-resolution networks


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _one_or_more(item: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]})


Gpu = Annotated[int, Field(ge=0)]


class RealESRGAN(UpscaleOptions, Block):
    """For every Real-ESRGAN model; an action's block overrides it."""

    gpu_id: Annotated[
        list[Gpu],
        BeforeValidator(_as_list),
        Field(min_length=1, examples=["the number of a GPU, from 0, or a list of numbers"]),
        _one_or_more({"type": "integer", "minimum": 0}),
    ] = Field(default_factory=lambda: [0])
    """Numbers of the GPUs that the embedded server uses; without a GPU it uses the CPU."""


class AuraSR(UpscaleOptions, Block):
    """For every AuraSR model; an action's block overrides it."""

    backend: Backend | None = None
    """Triton backend: onnxruntime (ONNX) or pytorch (TorchScript); if unset, onnxruntime."""
    style: Annotated[int | None, Field(ge=0, lt=2**32)] = None
    """Seed of the style that becomes part of the exported network; if unset, 0."""


class Rembg(RembgOptions, Block):
    """For every background-removal model; an action's block overrides it."""


class ActionBlock(Block):
    """A custom provider for an action, instead of Triton."""

    provider: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)?$",
            examples=["an import path, package.module:name"],
        ),
    ] = None
    """Import path of a custom provider, package.module:name: a class or an object with
    `async process(image, action, config) -> bytes`. Its module can be in the folder of
    config.yaml."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options that the provider gets with every picture; a request's options override them."""

    @model_validator(mode="after")
    def _options_are_for_a_provider(self) -> Self:
        if self.options and self.provider is None:
            raise ValueError("'options' is only allowed together with 'provider'")
        return self


def _action_block(action: actions.Action) -> Any:
    """The block of one action: its options, and those of a custom provider."""
    name = "".join(word.capitalize() for word in action.name.split("_"))
    bases: Any = (action.options, ActionBlock)
    return create_model(f"{name}Block", __base__=bases, __doc__=f"Options of `{action.name}`.")


if TYPE_CHECKING:

    class ImageProviders(Block):
        """The model and options of each action."""

        def __getattr__(self, action: str) -> Any: ...

else:
    ImageProviders = create_model(
        "ImageProviders",
        __base__=Block,
        __doc__="The model and options of each action.",
        **{
            action.name.value: (block, Field(default_factory=block))
            for action in ACTIONS.values()
            for block in [_action_block(action)]
        },
    )


class Providers(Block):
    """The models and providers of the actions."""

    image: ImageProviders = Field(default_factory=ImageProviders)


class Config(Block):
    """config.yaml."""

    providers: Providers = Field(default_factory=Providers)
    realesrgan: RealESRGAN = Field(default_factory=RealESRGAN)
    rembg: Rembg = Field(default_factory=Rembg)
    aurasr: AuraSR = Field(default_factory=AuraSR)
    server: Server = Field(default_factory=Server)
    limits: Limits = Field(default_factory=Limits)
    gateway: Gateway = Field(default_factory=Gateway)

    _source: Source | None = PrivateAttr(default=None)

    @property
    def source(self) -> Source | None:
        """The file that all of it was read from, if there is one."""
        return self._source

    @source.setter
    def source(self, source: Source) -> None:
        self._source = source

    def block(self, action: ImageAction | str) -> Any:
        """The block of an action, under `providers.image`."""
        return getattr(self.providers.image, actions.find(action).name.value)

    def options_for(
        self, action: ImageAction | str, request: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The options that one picture gets, as JSON values: its family's, overridden by its
        action's, overridden by the request's.

        Raises:
            BadOption: there is no such action, or an option of the request is unknown or not
                allowed.
        """
        row = actions.find(action)
        chosen = self.set_options_for(row.name, request)
        return {"model": canonical(row.default_model), **overridden(row.defaults, chosen)}

    def set_options_for(
        self, action: ImageAction | str, request: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """As `options_for`, without the options that neither this configuration nor the request
        sets: for a server that has its own defaults."""
        row = actions.find(action)
        block = self.block(row.name)
        parsed = parse_options(row.options, request or {})
        requested = parsed.model_dump(mode="json", exclude_unset=True)
        default = getattr(self, row.default_family).model
        usual = block.model or default
        chosen = requested.get("model") or usual
        model = canonical(chosen or row.default_model)
        family, own = self._family_options(row, row.family(model)), _set_options(block, row.options)
        if model != canonical(usual or row.default_model):
            own.pop("denoise_level", None)  # each family has others
        options = overridden(family, own, requested)
        options.pop("model", None)
        return {**options, "model": model} if chosen else options

    def block_options(self, action: ImageAction | str) -> dict[str, dict[str, Any]]:
        """The options of requests that set none, by the block whose options apply to their model;
        empty the name of none."""
        row = actions.find(action)
        own = _set_options(self.block(row.name), row.options)
        own.pop("model", None)
        return {
            name: overridden(row.defaults, self._family_options(row, name), own)
            for name in ("", *FAMILY_BLOCKS)
        }

    def _family_options(self, row: actions.Action, block: str | None) -> dict[str, Any]:
        """What a family's block sets of an action's options, but the model."""
        options = _set_options(getattr(self, block), row.options) if block else {}
        options.pop("model", None)
        return options


def _set_options(block: Any, options: type[PictureOptions]) -> dict[str, Any]:
    """What of `options` the file or an assignment set in a block, as JSON values."""
    shared = set(options.model_fields) & set(type(block).model_fields)
    values: dict[str, Any] = block.model_dump(mode="json", exclude_unset=True, include=shared)
    return values


def json_schema() -> dict[str, Any]:
    """The JSON Schema of config.yaml, for editors to complete and check it by."""
    schema = Config.model_json_schema()
    kinds = {kind.__name__: kind for kind in _subclasses(Block)}
    for name, block in {Config.__name__: schema, **schema["$defs"]}.items():
        properties = block.get("properties", {})
        for field, text in _docstrings(kinds[name]).items() if name in kinds else ():
            properties[field] = dict(sorted({**properties[field], "description": text}.items()))
        for values in properties.values():
            values.pop("title", None)  # the name again
        if "denoise_strength" in properties:
            properties["denoise"] = properties["denoise_strength"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _subclasses(kind: type[Block]) -> Iterator[type[Block]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def _docstrings(kind: type[Block]) -> dict[str, str]:
    """The string under each field of a block. Pydantic would read every class's source on import,
    which takes a third of the time that a command has to start."""
    found = {}
    for base in (each for each in reversed(kind.__mro__) if issubclass(each, Block)):
        with suppress(OSError):  # made by `create_model`, of classes that have a source
            (tree,) = ast.parse(dedent(inspect.getsource(base))).body
            assert isinstance(tree, ast.ClassDef)
            for field, text in pairwise(tree.body):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                    found[ast.unparse(field.target)] = inspect.cleandoc(
                        ast.literal_eval(text.value)
                    )
    return found
