"""QOI (qoiformat.org, version 1.0). Pillow's own writer takes three seconds per megapixel."""

import io
import struct

import numpy as np

from sakuga_server.imaging.compiled import kernel
from sakuga_server.imaging.picture import Array, Picture, rgb, strips
from sakuga_server.imaging.samples import interleaved

_END = b"\0\0\0\0\0\0\0\1"
# What the compiled loop remembers from strip to strip: 64 colours seen, the last one, the run.
_LAST, _COUNT = 64, 65


def encoded(picture: Picture) -> bytes:
    whole = Picture(rgb(picture.colour), picture.alpha)
    file = io.BytesIO()
    file.write(struct.pack(">4sIIBB", b"qoif", whole.width, whole.height, whole.channels, 0))
    state = np.zeros((66, 4), np.int32)
    state[_LAST] = (0, 0, 0, 255)
    for rows in strips(whole.colour):
        pixels = interleaved(whole, rows).reshape(-1, whole.channels)
        out = np.empty(len(pixels) * 5 + 1, np.uint8)
        file.write(out[: _encode(pixels, state, out)].data)
    if state[_COUNT, 0]:
        file.write(bytes((0xC0 | int(state[_COUNT, 0] - 1),)))
    file.write(_END)
    return file.getvalue()


@kernel
def _encode(pixels: Array, state: Array, out: Array) -> int:
    """Writes (N, 3 or 4) uint8 into `out`; the number of bytes. A run at the end stays open."""
    at, alpha = 0, 255
    for n in range(pixels.shape[0]):
        r, g, b = int(pixels[n, 0]), int(pixels[n, 1]), int(pixels[n, 2])
        if pixels.shape[1] == 4:
            alpha = int(pixels[n, 3])
        last = state[64]
        if r == last[0] and g == last[1] and b == last[2] and alpha == last[3]:
            state[65, 0] += 1
            if state[65, 0] == 62:
                out[at] = 0xFD
                at += 1
                state[65, 0] = 0
            continue
        if state[65, 0]:
            out[at] = 0xC0 | (state[65, 0] - 1)
            at += 1
            state[65, 0] = 0
        seen = state[(r * 3 + g * 5 + b * 7 + alpha * 11) % 64]
        if r == seen[0] and g == seen[1] and b == seen[2] and alpha == seen[3]:
            out[at] = (r * 3 + g * 5 + b * 7 + alpha * 11) % 64
            at += 1
        else:
            at = _spelt(out, at, last, r, g, b, alpha)
            seen[0], seen[1], seen[2], seen[3] = r, g, b, alpha
        last[0], last[1], last[2], last[3] = r, g, b, alpha
    return at


@kernel
def _spelt(out: Array, at: int, last: Array, r: int, g: int, b: int, alpha: int) -> int:
    """A colour by its differences from the last one where they are small, else in full."""
    if alpha != last[3]:
        out[at], out[at + 1], out[at + 2], out[at + 3], out[at + 4] = 0xFF, r, g, b, alpha
        return at + 5
    dr = ((r - last[0] + 128) & 255) - 128
    dg = ((g - last[1] + 128) & 255) - 128
    db = ((b - last[2] + 128) & 255) - 128
    if -2 <= dr < 2 and -2 <= dg < 2 and -2 <= db < 2:
        out[at] = 0x40 | (dr + 2) << 4 | (dg + 2) << 2 | (db + 2)
        return at + 1
    if -32 <= dg < 32 and -8 <= dr - dg < 8 and -8 <= db - dg < 8:
        out[at], out[at + 1] = 0x80 | (dg + 32), (dr - dg + 8) << 4 | (db - dg + 8)
        return at + 2
    out[at], out[at + 1], out[at + 2], out[at + 3] = 0xFE, r, g, b
    return at + 4
