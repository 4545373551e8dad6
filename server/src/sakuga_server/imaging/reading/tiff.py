"""TIFF files (TIFF 6.0, BigTIFF), page by page.

libtiff decodes them: through imagecodecs, which gives samples of 8 and 16 bits as they are stored;
and through Pillow, which knows those of fewer bits, the compression of fax, and JPEG's colours.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice

import imagecodecs
import numpy as np

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadImage, TooLarge
from sakuga_core.formats import HEAD, recognised
from sakuga_server.imaging import metadata
from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.imaging.reading import pillow, tiff_tags
from sakuga_server.imaging.reading.checks import blaming, check_bytes, check_size, library_warnings
from sakuga_server.imaging.reading.samples import (
    CHANNELS,
    FRAMES,
    Kind,
    Matte,
    Samples,
    to_picture,
)
from sakuga_server.imaging.reading.tiff_file import PageFile
from sakuga_server.imaging.reading.tiff_tags import ASSOCIATED, TITLE, UNASSOCIATED, Page

MOST_CHANNELS = 8
MOST_OF_TILES = 4  # times the limit of pixels; what lies outside of the page is decoded, too
NAME = "tiff"

# None, LZW, deflate, PackBits, deflate again, LZMA, Zstandard: those whose samples come out as they
# are stored. JPEG's and fax's come from Pillow.
_PLAIN = {1, 5, 8, 32773, 32946, 34925, 50000}
_KINDS: dict[int, Kind] = {
    tiff_tags.WHITE_IS_ZERO: "gray",
    tiff_tags.BLACK_IS_ZERO: "gray",
    tiff_tags.RGB: "rgb",
    tiff_tags.PALETTE: "palette",
    tiff_tags.MASK: "gray",
    tiff_tags.SEPARATED: "cmyk",
}


def pages(data: bytes, limits: Limits, warnings: list[str] | None = None) -> list[tuple[int, int]]:
    """Width and height of each page, as `pictures` gives it; none for a file that isn't TIFF.

    Smaller copies of pages, and masks, which some programs add, are left out.

    Args:
        warnings: gets what is wrong with the list of pages.

    Raises:
        BadImage: the list of pages is damaged, or a page has no size.
        TooLarge: over a limit of `input_bytes`, `frames`, `input_pixels` or `animation_pixels`.
    """
    check_bytes(data, limits)
    row = recognised(data[:HEAD])
    if row is None or row.name != NAME:
        return []
    sizes: list[tuple[int, int]] = []
    total = 0
    for page in tiff_tags.pages(data, warnings):
        check_size(*page.size, limits, TITLE)
        total += page.decoded_pixels
        if len(sizes) == limits.frames:
            raise TooLarge(f"the file has more than {limits.frames} pages")
        if total > limits.animation_pixels:
            raise TooLarge(
                f"the file's pages have more than {limits.animation_pixels} pixels together"
            )
        sizes.append(page.size)
    return sizes


def first(data: bytes, limits: Limits) -> Picture:
    """The first page, with a warning where there are others, or their list is damaged."""
    warnings = list[str]()
    found = tiff_tags.pages(data, warnings)
    picture = next(_pictures(data, islice(found, 1), limits), None)
    if picture is None:
        raise BadImage("the TIFF file has no pages")
    try:
        warnings += [FRAMES] if next(found, None) is not None else []
    except BadImage as error:  # in what isn't read
        warnings.append(f"only the first page was read: {error}")
    return replace(picture, warnings=[*warnings, *picture.warnings])


def pictures(data: bytes, limits: Limits) -> Iterator[Picture]:
    """The pages that `pages` lists, upright, each read when its turn comes.

    Their metadata is the file's, but for the colour profile, which is each one's own.

    Raises:
        BadImage: a page is damaged, or of samples that aren't read.
        TooLarge: over the limit of pixels; nothing of the page has been decoded yet.
    """
    return _pictures(data, tiff_tags.pages(data), limits)


def _pictures(data: bytes, found: Iterable[Page], limits: Limits) -> Iterator[Picture]:
    about, notes = metadata.read(data, NAME, None, limits.metadata_bytes)
    with closing(PageFile(data)) as file:
        for number, page in enumerate(found):
            _check(page, limits)
            own = replace(about, icc=page.icc) if number else about
            yield _picture(file, page, own, notes, limits)


def _picture(
    file: PageFile, page: Page, about: Metadata, notes: list[str], limits: Limits
) -> Picture:
    if page.compression in _PLAIN and page.photometric in _KINDS and page.bits[0] in (8, 16):
        return to_picture(_stored(file, page), about, notes, page.orientation, NAME)
    with file.opened(page) as of_page, pillow.opened(of_page, NAME, limits) as image:
        samples = pillow.read(image, b"", NAME, limits)  # which is upright already
    return to_picture(samples, about, notes, 1, NAME)


def _check(page: Page, limits: Limits) -> None:
    """
    Raises:
        BadImage: the page's samples aren't read.
        TooLarge: over the limit of pixels.
    """
    check_size(page.width, page.height, limits, TITLE)
    if page.tile is not None:  # which is decoded as a whole, whatever part of it is shown
        check_size(*page.tile, limits, TITLE)
        _check_tiles(page, limits)
    if set(page.numbers) & {tiff_tags.FLOATING, tiff_tags.SIGNED}:
        kind = "floating-point" if tiff_tags.FLOATING in page.numbers else "signed"
        raise BadImage(
            f"the TIFF file has {kind} samples of {page.bits[0]} bits; "
            "allowed: whole numbers from 0, of up to 16 bits"
        )
    if set(page.bits) not in ({1}, {2}, {4}, {8}, {16}):
        bits = "/".join(map(str, sorted(set(page.bits))))
        raise BadImage(
            f"the TIFF file has samples of {bits} bits; allowed: 1, 2, 4, 8 or 16 bits, all alike"
        )
    if page.photometric not in (*_KINDS, tiff_tags.YCBCR):
        raise BadImage(
            f"the TIFF file's colours are of kind {page.photometric} (photometric interpretation); "
            "allowed: gray, RGB, palette, CMYK and YCbCr"
        )
    _check_channels(page)


def _check_tiles(page: Page, limits: Limits) -> None:
    """
    Raises:
        TooLarge: its tiles have many more pixels than it shows.
    """
    if page.decoded_pixels > MOST_OF_TILES * limits.input_pixels:
        raise TooLarge(
            f"the TIFF file's tiles have {page.decoded_pixels} pixels; "
            f"allowed: {MOST_OF_TILES * limits.input_pixels}"
        )


def _check_channels(page: Page) -> None:
    least = 3 if page.photometric == tiff_tags.YCBCR else CHANNELS[_KINDS[page.photometric]]
    if not least <= page.channels <= MOST_CHANNELS or page.depth != 1:
        raise BadImage(
            f"the TIFF file has {page.channels} samples a pixel; "
            f"allowed for its colours: {least} to {MOST_CHANNELS}"
        )


def _stored(file: PageFile, page: Page) -> Samples:
    kind = _KINDS[page.photometric]
    with (
        blaming(TITLE),
        library_warnings(),  # of tags that are checked here already
        file.beginning_with(page, as_gray=kind == "cmyk") as of_page,
    ):
        values = imagecodecs.tiff_decode(of_page, 0)
    values = _chunky(values, page)
    alpha, matte = _alpha(page, CHANNELS[kind])
    dropped = page.channels - CHANNELS[kind] - (alpha is not None)
    note = f"{dropped} extra channel{'s' if dropped > 1 else ''} of the TIFF file, which aren't"
    return Samples(
        values,
        kind,
        inverted=page.photometric == tiff_tags.WHITE_IS_ZERO,
        alpha=alpha,
        matte=matte,
        palette=_palette(page) if kind == "palette" else None,
        warnings=[f"{note} transparency, were dropped"] if dropped else [],
    )


def _chunky(values: Array, page: Page) -> Array:
    """The samples of each pixel side by side: (H, W, C).

    Raises:
        BadImage: they aren't as many as the page says.
    """
    height, width, channels = page.height, page.width, page.channels
    if values.size != height * width * channels or values.itemsize != page.bits[0] // 8:
        raise BadImage("the TIFF file contradicts its own header")
    if page.planes == tiff_tags.SEPARATE:
        return np.moveaxis(values.reshape(channels, height, width), 0, -1)
    return values.reshape(height, width, channels)


def _alpha(page: Page, colours: int) -> tuple[int | None, Matte | None]:
    """Which channel is alpha, and what the colours were laid over by it."""
    if not page.extra and page.channels == colours + 1:  # as others read files that don't say it
        return colours, None
    for number, kind in enumerate(page.extra[: page.channels - colours]):
        if kind in (ASSOCIATED, UNASSOCIATED):
            return colours + number, "black" if kind == ASSOCIATED else None
    return None, None


def _palette(page: Page) -> Array:
    """uint8 (N, 3).

    Raises:
        BadImage: it hasn't a colour for each number.
    """
    count = 1 << page.bits[0]
    if len(page.colours) != 3 * count:
        raise BadImage(f"the TIFF file's palette has {len(page.colours) // 3} colours, not {count}")
    colours = np.array(page.colours, np.uint16).reshape(3, count).T
    # Some programs write 8 bits where 16 belong.
    return (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)
