"""The Triton model of an action, around its pipeline."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import triton_python_backend_utils as pb

from sakuga_core import protocol
from sakuga_core.errors import BadOption
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
        networks, defaults = (
            json.loads(parameters[name]["string_value"]) for name in ("networks", "defaults")
        )
        self.counting = Counting.of_action(self.name, networks, defaults)
        self.run = self.pipeline.from_parameters(BLSNetworks(), parameters)
        self.results = {protocol.result_by(name): name for name in networks}

    async def answer(self, request: Any) -> dict[str, Array]:
        """RESULT, by that name or by a network's, and REPORT of one picture."""
        name = self._result(request)
        with self.counting.picture(request) as counted:
            counted.model = self.results.get(name)
            image = bytes_of(request, protocol.IMAGE)
            options = self._with_network(options_of(request), name)
            counted.model = options.get("model")
            result, report = await self.run(image, options, self.caller(request))
            counted.report = report
        encoded = json.dumps(report).encode()
        return {name: text_tensor(result), protocol.REPORT: text_tensor(encoded)}

    def _result(self, request: Any) -> str:
        """The output that takes the result; see `protocol.result_by`."""
        wanted = request.requested_output_names()
        if protocol.RESULT in wanted:
            return protocol.RESULT
        return next((name for name in wanted if name in self.results), protocol.RESULT)

    def _with_network(self, options: Mapping[str, Any], result: str) -> Mapping[str, Any]:
        """The options, with the network that the output stands for."""
        network = self.results.get(result)
        if network is None:
            return options
        given = options.get("model") or network
        if not isinstance(given, str) or protocol.canonical(given) != network:
            raise BadOption(f"option 'model' is {given!r}; allowed in this ensemble: {network}")
        return {**options, "model": network}

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
