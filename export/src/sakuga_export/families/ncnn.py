"""Weights out of ncnn's .bin files.

A .bin has no names: it lists the layers' numbers in graph order, which for these networks is the
order of torch's modules. A convolution has a tag, float16 weights padded to four bytes, and a
float32 bias; a PReLU has float32 slopes. (ncnn, src/modelbin.cpp.)
"""

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

FLOAT16_TAG = 0x01306B47


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, dtype: str, like: Tensor) -> Tensor:
        values = np.frombuffer(self.data, dtype, like.numel(), self.at)
        self.at += -(-values.nbytes // 4) * 4
        return torch.from_numpy(values.astype(np.float32)).reshape(like.shape)

    def tag(self) -> None:
        (found,) = struct.unpack_from("<I", self.data, self.at)
        if found != FLOAT16_TAG:
            raise ValueError(f"no float16 weights at byte {self.at}: tag {found:#x}")
        self.at += 4


def read_state(path: Path, net: nn.Module) -> dict[str, Tensor]:
    """The state dict of `net`, from a .bin of the same network.

    Raises:
        ValueError: the file is of another network.
    """
    reader, state = _Reader(path.read_bytes()), {}
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            reader.tag()
            state[f"{name}.weight"] = reader.take("<f2", module.weight)
            assert module.bias is not None
            state[f"{name}.bias"] = reader.take("<f4", module.bias)
        elif isinstance(module, nn.PReLU):
            state[f"{name}.weight"] = reader.take("<f4", module.weight)
    if reader.at != len(reader.data):
        raise ValueError(f"{path.name} has {len(reader.data) - reader.at} bytes too many")
    return state
