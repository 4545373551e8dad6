"""Files that are truncated, claim another size, or are too large: each gives an error that is the
caller's, and nothing else."""

import io

import numpy as np
import pytest
import tifffile

from animations import Op, gif
from bad_files import COUNT, HEIGHT, LIMITS, MADE, WIDTH, refused
from lying import LIES
from pictures import bomb, tiff
from sakuga import BadImage, TooLarge
from sakuga_core.config.server import Limits
from sakuga_server.imaging import sequence
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.picture import Picture


@pytest.mark.parametrize("name", MADE)
def test_truncated_files_are_refused(name: str, made: dict[str, bytes]) -> None:
    data = made[name]
    assert isinstance(decode(data, LIMITS), Picture)
    for part in range(1, COUNT + 1):
        assert refused(data[: len(data) * part // (COUNT + 1)])


# Files that claim another size

# libavif scales what it decodes to the size that the container claims.
SCALED = {"avif"}


@pytest.mark.parametrize("name", sorted(set(LIES) - SCALED))
def test_files_that_claim_more_rows_than_they_have_are_refused(
    name: str, made: dict[str, bytes]
) -> None:
    for more in range(1, COUNT + 1):
        assert refused(LIES[name](made[name], WIDTH, HEIGHT + 16 * more))


@pytest.mark.parametrize("name", sorted(LIES))
def test_files_that_claim_too_many_pixels_are_refused_before_they_are_decoded(
    name: str, made: dict[str, bytes]
) -> None:
    for step in range(COUNT):
        side = 16383 - 500 * step  # from the longest that WebP can claim
        assert "allowed" in refused(LIES[name](made[name], side, side))


@pytest.mark.parametrize("name", MADE)
def test_files_over_the_limits_are_refused(name: str, made: dict[str, bytes]) -> None:
    with pytest.raises(TooLarge, match="pixels; allowed"):
        decode(made[name], Limits(input_pixels=WIDTH * HEIGHT // 2))
    with pytest.raises(TooLarge, match="bytes; allowed"):
        decode(made[name], Limits(input_bytes=len(made[name]) - 1))
    assert decode(made[name], Limits(input_pixels=WIDTH * HEIGHT)).height == HEIGHT


def test_frames_larger_than_the_canvas_count_as_they_are_decoded() -> None:
    large = Op(0, 0, np.full((40, 40, 4), 255, np.uint8))
    data = gif([Op(0, 0, large.pixels[:2, :2]), large, large, large], 2, 2)
    found = sequence.read(data, Limits(animation_pixels=4 + 3 * 1600))
    assert found is not None
    assert found.sizes == [(2, 2)] * 4
    with pytest.raises(TooLarge, match="4804 pixels"):
        sequence.read(data, Limits(animation_pixels=3 + 3 * 1600))


def test_tiles_larger_than_their_pages_count_as_they_are_decoded() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for _ in range(3):
            writer.write(np.zeros((1, 1), np.uint8), tile=(64, 32), contiguous=False)
    found = sequence.read(file.getvalue(), Limits(animation_pixels=3 * 64 * 32))
    assert found is not None
    assert len(list(found.pictures())) == 3
    with pytest.raises(TooLarge, match="6143 pixels"):
        sequence.read(file.getvalue(), Limits(animation_pixels=3 * 64 * 32 - 1))


def test_a_page_of_one_column_that_has_wide_tiles_is_refused() -> None:
    data = tiff(np.zeros((80, 1), np.uint8), tile=(16, 1024))
    assert decode(data, Limits(input_pixels=80 * 1024 // 4)).width == 1
    with pytest.raises(TooLarge, match="tiles have 81920 pixels"):
        decode(data, Limits(input_pixels=80 * 1024 // 4 - 1))


def jxl_header(width: int, height: int, *fields: tuple[int, int]) -> bytes:
    """A JPEG XL file that ends after its header.

    Args:
        fields: numbers after the size, and their bits.
    """
    total, at = 0, 0
    side = [(3, 2), (height - 1, 30), (0, 3), (3, 2), (width - 1, 30)]
    for value, bits in ((0, 1), *side, *fields):
        total |= value << at
        at += bits
    return b"\xff\x0a" + total.to_bytes(32, "little")


def test_a_jpeg_xl_is_checked_before_its_decoder_sees_it() -> None:
    pytest.importorskip("pillow_jxl")
    for step in range(COUNT):
        with pytest.raises(TooLarge, match=f"{5000 + step}x{60000 - step}"):
            decode(jxl_header(5000 + step, 60000 - step, (1, 1)), LIMITS)
    plain, whole_numbers = (0, 1), (0, 1)
    fields = plain, plain, whole_numbers, (0, 2), (0, 1), (3, 2), (2999, 12)
    with pytest.raises(BadImage, match="3000 channels"):
        decode(jxl_header(90, 80, *fields), LIMITS)
    with pytest.raises(BadImage, match="floating-point"):
        decode(jxl_header(90, 80, plain, plain, (1, 1), (0, 2), (0, 4), (0, 1), (0, 2)), LIMITS)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(TooLarge, match="60000x60000"):
        decode(bomb(), LIMITS)
