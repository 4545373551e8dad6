"""Pixels per inch, and the whole numbers per metre or centimetre that files have instead."""

INCH = 0.0254  # metres


def from_metre(x: int, y: int) -> tuple[float, float] | None:
    """Pixels per metre as pixels per inch; None where there are none.

    300 dpi are 11811 pixels per metre, which are 299.9994 dpi: the whole number of which files
    have so many is meant.
    """
    return (_meant(x), _meant(y)) if x > 0 and y > 0 else None


def per_metre(dpi: tuple[float, float]) -> tuple[int, int]:
    return round(dpi[0] / INCH), round(dpi[1] / INCH)


def from_centimetre(x: int, y: int) -> tuple[float, float] | None:
    return (x * 2.54, y * 2.54) if x > 0 and y > 0 else None


def sound(dpi: tuple[float, float] | None) -> tuple[float, float] | None:
    """None for what no file means, and not every format can hold."""
    if dpi is None or not all(0.01 <= value <= 100_000 for value in dpi):
        return None
    return float(dpi[0]), float(dpi[1])


def _meant(per_metre: int) -> float:
    dpi = per_metre * INCH
    return float(round(dpi)) if round(round(dpi) / INCH) == per_metre else dpi
