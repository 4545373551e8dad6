"""An action as a function of a picture of any kind: the methods `upscale`, `rembg`, … of `Images`
and its synchronous twin."""

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt

from sakuga.inputs import input_of, named
from sakuga.reply import Reply
from sakuga.streaming import OnProgress
from sakuga_core.actions import ImageAction

if TYPE_CHECKING:
    from sakuga.pillow import PillowImage

Sample = TypeVar("Sample", np.uint8, np.uint16)


class Run(Protocol):
    """`Images.run`."""

    def __call__(
        self,
        image: bytes,
        action: ImageAction,
        config: Any = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> Awaitable[Reply]: ...


class ActionCall:
    """One action: called with a picture, gives the result as the same kind.

    | picture | result |
    |---|---|
    | bytes, bytearray, memoryview: an encoded file | bytes: an encoded file |
    | str, Path: the path of a file | `Reply`: the encoded file, and the server's report |
    | NumPy array, uint8 or uint16, (H, W) or (H, W, 1…4) | NumPy array of the same type |
    | image of Pillow, of mode 1, L, LA, P, RGB, RGBA, I;16, CMYK | image of Pillow |

    Options are keyword arguments, over those of config.yaml. `mask` may be of any of these kinds,
    too, or an array of bool. With `on_progress` that is called in the event loop with the
    `Progress` of the request.

    Raises:
        TypeError: the picture is of no such kind.
        SakugaError: of the class that fits; see `sakuga_core.errors`.
    """

    def __init__(self, run: Run, action: ImageAction) -> None:
        self._run, self._action = run, action

    @overload
    async def __call__(
        self,
        picture: str | os.PathLike[str],
        *,
        on_progress: OnProgress | None = None,
        **options: Any,
    ) -> Reply: ...

    @overload
    async def __call__(
        self,
        picture: bytes | bytearray | memoryview,
        *,
        on_progress: OnProgress | None = None,
        **options: Any,
    ) -> bytes: ...

    @overload
    async def __call__(
        self, picture: npt.NDArray[Sample], *, on_progress: OnProgress | None = None, **options: Any
    ) -> npt.NDArray[Sample]: ...

    @overload
    async def __call__(
        self, picture: "PillowImage", *, on_progress: OnProgress | None = None, **options: Any
    ) -> "PillowImage": ...

    async def __call__(
        self, picture: Any, *, on_progress: OnProgress | None = None, **options: Any
    ) -> Any:
        sent = await asyncio.to_thread(input_of, picture, options)
        with named(picture):
            reply = await self._run(sent.data, self._action, sent.options, on_progress=on_progress)
        return await asyncio.to_thread(sent.result_of, reply)


class WaitingCall:
    """As `ActionCall`, but waits. `on_progress` is called in the thread that waits; interrupting it
    (Ctrl-C), or an exception of `on_progress`, ends the work of the server.

    Raises:
        RuntimeError: the connection is closed, or another process's.
        Cancelled: it is closed meanwhile.
    """

    def __init__(self, call: ActionCall, wait: Callable[..., Any]) -> None:
        self._call, self._wait = call, wait

    @overload
    def __call__(
        self,
        picture: str | os.PathLike[str],
        *,
        on_progress: OnProgress | None = None,
        **options: Any,
    ) -> Reply: ...

    @overload
    def __call__(
        self,
        picture: bytes | bytearray | memoryview,
        *,
        on_progress: OnProgress | None = None,
        **options: Any,
    ) -> bytes: ...

    @overload
    def __call__(
        self, picture: npt.NDArray[Sample], *, on_progress: OnProgress | None = None, **options: Any
    ) -> npt.NDArray[Sample]: ...

    @overload
    def __call__(
        self, picture: "PillowImage", *, on_progress: OnProgress | None = None, **options: Any
    ) -> "PillowImage": ...

    def __call__(
        self, picture: Any, *, on_progress: OnProgress | None = None, **options: Any
    ) -> Any:
        return self._wait(self._call, picture, on_progress=on_progress, **options)


Call = TypeVar("Call", ActionCall, WaitingCall)


class ActionMethods(ABC, Generic[Call]):
    """A method for each action."""

    @abstractmethod
    def _call(self, action: ImageAction) -> Call: ...

    @property
    def upscale(self) -> Call:
        """Upscales a picture; options: `UpscaleOptions`."""
        return self._call(ImageAction.UPSCALE)

    @property
    def enhance(self) -> Call:
        """Upscales a picture and generates fine detail; options: `UpscaleOptions`."""
        return self._call(ImageAction.ENHANCE)

    @property
    def rembg(self) -> Call:
        """Removes the background of a picture; options: `RembgOptions`."""
        return self._call(ImageAction.REMBG)

    @property
    def fix_artifacts(self) -> Call:
        """Repairs a picture, then upscales it; options: `FixArtifactsOptions`."""
        return self._call(ImageAction.FIX_ARTIFACTS)
