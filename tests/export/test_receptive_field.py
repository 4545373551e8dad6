"""The receptive field as measured: of the built-in networks, and of what is hard to see."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sakuga_core.networks.registry import UPSCALERS, by_name
from sakuga_export.custom import receptive_field
from sakuga_export.custom.receptive_field import UnboundedReceptiveField
from sakuga_export.families import upscalers

# RRDBNets take up to half a minute both ways; below, the largest is looked at in one.
ROWS = [
    pytest.param(row, marks=[pytest.mark.full] if row.receptive_field > 90 else [])
    for row in UPSCALERS
    if row.receptive_field < 100
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_built_in_networks_come_out_as_their_rows_say(row: upscalers.Upscaler) -> None:
    assert (
        receptive_field.measured(upscalers.build(row).double(), 3, 4, 1, 1) == row.receptive_field
    )


@pytest.mark.full
def test_the_largest_built_in_network_does_too() -> None:
    assert (
        receptive_field.measured(upscalers.build(by_name("realesrgan-x4plus")).double(), 3, 4, 1, 1)
        == 349
    )


def test_23_blocks_spread_a_pixel_over_349() -> None:
    net = upscalers.build(by_name("realesrgan-x4plus")).double()
    assert (
        receptive_field.Strips(net, 3, 4, 1, 1, upright=False).spread(slice(360, 361), 360) == 349
    )


def conv(size: int | tuple[int, int], **options: int) -> nn.Module:
    return nn.Conv2d(3, 3, size, padding="same", **options).double()


def upscaled(picture: Tensor) -> Tensor:
    return F.interpolate(picture, scale_factor=2, mode="nearest")


@pytest.mark.parametrize(
    ("size", "dilation", "radius"), [(1, 1, 0), (3, 1, 1), (5, 1, 2), (3, 7, 7), ((1, 9), 1, 4)]
)
def test_one_convolution(size: int | tuple[int, int], dilation: int, radius: int) -> None:
    net = conv(size, dilation=dilation)
    assert receptive_field.measured(lambda x: upscaled(net(x)), 3, 2, 1, 1) == radius


def test_an_upright_kernel_counts_too() -> None:
    net = conv((11, 1))
    assert receptive_field.measured(lambda x: upscaled(net(x)), 3, 2, 1, 1) == 5


def test_weights_of_zero_count() -> None:
    net = conv(7)
    nn.init.zeros_(net.get_parameter("weight"))
    assert receptive_field.measured(lambda x: upscaled(net(x)), 3, 2, 1, 1) == 3


def test_every_phase_of_a_block_counts() -> None:
    net = nn.Conv2d(12, 12, 3, padding=1).double()

    def unshuffled(picture: Tensor) -> Tensor:
        return upscaled(F.pixel_shuffle(net(F.pixel_unshuffle(picture, 2)), 2))

    # From the first pixel of a block to the last of the next.
    assert receptive_field.measured(unshuffled, 3, 2, multiple=2, breadth=2) == 3


def test_what_stops_nan_is_seen_by_gradient() -> None:
    net = conv(9)
    assert receptive_field.measured(lambda x: upscaled(torch.nan_to_num(net(x))), 3, 2, 1, 1) == 4


def test_a_field_without_bound_has_no_padding() -> None:
    with pytest.raises(UnboundedReceptiveField, match="1024 and more"):
        receptive_field.measured(
            lambda x: upscaled(x + x.mean(dim=(2, 3), keepdim=True)), 3, 2, 1, 1
        )


def test_just_within_and_just_over_the_longest() -> None:
    def shifted(by: int) -> receptive_field.Net:
        return lambda x: upscaled(x + F.pad(x, (by, 0))[..., : x.shape[3]])

    assert receptive_field.measured(shifted(1023), 3, 2, 1, 1) == 1023
    with pytest.raises(UnboundedReceptiveField):
        receptive_field.measured(shifted(1024), 3, 2, 1, 1)


@pytest.mark.parametrize("block", [2, 8, 16])
def test_a_network_that_divides_a_picture_into_blocks_has_no_padding(block: int) -> None:
    def blocks(picture: Tensor) -> Tensor:
        height, width = picture.shape[2:]
        filled = F.pad(picture, (0, -width % block, 0, -height % block), mode="replicate")
        means = F.interpolate(F.avg_pool2d(filled, block), scale_factor=block)
        return upscaled(picture + means[..., :height, :width])

    with pytest.raises(UnboundedReceptiveField, match="where in the picture"):
        receptive_field.measured(blocks, 3, 2, 1, 1)


def test_comparisons_are_seen_by_their_results() -> None:
    """What neither NaN nor the gradient passes."""

    def brighter_than_far(picture: Tensor) -> Tensor:
        far = torch.roll(picture, 40, dims=3)
        return upscaled((picture > far).double())

    with pytest.raises(UnboundedReceptiveField, match="where in the picture"):
        receptive_field.measured(brighter_than_far, 3, 2, 1, 1)
