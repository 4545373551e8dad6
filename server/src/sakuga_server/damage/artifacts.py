"""Damage in a picture: who finds which kind, and how it is undone before the network."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import cv2
import numpy as np

from sakuga_core.errors import DetectorError
from sakuga_core.options import Detectors, Region
from sakuga_server.cancellation import stop_if
from sakuga_server.damage import banding, specks
from sakuga_server.imaging.decode import orient
from sakuga_server.imaging.picture import Array, Picture, rgb, window
from sakuga_server.imaging.samples import to_8_bit
from sakuga_server.jpeg import block_grid, dequantise, redecode
from sakuga_server.jpeg.coefficients import BLOCK, Jpeg, luma_of, tables
from sakuga_server.jpeg.consistency import Evidence, agreed

log = logging.getLogger("sakuga")

# A JPEG of this quality and more shows no blocks that the network would take for lines.
GOOD = 90
# How much coarser an older compression must be than the file's own to be worth more.
COARSER = 10

BY_FILE = "quantisation-aware decoding"
BY_PIXELS = "quantisation-aware decoding of an older JPEG"
BY_SMOOTHING = "smoothing within half a step"

OUTLINES = {
    "jpeg": (230, 60, 60),
    "banding": (60, 120, 230),
    "speck": (240, 170, 30),
    "user": (60, 170, 90),
}


def detect(picture: Picture, source: Jpeg | None, wanted: Detectors) -> list[Region]:
    """What is wrong with a picture.

    Args:
        picture: upright.
        source: what its file holds, where that is a JPEG.
        wanted: one detector, or `auto` for all of them, or `none`.

    Raises:
        DetectorError: a detector failed; the text names it.
    """
    found: list[Region] = []
    for name, detector in DETECTORS.items():
        if wanted in (name, "auto"):
            try:
                found += detector(picture, source)
            except Exception as error:
                log.exception("detector %s failed", name)
                raise DetectorError(
                    f"detector {name!r} failed; the server's log has the reason"
                ) from error
    return [region for region in found if not _plateau(region, found)]


def _plateau(region: Region, found: list[Region]) -> bool:
    """Whether it is the bands that JPEG makes of a gradient, block by block: these go with it."""
    if region.kind != "banding":
        return False
    x, y, width, height = region.box
    for box in (other.box for other in found if other.kind == "jpeg"):
        across = min(x + width, box[0] + box[2]) - max(x, box[0])
        down = min(y + height, box[1] + box[3]) - max(y, box[1])
        if min(across, down) > 0 and 2 * across * down > width * height:
            return True
    return False


def _jpeg(picture: Picture, source: Jpeg | None) -> list[Region]:
    """The file's own compression; and an older one, if there is one that is coarser."""
    found, own = [], 100 if source is None else source.quality
    if own < GOOD:
        box, score = (0, 0, picture.width, picture.height), round(1 - own / 100, 3)
        region = Region(
            kind="jpeg", box=box, score=score, method="quantisation tables", quality=own
        )
        found.append(region)
    if not picture.deep and (source is None or own >= GOOD):
        found += [
            _traced(trace)
            for trace in block_grid.find(luma_of(picture.colour))
            if trace.quality < own - COARSER
        ]
    return found


def _traced(trace: block_grid.Trace) -> Region:
    return Region(
        kind="jpeg",
        box=trace.box,
        score=round(trace.share, 3),
        method="multiples of quantisation steps",
        quality=trace.quality,
        grid=trace.grid,
    )


def _banding(picture: Picture, source: Jpeg | None) -> list[Region]:
    return [
        Region(kind="banding", box=box, score=round(share, 3), method="staircases")
        for box, share in banding.boxes(banding.find(picture.colour))
    ]


def _specks(picture: Picture, source: Jpeg | None) -> list[Region]:
    if source is not None:  # ringing around lines looks like specks
        return []
    colour = to_8_bit(picture.colour) if picture.deep else picture.colour
    return [
        Region(kind="speck", box=box, score=round(contrast, 3), method="isolated dots")
        for box, contrast in specks.find(colour)
    ]


Detector = Callable[[Picture, Jpeg | None], list[Region]]
DETECTORS: dict[str, Detector] = {"jpeg": _jpeg, "banding": _banding, "speck": _specks}


@dataclass
class Restored:
    """A picture whose damage was undone."""

    picture: Picture
    done: list[dict[str, Any]] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    """What is known of the pictures it may have been."""


def restore(
    picture: Picture,
    source: Jpeg | None,
    regions: list[Region],
    cancelled: Callable[[], bool] = lambda: False,
) -> Restored:
    """Undoes compression and banding, within the regions of these kinds; the picture stays of its
    kind and size.

    Raises:
        Cancelled: the caller has gone; each region is a step.
    """
    repaired = Restored(picture)
    colour = picture.colour
    decoded = cache(lambda: _decoded(picture, source))
    for region in (r for r in regions if r.kind == "jpeg"):
        stop_if(cancelled)
        own = region.grid is None and source is not None
        redone = (
            _by_file(colour, picture, source, region, decoded)
            if own
            else _by_pixels(colour, region)
        )
        if redone is not None:
            colour, evidence = redone
            repaired.evidence.append(evidence)
            repaired.done.append(_restored(region, BY_FILE if own else BY_PIXELS))
    if any(r.kind == "banding" for r in regions):
        stairs = banding.find(colour)
        inside = np.zeros(colour.shape[:2], bool)
        for region in (r for r in regions if r.kind == "banding"):
            inside[window(region.box)] = True
            repaired.done.append(_restored(region, BY_SMOOTHING))
        stairs.steps[~inside] = 0
        colour = banding.smoothed(colour, stairs)
    if colour is not picture.colour:
        repaired.picture = replace(picture, colour=colour)
    return repaired


