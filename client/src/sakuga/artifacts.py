"""Repairing pictures with an exchangeable detector and upscaler.

`ArtifactFixProvider` does everything in one call to the server; the functions here do the same step
by step, so that a custom detector or upscaler fits in between.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol, runtime_checkable

from pydantic import ValidationError

from sakuga.inputs import ImageFile, file_bytes
from sakuga.providers import ImageProvider, TritonProvider, transport
from sakuga.transport import Transport
from sakuga_core.actions import ACTIONS, ImageAction
from sakuga_core.config.file import load_config
from sakuga_core.config.schema import Config
from sakuga_core.errors import DetectorError, SakugaError
from sakuga_core.options import Inpainting, Region

ACTION = ACTIONS[ImageAction.FIX_ARTIFACTS]

# The options that are passed on to the upscaler.
UPSCALING = ("scale", "denoise_strength")


@runtime_checkable
class ArtifactDetector(Protocol):
    """Finds damage in a picture; the server's, or a custom one."""

    async def detect(self, image: bytes) -> list[Region]:
        """The damaged parts of a picture.

        Args:
            image: an encoded file.

        Returns:
            The regions, in pixels of the picture after its EXIF orientation is applied; none where
            nothing is damaged.
        """
        ...


class AutoDetector:
    """The server's detectors: JPEG blocks, banding and specks.

    Args:
        triton: a connection to share; if unset, one for each call, to the server of
            `load_config()`.
    """

    def __init__(self, triton: Transport | None = None) -> None:
        self.triton = triton

    async def detect(self, image: bytes) -> list[Region]:
        """As `ArtifactDetector.detect`, by the server.

        Raises:
            SakugaError: of the class that fits; see `sakuga_core.errors`.
        """
        async with _server(self.triton) as (config, triton):
            options = triton.options_for(config, ACTION, {"result": "regions"})
            reply = await triton.run(ACTION, image, options)
        return [Region.model_validate(region) for region in reply.report["regions"]]


async def detected(detector: ArtifactDetector, image: bytes) -> list[Region]:
    """The regions that a detector finds.

    Raises:
        DetectorError: it failed, or returned something else than regions; the message names it.
    """
    name = type(detector).__name__
    try:
        return [Region.model_validate(region) for region in await detector.detect(image)]
    except SakugaError:
        raise
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        raise DetectorError(
            f"detector {name} returned no regions: {field}: {problem['msg']}"
        ) from error
    except Exception as error:
        raise DetectorError(f"detector {name} failed: {type(error).__name__}: {error}") from error


class ArtifactFixProvider(TritonProvider):
    """Detects and repairs damage, then upscales; options: `FixArtifactsOptions`.

    Args:
        config: if unset, as `load_config()` finds it.
        triton: a connection to share; if unset, its own, to `config.server.url`.
        detector: finds the damage; if unset, the server does, as the option `detector` says.
        action: as for every provider.
    """

    action = ImageAction.FIX_ARTIFACTS

    def __init__(
        self,
        config: Config | None = None,
        triton: Transport | None = None,
        detector: ArtifactDetector | None = None,
        *,
        action: ImageAction | None = None,
    ) -> None:
        super().__init__(config, triton, action=action)
        self.detector = detector

    async def _request(self, image: bytes, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return await _with_regions(options, self.detector, image)


async def fix_artifacts(
    image: ImageFile,
    upscaler: ImageProvider,
    detector: ArtifactDetector | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    triton: Transport | None = None,
) -> bytes:
    """Detects and repairs damage in a picture, then has `upscaler` upscale it.

    `ArtifactFixProvider` also keeps the result consistent with a JPEG (option `jpeg_consistency`).

    Args:
        image: an encoded file, as bytes or the path of one.
        upscaler: any provider; it gets `ImageAction.UPSCALE`, a scale and a denoise strength.
        detector: finds the damage; if unset, the server does.
        config: options of `fix_artifacts`, over those of config.yaml.
        triton: the server that repairs; if unset, the upscaler's, if it has one, else that of
            `load_config()`.

    Returns:
        An encoded file.

    Raises:
        DetectorError: the detector failed.
        SakugaError: of the class that fits; see `sakuga_core.errors`.
    """
    data = await asyncio.to_thread(file_bytes, image)
    request = await _with_regions(config or {}, detector, data)
    triton = triton or getattr(upscaler, "triton", None)
    async with _server(triton, getattr(upscaler, "config", None)) as (settings, server):
        options = settings.options_for(ACTION.name, request)
        wanted = {**request, "result": "restored", "format": "png"}
        repair = server.options_for(settings, ACTION, wanted)
        repaired = (await server.run(ACTION, data, repair)).result
    passed_on = {name: options[name] for name in UPSCALING if options.get(name) is not None}
    return await upscaler.process(repaired, ImageAction.UPSCALE, passed_on)


async def _with_regions(
    request: Mapping[str, Any], detector: ArtifactDetector | None, image: bytes
) -> Mapping[str, Any]:
    """The options with the regions that a custom detector finds added."""
    if detector is None:
        return request
    regions = [*(request.get("regions") or ()), *await detected(detector, image)]
    return {**request, "detector": "none", "regions": regions}


async def inpaint_regions(
    image: ImageFile,
    regions: Iterable[Region],
    inpaint: Inpainting = "auto",
    *,
    mask: bytes | None = None,
    triton: Transport | None = None,
) -> bytes:
    """Inpaints parts of a picture; outside of them, and a rim of some pixels, none changes.

    Args:
        image: an encoded file, as bytes or the path of one.
        regions: in pixels of the upright picture; of kind `speck` or `user`: other kinds aren't
            inpainted, and stay.
        inpaint: the method.
        mask: a picture file of the same size, white where to inpaint, beside `regions`.
        triton: the server; if unset, that of `load_config()`.

    Returns:
        A PNG file of the same size.

    Raises:
        BadOption: a region lies outside the picture.
        SakugaError: of the class that fits; see `sakuga_core.errors`.
    """
    data = await asyncio.to_thread(file_bytes, image)
    async with _server(triton) as (config, server):
        request = {"detector": "none", "restore": False, "result": "restored", "format": "png"}
        request |= {"inpaint": inpaint, "regions": list(regions)}
        request |= {} if mask is None else {"mask": mask}
        options = server.options_for(config, ACTION, request)
        return (await server.run(ACTION, data, options)).result


@asynccontextmanager
async def _server(
    triton: Transport | None, config: object = None
) -> AsyncIterator[tuple[Config, Transport]]:
    """A configuration and a connection: those given, or `load_config()` and one to its server."""
    settings = config if isinstance(config, Config) else load_config()
    if triton is not None:
        yield settings, triton
        return
    async with transport(settings) as made:
        yield settings, made
