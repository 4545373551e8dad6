"""Inpainting parts of a picture: by a network, or by OpenCV where they are thin.

A network sees a window of the size it knows around each hole, at the picture's own scale; only a
hole that is larger than that is seen smaller. Its result is laid over the hole and a rim around it,
where it fades out; no other pixel changes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from sakuga_core.errors import BadOption, ModelNotLoaded
from sakuga_core.networks.facts import InpainterFacts
from sakuga_core.options import Box, Inpainting, Region
from sakuga_server.cancellation import stop_if
from sakuga_server.imaging.mask_file import eight_bit
from sakuga_server.imaging.picture import Array, Picture, window
from sakuga_server.networks import InpaintNet

# The best on drawings first.
OPENCV = "opencv"
# Holes with no pixel farther from their border are hairlines, which need no network.
THIN = 3.0
RADIUS = 4  # of the neighbourhood that OpenCV's method (Telea 2004) looks at, in pixels
RIM, SPECK_RIM = 4, 1  # pixels around a hole that are inpainted, too, fading out
CONTEXT = 1.5  # how many times wider than its hole a window is at least
JOIN = 16  # pixels up to which holes are inpainted together


@dataclass
class Inpaint:
    """Inpaints the holes of one picture.

    Args:
        inpaint: runs a network.
        inpainters: those that there are.
        method: who inpaints.
        cancelled: called before each hole; True ends the work.
    """

    inpaint: InpaintNet
    inpainters: dict[str, InpainterFacts]
    method: Inpainting
    cancelled: Callable[[], bool] = lambda: False

    async def __call__(
        self, picture: Picture, regions: list[Region], mask: Array | None
    ) -> tuple[Picture, list[dict[str, Any]]]:
        """
        Args:
            regions: of which kinds `speck` and `user` are inpainted.
            mask: bool (H, W), what else is.

        Returns:
            The picture, of its kind, and what was done.

        Raises:
            BadOption: nothing would be left to inpaint from.
            ModelNotLoaded: of the network that the request names.
        """
        specks, holes = _holes(picture, regions, mask)
        if self.method == "none" or not (specks.any() or holes.any()):
            return picture, []
        if (specks | holes).all():
            raise BadOption("regions and mask cover the whole picture; allowed: parts of it")
        colour, done = eight_bit(picture), []
        inpainted = colour.copy()
        if specks.any():
            whole = (0, 0, picture.width, picture.height)
            _by_opencv(inpainted, _grown(specks, SPECK_RIM), whole)
            done += [_done(r.box, OPENCV) for r in regions if r.kind == "speck"]
        grown = _grown(holes, RIM)
        for box in _groups(holes):
            stop_if(self.cancelled)
            done.append(
                _done(box, await self._fill(inpainted, holes, grown, box, picture.warnings))
            )
        weight = np.maximum(_fading(specks, SPECK_RIM), _fading(holes, RIM))
        return _laid_over(picture, inpainted, weight), done

    async def _fill(
        self, inpainted: Array, holes: Array, grown: Array, box: Box, warnings: list[str]
    ) -> str:
        """Inpaints one group of holes, with their rims, in place; gives who did."""
        named = self.method != "auto"
        if self.method == OPENCV or (not named and _thin(holes, box)):
            _by_opencv(inpainted, grown, box)
            return OPENCV
        for name in (self.method,) if named else self.inpainters:
            try:
                await self._by_network(name, inpainted, grown, box)
                return name
            except ModelNotLoaded:
                if named:
                    raise
        warnings.append(f"no inpainting network is loaded; OpenCV inpainted {list(box)}")
        _by_opencv(inpainted, grown, box)
        return OPENCV

    async def _by_network(self, name: str, inpainted: Array, hole: Array, box: Box) -> None:
        facts = self.inpainters[name]
        reach = max(facts.side, 8 * -(-round(CONTEXT * (max(box[2:]) + 2 * RIM)) // 8))
        side = min(reach, facts.largest)
        rows = _span(box[1], box[3], reach, inpainted.shape[0])
        columns = _span(box[0], box[2], reach, inpainted.shape[1])
        places = np.ix_(_mirrored(rows, len(inpainted)), _mirrored(columns, inpainted.shape[1]))
        view, seen = inpainted[places], hole[places].view(np.uint8)
        if reach > side:
            view = cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA)
            # A pixel that is a hole in part is one.
            seen = np.ceil(
                cv2.resize(seen.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
            ).astype(np.uint8)
        (result,) = await self.inpaint(name, np.ascontiguousarray(view)[None], seen[None])
        if reach > side:
            result = cv2.resize(result, (reach, reach), interpolation=cv2.INTER_CUBIC)
        inner = _inner(rows, len(inpainted)), _inner(columns, inpainted.shape[1])
        target = inpainted[_outer(rows, len(inpainted)), _outer(columns, inpainted.shape[1])]
        inside = hole[_outer(rows, len(inpainted)), _outer(columns, inpainted.shape[1])]
        target[inside] = result[inner][inside]


def check(regions: list[Region], picture: Picture, most: int) -> list[Region]:
    """The caller's regions, as far as they lie in the picture; what was cut is a warning.

    Args:
        most: how many there may be.

    Raises:
        BadOption: there are more, or one lies outside.
    """
    if len(regions) > most:
        raise BadOption(
            f"option 'regions' has {len(regions)} regions; allowed: {most}, or the same as a mask"
        )
    inside = []
    for region in regions:
        x, y, width, height = region.box
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, picture.width), min(y + height, picture.height)
        if right <= left or bottom <= top:
            raise BadOption(
                f"option 'regions' has {list(region.box)}, which lies outside the picture; "
                f"allowed: x from 0 to {picture.width - 1}, y from 0 to {picture.height - 1}"
            )
        box = (left, top, right - left, bottom - top)
        if box != region.box:
            picture.warnings.append(f"region {list(region.box)} was cut to {list(box)}")
        inside.append(region.model_copy(update={"box": box}))
    return inside


def _holes(picture: Picture, regions: list[Region], mask: Array | None) -> tuple[Array, Array]:
    """Where specks are, and where else is inpainted: bool (H, W) each."""
    specks = np.zeros((picture.height, picture.width), bool)
    holes = specks.copy() if mask is None else mask.copy()
    for region in regions:
        if region.kind in ("speck", "user"):
            (specks if region.kind == "speck" else holes)[window(region.box)] = True
    return specks, holes


def _grown(holes: Array, rim: int) -> Array:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1,) * 2)
    return np.asarray(cv2.dilate(holes.view(np.uint8), kernel).view(bool))


def _fading(holes: Array, rim: int) -> Array:
    """float32 (H, W): 1 in holes, falling to 0 at the outer edge of their rims."""
    if not holes.any():
        return np.zeros(holes.shape, np.float32)
    away = cv2.distanceTransform((~holes).view(np.uint8), cv2.DIST_L2, 5)
    fading: Array = np.clip(1 - away / (rim + 1), 0, 1).astype(np.float32)
    return fading * _grown(holes, rim)


def _groups(holes: Array) -> list[Box]:
    """Boxes around holes that are near each other: x, y, width, height."""
    near = _grown(holes, JOIN).view(np.uint8)
    number, labels, places, _ = cv2.connectedComponentsWithStats(near)
    boxes = []
    for label in range(1, number):
        left, top, across, down = (int(v) for v in places[label, :4])
        place = slice(top, top + down), slice(left, left + across)
        part = (labels[place] == label) & holes[place]
        x, y, width, height = cv2.boundingRect(part.view(np.uint8))
        boxes.append((left + x, top + y, width, height))
    return boxes


def _thin(holes: Array, box: Box) -> bool:
    x, y, width, height = box
    inside = np.pad(holes[y : y + height, x : x + width], 1).view(np.uint8)
    return float(cv2.distanceTransform(inside, cv2.DIST_L2, 5).max()) < THIN


def _by_opencv(inpainted: Array, hole: Array, box: Box) -> None:
    """Inpaints the holes in a box, in place."""
    x, y, width, height = box
    margin = RIM + 2 * RADIUS
    place = (
        slice(max(y - margin, 0), y + height + margin),
        slice(max(x - margin, 0), x + width + margin),
    )
    view = np.ascontiguousarray(inpainted[place])
    seen = np.ascontiguousarray(hole[place]).view(np.uint8)
    inpainted[place] = cv2.inpaint(view, seen, RADIUS, cv2.INPAINT_TELEA)


def _span(start: int, length: int, reach: int, side: int) -> range:
    """A window's pixels along an axis: the hole in its middle, as far as the picture reaches; a
    picture that is smaller lies in the middle of the window."""
    first = start + length // 2 - reach // 2
    first = (side - reach) // 2 if side < reach else min(max(first, 0), side - reach)
    return range(first, first + reach)


def _mirrored(span: range, side: int) -> Array:
    """The picture's pixel for each of a window's along an axis, mirrored where it is beyond."""
    period = max(2 * side - 2, 1)
    place = np.abs(np.arange(span.start, span.stop)) % period
    return np.asarray(np.minimum(place, period - place))


def _outer(span: range, side: int) -> slice:
    """The part of a window that lies in the picture, in the picture's pixels…"""
    return slice(max(span.start, 0), min(span.stop, side))


def _inner(span: range, side: int) -> slice:
    """…and in the window's."""
    outer = _outer(span, side)
    return slice(outer.start - span.start, outer.stop - span.start)


def _laid_over(picture: Picture, inpainted: Array, weight: Array) -> Picture:
    """The picture with what was inpainted, of its own kind."""
    new = inpainted if picture.colour.ndim == 3 else cv2.cvtColor(inpainted, cv2.COLOR_RGB2GRAY)
    part = weight if new.ndim == 2 else weight[..., None]
    scaled = new.astype(np.float32) * (257 if picture.deep else 1)
    mixed = picture.colour + part * (scaled - picture.colour)
    touched = weight > 0
    colour = picture.colour.copy()
    colour[touched] = np.rint(mixed[touched]).astype(colour.dtype)
    return replace(picture, colour=colour)


def _done(box: Box, by: str) -> dict[str, Any]:
    return {"what": "inpainted", "box": box, "by": by}
