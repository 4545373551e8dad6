"""The first step of removing a background: from a file to the network's input.

`alpha_matting` is the last; `RembgContext` goes from the one to the other.
"""

import time
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, PlainValidator

from sakuga_core.errors import BadOption
from sakuga_core.networks.facts import SegmenterFacts
from sakuga_core.options import Format, RembgOptions, parse_options
from sakuga_core.protocol import canonical
from sakuga_server.imaging import mask_file
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.picture import Array, Metadata, Picture, rgb
from sakuga_server.imaging.samples import to_8_bit
from sakuga_server.matting import mask as masks
from sakuga_server.matting.mask import Window
from sakuga_server.pipelines.files import still_format
from sakuga_server.pipelines.report import Stages
from sakuga_server.pipelines.settings import Settings


class RembgContext(BaseModel):
    """One request: its options, and what its report will have."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    options: RembgOptions
    unusual: list[str] = []
    """The options that differ from the server's defaults."""
    model: str
    window: Window
    bytes_in: int
    gray: bool
    alpha: bool
    deep: bool
    corrected: bool
    """Whether the caller corrects the mask."""
    source_format: str
    format: Format
    """Of the result."""
    metadata: Metadata
    warnings: list[str]
    notes: list[str] = []
    stages: Annotated[Stages, PlainValidator(Stages)]
    started: float
    """When the work began: seconds of the machine's monotonic clock…"""
    sent: float
    """…and when the network was given the picture."""

    @property
    def letterbox(self) -> bool:
        return self.options.preprocess == "letterbox"


def prepare(
    data: bytes, options: Mapping[str, Any], model: str, settings: Settings[SegmenterFacts]
) -> tuple[Array, Array, RembgContext]:
    """Everything before the network.

    Args:
        data: an encoded file; see `decode`.
        options: of `RembgOptions`, over the defaults of the settings.
        model: the network that the picture goes to.

    Returns:
        The network's input, uint8 (1, side, side, 3); the picture, packed; and the rest.

    Raises:
        SakugaError: BadOption, BadImage or TooLarge.
    """
    stages, start = Stages(), time.monotonic()
    chosen, given = _options(options, model, settings)
    with stages("decode"):
        picture = decode(data, settings.limits)
    form = still_format(chosen, picture.format, (picture.width, picture.height))
    with stages("prepare"):
        side = settings.network(model).side
        letterbox = chosen.preprocess == "letterbox"
        size = (picture.width, picture.height)
        window = masks.letterbox(side, *size) if letterbox else masks.whole(side)
        image = masks.square(rgb(_shallow(picture.colour)), side, window)
        mask = mask_file.read(chosen.mask, settings.limits)
        drawn = None if mask is None else mask_file.brightness(mask, picture, masks.UNKNOWN)
        packed = _packed(picture, drawn)
    context = RembgContext(
        options=chosen.model_copy(update={"mask": None}),
        unusual=list(settings.unusual(given)),
        model=model,
        window=window,
        bytes_in=len(data),
        gray=picture.colour.ndim == 2,
        alpha=picture.alpha is not None,
        deep=picture.deep,
        corrected=mask is not None,
        source_format=picture.format,
        format=form,
        metadata=picture.metadata,
        warnings=picture.warnings,
        stages=stages,
        started=start,
        sent=time.monotonic(),
    )
    return image, packed, context


def _options(
    values: Mapping[str, Any], model: str, settings: Settings[SegmenterFacts]
) -> tuple[RembgOptions, dict[str, Any]]:
    """All options, and those that were given."""
    named = parse_options(RembgOptions, values)
    if named.model is not None and canonical(named.model) != model:
        raise BadOption(f"option 'model' is {named.model!r}; allowed in this ensemble: {model}")
    given = named.model_dump(exclude_unset=True)
    options = parse_options(RembgOptions, settings.defaults | given | {"model": model})
    if options.preprocess == "letterbox" and not settings.network(model).letterbox:
        raise BadOption(f"option 'preprocess' is 'letterbox'; allowed for {model}: rembg")
    return options, given


def _packed(picture: Picture, corrections: Array | None) -> Array:
    """Colour, alpha and the mask's corrections, as bytes: uint8 (H, W, channels · bytes a
    sample)."""
    kind = picture.colour.dtype
    more = [plane for plane in (picture.alpha, corrections) if plane is not None]
    planes = [picture.colour, *(plane.astype(kind, copy=False) for plane in more)]
    pixels = np.dstack(planes) if more or picture.colour.ndim == 2 else picture.colour
    return np.ascontiguousarray(pixels).view(np.uint8)


def _shallow(pixels: Array) -> Array:
    return to_8_bit(pixels) if pixels.dtype == np.uint16 else pixels
