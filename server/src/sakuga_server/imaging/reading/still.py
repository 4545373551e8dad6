"""A file's picture, the first of several, by the reader of its format."""

from collections.abc import Callable

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadImage
from sakuga_core.formats import FORMATS, HEAD, recognised
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.reading import jpeg, jxl, pillow, png, psd, qoi, tiff
from sakuga_server.imaging.reading.checks import check_bytes
from sakuga_server.imaging.reading.samples import Samples, upright

ALLOWED = ", ".join(row.title for row in FORMATS)

# Formats whose metadata are read without Pillow, too.
_READERS: dict[str, Callable[[bytes, Limits], Samples]] = {
    "png": png.read,
    "jpeg": jpeg.read,
    "qoi": qoi.read,
    "psd": psd.read,
}


def first(data: bytes, limits: Limits) -> Picture:
    """The first of a file's frames or pages, upright, as `imaging.decode.decode` gives it.

    Raises:
        BadImage: `data` is empty, of another kind, truncated or damaged.
        TooLarge: over a limit.
    """
    check_bytes(data, limits)
    name = _format(data)
    if name == "tiff":
        return tiff.first(data, limits)
    if name in _READERS:
        return upright(_READERS[name](data, limits), data, name, None, limits)
    deep = name == "jxl" and jxl.checked(data, limits).bits > 8
    with pillow.opened(data, name, limits) as file:
        samples = jxl.read(data) if deep else pillow.read(file, data, name, limits)
    return upright(samples, data, name, file, limits)


def _format(data: bytes) -> str:
    row = recognised(data[:HEAD])
    if row is not None:
        return row.name
    if pillow.is_tga(data):
        return "tga"
    raise BadImage(f"the image's format is unknown; allowed: {ALLOWED}")
