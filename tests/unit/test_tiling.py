import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga_server.pipelines import tiling

LENGTHS = st.integers(1, 5000)
TILES = st.integers(32, 700)
HALOS = st.integers(0, 350)


@given(LENGTHS, TILES, HALOS)
def test_kept_parts_cover_the_axis_once(length: int, tile: int, halo: int) -> None:
    spans = tiling.spans(length, tile, halo)
    edges = [(span.keep_start, span.keep_stop) for span in spans]
    assert edges[0][0] == 0
    assert edges[-1][1] == length
    assert all(left[1] == right[0] for left, right in zip(edges, edges[1:], strict=False))


@given(LENGTHS, TILES, HALOS)
def test_windows_show_a_halo_except_at_the_border(length: int, tile: int, halo: int) -> None:
    for span in tiling.spans(length, tile, halo):
        assert 0 <= span.start <= span.keep_start < span.keep_stop <= span.stop <= length
        assert span.start == 0 or span.keep_start - span.start >= halo
        assert span.stop == length or span.stop - span.keep_stop >= halo


@given(LENGTHS, TILES, HALOS)
def test_windows_have_one_size_within_the_limit(length: int, tile: int, halo: int) -> None:
    sizes = {span.stop - span.start for span in tiling.spans(length, tile, halo)}
    assert len(sizes) == 1
    assert sizes.pop() <= tile + 2 * halo


@given(LENGTHS, TILES, HALOS)
def test_no_cut_into_fewer_windows_is_possible(length: int, tile: int, halo: int) -> None:
    count, longest = len(tiling.spans(length, tile, halo)), tile + 2 * halo
    assert count == 1 or (count - 1) * longest - 2 * halo * (count - 2) < length


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


def test_a_halo_too_small_shows() -> None:
    picture = np.random.default_rng(0).integers(0, 1000, (90, 90))
    rows, columns = list(tiling.split(90, 90, 32, 2))[4]
    part = box_sum(picture[rows.window, columns.window], 20)
    whole = box_sum(picture, 20)[rows.target(1), columns.target(1)]
    assert not np.array_equal(part[rows.inner(1), columns.inner(1)], whole)


@pytest.mark.parametrize(("length", "count"), [(700, 1), (701, 2), (1024, 2), (4096, 8)])
def test_pictures_up_to_tile_and_halos_stay_whole(length: int, count: int) -> None:
    assert len(tiling.spans(length, tile_size=512, halo=94)) == count


def box_sum(picture: np.ndarray, radius: int) -> np.ndarray:
    """Each pixel's neighbourhood added up, zeros outside: what a convolution of ones gives."""
    padded = np.pad(picture, radius)
    side = 2 * radius + 1
    return np.lib.stride_tricks.sliding_window_view(padded, (side, side)).sum(axis=(2, 3))
