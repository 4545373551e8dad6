"""What `sakuga models --measure` sends, and how it reads the report."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sakuga.cli.measure import SIDE, measure, picture
from sakuga.reply import Reply
from sakuga_core.protocol import UNCOUNTED


class Recorded:
    """Takes requests as `Triton` does; each took half a second in the network."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []

    async def infer(
        self, model: str, image: bytes, options: dict[str, Any], about: dict[str, str]
    ) -> Reply:
        assert image == picture()
        assert UNCOUNTED in about
        self.requests.append((model, options))
        times = {"decode": 9000.0, "network": 500.0, "inpaint": 250.0}
        return Reply(b"", {"milliseconds": times})


@pytest.mark.parametrize(
    ("kind", "model", "speed"),
    [
        ("upscale", "upscale", "7629 ms a megapixel"),  # 65,536 pixels in half a second
        ("segment", "rembg", "500 ms a picture"),
        ("inpaint", "fix_artifacts", "250 ms a picture"),
    ],
)
async def test_the_networks_own_time_of_the_second_picture_counts(
    kind: str, model: str, speed: str
) -> None:
    triton = Recorded()
    assert await measure(triton, "net", {"kind": kind, "scale": 4}) == speed  # type: ignore[arg-type]
    (first, second) = triton.requests
    assert first == second
    assert first[0] == model


@pytest.mark.parametrize(("scale", "requested"), [(2, 2), (4, 4), (8, 4)])
async def test_an_upscaler_works_at_its_own_scale_in_one_tile(scale: int, requested: int) -> None:
    triton = Recorded()
    await measure(triton, "net", {"kind": "upscale", "scale": scale})  # type: ignore[arg-type]
    assert triton.requests[0][1] == {"model": "net", "tile_size": SIDE, "scale": requested}


def test_the_picture_is_one_that_pillow_reads() -> None:
    pixels = np.asarray(Image.open(io.BytesIO(picture())))
    assert pixels.shape == (SIDE, SIDE, 3)
    assert len(np.unique(pixels)) == 256
