"""Gradients in too few levels: where they are, and how they were before.

A posterised gradient is a staircase: bands of one value, each the same step above the last. Found
are runs along rows and columns, in each channel by itself, so that neither edges (their bands are
a pixel or two wide) nor cel shading (its steps aren't alike, nor are there many) nor a smooth
gradient of 8 bits (its steps are one level, which is all that the result can hold) is taken for
one.

Undone is only what a staircase can hide: the smoothest picture whose every sample is within half a
step of what it was.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from sakuga_server.imaging.compiled import kernel, on_all_cores
from sakuga_server.imaging.picture import Array

# Of a staircase: how many bands it has at least, how wide they are at least, in pixels, how high
# its steps are at least and at most, in levels of 255, and how unequal they may be.
BANDS, WIDTH, LOWEST, HIGHEST, UNEQUAL = 4, 3, 1.5, 48.0, 1.4
# Samples between two bands, where somebody resized a posterised picture.
BLURRED = 2
TILE = 64  # side of the tiles by which regions are found
COVER = 0.25  # of a tile that is banded at least
SWEEPS = 240
# Bands pull a sample back by 1 / (PULL · width)², so that the ends of a staircase stay level.
PULL = 1.0
STEEPEST = 8.2  # largest curvature of the energy: 8 of the differences, and a pull of at most 1/9


@dataclass(frozen=True)
class Staircases:
    """Where a picture is banded, sample by sample: uint16 (H, W, channels)."""

    steps: Array
    """How high the steps are, in the picture's levels; 0 where there are none…"""
    widths: Array
    """…and how wide the bands, in pixels."""


def find(colour: Array) -> Staircases:
    """
    Args:
        colour: uint8 or uint16, (H, W) or (H, W, 3).
    """
    # Decoders give read-only pixels, for which numba would compile everything once more.
    samples = np.require(np.atleast_3d(colour), requirements=["C", "W"])
    limits = [v * np.iinfo(colour.dtype).max / 255 for v in (LOWEST, HIGHEST, UNEQUAL)]
    steps, widths = _along_lines(samples, limits)
    others = _along_lines(np.ascontiguousarray(samples.swapaxes(0, 1)), limits)
    turned_steps, turned_widths = (np.ascontiguousarray(o.swapaxes(0, 1)) for o in others)
    # Of the two directions, the one whose bands are narrower goes across them.
    narrower = (turned_steps > 0) & ((steps == 0) | (turned_widths < widths))
    steps[narrower], widths[narrower] = turned_steps[narrower], turned_widths[narrower]
    return Staircases(steps, widths)


def _along_lines(samples: Array, limits: list[float]) -> tuple[Array, Array]:
    steps, widths = (np.zeros(samples.shape, np.uint16) for _ in range(2))
    parts = [(top, min(top + TILE, len(samples))) for top in range(0, len(samples), TILE)]
    on_all_cores(_scan, parts, samples, steps, widths, *limits)
    return steps, widths


