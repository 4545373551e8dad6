"""GIF of one picture: 256 colours, and pixels that are wholly transparent or not at all."""

import io

import numpy as np
from PIL import Image

from sakuga_server.imaging.metadata import Metadata, gif_blocks
from sakuga_server.imaging.picture import Array, Picture, rgb, strips

MOST = 256
OPAQUE = 128  # the least alpha of what is shown


def encoded(picture: Picture, metadata: Metadata) -> bytes:
    """What the format can't hold is a warning in `picture.warnings`."""
    colour, hidden = rgb(picture.colour), _hidden(picture)
    most = MOST if hidden is None else MOST - 1
    table = _table(colour, hidden, most)
    if table is None:
        picture.warnings.append(f"gif has at most {MOST} colours; the picture's were reduced")
        indices, palette = _reduced(colour, hidden, most)
    else:
        indices, palette = _looked_up(colour, table), _bytes_of(table)
    options = {}
    if hidden is not None:
        indices[hidden] = most
        options["transparency"] = most
    image = Image.fromarray(indices, "P")
    image.putpalette(palette.ljust(3 * MOST, b"\0"))
    file = io.BytesIO()
    image.save(file, "GIF", optimize=False, **options)
    return _with_blocks(file.getvalue(), gif_blocks(metadata))


def _hidden(picture: Picture) -> Array | None:
    """Which pixels are transparent; None where none is."""
    if picture.alpha is None:
        return None
    hidden: Array = picture.alpha < OPAQUE
    partly = (picture.alpha > 0) & (picture.alpha < 255)
    if partly.any():
        picture.warnings.append(
            "gif has no semi-transparent pixels; they were made opaque or transparent"
        )
    return hidden if hidden.any() else None


def _packed(colour: Array) -> Array:
    """(H, W, 3) as one number a pixel."""
    wide = colour.astype(np.uint32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _table(colour: Array, hidden: Array | None, most: int) -> Array | None:
    """All visible colours, sorted; None where there are too many."""
    found = np.empty(0, np.uint32)
    for rows in strips(colour):
        packed = _packed(colour[rows])
        packed = packed if hidden is None else packed[~hidden[rows]]
        found = np.union1d(found, packed)
        if len(found) > most:
            return None
    return found if len(found) else np.zeros(1, np.uint32)


def _looked_up(colour: Array, table: Array) -> Array:
    indices = np.empty(colour.shape[:2], np.uint8)
    for rows in strips(colour):
        indices[rows] = np.minimum(np.searchsorted(table, _packed(colour[rows])), len(table) - 1)
    return indices


def _bytes_of(table: Array) -> bytes:
    channels = np.stack((table >> 16, table >> 8 & 255, table & 255), -1)
    return bytes(channels.astype(np.uint8))


def _reduced(colour: Array, hidden: Array | None, most: int) -> tuple[Array, bytes]:
    """Chosen by median cut among visible colours, and dithered, without which skies have bands."""
    if hidden is not None:
        colour = colour.copy()
        colour[hidden] = colour[~hidden][0]  # so that what nobody sees takes no colour
    image = Image.fromarray(colour)
    chosen = image.quantize(most, Image.Quantize.MEDIANCUT)
    indices = image.quantize(palette=chosen, dither=Image.Dither.FLOYDSTEINBERG)
    return np.array(indices), bytes(chosen.getpalette() or [])[: 3 * most]


def _with_blocks(file: bytes, blocks: bytes) -> bytes:
    """With extensions behind its colour table, which only version 89a has."""
    at = 13 + (3 << ((file[10] & 7) + 1) if file[10] & 0x80 else 0)
    return b"".join((b"GIF89a", file[6:at], blocks, file[at:]))
