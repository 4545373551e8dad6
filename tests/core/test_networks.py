from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from networks_for_tests import EXPORTED
from sakuga import Config
from sakuga_core import protocol
from sakuga_core.networks.families import Segmenter, Upscaler
from sakuga_core.networks.registry import NETWORKS, SEGMENTERS, UPSCALERS, by_name
from sakuga_export.architectures.isnet import ISNet
from sakuga_export.cli import configured
from sakuga_export.families import ncnn, upscalers
from sakuga_export.fetch import fetch
from slow import some

# All but the largest, whose field `test_receptive_field` measures in every run.
QUICK = [row for row in UPSCALERS if row.name != "realesrgan-x4plus"]


@pytest.mark.parametrize("network", some(UPSCALERS, QUICK), ids=lambda network: network.name)
def test_the_padding_is_the_receptive_field(network: Upscaler) -> None:
    assert receptive_radius(network) == network.receptive_field


def receptive_radius(network: Upscaler) -> int:
    """How far from the middle an input pixel still moves the result, by gradient.

    Positive weights can't cancel and don't switch off, and a strip one pixel high has a field of
    the same width as the whole plane, for less work.
    """
    net = upscalers.build(network).double()
    for parameter in net.parameters():
        # Large enough that the outermost of 350 convolutions' products doesn't underflow.
        parameter.data.fill_(9 / parameter[0].numel() if parameter.ndim > 1 else 0.01)
    length = 2 * network.receptive_field + 41
    image = torch.ones(1, 3, 1, length, dtype=torch.double, requires_grad=True)
    middle = length // 2 * network.scale
    net(image)[..., middle : middle + network.scale].sum().backward()
    assert image.grad is not None
    touched = image.grad.abs().sum(dim=(0, 1, 2)).nonzero().ravel()
    return int((touched - length // 2).abs().max())


@pytest.mark.parametrize("network", UPSCALERS, ids=lambda network: network.name)
def test_the_row_counts_its_multiply_accumulates(network: Upscaler) -> None:
    assert round(macs_per_pixel(network) / 1000) == network.kilomacs


def macs_per_pixel(network: Upscaler) -> int:
    """Each convolution's weights, as often as it runs for one pixel of the input."""
    repeated = {"conv_up1": 4, "conv_up2": 16, "conv_hr": 16, "conv_last": 16}
    return sum(
        module.weight.numel() * repeated.get(name, 1)
        for name, module in upscalers.build(network).named_modules()
        if isinstance(module, nn.Conv2d)
    )


def test_every_name_and_folder_is_of_one_network() -> None:
    assert len({network.name for network in NETWORKS}) == len(NETWORKS)
    assert len({network.folder for network in NETWORKS}) == len(NETWORKS)


@pytest.mark.parametrize("network", SEGMENTERS, ids=lambda network: network.name)
def test_a_segmenter_is_one_file_as_rembg_names_it(network: Segmenter) -> None:
    (weights,) = network.weights
    assert by_name(weights.file.removesuffix(".onnx")) is network
    assert weights.url.endswith(".onnx")
    assert weights.sha256 or weights.md5


def test_isnet_has_the_names_and_the_size_of_its_checkpoints() -> None:
    net = ISNet()
    # 114 convolutions in float32, norms folded into them, are the 176 MB of rembg's isnet-anime.
    assert sum(p.numel() for p in net.parameters()) == 44_046_790
    sides = {f"side{number}" for number in range(1, 7)}
    stages = {f"stage{number}" for number in range(1, 7)}
    decoder = {f"stage{number}d" for number in range(1, 6)}
    assert {name for name, _ in net.named_children()} == {"conv_in"} | stages | decoder | sides
    block = {f"rebnconv{level}" for level in ("in", *range(1, 8))}
    block |= {f"rebnconv{level}d" for level in range(1, 7)}
    assert {name for name, _ in net.stage1d.named_children()} == block
    state = net.state_dict()
    assert state["stage1.rebnconv7.conv_s1.weight"].shape == (32, 32, 3, 3)
    assert state["stage1d.rebnconv1d.conv_s1.weight"].shape == (64, 32, 3, 3)
    assert state["stage6.rebnconv3d.bn_s1.running_var"].shape == (256,)
    assert state["stage4d.rebnconvin.conv_s1.weight"].shape == (256, 1024, 3, 3)
    assert state["side6.bias"].shape == (1,)


def test_the_networks_that_the_configuration_names_are_exported() -> None:
    config = Config()
    assert configured(config) == ["realesrgan-x4plus-anime"]
    config.providers.image.rembg.model, config.rembg.model = "isnet-anime", "u2net"
    assert configured(config) == ["realesrgan-x4plus-anime", "isnet-anime", "u2net"]


def test_names_are_found_by_alias_and_unknown_ones_named() -> None:
    assert by_name("realesrgan-anime-6b").name == "realesrgan-x4plus-anime"
    assert by_name("u2net_human_seg").name == "u2net-human-seg"
    with pytest.raises(KeyError, match="there are: realesrgan-x4plus-anime"):
        by_name("waifu2x")


@pytest.mark.parametrize("name", EXPORTED)
def test_ncnn_weights_are_read_whole_and_in_order(name: str) -> None:
    network = by_name(name)
    fetched = fetch(network.weights[0])
    if not fetched.packaged:
        pytest.skip("the published file was fetched, so there is none of the package's")
    state = ncnn.read_state(fetched.path, upscalers.build(network))
    assert set(state) == set(upscalers.build(network).state_dict())
    assert all(torch.isfinite(values).all() for values in state.values())


def test_ncnn_weights_of_another_network_are_refused() -> None:
    fetched = fetch(by_name("realesr-animevideov3").weights[0])
    if not fetched.packaged:
        pytest.skip("the published file was fetched, so there is none of the package's")
    with pytest.raises(ValueError, match=r"bytes too many|no float16|smaller|buffer"):
        ncnn.read_state(fetched.path, upscalers.build(by_name("realesr-general-x4v3")))


def test_strips_equal_the_whole() -> None:
    torch.manual_seed(0)
    net = upscalers.build(by_name("realesrgan-x4plus-anime"))
    assert isinstance(net, upscalers.RRDBNet)
    for height in (1, 2, 7, 8, 9, 30):
        features = torch.rand(1, 64, height, 6)
        rows = torch.tensor(height)
        with torch.inference_mode():
            strips = torch.cat([net._strip(features, rows, i) for i in range(8)], dim=2)
            whole = net._upscale(features)
        assert np.allclose(strips, whole, atol=1e-6)


def rrdb() -> upscalers.RRDBNet:
    torch.manual_seed(0)
    return upscalers.RRDBNet(blocks=1).eval()


def test_folded_layers_give_the_same() -> None:
    net, image = rrdb(), torch.rand(2, 3, 9, 14)
    with torch.inference_mode():
        plain = net(image)
        assert np.allclose(net.fold()(image), plain, atol=1e-5)


WINDOWS = list(product((False, True), repeat=4))
# With no side, all sides, and either side of both directions.
VARIED = [(False,) * 4, (True,) * 4, (True, False, False, True), (False, True, True, False)]


@pytest.mark.parametrize("inner", some(WINDOWS, VARIED))
def test_a_trimmed_window_gives_its_part_of_the_whole(inner: protocol.Inner) -> None:
    net, image = rrdb(), torch.rand(1, 3, 70, 90)
    top, bottom, left, right = (7 * side for side in inner)  # the picture goes on there
    window = image[:, :, top : 70 - bottom, left : 90 - right]
    with torch.inference_mode():
        whole = net(image)
        found = net(window, torch.zeros(1, *protocol.inner_shape(inner)))
    top, bottom, left, right = ((7 + net.receptive_field) * side for side in inner)
    assert found.shape[2:] == (4 * (70 - top - bottom), 4 * (90 - left - right))
    part = whole[:, :, 4 * top : 4 * (70 - bottom), 4 * left : 4 * (90 - right)]
    assert np.allclose(found, part, atol=1e-6)


@pytest.mark.parametrize("network", UPSCALERS, ids=lambda network: network.name)
def test_what_trims_trims_its_padding(network: Upscaler) -> None:
    net = upscalers.build(network)
    assert network.trims == isinstance(net, upscalers.RRDBNet)
    assert not isinstance(net, upscalers.RRDBNet) or net.receptive_field == network.receptive_field