def boxes(stairs: Staircases) -> list[tuple[tuple[int, int, int, int], float]]:
    """Boxes (x, y, width, height) around neighbouring tiles that are banded, each with the share of
    it that is."""
    banded = stairs.steps.max(axis=2) > 0
    height, width = banded.shape
    size = (-(-width // TILE), -(-height // TILE))
    padded = np.zeros((size[1] * TILE, size[0] * TILE), np.float32)
    padded[:height, :width] = banded
    cover = cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
    number, labels = cv2.connectedComponents((cover > COVER).astype(np.uint8))
    found = []
    for label in range(1, number):
        rows, columns = np.nonzero(labels == label)
        left, top = int(columns.min()) * TILE, int(rows.min()) * TILE
        right = min(int(columns.max() + 1) * TILE, width)
        bottom = min(int(rows.max() + 1) * TILE, height)
        part = float(banded[top:bottom, left:right].mean())
        found.append(((left, top, right - left, bottom - top), part))
    return found


def smoothed(colour: Array, stairs: Staircases) -> Array:
    """`colour` without the staircases, of its type; other samples stay as they are."""
    samples = np.atleast_3d(colour)
    result = samples.copy()
    for channel in range(samples.shape[2]):
        plane = np.ascontiguousarray(samples[..., channel], np.float32)
        step = np.ascontiguousarray(stairs.steps[..., channel], np.float32)
        width = np.ascontiguousarray(stairs.widths[..., channel], np.float32)
        if step.any():
            smooth = np.rint(_relaxed(plane, step, width))
            result[..., channel] = np.where(step > 0, smooth, plane)
    return result.reshape(colour.shape)


def _relaxed(plane: Array, step: Array, width: Array) -> Array:
    """The smooth plane, by Nesterov's projected gradient descent."""
    now, ahead, before = plane.copy(), plane.copy(), plane.copy()
    rows = len(plane)
    parts = [(top, min(top + TILE, rows)) for top in range(0, rows, TILE)]
    momentum = 1.0
    for _ in range(SWEEPS):
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        weight = np.float32((momentum - 1) / following)
        on_all_cores(_sweep, parts, plane, step, width, ahead, now)
        np.add(now, weight * (now - before), out=ahead)
        before[...], momentum = now, following
    return now


def warm_up() -> None:
    """Compiles the kernels, or loads them from numba's cache."""
    stairs = np.repeat(np.arange(0, 80, 8, np.uint8), 8)[None].repeat(8, axis=0)
    smoothed(stairs, find(stairs))


@kernel
def _scan(
    samples: Array, steps: Array, widths: Array, lowest: float, highest: float, unequal: float,
    first: int, last: int,
) -> None:  # fmt: skip
    """Writes steps and widths of every staircase along each line from `first` to `last`."""
    length, channels = samples.shape[1:]
    starts, ends = np.empty(length, np.int64), np.empty(length, np.int64)
    direction = np.empty(channels, np.float32)
    for y in range(first, last):
        line, count, begin = samples[y], _runs(samples[y], starts, ends), 0
        while begin < count - 1:
            end, step = begin + 1, 0.0
            direction[:] = 0
            while end < count and starts[end] - ends[end - 1] <= BLURRED:
                rise = _rise(line[starts[end - 1]], line[starts[end]], step, unequal, direction)
                if rise < lowest or rise > highest:
                    break
                # The first step says how high all of them are, in every channel.
                step = step if step else rise
                end += 1
            if end - begin >= BANDS:
                for c in range(channels):
                    runs = starts[begin:end], ends[begin:end]
                    _mark(line[:, c], *runs, step, steps[y, :, c], widths[y, :, c])
            begin = max(end - 1, begin + 1)


@kernel
def _rise(before: Array, after: Array, step: float, unequal: float, direction: Array) -> float:
    """How high the step between two bands is, if it continues a staircase; else 0."""
    highest = 0.0
    for c in range(len(before)):
        highest = max(highest, abs(float(after[c]) - float(before[c])))
    known = step if step else highest
    for c in range(len(before)):
        rise = float(after[c]) - float(before[c])
        if rise == 0:
            continue
        if abs(abs(rise) - known) > unequal or rise * direction[c] < 0:
            return 0.0
        direction[c] = rise
    return highest


@kernel
def _runs(line: Array, starts: Array, ends: Array) -> int:
    """The runs of one colour, at least WIDTH long; gives how many."""
    count, start = 0, 0
    for x in range(1, len(line) + 1):
        same = x < len(line)
        for c in range(line.shape[1]):
            same = same and line[x, c] == line[start, c]
        if not same:
            if x - start >= WIDTH:
                starts[count], ends[count] = start, x
                count += 1
            start = x
    return count


@kernel
def _mark(
    line: Array, starts: Array, ends: Array, step: float, steps: Array, widths: Array
) -> None:
    """One channel of a staircase. Its bands may be several runs long, where other channels rise.
    Of its first and last band, only as much as their neighbour is wide: what is beyond may well be
    flat."""
    bounds = np.empty(len(starts) + 1, np.int64)
    bounds[0], count = starts[0], 1
    for run in range(1, len(starts)):
        if line[starts[run]] != line[starts[run - 1]]:
            bounds[count] = starts[run]
            count += 1
    bounds[count] = ends[-1]
    for band in range(count if count > 1 else 0):
        left, right = bounds[band], bounds[band + 1]
        width = right - left
        if band == 0:
            width = min(width, bounds[2] - bounds[1])
            left = right - width
        elif band == count - 1:
            width = min(width, bounds[band] - bounds[band - 1])
            right = left + width
        for x in range(left, right):
            steps[x], widths[x] = step, width


@kernel
def _sweep(
    plane: Array, step: Array, width: Array, ahead: Array, now: Array, first: int, last: int
) -> None:
    """One step downhill from `ahead`, for rows `first` to `last`, into `now`."""
    height, length = plane.shape
    for y in range(first, last):
        for x in range(length):
            if step[y, x] == 0:
                continue
            here, edge, slope = ahead[y, x], 1.5 * step[y, x], 0.0
            for i in range(4):
                v, u = y + (i == 0) - (i == 1), x + (i == 2) - (i == 3)
                inside = 0 <= v < height and 0 <= u < length
                if inside and abs(plane[v, u] - plane[y, x]) <= edge:
                    slope += ahead[v, u] - here
            slope += (plane[y, x] - here) / (PULL * width[y, x]) ** 2
            half = step[y, x] / 2
            least, most = plane[y, x] - half, plane[y, x] + half
            now[y, x] = min(max(here + slope / STEEPEST, least), most)
