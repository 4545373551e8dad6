"""Drawing primitives for the sample pictures: curves, tapering ink, flat fills, soft light.

Everything is given in design units (one unit is one pixel of the picture at size 1) and turned
into device pixels only when it is painted, so the same drawing can be made at any size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

Points = NDArray[np.float64]
Shape = list[Points]
Taper = Literal["both", "in", "out", "none"]
Stops = Sequence[tuple[float, str]]

# Small pictures are reduced further than large ones, so that sizes 1 and 2 come from one raster
# and the small one is, but for rounding, the large one averaged.
SUPERSAMPLE = 4
RASTER = 8
STEPS = 20


def path(text: str, closed: bool = False) -> Points:
    """Smooth curve through ``x,y`` points; a point marked ``!`` is a sharp corner."""
    words = text.split()
    knots = np.array([[float(v) for v in w.rstrip("!").split(",")] for w in words])
    return through(knots, [i for i, w in enumerate(words) if w.endswith("!")], closed)


def through(knots: Points, corners: Sequence[int], closed: bool = False) -> Points:
    """Smooth curve through the points; the numbered ones are sharp corners."""
    if closed:
        # Start on a corner where there is one: the seam of a loop is then never visible.
        first = corners[0] if corners else 0
        knots = np.concatenate([np.roll(knots, -first, axis=0), knots[first : first + 1]])
        corners = [i - first for i in corners]
    cuts = sorted({0, len(knots) - 1, *corners})
    loop = closed and not corners
    parts = [_spline(knots[a : b + 1], loop) for a, b in itertools.pairwise(cuts)]
    return np.concatenate(parts)


def _spline(knots: Points, loop: bool) -> Points:
    """Centripetal Catmull-Rom: it never overshoots into little loops as the uniform one does."""
    if len(knots) == 2:
        return knots
    ends = (knots[-2], knots[1])
    if not loop:
        ends = (2 * knots[0] - knots[1], 2 * knots[-1] - knots[-2])
    full = np.vstack([ends[0], knots, ends[1]])
    out = [_segment(full[i : i + 4]) for i in range(len(knots) - 1)]
    return np.vstack([*out, knots[-1:]])


def _segment(p: Points) -> Points:
    gaps = np.maximum(np.linalg.norm(np.diff(p, axis=0), axis=1) ** 0.5, 1e-6)
    t = np.concatenate([[0.0], np.cumsum(gaps)])
    x = np.linspace(t[1], t[2], STEPS, endpoint=False)[:, None]

    def mix(a: Points, b: Points, i: int, j: int) -> Points:
        mixed: Points = ((t[j] - x) * a + (x - t[i]) * b) / (t[j] - t[i])
        return mixed

    a1, a2, a3 = (mix(p[i], p[i + 1], i, i + 1) for i in range(3))
    return mix(mix(a1, a2, 0, 2), mix(a2, a3, 1, 3), 1, 2)


def oval(x: float, y: float, rx: float, ry: float | None = None, turn: float = 0.0) -> Points:
    """An ellipse as a polygon; turn is in degrees."""
    a = np.linspace(0, 2 * math.pi, 72, endpoint=False)
    px, py = rx * np.cos(a), (rx if ry is None else ry) * np.sin(a)
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return np.stack([x + c * px - s * py, y + s * px + c * py], axis=1)


def along(line: Points, count: int) -> Points:
    """The same line, as evenly spaced points."""
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    reach = np.concatenate([[0.0], np.cumsum(steps)])
    want = np.linspace(0, reach[-1], count)
    return np.stack([np.interp(want, reach, line[:, k]) for k in (0, 1)], axis=1)


def _pressure(count: int, taper: Taper) -> NDArray[np.float64]:
    t = np.linspace(0, 1, count)
    rise, fall = np.minimum(1, t / 0.45), np.minimum(1, (1 - t) / 0.45)
    shape = {"both": rise * fall, "in": rise, "out": fall, "none": np.ones(count)}[taper]
    width: NDArray[np.float64] = 0.12 + 0.88 * np.sin(shape * math.pi / 2)
    return width


def ribbon(line: Points, widths: NDArray[np.float64]) -> Shape:
    """A band of varying width along a line: quads with round joints, so bends never fold."""
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    side = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) * widths[:, None] / 2
    left, right = line + side, line - side
    quads = [np.stack([left[i], left[i + 1], right[i + 1], right[i]]) for i in range(len(line) - 1)]
    a = np.linspace(0, 2 * math.pi, 20, endpoint=False)
    disc = np.stack([np.cos(a), np.sin(a)], axis=1) / 2
    return quads + [p + disc * w for p, w in zip(line, widths, strict=True)]


def ink(line: Points, width: float, taper: Taper = "both") -> Shape:
    """A pen stroke that swells and thins out as a nib does."""
    length = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
    count = int(np.clip(length / 1.2, 8, 300))
    return ribbon(along(line, count), width * _pressure(count, taper))


def contour(line: Points, width: float) -> Shape:
    """The outline of a shape, each side inked for itself so that the pen lifts at the corners."""
    steps = np.diff(line, axis=0)
    keep = np.linalg.norm(steps, axis=1) > 1e-6
    line, steps = np.vstack([line[:1], line[1:][keep]]), steps[keep]
    heading = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    sharp = np.flatnonzero(np.abs(np.diff(heading)) > 0.6) + 1
    shape: Shape = []
    for a, b in itertools.pairwise([0, *(int(i) for i in sharp), len(line) - 1]):
        side = line[a : b + 1]
        t = np.linspace(0, 1, len(side))
        shape += ribbon(side, width * (0.6 + 0.4 * np.sin(math.pi * t)))
    return shape


def spindle(line: Points, width: float, belly: float = 0.35) -> Points:
    """A leaf or a lock of hair: pointed at both ends, widest at ``belly`` of its length."""
    line = along(line, 40)
    t = np.linspace(0, 1, 40)
    warped = t ** (math.log(0.5) / math.log(belly))
    half = np.sin(math.pi * warped)[:, None] * width / 2
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    side = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) * half
    return np.concatenate([line + side, (line - side)[::-1]])


class Canvas:
    """A picture being painted at several times its final size, then reduced."""

    def __init__(self, width: int, height: int, size: float = 1.0, paper: str = "#00000000"):
        self.out = (round(width * size), round(height * size))
        self.fine = max(SUPERSAMPLE, round(RASTER / size))
        self.full = (self.out[0] * self.fine, self.out[1] * self.fine)
        self.image = Image.new("RGBA", self.full, paper)
        self.zoom = self.full[0] / width
        self._frame = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

    @contextmanager
    def frame(
        self, x: float, y: float, scale: float = 1.0, turn: float = 0.0, wide: float = 1.0
    ) -> Iterator[None]:
        """Move, scale, turn (degrees) and stretch (``wide``, negative mirrors) what is drawn."""
        kept = self._frame
        c, s = scale * math.cos(math.radians(turn)), scale * math.sin(math.radians(turn))
        inner = np.array([[c * wide, -s, x], [s * wide, c, y], [0, 0, 1]])
        self._frame = kept @ inner
        try:
            yield
        finally:
            self._frame = kept

    def _device(self, points: Points) -> Points:
        moved: Points = (points @ self._frame[:, :2].T + self._frame[:, 2]) * self.zoom
        return moved

    def _stamp(self, shape: Iterable[Points]) -> tuple[Image.Image, tuple[int, int, int, int]]:
        """The shape as a mask no larger than itself, and where it goes."""
        polygons = [self._device(p) for p in shape]
        every = np.vstack(polygons)
        low = np.clip(np.floor(every.min(axis=0)) - 1, 0, self.full).astype(int)
        high = np.clip(np.ceil(every.max(axis=0)) + 2, 0, self.full).astype(int)
        box = (int(low[0]), int(low[1]), int(max(low[0], high[0])), int(max(low[1], high[1])))
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        pen = ImageDraw.Draw(mask)
        for polygon in polygons if mask.width and mask.height else []:
            # Pillow's whole numbers are the middles of pixels, ours their corners.
            pen.polygon([(float(x), float(y)) for x, y in polygon - low - 0.5], fill=255)
        return mask, box

    def region(self, *shapes: Points) -> Image.Image:
        """A mask of the whole canvas, to keep later paint inside."""
        mask = Image.new("L", self.full)
        for shape in shapes:
            part, box = self._stamp([shape])
            mask.paste(255, box, part)
        return mask

    def soften(self, mask: Image.Image, radius: float) -> Image.Image:
        """The mask with a blurred edge; blurred small, since a blur holds no detail."""
        small = max(1, round(min(radius * self.zoom / 6, 16)))
        less = mask.reduce(small)
        less = less.filter(ImageFilter.GaussianBlur(radius * self.zoom / small))
        return less.resize(self.full, Image.Resampling.BICUBIC)

    def _lay(self, mask: Image.Image, box: tuple[int, int, int, int], paint: Image.Image) -> None:
        if not mask.width or not mask.height:
            return
        paint.putalpha(ImageChops.multiply(mask, paint.getchannel("A")))
        self.image.alpha_composite(paint, box[:2])

    def paint(
        self, shape: Iterable[Points], colour: str, within: Image.Image | None = None
    ) -> None:
        """Lay a flat colour (``#rrggbb`` or ``#rrggbbaa``) over the shape."""
        mask, box = self._stamp(shape)
        if within is not None:
            mask = ImageChops.multiply(mask, within.crop(box))
        self._lay(mask, box, Image.new("RGBA", mask.size, colour))

    def fill(self, line: Points, colour: str, within: Image.Image | None = None) -> None:
        self.paint([line], colour, within)

    def outline(
        self, line: Points, colour: str, width: float = 1.6, within: Image.Image | None = None
    ) -> None:
        self.paint(contour(line, width), colour, within)

    def stroke(
        self,
        line: Points,
        colour: str,
        width: float = 1.6,
        taper: Taper = "both",
        within: Image.Image | None = None,
    ) -> None:
        self.paint(ink(line, width, taper), colour, within)

    def flood(self, mask: Image.Image, colour: str) -> None:
        """Lay a flat colour through a whole-canvas mask."""
        self._lay(mask, (0, 0, *self.full), Image.new("RGBA", self.full, colour))

    def gradient(
        self,
        stops: Stops,
        start: tuple[float, float],
        end: tuple[float, float],
        within: Image.Image | None = None,
    ) -> None:
        """A linear run of colours from one point to another, clear parts included."""
        ends = self._device(np.array([start, end], dtype=np.float64))
        box = (within.getbbox() if within is not None else None) or (0, 0, *self.full)
        if within is None:
            within = Image.new("L", self.full, 255)
        axis = (ends[1] - ends[0]) / max(float(((ends[1] - ends[0]) ** 2).sum()), 1e-9)
        xs = (np.arange(box[0], box[2], dtype=np.float32) + 0.5 - ends[0, 0]) * axis[0]
        ys = (np.arange(box[1], box[3], dtype=np.float32) + 0.5 - ends[0, 1]) * axis[1]
        paint = _ramp(stops, np.add.outer(ys, xs))
        self._lay(within.crop(box), box, paint)

    def glow(self, x: float, y: float, radius: float, stops: Stops) -> None:
        """Light falling off around a point: stops run from the middle (0) to the radius (1)."""
        corners = self._device(np.array([[x, y], [x + radius, y]], dtype=np.float64))
        reach = float(np.linalg.norm(corners[1] - corners[0]))
        xs = np.arange(self.full[0], dtype=np.float32) + 0.5 - corners[0, 0]
        ys = np.arange(self.full[1], dtype=np.float32) + 0.5 - corners[0, 1]
        away = np.sqrt(np.add.outer(ys**2, xs**2)) / reach
        self._lay(Image.new("L", self.full, 255), (0, 0, *self.full), _ramp(stops, away))

    def finish(self) -> Image.Image:
        """Reduce by plain averaging: exact coverage at edges, and no ringing beside ink."""
        return self.image.reduce(self.fine)


def _ramp(stops: Stops, where: NDArray[np.float32]) -> Image.Image:
    at = [s[0] for s in stops]
    colours = np.array([ImageColor.getcolor(s[1], "RGBA") for s in stops], dtype=np.float32)
    # A table is finer than eight bits can show and saves four interpolations per pixel.
    grid = np.linspace(at[0], at[-1], 2048)
    table = np.stack([np.interp(grid, at, colours[:, k]) for k in range(4)], axis=1)
    span = (where - at[0]) / max(at[-1] - at[0], 1e-9) * 2047
    index = np.clip(span, 0, 2047).astype(np.int16)
    return Image.fromarray((table + 0.5).astype(np.uint8)[index], "RGBA")
