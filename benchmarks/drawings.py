"""Drawings that a network upscaled: what a server encodes."""

from functools import cached_property

import cv2
import numpy as np
import onnxruntime

from draw import picture
from sakuga import load_config
from sakuga_core.networks.registry import by_name
from sakuga_export.families import graph
from sakuga_export.output import ONNX
from sakuga_server.imaging import tiling

MODEL = "realesr-animevideov3"


class Drawings:
    """What is encoded, each (side, side, …); made when it is first used."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.network = by_name(MODEL)
        file = load_config().server.repository / self.network.folder / "1" / ONNX
        self.session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    @cached_property
    def small(self) -> np.ndarray:
        """The heroine before the network, (side / 4, side / 4, 3)."""
        return drawn("heroine", self.side // 4)[..., :3]

    @cached_property
    def rgb(self) -> np.ndarray:
        return self._upscaled(self.small)

    @cached_property
    def rgb_16(self) -> np.ndarray:
        return self._upscaled(self.small.astype(np.uint16) * 257)

    @cached_property
    def gray(self) -> np.ndarray:
        return cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY)

    @cached_property
    def gray_16(self) -> np.ndarray:
        return cv2.cvtColor(self.rgb_16, cv2.COLOR_RGB2GRAY)

    @cached_property
    def rgba(self) -> np.ndarray:
        mascot = drawn("mascot", self.side // 4)
        alpha = self._upscaled(np.repeat(mascot[..., 3:], 3, axis=2))[..., :1]
        return np.dstack((self._upscaled(mascot[..., :3]), alpha))

    def _upscaled(self, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        whole = np.empty((4 * height, 4 * width, 3), pixels.dtype)
        for rows, columns in tiling.split(height, width, 512, self.network.receptive_field):
            window = np.ascontiguousarray(pixels[None, rows.window, columns.window])
            result = graph.run_file(self.session, window)[0]
            whole[rows.target(4), columns.target(4)] = result[rows.inner(4), columns.inner(4)]
        return whole


def drawn(name: str, side: int) -> np.ndarray:
    """A square of a drawing, drawn so large that it fills it."""
    image = picture(name)
    image = picture(name, size=side / min(image.size))
    return np.asarray(image.crop((0, 0, side, side)))
