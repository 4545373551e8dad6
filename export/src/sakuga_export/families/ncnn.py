"""Weights out of ncnn's .bin files.

A .bin has no names: it lists the layers' numbers in graph order, which for these networks is the
order of torch's modules. A convolution, transposed or not, and a fully connected layer have a tag,
their weights, float32 or float16 and then padded to four bytes, and a float32 bias; a PReLU has
float32 slopes. (ncnn, src/modelbin.cpp.)
"""

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

DTYPES = {0: "<f4", 0x01306B47: "<f2"}  # by tag


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, dtype: str, shape: torch.Size) -> Tensor:
        values = np.frombuffer(self.data, dtype, shape.numel(), self.at)
        self.at += -(-values.nbytes // 4) * 4
        return torch.from_numpy(values.astype(np.float32)).reshape(shape)

    def dtype(self) -> str:
        """Of the weights that follow."""
        (found,) = struct.unpack_from("<I", self.data, self.at)
        if found not in DTYPES:
            raise ValueError(f"no weights that are known at byte {self.at}: tag {found:#x}")
        self.at += 4
        return DTYPES[found]

    def weight(self, module: nn.Module) -> Tensor:
        assert isinstance(module.weight, Tensor)
        shape = module.weight.shape
        if not isinstance(module, nn.ConvTranspose2d):
            return self.take(self.dtype(), shape)
        # ncnn has the outputs first, torch the inputs.
        inputs, outputs, *kernel = shape
        return self.take(self.dtype(), torch.Size((outputs, inputs, *kernel))).transpose(0, 1)


def read_state(path: Path, net: nn.Module) -> dict[str, Tensor]:
    """The state dict of `net`, from a .bin of the same network.

    Raises:
        ValueError: the file is of another network.
    """
    reader, state = _Reader(path.read_bytes()), {}
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            state[f"{name}.weight"] = reader.weight(module)
            assert module.bias is not None
            state[f"{name}.bias"] = reader.take("<f4", module.bias.shape)
        elif isinstance(module, nn.PReLU):
            state[f"{name}.weight"] = reader.take("<f4", module.weight.shape)
    if reader.at != len(reader.data):
        raise ValueError(f"{path.name} has {len(reader.data) - reader.at} bytes too many")
    return state
