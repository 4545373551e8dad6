import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga_server.imaging import tiling

LENGTHS = st.integers(1, 5000)
TILES = st.integers(32, 700)
PADDINGS = st.integers(0, 350)
MULTIPLES = st.sampled_from([1, 2, 3, 4, 7, 8, 16, 64])


@given(LENGTHS, TILES, PADDINGS, MULTIPLES)
def test_kept_parts_cover_the_axis_once(
    length: int, tile: int, padding: int, multiple: int
) -> None:
    spans = tiling.spans(length, tile, padding, multiple)
    edges = [(span.keep_start, span.keep_stop) for span in spans]
    assert edges[0][0] == 0
    assert edges[-1][1] == length
    assert all(left[1] == right[0] for left, right in zip(edges, edges[1:], strict=False))


@given(LENGTHS, TILES, PADDINGS, MULTIPLES)
def test_windows_show_a_padding_except_at_the_border(
    length: int, tile: int, padding: int, multiple: int
) -> None:
    for span in tiling.spans(length, tile, padding, multiple):
        assert 0 <= span.start <= span.keep_start < span.keep_stop <= span.stop <= length
        assert span.start == 0 or span.keep_start - span.start >= padding
        assert span.stop == length or span.stop - span.keep_stop >= padding


@given(LENGTHS, TILES, PADDINGS, MULTIPLES)
def test_windows_begin_and_end_at_multiples(
    length: int, tile: int, padding: int, multiple: int
) -> None:
    for span in tiling.spans(length, tile, padding, multiple):
        assert span.start % multiple == 0
        assert span.stop % multiple == 0 or span.stop == length


@given(LENGTHS, TILES, PADDINGS)
def test_windows_have_one_size_within_the_limit(length: int, tile: int, padding: int) -> None:
    sizes = {span.stop - span.start for span in tiling.spans(length, tile, padding)}
    assert len(sizes) == 1
    assert sizes.pop() <= tile + 2 * padding


@given(LENGTHS, TILES, PADDINGS, MULTIPLES)
def test_windows_of_blocks_have_one_size_but_for_the_last(
    length: int, tile: int, padding: int, multiple: int
) -> None:
    *others, last = [s.stop - s.start for s in tiling.spans(length, tile, padding, multiple)]
    most = max(tile, multiple) + 2 * (padding + multiple - 1)
    assert len(set(others)) <= 1
    assert all(last <= other < last + multiple and other <= most for other in others)


@given(LENGTHS, TILES, PADDINGS)
def test_no_cut_into_fewer_windows_is_possible(length: int, tile: int, padding: int) -> None:
    count, longest = len(tiling.spans(length, tile, padding)), tile + 2 * padding
    assert count == 1 or (count - 1) * longest - 2 * padding * (count - 2) < length


@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(32, 50), st.integers(1, 4), st.integers()
)
def test_a_filter_on_tiles_equals_the_filter_on_the_whole(
    height: int, width: int, tile: int, radius: int, seed: int
) -> None:
    picture = np.random.default_rng(abs(seed)).integers(0, 1000, (height, width))
    whole = box_sum(picture, radius)
    joined = np.full_like(whole, -1)
    for rows, columns in tiling.split(height, width, tile, radius):
        part = box_sum(picture[rows.window, columns.window], radius)
        joined[rows.target(1), columns.target(1)] = part[rows.inner(1), columns.inner(1)]
    assert np.array_equal(joined, whole)


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(32, 50),
    st.integers(0, 3),
    st.sampled_from([2, 3, 4, 8]),
    st.integers(),
)
def test_a_filter_of_blocks_on_tiles_equals_the_filter_on_the_whole(
    height: int, width: int, tile: int, radius: int, block: int, seed: int
) -> None:
    picture = np.random.default_rng(abs(seed)).integers(0, 1000, (height, width))
    whole = block_sum(picture, radius, block)
    joined = np.full_like(whole, -1)
    padding = radius * block + block - 1
    for rows, columns in tiling.split(height, width, tile, padding, block):
        part = block_sum(picture[rows.window, columns.window], radius, block)
        joined[rows.target(1), columns.target(1)] = part[rows.inner(1), columns.inner(1)]
    assert np.array_equal(joined, whole)


def test_windows_that_begin_anywhere_show_in_a_filter_of_blocks() -> None:
    picture = np.random.default_rng(0).integers(0, 1000, (90, 91))
    whole = block_sum(picture, 1, 4)
    joined = np.zeros_like(whole)
    for rows, columns in tiling.split(90, 91, 32, 7):
        part = block_sum(picture[rows.window, columns.window], 1, 4)
        joined[rows.target(1), columns.target(1)] = part[rows.inner(1), columns.inner(1)]
    assert not np.array_equal(joined, whole)


def test_a_padding_too_small_shows() -> None:
    picture = np.random.default_rng(0).integers(0, 1000, (90, 90))
    rows, columns = list(tiling.split(90, 90, 32, 2))[4]
    part = box_sum(picture[rows.window, columns.window], 20)
    whole = box_sum(picture, 20)[rows.target(1), columns.target(1)]
    assert not np.array_equal(part[rows.inner(1), columns.inner(1)], whole)


@pytest.mark.parametrize(("length", "count"), [(700, 1), (701, 2), (1024, 2), (4096, 8)])
def test_pictures_up_to_tile_and_padding_stay_whole(length: int, count: int) -> None:
    assert len(tiling.spans(length, tile_size=512, padding=94)) == count


def box_sum(picture: np.ndarray, radius: int) -> np.ndarray:
    """Each pixel's neighbourhood added up, zeros outside: what a convolution of ones gives."""
    padded = np.pad(picture, radius)
    side = 2 * radius + 1
    return np.lib.stride_tricks.sliding_window_view(padded, (side, side)).sum(axis=(2, 3))


def block_sum(picture: np.ndarray, radius: int, block: int) -> np.ndarray:
    """The same of blocks of pixels, which the picture's right and bottom are mirrored to fill: what
    a network makes that begins with a pixel unshuffle."""
    height, width = picture.shape
    filled = picture[np.ix_(_filled(height, block), _filled(width, block))]
    rows, columns = (length // block for length in filled.shape)
    sums = filled.reshape(rows, block, columns, block).sum(axis=(1, 3))
    large = np.kron(box_sum(sums, radius), np.ones((block, block), np.int64))
    return large[:height, :width]


def _filled(length: int, block: int) -> np.ndarray:
    places = np.arange(-(-length // block) * block)
    return np.maximum(length - 1 - np.abs(length - 1 - places), 0)
