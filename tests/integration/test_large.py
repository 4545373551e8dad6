"""The largest picture the limits allow; minutes of work, so `make test-full` alone runs it."""

import numpy as np
import pytest

from pictures import encoded, off, pixels_of, sample
from sakuga import Config, connect


@pytest.mark.full
async def test_a_4096_by_4096_picture_goes_through(config: Config, url: str) -> None:
    patient = config.model_copy(deep=True)
    patient.server.timeout = 1800
    tile = sample("sunset", (0, 0, 256, 256))
    options = {"model": "realesr-animevideov3"}
    async with connect(patient, url=url) as images:
        large = await images.run(encoded(np.tile(tile, (16, 16, 1))), "upscale", options)
        small = await images.run(encoded(np.tile(tile, (3, 3, 1))), "upscale", options)
    result, expected = pixels_of(large.result), pixels_of(small.result)[1024:2048, 1024:2048]
    assert result.shape == (16384, 16384, 3)
    # Every repetition away from the border is the middle one of nine.
    for top, left in ((1024, 1024), (1024, 14336), (8192, 5120), (14336, 14336)):
        assert off(result[top : top + 1024, left : left + 1024], expected) <= 1
