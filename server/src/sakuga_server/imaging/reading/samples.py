"""A file's samples, and the one way from there to its picture, for 8 and 16 bits alike."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from PIL import Image

from sakuga_core.config.server import Limits
from sakuga_server.imaging import metadata
from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.picture import Array, Picture, orient, strips
from sakuga_server.imaging.reading import color

FRAMES = "the file has several frames; only the first was used"

Matte = Literal["black", "white"]
Kind = Literal["gray", "rgb", "palette", "cmyk"]
CHANNELS: dict[Kind, int] = {"gray": 1, "rgb": 3, "palette": 1, "cmyk": 4}

# Setting a profile up takes 0.1 s whatever the number of pixels, so there are few parts.
CMYK_PARTS = 8


@dataclass
class Samples:
    """A picture's samples as its file has them."""

    values: Array
    """uint8 or uint16, (H, W, C): colours first. Its memory is used again for the result."""
    kind: Kind
    bits: int = 0
    """Of a sample that is used, at the low end; 0: all that its type has."""
    inverted: bool = False
    """Whether 0 is white, or full ink in CMYK."""
    alpha: int | None = None
    """Which channel is transparency; channels that are neither colour nor alpha are dropped."""
    matte: Matte | None = None
    """What the colours were laid over by alpha: black is associated alpha; None: nothing."""
    palette: Array | None = None
    """uint8 (N, 3): colours by their number; for the kind of that name."""
    warnings: list[str] = field(default_factory=list)

    @property
    def full(self) -> int:
        """The largest value of the samples' type."""
        return int(np.iinfo(self.values.dtype).max)

    def scaled(self, strip: Array) -> Array:
        """Values of fewer bits spread over the whole range of their type."""
        most = (1 << self.bits) - 1 if self.bits else self.full
        if most == self.full:
            return strip
        wide = strip.astype(np.uint32)
        return ((wide * self.full + most // 2) // most).astype(strip.dtype)


def upright(
    samples: Samples, data: bytes, name: str, file: Image.Image | None, limits: Limits
) -> Picture:
    """
    Args:
        samples: spent, as by `pixels`.
        data: the file.
        name: of its row in `sakuga_core.formats`.
        file: the same, where Pillow has it open.
    """
    about, notes = metadata.read(data, name, file, limits.metadata_bytes)
    turned = metadata.orientation(data, name, file)
    return to_picture(samples, about, notes, turned, name)


def to_picture(
    samples: Samples, about: Metadata, notes: list[str], orientation: int, name: str
) -> Picture:
    """
    Args:
        notes: warnings on the metadata.
        orientation: of the samples, 1 to 8, as EXIF has it.
    """
    warnings, profile = [*samples.warnings, *notes], None
    if samples.kind == "cmyk":
        profile, missing = _cmyk_profile(about.icc)
        warnings += missing
        about = replace(about, icc=None)  # the pixels' colours are sRGB's
    colour, alpha = pixels(samples, profile)
    return Picture(
        orient(colour, orientation),
        None if alpha is None else orient(alpha, orientation),
        about,
        warnings,
        orientation,
        name,
    )


def _cmyk_profile(icc: bytes | None) -> tuple[bytes | None, list[str]]:
    """The profile of CMYK samples, where there is a sound one, and otherwise a warning."""
    if icc is not None and color.describes_cmyk(icc):
        return icc, []
    reason = "without a colour profile" if icc is None else "with a profile that can't be used"
    return None, [f"the file has CMYK colours {reason}; they became RGB approximately"]


def pixels(samples: Samples, profile: bytes | None) -> tuple[Array, Array | None]:
    """Colour and alpha as `Picture` has them, upright or not.

    Args:
        samples: spent: their memory becomes the result's, where it is large enough.
        profile: an ICC profile of the kind's colour space, for CMYK; None: a plain formula.
    """
    values = samples.values
    size, stored = values.shape[:2], values.shape[2]
    channels = 1 if samples.kind == "gray" else 3
    shape = size if channels == 1 else (*size, 3)
    if _ready(samples, channels):
        return values.reshape(shape), None
    dtype = np.uint8 if samples.kind == "palette" else values.dtype
    # Strips are written behind where they are read, so colours can take the samples' own place.
    fits = values.flags.c_contiguous and channels <= stored and dtype == values.dtype
    flat = values.reshape(-1) if fits else np.empty(size[0] * size[1] * channels, dtype)
    alpha = None if samples.alpha is None else np.empty(size, values.dtype)
    for rows in _parts(values, None if profile is None else CMYK_PARTS):
        strip = values[rows]
        if alpha is not None and samples.alpha is not None:
            alpha[rows] = samples.scaled(color.channel(strip, samples.alpha))
        done = _colour(samples, strip, None if alpha is None else alpha[rows], profile)
        start = rows.start * size[1] * channels
        flat[start : start + done.size] = done.reshape(-1)
    return flat[: size[0] * size[1] * channels].reshape(shape), alpha


def _ready(samples: Samples, channels: int) -> bool:
    """Whether the samples are the colours, as they lie."""
    whole = samples.bits in (0, 8 * samples.values.itemsize)
    plain = samples.kind in ("gray", "rgb") and whole and not samples.inverted
    return plain and samples.values.shape[2] == channels and samples.values.flags.c_contiguous


def _parts(values: Array, most: int | None) -> Iterator[slice]:
    """Strips; or, where each costs much, no more than `most`."""
    rows = next(strips(values)).stop
    if most is not None:
        rows = max(rows, -(-len(values) // most))
    for top in range(0, len(values), rows):
        yield slice(top, min(top + rows, len(values)))


def _colour(samples: Samples, strip: Array, alpha: Array | None, profile: bytes | None) -> Array:
    """Colours of some rows, (h, w, 1) or (h, w, 3)."""
    if samples.palette is not None:
        return samples.palette.take(strip[..., 0], axis=0, mode="clip")
    colour = samples.scaled(color.first(strip, CHANNELS[samples.kind]))
    if samples.inverted:
        colour = samples.full - colour
    if samples.matte is not None and alpha is not None:
        colour = color.without_matte(colour, alpha, samples.matte == "white")
    return color.rgb_of_cmyk(colour, profile) if samples.kind == "cmyk" else colour
