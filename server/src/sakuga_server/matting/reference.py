"""Matting by the PyMatting library: what rembg uses, and what ours is measured against.

It runs in a process of its own. Some of its steps take minutes and can't be interrupted, but a
process can be ended; its memory goes back to the system then, gigabytes for large pictures.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

import numpy as np

from sakuga_server.cancellation import INTERVAL, stop_if
from sakuga_server.imaging.picture import Array
from sakuga_server.parent_watch import end_with_parent


def estimate_alpha(
    colour: Array, trimap: Array, cancelled: Callable[[], bool] = lambda: False
) -> Array:
    """Like `closed_form.estimate_alpha`.

    Levin et al., A Closed-Form Solution to Natural Image Matting, 2008.
    """
    alpha = _apart("estimate_alpha_cf", _scaled(colour), trimap / 255.0, cancelled)
    return np.asarray(alpha, np.float32)


def estimate_foreground(
    colour: Array, alpha: Array, cancelled: Callable[[], bool] = lambda: False
) -> Array:
    """Like `closed_form.estimate_foreground`.

    Germer et al., Fast Multi-Level Foreground Estimation, 2020.
    """
    if max(alpha.shape) < 2:
        return colour  # the library divides by zero
    arguments = _scaled(colour), alpha.astype(np.float64)
    foreground = _apart("estimate_foreground_ml", *arguments, cancelled)
    most = np.iinfo(colour.dtype).max
    return np.asarray(np.rint(foreground.clip(0, 1) * most), colour.dtype)


def _scaled(colour: Array) -> Array:
    return np.asarray(colour / np.iinfo(colour.dtype).max)


def _apart(function: str, one: Array, other: Array, cancelled: Callable[[], bool]) -> Array:
    """What a function of PyMatting gives, computed by another process.

    Raises:
        Cancelled: the caller has gone; the process was ended.
        RuntimeError: it failed.
    """
    command = [sys.executable, "-m", __name__, function]
    with _file() as arguments, _file() as result, _file() as errors:
        for array in (one, other):
            np.save(arguments, array)
        arguments.seek(0)
        with subprocess.Popen(command, stdin=arguments, stdout=result, stderr=errors) as process:
            try:
                _wait(process, cancelled)
            finally:
                process.kill()
        if process.returncode:
            raise RuntimeError(f"PyMatting failed: {_text(errors)[-2000:]}")
        result.seek(0)
        return np.asarray(np.load(result))


def _file() -> BinaryIO:
    """In memory: pipes would have to be emptied meanwhile, and nothing need be writable here."""
    return open(os.memfd_create("matting"), "w+b")


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _wait(process: "subprocess.Popen[bytes]", cancelled: Callable[[], bool]) -> None:
    while process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(INTERVAL)
        stop_if(cancelled)


def _main() -> None:
    """The other process: two arrays in, one out."""
    end_with_parent(is_server=False)
    import pymatting  # takes a second

    # Whatever the library prints would be in the way of the result.
    sys.stdout, results = sys.stderr, sys.stdout.buffer
    one, other = np.load(sys.stdin.buffer), np.load(sys.stdin.buffer)
    np.save(results, getattr(pymatting, sys.argv[1])(one, other))


if __name__ == "__main__":
    _main()
