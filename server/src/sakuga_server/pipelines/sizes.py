"""How large a result is, and by which passes of the network it gets so large."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from sakuga_core.errors import BadOption, TooLarge
from sakuga_core.options import UpscaleOptions
from sakuga_core.options.upscale import LARGEST, SIZES

Size = tuple[int, int]
"""Width and height, in pixels."""

Sizing = Callable[[int, int], Size]
"""The size of a result, by width and height of the picture."""


@dataclass(frozen=True)
class Plan:
    """The passes of a picture through its network."""

    sizes: tuple[Size, ...]
    """After each pass; the last one is the result's."""

    @property
    def result(self) -> Size:
        return self.sizes[-1]

    def scales(self, width: int) -> list[float]:
        """The scale factor of each pass, for a picture of that width."""
        widths = [width, *(size[0] for size in self.sizes)]
        return [round(after / before, 3) for before, after in pairwise(widths)]


def plan(width: int, height: int, options: UpscaleOptions, native: int, most: int) -> Plan:
    """The passes of a picture.

    A side of a result is what its factor gives, rounded down, as Real-ESRGAN does. Beyond the
    network's own scale the first pass ends where the others, each at that scale, reach the result;
    with `reference_resize` there is one pass, and what is missing is resampled, as Real-ESRGAN
    does.

    Args:
        native: the network's scale.
        most: pixels that a result may have.

    Raises:
        BadOption: the size that was asked for is smaller than the picture, or too many times
            larger.
        TooLarge: a pass gives more than `most` pixels; nothing has been done yet.
    """
    times = factor(width, height, options, native)
    result = max(1, int(width * times)), max(1, int(height * times))
    count = 1 if options.reference_resize else _passes(times, native)
    sizes = [(-(-result[0] // n), -(-result[1] // n)) for n in _later(count, native)]
    _check(width, height, sizes, native, most)
    return Plan(tuple(sizes))


def _later(count: int, native: int) -> list[int]:
    """The scale factor of all passes after each one."""
    return [native**after for after in reversed(range(count))]


def _passes(factor: float | Fraction, native: int) -> int:
    count = 1
    while native**count < factor and native > 1:
        count += 1
    return count


def factor(width: int, height: int, options: UpscaleOptions, native: int) -> float | Fraction:
    """The scale factor of a picture; exact where a side was asked for.

    Args:
        native: the factor where nothing was asked for.

    Raises:
        BadOption: the size that was asked for is smaller than the picture, or too many times
            larger.
    """
    if options.megapixels is not None:
        times: float | Fraction = math.sqrt(options.megapixels * 1e6 / (width * height))
    elif options.max_side is not None:
        times = Fraction(options.max_side, max(width, height))
    elif options.width is not None or options.height is not None:
        sides = ((options.width, width), (options.height, height))
        times = min(Fraction(wanted, side) for wanted, side in sides if wanted is not None)
    else:
        return options.scale or native
    if not 1 <= times <= LARGEST:
        raise BadOption(_wrong(width, height, options, times))
    return times


def _wrong(width: int, height: int, options: UpscaleOptions, factor: float | Fraction) -> str:
    named = [name for name in SIZES if getattr(options, name) is not None]
    asked = " and ".join(f"option {name!r} is {_plain(getattr(options, name))}" for name in named)
    about = f"{asked}; the picture has {width}x{height} pixels"
    if factor < 1:
        return f"{about}, so that would make it smaller; allowed: its own size or more"
    times = _plain(round(float(factor), 1))
    return f"{about}, so that is {times} times as large; allowed: up to {LARGEST} times"


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _check(width: int, height: int, sizes: list[Size], native: int, most: int) -> None:
    """What a network gives, and what that is resampled to, both exist at once."""
    before = (width, height)
    for size in sizes:
        computed = before[0] * native, before[1] * native
        largest = max(computed, size, key=math.prod)
        if math.prod(largest) > most:
            raise TooLarge(
                f"{width}x{height} to {sizes[-1][0]}x{sizes[-1][1]} needs a picture of "
                f"{largest[0]}x{largest[1]} = {math.prod(largest)} pixels, as the network's scale "
                f"is {native}; allowed: {most}, the server's limits.output_pixels"
            )
        before = size
