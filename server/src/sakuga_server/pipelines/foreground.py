"""The foreground of a picture: from what a segmentation network predicts to mask, alpha and
colours."""

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from sakuga_server.imaging.alpha import bleed
from sakuga_server.imaging.picture import Array, Picture, rgb
from sakuga_server.matting import closed_form, reference
from sakuga_server.matting import mask as masks
from sakuga_server.matting.mask import Window
from sakuga_server.pipelines.rembg_request import RembgRequest

NOTHING_FOUND = "the network found no figure; the result is empty"

# Colours stay under transparent pixels this near to visible ones, so that whoever scales the result
# finds no dark fringe; farther ones are cleared, for a smaller file.
HIDDEN_RIM = 3


class Found(NamedTuple):
    """What is known of a picture before its mask."""

    prediction: Array
    """The network's, float32 (side, side)."""
    window: Window
    """Where in it the picture lies."""
    corrections: Array | None
    """The caller's of the mask, uint8 (H, W)."""


def refined(picture: Picture, found: Found, request: RembgRequest) -> Picture:
    """The foreground of a picture, or its mask."""
    with request.stages("mask"):
        mask = _mask(picture, found, request)
    if request.options.only_mask:
        # A colour profile says nothing of a mask, and one for RGB is an error in a gray file.
        metadata = replace(picture.metadata, icc=None)
        return replace(picture, colour=mask, alpha=None, metadata=metadata)
    with request.stages("matting"):
        visible = _visible(picture)
        alpha = _alpha(visible, mask, found.corrections, request)
    request.caller.stop_if_gone()
    with request.stages("colour"):
        foreground = _foreground_of(picture, visible, alpha, request)
        return _laid_over(foreground, request.options.background_color)


def _mask(picture: Picture, found: Found, request: RembgRequest) -> Array:
    size = (picture.width, picture.height)
    seen = masks.read(found.prediction, found.window, *size, request.letterbox)
    mask = np.zeros(size[::-1], np.uint8) if seen is None else seen
    if request.options.post_process_mask:
        mask = masks.post_process(mask)
    mask = masks.corrected(mask, found.corrections)
    if seen is None and not mask.any():
        picture.warnings.append(NOTHING_FOUND)
    return mask


def _visible(picture: Picture) -> Array:
    """Its colours as (H, W, 3), without what the file holds under transparency, which is nobody's
    colour: matting would mix it in."""
    if picture.alpha is None:
        return rgb(picture.colour)
    return rgb(bleed(picture.colour, picture.alpha))


def _alpha(visible: Array, mask: Array, corrections: Array | None, request: RembgRequest) -> Array:
    """float32 (H, W) in 0…1: the mask, or what the matting makes of it."""
    options = request.options
    plain = mask.astype(np.float32) / 255
    if not options.alpha_matting or not mask.any():
        return plain
    over = options.alpha_matting_foreground_threshold
    name = "alpha_matting_foreground_threshold"
    if over >= 255 and (options.reference_thresholds or name in request.unusual):
        request.note(_unreachable(over, options.reference_thresholds))
    parts = masks.corrected(masks.trimap(mask, options), corrections)
    missing = [
        name
        for name, value in (("foreground", masks.FOREGROUND), ("background", masks.BACKGROUND))
        if not (parts == value).any()
    ]
    if missing:
        request.note(
            f"after eroding by {options.alpha_matting_erode_size} pixels no certain "
            f"{' or '.join(missing)} is left; the result has no alpha matting"
        )
        return plain
    is_reference = options.matting == "pymatting"
    estimate = reference.estimate_alpha if is_reference else closed_form.estimate_alpha
    return estimate(visible, parts, request.caller.cancelled)


def _unreachable(over: int, reference: bool) -> str:
    what = f"alpha_matting_foreground_threshold is {over}, which no mask exceeds"
    if reference:
        return f"{what}; as in rembg, the matting is skipped"
    return f"{what}: only where the network is fully certain is certainly figure"


def _foreground_of(
    picture: Picture, visible: Array, matte: Array, request: RembgRequest
) -> Picture:
    """The picture with `matte`, float32 (H, W), times its own alpha."""
    options = request.options
    colour, most = picture.colour, np.iinfo(picture.colour.dtype).max
    if options.estimate_foreground and matte.any():
        foreground = _foreground(visible, matte, request)
        colour = foreground if colour.ndim == 3 else np.ascontiguousarray(foreground[..., 0])
    if options.premultiplied:
        weight = matte if colour.ndim == 2 else matte[..., None]
        colour = np.rint(colour * weight).astype(colour.dtype)
    own = np.float32(most) if picture.alpha is None else picture.alpha
    alpha = np.rint(matte * own).astype(colour.dtype)
    return replace(picture, colour=_cleared(colour, alpha), alpha=alpha)


def _foreground(visible: Array, matte: Array, request: RembgRequest) -> Array:
    if request.options.matting == "pymatting":
        return reference.estimate_foreground(visible, matte, request.caller.cancelled)
    # All of a figure may be 254 of 255 (see `mask.CERTAIN`), with no background to take out.
    soft = np.where(matte > masks.CERTAIN / 255, np.float32(1), matte)
    return closed_form.estimate_foreground(visible, soft)


def _cleared(colour: Array, alpha: Array) -> Array:
    """`colour` without what lies under transparent pixels, but for a rim."""
    kernel = np.ones((2 * HIDDEN_RIM + 1,) * 2, np.uint8)
    near = cv2.dilate((alpha > 0).view(np.uint8), kernel)
    return cv2.bitwise_and(colour, colour, mask=near)


def _laid_over(picture: Picture, background: str | None) -> Picture:
    """The picture over a colour, `#rrggbbaa`: opaque, unless the colour isn't."""
    if background is None or picture.alpha is None:
        return picture
    most = np.float32(np.iinfo(picture.colour.dtype).max)
    *ground, cover = (np.float32(v) / 255 for v in bytes.fromhex(background[1:]))
    alpha = (picture.alpha / most)[..., None]
    under = cover * (1 - alpha)
    total = alpha + under
    mixed = rgb(picture.colour) * alpha + most * np.asarray(ground) * under
    colour = np.rint(mixed / np.maximum(total, 1e-6)).astype(picture.colour.dtype)
    opaque = np.rint(total[..., 0] * most).astype(picture.colour.dtype) if cover < 1 else None
    # What was gray is RGB now, and its profile was one for gray.
    gray = picture.colour.ndim == 2
    metadata = replace(picture.metadata, icc=None) if gray else picture.metadata
    return replace(picture, colour=colour, alpha=opaque, metadata=metadata)
