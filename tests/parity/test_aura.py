"""Against the real `aura_sr.AuraSR`: same weights, same style, no noise, through our Triton."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import reference
from pictures import encoded, off, pixels_of, sample
from sakuga import Images
from sakuga_core.networks.registry import ENHANCERS
from sakuga_export.architectures.aura import style_vector
from slow import some

(ROW,) = ENHANCERS
PICTURES = {
    "all of its tiles": sample("heroine", (60, 100, 188, 228)),
    "some padded": sample("sunset", (100, 60, 230, 165)),
    "one tile": sample("heroine", (100, 180, 164, 244)),
}


@pytest.fixture(scope="module")
def theirs(aura: Path) -> Any:
    return reference.aura(aura)


@pytest.mark.parametrize("name", some(PICTURES, ("some padded", "one tile")))
@pytest.mark.parametrize(
    ("options", "method"),
    [
        ({"overlap": "reference"}, "upscale_4x_overlapped"),
        ({"overlapping_tiles": False}, "upscale_4x"),
    ],
)
async def test_at_most_one_level_from_the_reference(
    images: Images, theirs: Any, name: str, options: dict[str, object], method: str
) -> None:
    pixels = PICTURES[name]
    found = pixels_of(await images.process(encoded(pixels), "enhance", options))
    with reference.without_chance(style_vector(128, ROW.style)):
        expected = np.asarray(getattr(theirs, method)(Image.fromarray(pixels)))
    # Ours rounds, and the reference cuts off.
    assert off(found, expected) <= 1
    assert expected.std() > 10
