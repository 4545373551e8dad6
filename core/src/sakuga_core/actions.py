"""The actions: one row each, from which everything else about an action is derived.

The client's routing, the commands and their flags, the blocks of config.yaml, the reports, the JSON
Schema, and the Triton models that serve an action follow from its row. A new action is a row here,
its options, its pipeline, and a test.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sakuga_core import protocol
from sakuga_core.protocol import Kind

if TYPE_CHECKING:
    from sakuga_core.options import PictureOptions


class ImageAction(StrEnum):
    """What can be done to a picture."""

    UPSCALE = "upscale"
    """More pixels, by a super-resolution network."""
    REMBG = "rembg"
    """The foreground alone, or its mask."""
    FIX_ARTIFACTS = "fix_artifacts"
    """Damage repaired, then more pixels."""
    ENHANCE = "enhance"
    """More pixels, with detail that a network generates."""


# By the beginning of a model's name, the block of config.yaml whose options apply to it.
_BLOCKS = {"aura-sr": "aurasr", "waifu2x-": None, "realcugan-": None, "": "realesrgan"}


def _upscaler_family(model: str) -> str | None:
    return next(block for beginning, block in _BLOCKS.items() if model.startswith(beginning))


@dataclass(frozen=True, kw_only=True)
class Action:
    """What there is to know of an action."""

    name: ImageAction
    summary: str
    """A sentence for the command's help and the documentation."""
    kind: Kind
    """What its network does."""
    option_class: "Callable[[], type[PictureOptions]]"
    """Gives the class of its options: called when they are needed, so that `sakuga --help` imports
    no pydantic."""
    default_model: str
    default_family: str
    """The block of config.yaml that names its model where its own block doesn't."""
    family: Callable[[str], str | None] = _upscaler_family
    """The block of config.yaml whose options apply to a model, if there is one."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Where they differ from those of the option class."""
    triton_model: str
    """The pipeline that serves it: a public Triton model."""
    program: "Program | None" = None
    """What its pipeline is; None: another action's pipeline serves it."""
    results: tuple[str, ...]
    """What it can return; the first is the default."""

    @property
    def options(self) -> "type[PictureOptions]":
        """The class of its options."""
        return self.option_class()

    def models_for(self, model: str, *, progress: bool = False) -> list[str]:
        """The Triton models that serve it with a network.

        Args:
            progress: whether the twin that streams progress is called.
        """
        pipeline = protocol.streaming(self.triton_model) if progress else self.triton_model
        return [pipeline, protocol.folder(model)]

    @property
    def loads_more(self) -> bool:
        """Whether its pipeline may call networks that the request doesn't name."""
        return self.program is not None and len(self.program.networks) > 1

    @property
    def command(self) -> str:
        """Its name on the command line."""
        return self.name.value.replace("_", "-")


@dataclass(frozen=True, kw_only=True)
class Program:
    """A Triton model in Python that serves an action by itself: from file to file.

    Its model.py and config.pbtxt are generated from this.
    """

    pipeline: str
    """The class that does the work, module:name: called with a file's bytes, the options, and a
    function that says whether the caller has gone; gives the result's bytes and the report."""
    about: str
    """Docstring of its model.py."""
    workers: str
    """The setting in config.yaml's `server` block that says how many processes run it."""
    networks: tuple[Kind, ...] = ("upscale",)
    """The kinds of networks whose facts are parameters of its config.pbtxt."""


def _upscale_options() -> "type[PictureOptions]":
    from sakuga_core.options.upscale import UpscaleOptions

    return UpscaleOptions


def _rembg_options() -> "type[PictureOptions]":
    from sakuga_core.options.rembg import RembgOptions

    return RembgOptions


def _fix_artifacts_options() -> "type[PictureOptions]":
    from sakuga_core.options.fix_artifacts import FixArtifactsOptions

    return FixArtifactsOptions


ACTIONS: Mapping[ImageAction, Action] = {
    action.name: action
    for action in (
        Action(
            name=ImageAction.UPSCALE,
            summary="Upscale pictures 1 to 16 times.",
            kind="upscale",
            option_class=_upscale_options,
            default_model="realesrgan-x4plus-anime",
            default_family="realesrgan",
            triton_model=protocol.UPSCALE,
            program=Program(
                pipeline="sakuga_server.pipelines.upscale:Upscale",
                about="Upscaling: every super-resolution network behind one public model.",
                workers="upscale_workers",
            ),
            results=("upscaled",),
        ),
        Action(
            name=ImageAction.ENHANCE,
            summary="Upscale pictures and generate fine detail.",
            kind="upscale",
            option_class=_upscale_options,
            default_model="aura-sr-v2",
            default_family="aurasr",
            triton_model=protocol.UPSCALE,
            results=("upscaled",),
        ),
        Action(
            name=ImageAction.REMBG,
            summary="Remove the background of pictures.",
            kind="segment",
            option_class=_rembg_options,
            default_model="isnet-anime",
            default_family="rembg",
            family=lambda model: "rembg",
            triton_model=protocol.REMBG,
            program=Program(
                pipeline="sakuga_server.pipelines.rembg:Rembg",
                about="Background removal: every segmentation network behind one public model.",
                workers="matting_workers",
                networks=("segment",),
            ),
            results=("foreground", "mask"),
        ),
        Action(
            name=ImageAction.FIX_ARTIFACTS,
            summary="Find JPEG blocks, banding and specks in pictures, repair them, then upscale.",
            kind="upscale",
            option_class=_fix_artifacts_options,
            default_model="realesrgan-x4plus-anime",
            default_family="realesrgan",
            defaults={"scale": 2.0, "denoise_strength": 0.7},
            triton_model=protocol.FIX_ARTIFACTS,
            program=Program(
                pipeline="sakuga_server.pipelines.fix_artifacts:FixArtifacts",
                about="Repairing: damage is found and undone before a network upscales.",
                workers="fix_artifacts_workers",
                networks=("upscale", "inpaint"),
            ),
            results=("upscaled", "restored", "regions"),
        ),
    )
}


def programs() -> tuple[str, ...]:
    """The Triton models that go from file to file by themselves; each has a twin that streams."""
    return tuple(action.name.value for action in ACTIONS.values() if action.program)


def find(action: ImageAction | str) -> Action:
    """The row of an action.

    Raises:
        BadOption: there is no such action.
    """
    from sakuga_core.errors import BadOption

    try:
        return ACTIONS[ImageAction(action)]
    except ValueError:
        allowed = ", ".join(ACTIONS)
        raise BadOption(f"action is {str(action)!r}; allowed: {allowed}") from None
