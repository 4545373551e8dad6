"""The Triton model of an action, around its pipeline."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import triton_python_backend_utils as pb

from sakuga_core import protocol
from sakuga_core.progress import Progress
from sakuga_server.caller import Caller
from sakuga_server.imaging.picture import Array
from sakuga_server.networks import Pipeline
from sakuga_server.triton.bls import BLSNetworks
from sakuga_server.triton.counting import Counting
from sakuga_server.triton.model import (
    PictureModel,
    bytes_of,
    cancelled,
    options_of,
    text_tensor,
)


class ActionModel(PictureModel):
    """A file and options in, a file and a report out."""

    pipeline: type[Pipeline]

    def start(self, parameters: Mapping[str, Mapping[str, str]]) -> None:
        """Builds the pipeline from the parameters of config.pbtxt."""
        self.counting = Counting.of_action(self.name, parameters)
        self.run = self.pipeline.from_parameters(BLSNetworks(), parameters)

    async def answer(self, request: Any) -> dict[str, Array]:
        """RESULT and REPORT of one picture."""
        with self.counting.picture(request) as counted:
            image, options = bytes_of(request, protocol.IMAGE), options_of(request)
            counted.model = options.get("model")
            result, report = await self.run(image, options, self.caller(request))
            counted.report = report
        encoded = json.dumps(report).encode()
        return {protocol.RESULT: text_tensor(result), protocol.REPORT: text_tensor(encoded)}

    def caller(self, request: Any) -> Caller:
        """Who waits for the answer."""
        return Caller(cancelled.get())


class StreamingModel(ActionModel):
    """The same, with PROGRESS before the answer: a decoupled model of Triton."""

    def execute(self, requests: list[Any]) -> None:  # type: ignore[override]
        """One after the other: a coroutine would have Triton begin the next one at once, so that
        neither the number of processes nor the queue's length would bound anything."""
        for request in requests:
            response = asyncio.run(self._response(request))
            final = pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL
            request.get_response_sender().send(response, flags=final)

    def caller(self, request: Any) -> Caller:
        sender = request.get_response_sender()

        def send(progress: Progress) -> None:
            values = text_tensor(json.dumps(progress._asdict()).encode())
            tensors = [pb.Tensor(protocol.PROGRESS, values)]
            sender.send(pb.InferenceResponse(output_tensors=tensors))

        return Caller(cancelled.get(), send)


def model_of(pipeline: type[Pipeline]) -> type[ActionModel]:
    """The class that Triton runs for a pipeline."""
    return type(f"{pipeline.__name__}Model", (ActionModel,), {"pipeline": pipeline})


def stream_of(pipeline: type[Pipeline]) -> type[StreamingModel]:
    """The same for its twin that streams progress."""
    return type(f"{pipeline.__name__}Stream", (StreamingModel,), {"pipeline": pipeline})
