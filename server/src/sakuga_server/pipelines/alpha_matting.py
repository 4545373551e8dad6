"""The last step of removing a background: from a network's prediction and the picture to a file."""

import time
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from sakuga_core.options import RembgOptions
from sakuga_server.imaging.alpha import bleed
from sakuga_server.imaging.encode import encode
from sakuga_server.imaging.picture import Array, Picture, rgb
from sakuga_server.matting import closed_form, reference
from sakuga_server.matting import mask as masks
from sakuga_server.pipelines.rembg_prepare import RembgContext
from sakuga_server.pipelines.report import report

NOTHING_FOUND = "the network found no figure; the result is empty"

# Colours stay under transparent pixels this near to visible ones, so that whoever scales the result
# finds no dark fringe; farther ones are cleared, for a smaller file.
HIDDEN_RIM = 3


def finish(prediction: Array, packed: Array, context: RembgContext) -> tuple[bytes, dict[str, Any]]:
    """Everything after the network.

    Args:
        prediction: float32 (side, side).
        packed: the picture, from `prepare`.

    Returns:
        The foreground, or the mask, as an encoded file, and the report.

    Raises:
        TooLarge: the format can't hold the result.
    """
    stages = context.stages
    stages["network"] = round(1000 * (time.monotonic() - context.sent), 1)
    (picture, corrections), options = _unpacked(packed, context), context.options
    with stages("mask"):
        mask = _mask(prediction, picture, corrections, context)
    # A colour profile says nothing of a mask, and one for RGB is an error in a gray file.
    result = Picture(mask, None, replace(picture.metadata, icc=None), picture.warnings)
    if not options.only_mask:
        with stages("matting"):
            visible = _visible(picture)
            alpha = _alpha(visible, mask, corrections, context)
        with stages("colour"):
            foreground = _foreground_of(picture, visible, alpha, options)
            result = _laid_over(foreground, options.background_color)
    with stages("encode"):
        form = context.format
        encoded = encode(result, form, options.quality, options.keep_metadata, options.lossless)
    stages["total"] = round(1000 * (time.monotonic() - context.started), 1)
    sizes = (context.bytes_in, len(encoded))
    return encoded, report(context, "rembg", picture, result, sizes, form)


def _unpacked(packed: Array, context: RembgContext) -> tuple[Picture, Array | None]:
    """The picture, and uint8 (H, W), how its mask is corrected."""
    pixels, corrections = packed.view(np.uint16) if context.deep else packed, None
    if context.corrected:
        corrections, pixels = pixels[..., -1].astype(np.uint8), pixels[..., :-1]
    colour = pixels[..., 0] if context.gray else pixels[..., :3]
    alpha = np.ascontiguousarray(pixels[..., -1]) if context.alpha else None
    picture = Picture(np.ascontiguousarray(colour), alpha, context.metadata, context.warnings)
    return replace(picture, format=context.source_format), corrections


def _mask(
    prediction: Array, picture: Picture, corrections: Array | None, context: RembgContext
) -> Array:
    found = masks.read(prediction, context.window, picture.width, picture.height, context.letterbox)
    mask = np.zeros((picture.height, picture.width), np.uint8) if found is None else found
    if context.options.post_process_mask:
        mask = masks.post_process(mask)
    mask = masks.corrected(mask, corrections)
    if found is None and not mask.any():
        picture.warnings.append(NOTHING_FOUND)
    return mask


def _visible(picture: Picture) -> Array:
    """Its colours as (H, W, 3), without what the file holds under transparency, which is nobody's
    colour: matting would mix it in."""
    if picture.alpha is None:
        return rgb(picture.colour)
    return rgb(bleed(picture.colour, picture.alpha))


def _alpha(visible: Array, mask: Array, corrections: Array | None, context: RembgContext) -> Array:
    """float32 (H, W) in 0…1: the mask, or what the matting makes of it."""
    options = context.options
    plain = mask.astype(np.float32) / 255
    if not options.alpha_matting or not mask.any():
        return plain
    over = options.alpha_matting_foreground_threshold
    name = "alpha_matting_foreground_threshold"
    if over >= 255 and (options.reference_thresholds or name in context.unusual):
        context.notes.append(_unreachable(over, options.reference_thresholds))
    parts = masks.corrected(masks.trimap(mask, options), corrections)
    missing = [
        name
        for name, value in (("foreground", masks.FOREGROUND), ("background", masks.BACKGROUND))
        if not (parts == value).any()
    ]
    if missing:
        context.notes.append(
            f"after eroding by {options.alpha_matting_erode_size} pixels no certain "
            f"{' or '.join(missing)} is left; the result has no alpha matting"
        )
        return plain
    if options.matting == "pymatting":
        return reference.estimate_alpha(visible, parts)
    return closed_form.estimate_alpha(visible, parts)


def _unreachable(over: int, reference: bool) -> str:
    what = f"alpha_matting_foreground_threshold is {over}, which no mask exceeds"
    if reference:
        return f"{what}; as in rembg, the matting is skipped"
    return f"{what}: only where the network is fully certain is certainly figure"


def _foreground_of(
    picture: Picture, visible: Array, matte: Array, options: RembgOptions
) -> Picture:
    """The picture with `matte`, float32 (H, W), times its own alpha."""
    colour, most = picture.colour, np.iinfo(picture.colour.dtype).max
    if options.estimate_foreground and matte.any():
        foreground = _foreground(visible, matte, options)
        colour = foreground if colour.ndim == 3 else np.ascontiguousarray(foreground[..., 0])
    if options.premultiplied:
        weight = matte if colour.ndim == 2 else matte[..., None]
        colour = np.rint(colour * weight).astype(colour.dtype)
    own = np.float32(most) if picture.alpha is None else picture.alpha
    alpha = np.rint(matte * own).astype(colour.dtype)
    return Picture(_cleared(colour, alpha), alpha, picture.metadata, picture.warnings)


def _foreground(visible: Array, matte: Array, options: RembgOptions) -> Array:
    if options.matting == "pymatting":
        return reference.estimate_foreground(visible, matte)
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
    return Picture(colour, opaque, metadata, picture.warnings)
