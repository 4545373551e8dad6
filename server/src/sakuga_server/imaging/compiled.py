"""Loops over pixels, compiled by numba, and shared out to threads."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

# Work in here never waits for other work in here, so several callers can't block each other.
POOL = ThreadPoolExecutor(len(os.sched_getaffinity(0)), "pixels")


def kernel(function: F) -> F:
    """Compiled on first use, kept on disk, and without the GIL.

    Sums may be reordered (by the compiler, so always alike); NaN and infinity keep their meaning.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract", "reassoc", "nsz", "arcp"}}
    try:
        return cast(F, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # nothing is writable here: compiled anew by each process
        return cast(F, numba.njit(**options)(function))


def on_all_cores(
    work: Callable[..., Any], parts: Iterable[tuple[int, ...]], *arguments: object
) -> float:
    """`work` on all parts, on all cores; the sum of what it gives, in order."""
    results = list(POOL.map(lambda part: work(*arguments, *part), parts))
    return float(sum(result or 0.0 for result in results))
