"""bfloat16 as CPUs compute in it, calculated on any: weights and what goes in and out of layers
rounded, sums in float32."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sakuga_core.networks.families import Upscaler
from sakuga_export.families import graph, upscalers
from sakuga_export.fetch import fetch

BATCH = 8


def results(row: Upscaler, pictures: np.ndarray, rounded: bool) -> np.ndarray:
    """What a network of published weights makes of pictures, uint8 (N, H, W, 3)."""
    net = upscalers.build(row)
    net.load_state_dict(upscalers.load(row, row.weights[0], fetch(row.weights[0])))
    if rounded:
        _round(net)
    served = upscalers.served_by(net)
    parts = np.array_split(pictures, -(-len(pictures) // BATCH))
    return np.concatenate([_run(row, served, part) for part in parts])


@torch.inference_mode()
def _run(row: Upscaler, served: nn.Module, pictures: np.ndarray) -> np.ndarray:
    inputs = [torch.from_numpy(pictures)]
    if row.trims:
        inputs.append(graph.inner_example(len(pictures)))
    if row.means:
        inputs.append(torch.zeros(len(pictures), 1 + sum(row.means)))
    result: Tensor = served(*inputs)[0]
    return result.numpy()


def _round(net: nn.Module) -> None:
    for layer in net.modules():
        if next(layer.children(), None) is None:
            layer.register_forward_pre_hook(lambda _, given: tuple(map(_rounded, given)))
            layer.register_forward_hook(lambda *passed: _rounded(passed[-1]))
            for name, parameter in layer.named_parameters():
                if name == "weight":
                    parameter.data = _rounded(parameter.data)


def _rounded(value: Any) -> Any:
    is_float = isinstance(value, Tensor) and value.dtype == torch.float32
    return value.bfloat16().float() if is_float else value
