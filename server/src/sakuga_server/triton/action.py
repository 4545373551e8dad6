"""The Triton model of an action, around its pipeline."""

import json
from collections.abc import Mapping
from typing import Any

from sakuga_core import protocol
from sakuga_server.imaging.picture import Array
from sakuga_server.networks import Pipeline
from sakuga_server.triton.bls import BLSNetworks
from sakuga_server.triton.model import PictureModel, bytes_of, options_of, text_tensor


class ActionModel(PictureModel):
    """A file and options in, a file and a report out."""

    pipeline: type[Pipeline]

    def start(self, parameters: Mapping[str, Mapping[str, str]]) -> None:
        """Builds the pipeline from the parameters of config.pbtxt."""
        self.run = self.pipeline.from_parameters(BLSNetworks(), parameters)

    async def answer(self, request: Any) -> dict[str, Array]:
        """RESULT and REPORT of one picture."""
        image, options = bytes_of(request, protocol.IMAGE), options_of(request)
        result, report = await self.run(image, options, request.is_cancelled)
        encoded = json.dumps(report).encode()
        return {protocol.RESULT: text_tensor(result), protocol.REPORT: text_tensor(encoded)}


def model_of(pipeline: type[Pipeline]) -> type[ActionModel]:
    """The class that Triton runs for a pipeline."""
    return type(f"{pipeline.__name__}Model", (ActionModel,), {"pipeline": pipeline})
