"""How large results are, and by which passes."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga_core.errors import BadOption, TooLarge
from sakuga_core.options import UpscaleOptions
from sakuga_server.pipelines.sizes import plan

MOST = 16384**2


def result(size: tuple[int, int], options: Mapping[str, float]) -> tuple[int, int]:
    return plan(*size, UpscaleOptions(**options), 4, MOST).result  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (1200, 804)),
        ({"scale": 2}, (600, 402)),
        ({"scale": 1.5}, (450, 301)),  # 301.5, rounded down as Real-ESRGAN does
        ({"width": 1000}, (1000, 670)),
        ({"height": 1000}, (1492, 1000)),
        ({"width": 1000, "height": 1000}, (1000, 670)),  # the largest within
        ({"width": 4000, "height": 402}, (600, 402)),
        ({"max_side": 900}, (900, 603)),
        ({"megapixels": 0.2412}, (600, 402)),
        ({"scale": 16}, (4800, 3216)),
    ],
)
def test_a_size_is_what_its_option_says(
    options: dict[str, float], expected: tuple[int, int]
) -> None:
    assert result((300, 201), options) == expected


@given(
    st.integers(1, 400), st.integers(1, 400), st.sampled_from(["width", "height", "max_side"]),
    st.data(),
)  # fmt: skip
def test_the_side_that_is_asked_for_is_exact(
    width: int, height: int, name: str, data: st.DataObject
) -> None:
    side = {"width": width, "height": height, "max_side": max(width, height)}[name]
    wanted = data.draw(st.integers(side, 16 * side))
    found = result((width, height), {name: wanted})
    assert {"width": found[0], "height": found[1], "max_side": max(found)}[name] == wanted
    assert min(found) >= min(width, height)


def test_megapixels_are_never_exceeded() -> None:
    for width in range(10, 200, 7):
        found = result((width, 93), {"megapixels": 0.1})
        assert 0.09e6 < found[0] * found[1] <= 0.1e6


@pytest.mark.parametrize(
    ("native", "scale", "passes"),
    [
        (4, 4, [4]),
        (4, 2, [2]),
        (4, 8, [2, 4]),
        (4, 16, [4, 4]),
        (2, 16, [2, 2, 2, 2]),
        (2, 3, [1.5, 2]),
        (3, 5, [1.67, 2.994]),
    ],
)
def test_beyond_the_networks_scale_there_are_passes(
    native: int, scale: float, passes: list[float]
) -> None:
    found = plan(100, 100, UpscaleOptions(scale=scale), native, MOST)
    assert found.result == (100 * scale, 100 * scale)
    assert found.scales(100) == passes
    for before, after in zip([(100, 100), *found.sizes], found.sizes, strict=False):
        assert after[0] <= before[0] * native  # no pass has to invent by resampling


def test_with_the_references_resampling_there_is_one_pass() -> None:
    found = plan(100, 50, UpscaleOptions(scale=8, reference_resize=True), 4, MOST)
    assert found.sizes == ((800, 400),)


def test_one_pixel_stays_at_least_one() -> None:
    assert result((1, 1), {"scale": 1}) == (1, 1)
    assert result((1, 1000), {"max_side": 1500}) == (1, 1500)
    assert result((1000, 1), {"megapixels": 0.002}) == (1414, 1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"width": 200},
            "option 'width' is 200; the picture has 300x201 pixels, so that would make it "
            "smaller; allowed: its own size or more",
        ),
        ({"width": 400, "height": 100}, "'width' is 400 and option 'height' is 100; .*smaller"),
        ({"megapixels": 0.01}, "option 'megapixels' is 0.01; .* smaller"),
        ({"width": 10**8}, "option 'width' is 100000000; the picture"),
        ({"max_side": 30000}, "so that is 100 times as large; allowed: up to 16 times"),
    ],
)
def test_a_size_that_upscaling_cant_give_is_refused(options: dict[str, float], text: str) -> None:
    with pytest.raises(BadOption, match=text):
        result((300, 201), options)


def test_no_pass_gives_more_than_the_limit() -> None:
    with pytest.raises(
        TooLarge, match="300x201 to 4800x3216 needs a picture of 4800x3216 = 15436800 pixels"
    ):
        plan(300, 201, UpscaleOptions(scale=16), 4, 15_000_000)
    # A picture is computed at the network's scale first, also for a smaller result.
    with pytest.raises(TooLarge):
        plan(300, 201, UpscaleOptions(scale=1), 4, 900_000)
    assert plan(300, 201, UpscaleOptions(scale=1), 4, 16 * 300 * 201).result == (300, 201)
