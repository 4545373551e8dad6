"""How much memory limits allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga_core.config.schema import Config
from sakuga_core.memory import (
    WORK,
    WORK_ON_DAMAGE,
    fitting,
    least,
    need,
    of_picture,
)

GB = 2**30
# What a picture took of a server's memory beyond its network's, in MB: of noise, as that is the
# largest encoded, or a figure with noise on it. PSS of all processes, sampled twenty times a
# second, on two cores.
MEASURED = {
    "1024² to 4096², RGB": (237, (3_200_000, 2**20, 2**24, 45_100_000, WORK, 3)),
    "2048² to 8192², RGB": (1007, (12_600_000, 2**22, 2**26, 180_200_000, WORK, 3)),
    "1024² to 4096², RGBA in 16 bits": (1083, (8_400_000, 2**20, 2**24, 130_600_000, WORK)),
    "the background of 4096²": (914, (35_800_000, 2**24, 2**24, 15_900_000, WORK, 4)),
    "damage in 2048², to 4096²": (1199, (2_000_000, 2**22, 2**24, 46_900_000, WORK_ON_DAMAGE, 3)),
}


def changed(config: Config, changes: dict[str, int]) -> Config:
    values = config.model_copy(deep=True)
    for path, value in changes.items():
        block, _, name = path.partition(".")
        setattr(getattr(values, block), name, value)
    return values


@pytest.mark.parametrize("case", MEASURED)
def test_a_picture_takes_no_more_than_is_expected_and_not_much_less(case: str) -> None:
    measured, picture = MEASURED[case]
    assert measured <= of_picture(*picture) / 1e6 <= 1.5 * measured


@pytest.mark.parametrize(
    "path",
    [
        *("limits.input_bytes", "limits.input_pixels", "limits.output_pixels", "limits.tile_size"),
        *("limits.queue_size", "server.upscale_workers", "server.instances"),
    ],
)
def test_each_limit_counts(path: str) -> None:
    small = {"limits.output_pixels": 2**20, "limits.tile_size": 128, path: 100}
    some, more = (changed(Config(), small | {path: value}) for value in (100, 200))
    assert need(some).total < need(more).total


@given(st.floats(0.5, 2000), st.sampled_from([None, frozenset({"isnet_anime"})]))
def test_what_is_suggested_fits_and_only_lowers_what_there_is(
    gigabytes: float, loaded: frozenset[str] | None
) -> None:
    config, memory = Config(), int(gigabytes * GB)
    changes = fitting(config, memory, loaded)
    if changes is None:
        assert least(config, loaded) > memory
        return
    assert need(changed(config, changes), loaded).total <= memory
    assert (changes == {}) == (need(config, loaded).total <= memory)
    for path, value in changes.items():
        block, _, name = path.partition(".")
        assert value < getattr(getattr(config, block), name)


def test_a_machine_with_two_gigabytes_can_have_limits_that_fit() -> None:
    default = {"realesrgan_x4plus_anime", "isnet_anime"}
    assert fitting(Config(), 2 * GB, default)
