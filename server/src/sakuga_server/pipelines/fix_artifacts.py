"""The way of a damaged picture: find, restore, inpaint, then upscale."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from sakuga_core.options import FixArtifactsOptions, Region
from sakuga_server.caller import NOBODY, Caller
from sakuga_server.damage import artifacts, banding
from sakuga_server.imaging import mask_file
from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.inpainting import inpaint as inpainting
from sakuga_server.inpainting.inpaint import Inpaint
from sakuga_server.jpeg import block_grid, coefficients, dequantise
from sakuga_server.networks import InpaintNet, Net, Networks
from sakuga_server.pipelines.files import Work, from_file_to_file
from sakuga_server.pipelines.request import UpscaleRequest
from sakuga_server.pipelines.settings import FixSettings
from sakuga_server.pipelines.upscale import Upscale

BRIGHT = 127  # over this a mask says that a pixel is to be inpainted
Request = UpscaleRequest[FixArtifactsOptions]


@dataclass
class Job:
    """What is asked for, and what its report says of the first picture."""

    request: Request
    data: bytes
    mask: Picture | None
    """The caller's, white where the picture is to be inpainted."""
    pictures: int = 0
    """That were begun, which is in their order."""
    report: dict[str, Any] = field(default_factory=dict)

    def found(self, number: int, regions: list[Region], done: list[dict[str, Any]]) -> None:
        """Takes what a picture's report says."""
        if number == 1:
            listed = [region.model_dump(mode="json", exclude_none=True) for region in regions]
            self.report = {"regions": listed, "done": done}


class FixArtifacts:
    """Finds damage, undoes it, and upscales.

    Args:
        net: runs a super-resolution network on one tile.
        inpaint: runs an inpainting network on one window.
        settings: networks, default options and limits.
    """

    def __init__(self, net: Net, inpaint: InpaintNet, settings: FixSettings) -> None:
        self.upscale = Upscale(net, settings)
        self.inpaint = inpaint
        self.settings = settings

    @classmethod
    def from_parameters(
        cls, networks: Networks, parameters: Mapping[str, Mapping[str, str]]
    ) -> Self:
        """From the parameters of its config.pbtxt; compiles what it needs."""
        warm_up()
        settings = FixSettings.from_parameters(parameters)
        return cls(networks.upscale, networks.inpaint, settings)

    async def __call__(
        self, data: bytes, options: Mapping[str, Any], caller: Caller = NOBODY
    ) -> tuple[bytes, dict[str, Any]]:
        """Repairs one encoded picture: a still one, every frame, or every page.

        Args:
            data: an encoded file; see `decode`.
            options: of `FixArtifactsOptions`, over the defaults of the settings.
            caller: who waits for the result.

        Returns:
            What the option `result` names, as an encoded file, and the report. Of several frames or
            pages it has the regions and repairs of the first one.

        Raises:
            SakugaError: BadOption, BadImage, TooLarge, ModelNotLoaded or DetectorError.
        """
        request = self.upscale.request_of(FixArtifactsOptions, options, caller)
        job = Job(request, data, mask_file.read(request.options.mask, self.settings.limits))
        upscales = request.options.result == "upscaled"
        size = self.upscale.sizing(request) if upscales else lambda *size: size
        work = Work("fix_artifacts", size, partial(self._one, job=job))
        encoded, about = await from_file_to_file(data, request, work, self.settings.limits)
        return encoded, {**about, **job.report, **request.tiling}

    async def _one(self, picture: Picture, job: Job) -> Picture:
        """One picture, or frame."""
        job.pictures += 1
        number, chosen = job.pictures, job.request.options
        mask = None
        if job.mask is not None:
            mask = mask_file.brightness(job.mask, picture, transparent=0) > BRIGHT
        with job.request.stages("detect"):
            source = coefficients.read(job.data)  # of JPEG alone, which is a single picture
            most = self.settings.limits.regions
            regions = inpainting.check(chosen.regions or [], picture, most)
            regions = artifacts.detect(picture, source, chosen.detector) + regions
        if chosen.result == "regions":
            job.found(number, regions, [])
            return artifacts.drawn(picture, regions)
        result, done = await self._repaired(picture, mask, source, regions, job.request)
        job.found(number, regions, done)
        return result

    async def _repaired(
        self,
        picture: Picture,
        mask: Array | None,
        source: coefficients.Jpeg | None,
        regions: list[Region],
        request: Request,
    ) -> tuple[Picture, list[dict[str, Any]]]:
        """The picture without its damage, upscaled unless only that is wanted; what was done."""
        chosen, repaired = request.options, artifacts.Restored(picture)
        with request.stages("restore"):
            if chosen.restore:
                repaired = artifacts.restore(picture, source, regions, request.caller.cancelled)
        with request.stages("inpaint"):
            inpainters = self.settings.inpainters
            fill = Inpaint(self.inpaint, inpainters, chosen.inpaint, request.caller.cancelled)
            picture, inpainted = await fill(repaired.picture, regions, mask)
        if chosen.result == "restored":
            return picture, repaired.done + inpainted
        large = await self.upscale.upscaled(picture, request)
        with request.stages("jpeg_consistency"):
            if chosen.jpeg_consistency:
                large = artifacts.consistent(large, picture, repaired, request.caller.cancelled)
        upscaled = {
            "what": "upscaled",
            "by": request.model,
            "scale": round(large.width / picture.width, 3),
        }
        return large, [*repaired.done, *inpainted, upscaled]


def warm_up() -> None:
    """Compiles every kernel, or loads it from numba's cache."""
    dequantise.warm_up()
    block_grid.warm_up()
    banding.warm_up()
