"""What pipelines know of a network: facts that travel as parameters of a config.pbtxt."""

from pydantic import BaseModel, ConfigDict

from sakuga_core.protocol import Kind


class NetworkFacts(BaseModel):
    """What server and client know of a super-resolution network; travels in `upscale`'s config."""

    model_config = ConfigDict(frozen=True)

    scale: int
    """How many times wider and higher its result is."""
    receptive_field: int = 0
    """Radius of its receptive field in pixels of the input: a tile with this much around it gives
    exactly what the whole picture gives."""
    multiple: int = 1
    """A tile begins at multiples of this only, or it would be seen otherwise than within the whole:
    the network joins that many pixels into one."""
    side: int | None = None
    """Side of the only tile that it takes, in pixels of the input, and sees the whole of; None: it
    takes pictures of any size."""
    denoise: bool = False
    """Whether it takes DENOISE: it is an interpolation of two trained networks."""
    trims: bool = False
    """Whether it takes INNER: its results lack the padding on those sides. Each layer drops what
    the tile's edge spoils, which saves up to half of the work on tiles."""
    means: tuple[int, ...] = ()
    """Channels of each layer that weighs them by their means over the whole picture. It takes
    MEANS, and gives SHARES; see `protocol.shares`."""
    tile_size: int | None = None
    """Its largest tile, in pixels without padding, where it needs more memory than others."""
    block: str | None = None
    """The block of config.yaml whose options apply to it."""
    family: str | None = None
    """The name that requests may call it by, with a scale and a denoise level…"""
    denoise_level: str | None = None
    """…which is this one…"""
    is_usual: bool = False
    """…and stands for none."""


class SegmenterFacts(BaseModel):
    """What server and client know of a segmenter; travels in `rembg`'s config."""

    model_config = ConfigDict(frozen=True)

    side: int
    """Side of the square that it sees, in pixels."""
    letterbox: bool
    """Whether it takes LETTERBOX: 1 asks for its author's arithmetic (pixels / 255, no mean), 0 for
    rembg's (pixels / the largest sample, less a mean, over a deviation)."""


class InpainterFacts(BaseModel):
    """What server and client know of an inpainting network; travels in `fix_artifacts`'s config."""

    model_config = ConfigDict(frozen=True)

    side: int
    """Side of the square that it is shown, in pixels…"""
    largest: int
    """…which may grow up to this with a large hole, by multiples of 8."""


class Listing(BaseModel):
    """What NETWORKS tells of a network."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    title: str
    """A line for a person: what it is, and what it is good at."""
    licence: str
    spdx: str | None = None
    """The licence's SPDX identifier."""
    commercial: bool | None = None
    """Whether it allows commercial use; None: nobody said."""
    source: str
    """Where its weights come from."""
    file: str
    """Of its folder in the repository, once it is exported."""
    scale: int | None = None
    """How many times wider and higher a result is, if it upscales."""
    side: int | None = None
    """Of the only squares that it takes, in pixels; None: any size."""
    tried: bool = True
    """Whether it has been compared with its reference on the published weights."""
    family: str | None = None
    """The name that requests may call it by, with a scale and a denoise level."""
    denoise_level: str | None = None
    """Of the family's."""
    good_for: tuple[str, ...] = ()
    """What it is a good choice for, see `registry.PURPOSES`."""
