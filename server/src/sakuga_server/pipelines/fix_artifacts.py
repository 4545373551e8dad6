"""The way of a damaged picture: find, restore, inpaint, then upscale."""

from collections.abc import Callable, Mapping
from typing import Any, Self

from sakuga_core.errors import BadImage, BadOption
from sakuga_core.options import FixArtifactsOptions, Region
from sakuga_server.damage import artifacts, banding
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.encode import encode
from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.inpainting import inpaint as inpainting
from sakuga_server.inpainting.inpaint import Inpaint
from sakuga_server.jpeg import block_grid, coefficients, dequantise
from sakuga_server.networks import InpaintNet, Net, Networks
from sakuga_server.pipelines.report import report
from sakuga_server.pipelines.request import UpscaleRequest
from sakuga_server.pipelines.settings import FixSettings
from sakuga_server.pipelines.upscale import Upscale

Request = UpscaleRequest[FixArtifactsOptions]


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
        self,
        data: bytes,
        options: Mapping[str, Any],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> tuple[bytes, dict[str, Any]]:
        """Repairs one encoded picture.

        Args:
            data: an encoded file; see `decode`.
            options: of `FixArtifactsOptions`, over the defaults of the settings.
            cancelled: called before each step; True ends the work.

        Returns:
            What the option `result` names, as an encoded file, and the report.

        Raises:
            SakugaError: BadOption, BadImage, TooLarge, ModelNotLoaded or DetectorError.
        """
        request = self.upscale.request_of(FixArtifactsOptions, options, cancelled)
        chosen = request.options
        with request.stages("total"):
            with request.stages("decode"):
                picture, mask = self._decoded(data, request)
                source = coefficients.read(data)
            with request.stages("detect"):
                regions = inpainting.check(
                    chosen.regions or [], picture, self.settings.limits.regions
                )
                regions = artifacts.detect(picture, source, chosen.detector) + regions
            done: list[dict[str, Any]] = []
            if chosen.result == "regions":
                result = artifacts.drawn(picture, regions)
            else:
                result, done = await self._repaired(picture, mask, source, regions, request)
            with request.stages("encode"):
                encoded = encode(result, chosen.format, chosen.quality, chosen.keep_metadata)
        about = report(
            request, "fix_artifacts", picture, result, request.stages, (len(data), len(encoded))
        )
        found = [region.model_dump(mode="json", exclude_none=True) for region in regions]
        return encoded, {**about, "regions": found, "done": done, **request.tiling}

    def _decoded(self, data: bytes, request: Request) -> tuple[Picture, Array | None]:
        """The picture, and where the caller's mask wants it inpainted."""
        picture = decode(data, self.settings.limits)
        if request.options.result == "upscaled":
            self.upscale.target(picture, request)
        if request.options.mask is None:
            return picture, None
        try:
            mask = decode(request.options.mask, self.settings.limits)
        except BadImage as error:
            raise BadOption(f"option 'mask': {error}") from error
        return picture, inpainting.read_mask(mask, picture)

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
                repaired = artifacts.restore(picture, source, regions, request.cancelled)
        with request.stages("inpaint"):
            inpainters = self.settings.inpainters
            fill = Inpaint(self.inpaint, inpainters, chosen.inpaint, request.cancelled)
            picture, inpainted = await fill(repaired.picture, regions, mask)
        if chosen.result == "restored":
            return picture, repaired.done + inpainted
        large = await self.upscale.upscaled(picture, request)
        with request.stages("jpeg_consistency"):
            if chosen.jpeg_consistency:
                large = artifacts.consistent(large, picture, repaired, request.cancelled)
        upscaled = {
            "what": "upscaled",
            "by": request.model,
            "scale": chosen.scale or request.facts.scale,
        }
        return large, [*repaired.done, *inpainted, upscaled]


def warm_up() -> None:
    """Compiles every kernel, or loads it from numba's cache."""
    dequantise.warm_up()
    block_grid.warm_up()
    banding.warm_up()
