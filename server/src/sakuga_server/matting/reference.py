"""Matting by the PyMatting library: what rembg uses, and what ours is measured against."""

from threading import Lock

import numpy as np

from sakuga_server.imaging.picture import Array

# Without OpenMP or TBB, numba ends the process if two threads run parallel code at once.
_alone = Lock()


def estimate_alpha(colour: Array, trimap: Array) -> Array:
    """Like `matting.estimate_alpha`.

    Levin et al., A Closed-Form Solution to Natural Image Matting, 2008.
    """
    from pymatting import estimate_alpha_cf  # takes a second to import, and few ask for it

    with _alone:
        alpha = estimate_alpha_cf(_scaled(colour), trimap / 255.0)
    return np.asarray(alpha, np.float32)


def estimate_foreground(colour: Array, alpha: Array) -> Array:
    """Like `matting.estimate_foreground`.

    Germer et al., Fast Multi-Level Foreground Estimation, 2020.
    """
    from pymatting import estimate_foreground_ml

    if max(alpha.shape) < 2:
        return colour  # the library divides by zero
    with _alone:
        foreground = estimate_foreground_ml(_scaled(colour), alpha.astype(np.float64))
    most = np.iinfo(colour.dtype).max
    return np.asarray(np.rint(foreground.clip(0, 1) * most), colour.dtype)


def _scaled(colour: Array) -> Array:
    return np.asarray(colour / np.iinfo(colour.dtype).max)