def _restored(region: Region, by: str) -> dict[str, Any]:
    return {"what": "restored", "kind": region.kind, "box": region.box, "by": by}


def _decoded(picture: Picture, source: Jpeg | None) -> Array | None:
    """The picture decoded anew from the file's coefficients, upright."""
    return None if source is None else orient(dequantise.decode(source), picture.orientation)


def _by_file(
    colour: Array,
    picture: Picture,
    source: Jpeg | None,
    region: Region,
    decode: Callable[[], Array | None],
) -> tuple[Array, Evidence] | None:
    """`colour` with a region decoded anew from the file's coefficients."""
    decoded = decode()
    if source is None or decoded is None or decoded.shape != colour.shape:
        return None
    place = slice(0, source.height), slice(0, source.width)
    luma, inside = source.planes[0], _inside(colour, region)
    return _put(colour, decoded, region), Evidence(luma, *place, picture.orientation, inside)


def _by_pixels(colour: Array, region: Region) -> tuple[Array, Evidence] | None:
    """`colour` with a region decoded anew from what its pixels tell; None where that's nothing."""
    if colour.dtype != np.uint8 or (trace := _trace_of(colour, region)) is None:
        return None
    grid, quality = trace
    luma = redecode.stored(luma_of(colour) - 128, grid, tables(quality))
    place = block_grid.whole(colour.shape[:2], grid)
    decoded = redecode.restored(colour, grid, quality)
    return _put(colour, decoded, region), Evidence(luma, *place, 1, _inside(colour, region))


def _put(colour: Array, decoded: Array, region: Region) -> Array:
    result = colour.copy()
    result[window(region.box)] = decoded[window(region.box)]
    return result


def _inside(colour: Array, region: Region) -> Array:
    inside = np.zeros(colour.shape[:2], bool)
    inside[window(region.box)] = True
    return inside


def _trace_of(colour: Array, region: Region) -> tuple[tuple[int, int], int] | None:
    """Grid and quality of a region, found in its pixels where it doesn't tell."""
    if region.grid is not None and region.quality is not None:
        return region.grid, region.quality
    rows, columns = window(region.box)
    found = block_grid.find(luma_of(colour[rows, columns]))
    if not found:
        return None
    x, y = found[0].grid
    return ((x + columns.start) % BLOCK, (y + rows.start) % BLOCK), found[0].quality


def consistent(
    large: Picture,
    inpainted: Picture,
    repaired: Restored,
    cancelled: Callable[[], bool] = lambda: False,
) -> Picture:
    """The upscaled picture, made consistent with its file; see `jpeg.consistency`.

    Args:
        inpainted: what was upscaled: `repaired`, and what was inpainted since, of which the file
            has nothing.

    Raises:
        Cancelled: the caller has gone; each region is a step.
    """
    colour = large.colour
    for evidence in repaired.evidence:
        stop_if(cancelled)
        new = np.atleast_3d(inpainted.colour != repaired.picture.colour).any(axis=2)
        colour = agreed(colour, replace(evidence, inside=evidence.inside & ~new))
    return replace(large, colour=colour)


def drawn(picture: Picture, regions: list[Region]) -> Picture:
    """The picture, 8 bits RGB, with the regions' outlines and names over it."""
    colour = to_8_bit(picture.colour) if picture.deep else picture.colour
    canvas = np.ascontiguousarray(rgb(colour)).copy()
    thick = max(1, round(max(picture.width, picture.height) / 500))
    for region in regions:
        x, y, width, height = region.box
        margin = 3 * thick if region.kind == "speck" else 0
        start = max(x - margin, 0), max(y - margin, 0)
        end = (
            min(x + width + margin, picture.width) - 1,
            min(y + height + margin, picture.height) - 1,
        )
        cv2.rectangle(canvas, start, end, OUTLINES[region.kind], thick)
        _write(canvas, _name(region), start, OUTLINES[region.kind], thick)
    return Picture(canvas, None, picture.metadata, picture.warnings)


def _name(region: Region) -> str:
    quality = f" q{region.quality}" if region.quality else ""
    return f"{region.kind}{quality} {region.score:.2f}"


def _write(
    canvas: Array, text: str, corner: tuple[int, int], colour: tuple[int, int, int], thick: int
) -> None:
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.45 * thick
    (width, height), below = cv2.getTextSize(text, font, size, thick)
    left = max(min(corner[0], canvas.shape[1] - width), 0)
    bottom = max(min(corner[1] + height + below, canvas.shape[0] - 1), height)
    cv2.rectangle(canvas, (left, bottom - height - below), (left + width, bottom), colour, -1)
    cv2.putText(canvas, text, (left, bottom - below // 2), font, size, (255, 255, 255), thick)
