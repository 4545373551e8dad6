"""One palette of 256 colours for all frames, so that nothing flickers between two palettes."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from sakuga_server.imaging.compiled import kernel
from sakuga_server.imaging.picture import Array

# Where there are more colours, those that differ in their low bits only are taken for one kind.
MOST_KINDS = 2**17
SAMPLE = 2**18  # pixels that median cut sees
ROUNDS = 10  # of k-means
# A colour counts by its pixels to the power of this. In full, a few large surfaces would get all
# colours (on four drawings, 0.3 to 1.0 dB worse); with the root, gradients of large ones too few
# (1.2 dB worse where all four share a palette).
WEIGHT = 0.75


class Counts:
    """How often each colour occurs: 64 MiB at most, however many pixels are counted."""

    def __init__(self) -> None:
        # Floats: at 2**24 they stay where they are, and don't begin anew.
        self._counts = np.zeros(2**24, np.float32)

    def add(self, colour: Array, shown: Array) -> None:
        """
        Args:
            colour: uint8 (H, W, 3).
            shown: bool (H, W); the other pixels aren't counted.
        """
        _count(colour, shown, self._counts)

    def palette(self, most: int, exact: int) -> "Palette":
        """All colours that were counted, if they are at most `exact`; else `most` of them."""
        found = np.flatnonzero(self._counts != 0)  # in a fifth of the time that floats take
        table, which = _rgb(found), np.arange(len(found))
        if len(found) > exact:
            kinds, counts, members = _kinds(table, self._counts[found])
            table = np.rint(_clusters(kinds, counts**WEIGHT, most))
            which = _nearest(table, kinds)[members]
        indices = np.zeros(2**24, np.uint8)
        indices[found] = which
        return Palette(table.astype(np.uint8), indices, len(found))


@dataclass(frozen=True)
class Palette:
    table: Array
    """uint8 (N, 3)."""
    indices: Array
    """uint8 (2**24): for each colour that was counted, as 0xRRGGBB."""
    found: int
    """How many colours were counted."""

    def of(self, colour: Array, shown: Array, otherwise: int) -> Array:
        """Indices of pixels, uint8 (H, W).

        Args:
            colour: uint8 (H, W, 3), all of which were counted.
            shown: bool (H, W); the other pixels get the index `otherwise`.
        """
        result = np.empty(shown.shape, np.uint8)
        _look_up(colour, shown, self.indices, otherwise, result)
        return result


def _rgb(packed: Array) -> Array:
    """0xRRGGBB as float64 (N, 3)."""
    channels: Array = np.stack((packed >> 16, packed >> 8 & 255, packed & 255), axis=1)
    return channels.astype(np.float64)


def _kinds(colours: Array, counts: Array) -> tuple[Array, Array, Array]:
    """Colours of which those are joined that differ in as few low bits as need be.

    Returns:
        The mean of each kind, how often it occurs, and the kind of each colour.
    """
    for bits in range(8):
        packed = colours.astype(np.uint32) >> bits
        packed = packed[:, 0] << 16 | packed[:, 1] << 8 | packed[:, 2]
        kinds, members = np.unique(packed, return_inverse=True)
        if len(kinds) <= MOST_KINDS:
            break
    return *_means(colours, counts, members, len(kinds)), members


def _means(colours: Array, counts: Array, members: Array, length: int) -> tuple[Array, Array]:
    """Of each group its mean colour, and its count; of an empty one 0."""
    totals = np.bincount(members, counts, length)
    sums = [np.bincount(members, counts * colours[:, i], length) for i in range(3)]
    means: Array = np.stack(sums, axis=1) / np.where(totals > 0, totals, 1)[:, None]
    return means, totals


def _clusters(colours: Array, weights: Array, most: int) -> Array:
    """Median cut, and k-means from there: float64 (at most `most`, 3).

    Pillow does both, but k-means without weights, and in many times as long.
    """
    repeats = np.maximum(1, np.rint(weights / weights.sum() * SAMPLE)).astype(np.int64)
    sample = np.repeat(np.rint(colours).astype(np.uint8), repeats, axis=0)
    cut = Image.fromarray(sample[None]).quantize(most, Image.Quantize.MEDIANCUT)
    table = np.array(cut.getpalette(), np.float64).reshape(-1, 3)[:most]
    for _ in range(ROUNDS):
        members = _nearest(table, colours)
        means, totals = _means(colours, weights, members, len(table))
        table = _refilled(means, totals, colours, weights, table[members])
    return table


def _refilled(means: Array, totals: Array, colours: Array, weights: Array, nearest: Array) -> Array:
    """Clusters that nothing belongs to begin anew, where the palette is off by the most."""
    empty = np.flatnonzero(totals == 0)
    if len(empty):
        off = ((colours - nearest) ** 2).sum(axis=1) * weights
        means[empty] = colours[np.argsort(off, kind="stable")[-len(empty) :]]
    return means


def _nearest(table: Array, colours: Array) -> Array:
    found: Array = cKDTree(table).query(colours)[1]
    return found


@kernel
def _count(colour: Array, shown: Array, counts: Array) -> None:
    for y in range(shown.shape[0]):
        for x in range(shown.shape[1]):
            if shown[y, x]:
                r, g, b = np.uint32(colour[y, x, 0]), np.uint32(colour[y, x, 1]), colour[y, x, 2]
                counts[r << 16 | g << 8 | b] += np.float32(1)


@kernel
def _look_up(colour: Array, shown: Array, indices: Array, otherwise: int, out: Array) -> None:
    for y in range(shown.shape[0]):
        for x in range(shown.shape[1]):
            if shown[y, x]:
                r, g, b = np.uint32(colour[y, x, 0]), np.uint32(colour[y, x, 1]), colour[y, x, 2]
                out[y, x] = indices[r << 16 | g << 8 | b]
            else:
                out[y, x] = otherwise
