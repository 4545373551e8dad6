"""Alpha of soft edges: closed-form matting (Levin, Lischinski, Weiss 2008), solved on two levels.

Levin's energy is 0 for an alpha that is linear in the colour, window by window. So the coarse level
holds linear models of the colour, four numbers each, on a grid of nodes; between the nodes they
are mixed. A direct solution for these is nearly the answer already, and a few steps of conjugate
gradients, with Gauss-Seidel for what the models can't say, do the rest.

What costs time and memory is the unknown pixels: some 200 bytes each, and three numbers for each
pixel of their bounding box, of which only what is used becomes real memory.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

from sakuga_server.cancellation import stop_if
from sakuga_server.imaging.compiled import on_all_cores
from sakuga_server.imaging.picture import Array
from sakuga_server.matting import kernels
from sakuga_server.matting.coarse_kernels import (
    galerkin,
    moments,
    to_modes,
    to_nodes,
    to_pixels,
)
from sakuga_server.matting.foreground import estimate_foreground
from sakuga_server.matting.foreground import warm_up as warm_up_foreground
from sakuga_server.matting.kernels import PAD, REACH

__all__ = ["estimate_alpha", "estimate_foreground", "warm_up"]

# Steps of conjugate gradients. On most of the drawn composites of tests/support three already reach
# PyMatting's errors; hair over a painted ground takes six.
STEPS = 6
# Unknown pixels up to which nodes lie 8 and 16 pixels apart; beyond, 32. Closer nodes make a better
# start, farther ones a faster direct solution; in large pictures details are larger, too.
PIXELS_AT_8, PIXELS_AT_16 = 1 << 17, 1 << 21
# Pixels and most strips for the threads. The number doesn't depend on the machine: strips change
# the result's last digits.
STRIP, STRIPS = 8192, 16
# A node's model follows an axis of the colours where their standard deviation is above this, in
# colours of 0…1. It is an eighth of a level of 255: less is no colour of its own.
LEAST_SPREAD = 5e-4
# Relative; keeps models apart that say the same on their few pixels.
SHIFT = 1e-10
# Alpha this close to 0 or 1 is that: half a level of 255.
SNAP = 0.5 / 255
Parts = Iterable[tuple[int, ...]]
OFFSETS = [(y, x) for y in range(-REACH, REACH + 1) for x in range(-REACH, REACH + 1)]


def estimate_alpha(
    colour: Array, trimap: Array, cancelled: Callable[[], bool] = lambda: False
) -> Array:
    """The share of the foreground in each unknown pixel.

    Args:
        colour: uint8 or uint16, (H, W, 3) RGB.
        trimap: uint8, (H, W): 0 background, 255 foreground, anything else unknown.
        cancelled: called between the steps; True ends the work.

    Returns:
        float32 (H, W), 0…1; exactly 0 and 1 where the trimap says so.

    Raises:
        Cancelled: see `cancelled`.
    """
    alpha: Array = (trimap == 255).astype(np.float32)
    unknown = (trimap != 0) & (trimap != 255)
    if not unknown.any() or not alpha.any():
        return alpha
    if trimap.all():
        return np.ones_like(alpha)
    if min(trimap.shape) < 3:  # too narrow for a window: a line is matted as three equal ones
        return _widened(colour, trimap, cancelled)
    x, y, width, height = cv2.boundingRect(unknown.view(np.uint8))
    rows = slice(max(y - REACH, 0), y + height + REACH)
    columns = slice(max(x - REACH, 0), x + width + REACH)
    inside = unknown[rows, columns]
    system = _System(colour[rows, columns], inside, alpha[rows, columns] == 1, cancelled)
    alpha[rows, columns][inside] = _snapped(system.solve())
    return alpha


def warm_up() -> None:
    """Compiles every kernel for both depths, or loads it from numba's cache."""
    trimap = np.full((12, 12), 128, np.uint8)
    trimap[:3], trimap[-3:] = 0, 255
    for kind in (np.uint8, np.uint16):
        ramp = np.linspace(0, np.iinfo(kind).max, 12)[:, None, None]
        colour = np.ascontiguousarray(np.broadcast_to(ramp, (12, 12, 3)).astype(kind))
        estimate_alpha(colour, trimap)
    warm_up_foreground()


def _widened(colour: Array, trimap: Array, cancelled: Callable[[], bool]) -> Array:
    height, width = trimap.shape
    edges = (0, max(3 - height, 0), 0, max(3 - width, 0), cv2.BORDER_REPLICATE)
    wide = cv2.copyMakeBorder(colour, *edges), cv2.copyMakeBorder(trimap, *edges)
    cut: Array = estimate_alpha(*wide, cancelled)[:height, :width]
    return cut


def _snapped(alpha: Array) -> Array:
    return np.where(alpha < SNAP, 0, np.where(alpha > 1 - SNAP, 1, alpha))


