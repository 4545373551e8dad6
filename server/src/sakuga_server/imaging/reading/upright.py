"""From a file's samples to its picture: upright, with its metadata, CMYK as RGB."""

from dataclasses import replace

from PIL import Image

from sakuga_core.config.server import Limits
from sakuga_server.imaging import metadata
from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.picture import Picture, orient
from sakuga_server.imaging.reading import color
from sakuga_server.imaging.reading.samples import Samples, pixels


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
    return pictured(samples, about, notes, turned, name)


def pictured(
    samples: Samples, about: Metadata, notes: list[str], orientation: int, name: str
) -> Picture:
    """
    Args:
        notes: warnings on the metadata.
        orientation: of the samples, 1 to 8, as EXIF has it.
    """
    warnings, profile = [*samples.warnings, *notes], None
    if samples.kind == "cmyk":
        profile, missing = _ink_profile(about.icc)
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


def _ink_profile(icc: bytes | None) -> tuple[bytes | None, list[str]]:
    """The profile of CMYK samples, where there is a sound one, and otherwise a warning."""
    if icc is not None and color.describes_cmyk(icc):
        return icc, []
    reason = "without a colour profile" if icc is None else "with a profile that can't be used"
    return None, [f"the file has CMYK colours {reason}; they became RGB approximately"]
