"""Which networks may run in bfloat16 on CPUs."""

import numpy as np
import pytest

import bfloat16
from drawn import FEW, drawing, psnr
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import MEMBERS, UPSCALERS
from slow import some

ROWS = [
    *(row for row in UPSCALERS if row.name in ("realesrgan-x4plus-anime", "realesr-animevideov3")),
    *(row for row in MEMBERS if row.bf16),
]
QUICK = [row for row in ROWS if row.family is None or row.is_usual]


@pytest.mark.parametrize("row", some(ROWS, QUICK), ids=lambda row: row.name)
def test_a_network_that_may_stays_within_50_decibels(row: Upscaler) -> None:
    assert row.bf16
    pictures = np.stack([drawing(name)[100:148, 120:168] for name in FEW])
    exact, rough = (bfloat16.results(row, pictures, rounded) for rounded in (False, True))
    assert 50 <= psnr(rough, exact) < 70


def test_networks_that_bfloat16_spoils_do_not_run_in_it() -> None:
    assert not any(row.bf16 for row in MEMBERS if row.family and row.family.startswith("realcugan"))
