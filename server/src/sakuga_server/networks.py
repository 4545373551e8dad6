"""What a pipeline is, and what it is given: networks, wherever they run."""

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, Self

from sakuga_core.protocol import Inner
from sakuga_server.caller import Caller
from sakuga_server.imaging.picture import Array, Picture


class Net(Protocol):
    """A super-resolution network, wherever it runs.

    Takes its name, a uint8 batch (1, H, W, 3) or, for 16 bits, (1, H, W, 6), the denoise strength
    and the window's inner sides, each where the network takes it. Gives (1, scale·H, scale·W, 3),
    less the padding on inner sides that it takes: uint8, or int32 in 0…65535.
    """

    def __call__(
        self, model: str, tile: Array, denoise: float | None, inner: Inner | None
    ) -> Awaitable[Array]: ...


class InpaintNet(Protocol):
    """An inpainting network, wherever it runs.

    Takes its name, a picture, uint8 (1, H, W, 3), and its hole, uint8 (1, H, W), 1 where it
    inpaints. Gives uint8 (1, H, W, 3).

    Raises:
        ModelNotLoaded: it isn't there.
    """

    def __call__(self, model: str, image: Array, hole: Array) -> Awaitable[Array]: ...


class Remover(Protocol):
    """Removes the background of one picture, wherever that is done.

    Takes a network's name, an encoded file and the options of `rembg`. Gives the result and the
    report.

    Raises:
        ModelNotLoaded: it isn't there.
    """

    def __call__(
        self, model: str, image: bytes, options: Mapping[str, Any]
    ) -> Awaitable[tuple[Picture, dict[str, Any]]]: ...


class Networks(Protocol):
    """The networks of a server."""

    @property
    def upscale(self) -> Net: ...
    @property
    def inpaint(self) -> InpaintNet: ...
    @property
    def rembg(self) -> Remover: ...


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
