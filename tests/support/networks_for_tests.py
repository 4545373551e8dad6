"""Which networks the tests serve, and weights for those that can't be had everywhere."""

from pathlib import Path

import torch

from sakuga_export import convert
from sakuga_export.networks import Network

PROJECT = Path(__file__).parents[2]
EXPORTED = ("realesrgan-x4plus-anime", "realesr-animevideov3")


def generated_states(network: Network) -> list[convert.State]:
    """Weights nobody trained, of the exact architecture, whose results stay mostly in 0…1."""
    states = []
    for seed in range(len(network.weights)):
        torch.manual_seed(seed)
        state = convert.build(network).state_dict()
        states.append({name: value.clone() for name, value in state.items()})
    return states
