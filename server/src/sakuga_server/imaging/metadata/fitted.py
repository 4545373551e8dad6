"""Metadata that is true of a result: of its size, and of its colours."""

from dataclasses import replace

from sakuga_server.imaging.metadata import icc, xmp
from sakuga_server.imaging.metadata.exif import Exif
from sakuga_server.imaging.metadata.record import Metadata


def fitted(metadata: Metadata, width: int, height: int, gray: bool) -> tuple[Metadata, list[str]]:
    """The metadata of a picture of this size whose pixels are gray, or RGB.

    EXIF and XMP tell the new size wherever they told one. A colour profile for other pixels is
    replaced by one that shows these alike, or dropped.

    Returns:
        The metadata, and a warning where a profile was dropped.
    """
    exif, packet = metadata.exif, metadata.xmp
    if exif:
        parsed, _ = Exif.parse(exif)
        parsed.resize(width, height)
        exif = parsed.to_bytes()
    if packet:
        packet = xmp.resized(packet, width, height)
    profile, warnings = _fitting(metadata.icc, gray)
    return replace(metadata, exif=exif, xmp=packet, icc=profile), warnings


def _fitting(profile: bytes | None, gray: bool) -> tuple[bytes | None, list[str]]:
    if profile is None or icc.space(profile) == ("GRAY" if gray else "RGB"):
        return profile, []
    if icc.space(profile) in ("GRAY", "RGB"):
        other = icc.for_gray(profile) if gray else icc.for_rgb(profile)
        if other is not None:
            return other, []
    pixels = "gray" if gray else "RGB"
    return None, [
        f"the colour profile is for {icc.space(profile)}, not for {pixels}; it was dropped"
    ]
