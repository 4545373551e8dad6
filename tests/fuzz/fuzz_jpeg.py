"""The coefficients of a JPEG file: those of the picture that it decodes to, or none."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import fuzzing
from bad_files import RGB
from pictures import case, encoded
from sakuga_core.config.server import Limits
from sakuga_core.errors import BadInput
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.picture import orient
from sakuga_server.jpeg import coefficients, dequantise

LIMITS = Limits(input_pixels=2**18)
GRAY = RGB[:40, :40, 0]


def check(data: bytes) -> None:
    with suppress(BadInput):
        _check(b"\xff\xd8" + data[2:])


def _check(data: bytes) -> None:
    picture = decode(data, LIMITS)
    with _nothing_left():
        stored = coefficients.read(data)
    if stored is None:
        return
    assert len(stored.planes) in (1, 3)
    assert stored.quality in range(1, 101)
    planes = [dequantise.inverse_dct(plane.coefficients) for plane in stored.planes]
    pixels = orient(coefficients.assembled(stored, planes), picture.orientation)
    assert pixels.shape[:2] == picture.colour.shape[:2]


@contextmanager
def _nothing_left() -> Iterator[None]:
    """The block has a folder of its own for temporary files, and leaves none."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        try:
            yield
            assert not list(Path(folder).iterdir())
        finally:
            tempfile.tempdir = before


def seeds() -> list[bytes]:
    return [
        encoded(RGB, "JPEG"),
        encoded(RGB[:16, :16], "JPEG", progressive=True),
        encoded(RGB[:17, :33], "JPEG", subsampling=0, comment=b"a comment"),
        encoded(RGB[:17, :33], "JPEG", subsampling=1, restart_marker_blocks=1),
        encoded(GRAY, "JPEG", progressive=True),
        case("sampled-2x1-1x2.jpg"),
        case("sampled-4x2-1x1.jpg"),
        case("exif-software-rational.jpg")[:8000],
    ]


TARGET = fuzzing.Target(
    "jpeg",
    check,
    seeds,
    ("sakuga_server.jpeg.bare", "sakuga_server.jpeg.coefficients", "sakuga_server.imaging"),
)

if __name__ == "__main__":
    fuzzing.main(TARGET)
