"""The way of a damaged picture: find, restore, paint, then upscale."""

from collections.abc import Callable, Mapping
from typing import Any, Self

from sakuga_core.errors import BadImage, BadOption
from sakuga_core.options import FixArtifactsOptions, Region
from sakuga_server.damage import artifacts, banding
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.encode import encode
from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.inpainting import inpaint
from sakuga_server.inpainting.inpaint import Inpaint
from sakuga_server.jpeg import block_grid, coefficients, dequantise
from sakuga_server.networks import InpaintNet, Net, Networks
from sakuga_server.pipelines.report import report
from sakuga_server.pipelines.settings import FixSettings
from sakuga_server.pipelines.upscale import Job, Upscale

FixJob = Job[FixArtifactsOptions]


class FixArtifacts:
    """Finds damage, undoes it, and upscales.

    Args:
        net: runs a super-resolution network on one tile.
        paint: runs an inpainting network on one window.
        settings: networks, default options and limits.
    """

    def __init__(self, net: Net, paint: InpaintNet, settings: FixSettings) -> None:
        self.upscale = Upscale(net, settings)
        self.paint = paint
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
            cancelled: asked before each tile; True ends the work.

        Returns:
            What the option `result` asks for, as an encoded file, and the report.

        Raises:
            SakugaError: BadOption, BadImage, TooLarge, ModelNotLoaded or DetectorError.
        """
        job = self.upscale.job(FixArtifactsOptions, options, cancelled)
        asked = job.options
        with job.stages("total"):
            with job.stages("decode"):
                picture, mask = self._decoded(data, job)
                source = coefficients.read(data)
            with job.stages("detect"):
                regions = inpaint.check(asked.regions or [], picture)
                regions = artifacts.detect(picture, source, asked.detector) + regions
            done: list[dict[str, Any]] = []
            if asked.result == "regions":
                result = artifacts.drawn(picture, regions)
            else:
                result, done = await self._repaired(picture, mask, source, regions, job)
            with job.stages("encode"):
                encoded = encode(result, asked.format, asked.quality, asked.keep_metadata)
        said = report(job, "fix_artifacts", picture, result, job.stages, (len(data), len(encoded)))
        found = [region.model_dump(mode="json", exclude_none=True) for region in regions]
        return encoded, {**said, "regions": found, "done": done, **job.tiling}

    def _decoded(self, data: bytes, job: FixJob) -> tuple[Picture, Array | None]:
        """The picture, and where the caller's mask wants it painted."""
        picture = decode(data, self.settings.limits)
        if job.options.result == "upscaled":
            self.upscale.target(picture, job)
        if job.options.mask is None:
            return picture, None
        try:
            mask = decode(job.options.mask, self.settings.limits)
        except BadImage as error:
            raise BadOption(f"option 'mask': {error}") from error
        return picture, inpaint.read_mask(mask, picture)

    async def _repaired(
        self,
        picture: Picture,
        mask: Array | None,
        source: coefficients.Jpeg | None,
        regions: list[Region],
        job: FixJob,
    ) -> tuple[Picture, list[dict[str, Any]]]:
        """The picture without its damage, upscaled if that is asked for; and what was done."""
        asked, repaired = job.options, artifacts.Repaired(picture)
        with job.stages("restore"):
            if asked.restore:
                repaired = artifacts.restore(picture, source, regions)
        with job.stages("inpaint"):
            inpainters = self.settings.inpainters
            fill = Inpaint(self.paint, inpainters, asked.inpaint, job.cancelled)
            picture, painted = await fill(repaired.picture, regions, mask)
        if asked.result == "restored":
            return picture, repaired.done + painted
        large = await self.upscale.upscaled(picture, job)
        with job.stages("agree"):
            if asked.jpeg_consistency:
                large = artifacts.agreeing(large, picture, repaired)
        upscaled = {"what": "upscaled", "by": job.model, "scale": asked.scale or job.facts.scale}
        return large, [*repaired.done, *painted, upscaled]


def warm_up() -> None:
    """Compiles every kernel, or loads it from numba's cache."""
    dequantise.warm_up()
    block_grid.warm_up()
    banding.warm_up()
