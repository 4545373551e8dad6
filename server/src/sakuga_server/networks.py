"""What a pipeline is, and what it is given: networks, wherever they run."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from sakuga_core import protocol
from sakuga_core.protocol import Inner
from sakuga_server.caller import Caller
from sakuga_server.imaging.picture import Array


@dataclass(frozen=True)
class Tile:
    """What a super-resolution network is given; all but the pixels where the network takes it."""

    pixels: Array
    """uint8 (1, H, W, 3) or, for 16 bits, (1, H, W, 6): high bytes, then low bytes."""
    denoise: float | None = None
    """The denoise strength."""
    inner: Inner | None = None
    """The window's inner sides."""
    means: Array | None = None
    """float32 (1, 1 + channels): means over the whole picture; see `protocol.shares`."""
    share: int | None = None
    """The layer of which the window's share of these is wanted, in place of the result."""

    @property
    def inputs(self) -> dict[str, Array]:
        """The network's tensors by name, IMAGE first; see `protocol`."""
        found = {protocol.NET_IMAGE: self.pixels}
        if self.denoise is not None:
            length = protocol.denoise_length(self.denoise)
            found[protocol.NET_DENOISE] = np.zeros((1, length), np.uint8)
        if self.inner is not None:
            sides = protocol.inner_shape(self.inner)
            found[protocol.NET_INNER] = np.zeros((1, *sides), np.uint8)
        if self.means is not None:
            found[protocol.NET_MEANS] = self.means
        return found

    @property
    def output(self) -> str:
        """The name of the tensor that is wanted."""
        if self.share is not None:
            return protocol.shares(self.share)
        is_deep = self.pixels.shape[-1] > 3
        return protocol.NET_RESULT_16 if is_deep else protocol.NET_RESULT


class Net(Protocol):
    """A super-resolution network, wherever it runs.

    Takes its name and a tile. Gives (1, scale·H, scale·W, 3), less the padding on inner sides that
    it takes: uint8, or int32 in 0…65535; or a share, float32 (1, channels + 1).
    """

    def __call__(self, model: str, tile: Tile) -> Awaitable[Array]: ...


class InpaintNet(Protocol):
    """An inpainting network, wherever it runs.

    Takes its name, a picture, uint8 (1, H, W, 3), and its hole, uint8 (1, H, W), 1 where it
    inpaints. Gives uint8 (1, H, W, 3).

    Raises:
        ModelNotLoaded: it isn't there.
    """

    def __call__(self, model: str, image: Array, hole: Array) -> Awaitable[Array]: ...


class SegmentNet(Protocol):
    """A segmentation network, wherever it runs.

    Takes its name, a square, uint8 (1, side, side, 3), and whether it was letterboxed; None for a
    network that doesn't take that. Gives its prediction, float32 (1, side, side).

    Raises:
        ModelNotLoaded: it isn't there.
    """

    def __call__(self, model: str, square: Array, letterbox: bool | None) -> Awaitable[Array]: ...


class Networks(Protocol):
    """The networks of a server."""

    @property
    def upscale(self) -> Net: ...
    @property
    def inpaint(self) -> InpaintNet: ...
    @property
    def segment(self) -> SegmentNet: ...


class Pipeline(Protocol):
    """The work of an action, from file to file."""

    @classmethod
    def from_parameters(
        cls, networks: Networks, parameters: Mapping[str, Mapping[str, str]]
    ) -> Self:
        """From the parameters of a config.pbtxt: each value is JSON text."""
        ...

    async def __call__(
        self, data: bytes, options: Mapping[str, Any], caller: Caller
    ) -> tuple[bytes, dict[str, Any]]:
        """An encoded result, and the report."""
        ...