class _System:
    """The linear system of the unknown pixels of one picture.

    Args:
        colour: uint8 or uint16, (H, W, 3).
        unknown, full: bool (H, W): what to find, and where alpha is known to be 1.
        cancelled: see `estimate_alpha`.
    """

    def __init__(
        self, colour: Array, unknown: Array, full: Array, cancelled: Callable[[], bool]
    ) -> None:
        self.cancelled = cancelled
        picture = np.pad(colour, ((PAD, PAD), (PAD, PAD), (0, 0)))
        unknown = np.pad(unknown, PAD)
        self.shape = unknown.shape
        width = self.shape[1]
        self.place = np.flatnonzero(unknown).astype(np.int32)
        self.spots = np.stack(np.divmod(self.place, width), axis=1).astype(np.int32)
        self.count = len(self.place)
        self.shift = 3 + (self.count > PIXELS_AT_8) + (self.count > PIXELS_AT_16)
        self.scale = 1.0 / np.iinfo(colour.dtype).max
        colours = picture.reshape(-1, 3)[self.place]
        self.colours = (colours * np.float32(self.scale)).astype(np.float32)
        self.numbers = np.full(self.shape, -1, np.int32)
        self.numbers.reshape(-1)[self.place] = np.arange(self.count, dtype=np.int32)
        self.offsets = np.array([y * width + x for y, x in OFFSETS], np.int32)
        self._cut()
        self.rows = self._laplacian(picture, unknown)
        self.side = np.empty(self.count)
        known = np.pad(full, PAD).reshape(-1)
        arguments = (self.rows, self.place, self.numbers.reshape(-1), known, self.offsets)
        self.on_all_cores(kernels.split_known, self.parts, *arguments, self.side)

    def on_all_cores(self, work: Callable[..., Any], parts: Parts, *arguments: object) -> float:
        """The same as `compiled.on_all_cores`, unless the caller has gone."""
        stop_if(self.cancelled)
        return on_all_cores(work, parts, *arguments)

    def _cut(self) -> None:
        """Strips of whole rows of nodes, with about as many unknown pixels each."""
        cells = -(-self.shape[0] // (1 << self.shift))
        starts = np.arange(cells + 1) << self.shift
        before = np.searchsorted(self.spots[:, 0], starts)
        strips = max(1, min(STRIPS, self.count // STRIP))
        shares = self.count * np.arange(1, strips) / strips
        inner = np.searchsorted(before, shares).tolist()
        cuts = sorted({0, *inner, cells})
        self.parts = [(int(before[a]), int(before[b])) for a, b in pairwise(cuts)]
        self.bounds = [(int(starts[a]), int(starts[b])) for a, b in pairwise(cuts)]

    def _laplacian(self, picture: Array, unknown: Array) -> Array:
        """float32 (n, 25). Rounding at 6e-8 is far below what 8 bits of colour leave open."""
        width, inside = self.shape[1], PAD + 1
        centres = np.zeros(self.shape, np.uint8)
        middle = (slice(inside, -inside), slice(inside, -inside))  # windows within the picture
        centres[middle] = cv2.dilate(unknown.view(np.uint8), np.ones((3, 3), np.uint8))[middle]
        windows = np.flatnonzero(centres).astype(np.int32)
        rows = np.zeros((self.count, kernels.STENCIL), np.float32)
        parts = []
        for top, bottom in self.bounds:
            ends = np.searchsorted(windows, ((top - 1) * width, (bottom + 1) * width))
            parts.append((top, bottom, int(ends[0]), int(ends[1])))
        self.on_all_cores(
            kernels.laplacian, parts, picture, self.numbers, self.scale, rows, windows
        )
        return rows

    def solve(self) -> Array:
        """float64 (n,): conjugate gradients from the coarse level's solution on."""
        models = _Models(self)
        residual, product, alpha = self.side.copy(), np.empty(self.count), np.zeros(self.count)
        along, better, coarse = np.zeros((3, self.shape[0] * self.shape[1]))
        self.scratch = np.empty(self.count), product, coarse
        models.solve(residual, along)
        self._multiply(along, product)
        self.on_all_cores(
            kernels.step_along, self.parts, self.place, 1.0, along, product, alpha, residual
        )
        size = 0.0
        for step in range(STEPS):
            self._precondition(models, residual, better)
            last, size = (
                size,
                self.on_all_cores(kernels.inner, self.parts, self.place, better, residual),
            )
            if size <= 1e-14 * self.count:
                break
            share = size / last if step else 0.0
            self.on_all_cores(kernels.turn, self.parts, self.place, share, better, along)
            length = size / self._multiply(along, product)
            self.on_all_cores(
                kernels.step_along, self.parts, self.place, length, along, product, alpha, residual
            )
        return alpha

    def _multiply(self, vector: Array, result: Array) -> float:
        arguments = (self.rows, self.place, self.offsets, vector, result)
        return self.on_all_cores(kernels.multiply, self.parts, *arguments)

    def _precondition(self, models: "_Models", residual: Array, better: Array) -> None:
        """Gauss-Seidel down, the models, Gauss-Seidel up: symmetric, as the gradients need it."""
        rest, product, coarse = self.scratch
        rest[:] = residual
        stencil, width = (self.rows, self.place, self.offsets), self.shape[1]
        strips = list(zip(self.bounds, self.parts, strict=True))
        down = [(top * width, *part) for (top, _), part in strips]
        self.on_all_cores(kernels.sweep_down, down, *stencil, residual, better)
        self._multiply(better, product)
        self.on_all_cores(kernels.subtract, self.parts, rest, product)
        models.solve(rest, coarse)
        self._multiply(coarse, product)
        self.on_all_cores(kernels.subtract, self.parts, rest, product)
        up = [(bottom * width, *part) for (_, bottom), part in strips]
        self.on_all_cores(kernels.sweep_up, up, *stencil, rest, better, coarse)


class _Models:
    """The coarse level: alpha = a · colour + b at nodes, with bilinear weights between them."""

    def __init__(self, system: _System) -> None:
        self.system = system
        self.phases = system.parts[::2], system.parts[1::2]  # neighbours share nodes
        self._place_nodes()
        self.modes, self.kept = self._modes()
        blocks = np.zeros((self.count, len(OFFSETS), 4, 4))
        self._sum(galerkin, system.rows, system.spots, system.colours, system.numbers,
                  system.shift, self.nodes, blocks)  # fmt: skip
        around = np.pad(self.nodes, REACH, constant_values=-1)
        spots = self.spots + REACH
        others = np.stack([around[spots[:, 0] + y, spots[:, 1] + x] for y, x in OFFSETS], axis=1)
        to_modes(blocks, self.modes, others, np.empty((4, 4)), 0, self.count)
        # The matrix is symmetric and positive: no pivoting.
        options = {"SymmetricMode": True}
        self.factors = splu(
            self._matrix(blocks, others), "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options
        )

    def _place_nodes(self) -> None:
        cells = self.system.spots >> self.system.shift
        used = np.zeros([(side >> self.system.shift) + 2 for side in self.system.shape], bool)
        for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
            used[cells[:, 0] + y, cells[:, 1] + x] = True
        self.spots = np.argwhere(used).astype(np.int32)
        self.count = len(self.spots)
        self.nodes = np.full(used.shape, -1, np.int32)
        self.nodes[used] = np.arange(self.count, dtype=np.int32)

    def _sum(self, work: Callable[..., Any], *arguments: object) -> None:
        """Adds up what pixels give to nodes; strips side by side never run at once."""
        for parts in self.phases:
            self.system.on_all_cores(work, parts, *arguments)

    def _modes(self) -> tuple[Array, Array]:
        """Each node's models: 1, and the colour along its main axes, centred, of unit variance.

        Returns:
            (nodes, 4, 4), whose columns are models in terms of (1, R, G, B); and which are kept,
            bool (nodes, 4): in flat colours only the first is.
        """
        system, sums = self.system, np.zeros((self.count, 4, 4))
        self._sum(moments, system.spots, system.colours, system.shift, self.nodes, sums)
        weight = np.maximum(sums[:, 0, 0], 1e-6)
        mean = sums[:, 0, 1:] / weight[:, None]
        square = sums[:, 1:, 1:] / weight[:, None, None]
        variance, axes = np.linalg.eigh(square - mean[:, :, None] * mean[:, None, :])
        kept = np.ones((self.count, 4), bool)
        kept[:, 1:] = variance > LEAST_SPREAD**2
        kept &= (sums[:, 0, 0] > 1e-6)[:, None]
        spread = np.sqrt(np.maximum(variance, LEAST_SPREAD**2))
        modes = np.zeros((self.count, 4, 4))
        modes[:, 0, 0] = 1
        modes[:, 1:, 1:] = axes / spread[:, None, :]
        modes[:, 0, 1:] = -np.einsum("nc,ncm->nm", mean, modes[:, 1:, 1:])
        return modes * kept[:, None, :], kept

    def _matrix(self, blocks: Array, others: Array) -> csc_matrix:
        """The kept models' matrix from blocks (nodes, 25, 4, 4)."""
        node, offset = np.nonzero(others >= 0)
        index = np.where(self.kept, np.cumsum(self.kept).reshape(self.kept.shape) - 1, -1)
        shape = (len(node), 4, 4)
        row = np.broadcast_to(index[node][:, :, None], shape).ravel()
        column = np.broadcast_to(index[others[node, offset]][:, None, :], shape).ravel()
        kept = (row >= 0) & (column >= 0)
        values, row, column = blocks[node, offset].ravel()[kept], row[kept], column[kept]
        values[row == column] *= 1 + SHIFT
        size = int(self.kept.sum())
        return csc_matrix((values, (row, column)), (size, size))

    def solve(self, residual: Array, result: Array) -> None:
        """The models that fit `residual` (n,) best, as pixels: result, padded and flat."""
        system = self.system
        pixels = (system.colours, system.shift, self.nodes)
        sums = np.zeros((self.count, 4))
        self._sum(to_nodes, system.spots, *pixels, residual, sums)
        sums = np.einsum("nba,nb->na", self.modes, sums)
        found = np.zeros((self.count, 4))
        found[self.kept] = self.factors.solve(sums[self.kept])
        found = np.einsum("nab,nb->na", self.modes, found)
        system.on_all_cores(
            to_pixels, system.parts, system.spots, system.place, *pixels, found, result
        )
