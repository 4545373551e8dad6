"""The first and the last step of every ensemble that removes backgrounds."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from sakuga_core import protocol
from sakuga_core.config.server import Limits
from sakuga_core.errors import BadInput
from sakuga_core.networks.facts import SegmenterFacts
from sakuga_server.imaging.picture import Array
from sakuga_server.imaging.reading.checks import check_size
from sakuga_server.pipelines.rembg_prepare import RembgContext, prepare
from sakuga_server.pipelines.settings import Settings
from sakuga_server.triton.counting import Counting
from sakuga_server.triton.model import PictureModel, array_of, bytes_of, options_of, text_tensor


class RembgPrepareModel(PictureModel):
    """Triton's `rembg_prepare`: the first step of every ensemble that removes backgrounds."""

    def start(self, parameters: Mapping[str, Mapping[str, str]]) -> None:
        self.settings = Settings[SegmenterFacts].from_parameters(parameters)
        self.counting = Counting.of_ensembles(self.repository)
        self.outputs = {protocol.prepared(name): name for name in self.settings.networks}

    async def answer(self, request: Any) -> dict[str, Array]:
        wanted = request.requested_output_names()
        name = next((n for n in wanted if n in self.outputs), None)
        if name is None:
            raise BadInput(f"a request of {protocol.REMBG_PREPARE} names the output of a network")
        with self.counting.picture(request, last=False) as counted:
            counted.model = self.outputs[name]
            image, options = bytes_of(request, protocol.IMAGE), options_of(request)
            square, picture, context = prepare(image, options, self.outputs[name], self.settings)
        tensors = {
            name: square,
            protocol.NET_LETTERBOX: np.array([[context.letterbox]], np.uint8),
            protocol.PICTURE: picture,
            protocol.CONTEXT: text_tensor(context.model_dump_json().encode()),
        }
        return {name: tensors[name] for name in wanted}


class AlphaMattingModel(PictureModel):
    """Triton's `alpha_matting`: the last step of every ensemble that removes backgrounds."""

    def start(self, parameters: Mapping[str, Mapping[str, str]]) -> None:
        # Imported here, so that the other pipelines go without numba's 100 MB.
        from sakuga_server.matting import closed_form
        from sakuga_server.pipelines import alpha_matting

        closed_form.warm_up()
        self.counting = Counting.of_ensembles(self.repository)
        self.finish = alpha_matting.finish
        self.limits = Limits.model_validate_json(parameters["limits"]["string_value"])

    async def answer(self, request: Any) -> dict[str, Array]:
        mask, picture = (array_of(request, n) for n in (protocol.NET_MASK, protocol.PICTURE))
        with self.counting.picture(request, first=False) as counted:
            check_size(picture.shape[1], picture.shape[0], self.limits, protocol.PICTURE)
            context = _context(request)
            counted.model = context.model
            result, report = self.finish(mask[0], picture, context)
            counted.report = report
        return {
            protocol.RESULT: text_tensor(result),
            protocol.REPORT: text_tensor(json.dumps(report).encode()),
        }


def _context(request: Any) -> RembgContext:
    """
    Raises:
        BadInput: somebody else than an ensemble made it.
    """
    try:
        return RembgContext.model_validate_json(bytes_of(request, protocol.CONTEXT))
    except ValidationError:
        raise BadInput(f"{protocol.CONTEXT} isn't what {protocol.REMBG_PREPARE} gives") from None
