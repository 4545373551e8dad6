"""Between Triton and the pipelines: requests to arrays, errors to statuses, networks over BLS.

The only importer of `triton_python_backend_utils`, which exists inside Triton's stub alone; the
stand-in backends are Triton's own side and apart.
"""

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

from sakuga import wire
from sakuga.errors import (
    BadOption,
    ModelNotLoaded,
    SakugaError,
    ServerError,
    from_wire,
    says_not_loaded,
)
from sakuga.options import parse_options
from sakuga_server.inventory import Inventory, NetworksOptions
from sakuga_server.pipelines.picture import Array
from sakuga_server.pipelines.rembg_prepare import Job, prepare
from sakuga_server.pipelines.upscale import Upscale
from sakuga_server.settings import FixSettings, Settings

log = logging.getLogger("sakuga")

# gRPC's names and pb.TritonError's. They are looked up late: the stub fills `pb` after this import.
STATUSES = {"INVALID_ARGUMENT": "INVALID_ARG", "NOT_FOUND": "NOT_FOUND"}

# The trace of the request in hand, if it has one: what it asks of networks belongs to it.
_trace: ContextVar[Any] = ContextVar("trace", default=None)

# Times that a network is asked for which is unloaded again and again.
LOADS = 3


class PictureModel(ABC):
    """A Triton model that answers each request by itself, and survives whatever one brings."""

    def initialize(self, args: Mapping[str, str]) -> None:
        self.start(json.loads(args["model_config"])["parameters"])

    @abstractmethod
    def start(self, parameters: Mapping[str, Mapping[str, str]]) -> None:
        """Takes the parameters of config.pbtxt."""

    @abstractmethod
    async def answer(self, request: Any) -> dict[str, Array]:
        """The output tensors of one request, by name."""

    async def execute(self, requests: list[Any]) -> list[Any]:
        return [await self._response(request) for request in requests]

    async def _response(self, request: Any) -> Any:
        # Whatever escaped from here would reach the caller as a traceback with the server's paths.
        _trace.set(request.trace())
        try:
            outputs = await self.answer(request)
        except SakugaError as error:
            return _failure(error)
        except Exception:
            log.exception("%s failed", type(self).__name__)
            return _failure(ServerError("internal error; the server's log has the reason"))
        tensors = [pb.Tensor(name, value) for name, value in outputs.items()]
        return pb.InferenceResponse(output_tensors=tensors)


class UpscaleModel(PictureModel):
    """Triton's `upscale`: the public model of every super-resolution network."""

    def start(self, parameters: Mapping[str, Mapping[str, str]]) -> None:
        settings = Settings[wire.NetworkFacts].from_parameters(parameters)
        self.upscale = Upscale(run_network, settings)

    async def answer(self, request: Any) -> dict[str, Array]:
        image, options = _bytes(request, wire.IMAGE), _options(request)
        result, report = await self.upscale(image, options, request.is_cancelled)
        return {wire.RESULT: _text(result), wire.REPORT: _text(json.dumps(report).encode())}


class FixArtifactsModel(PictureModel):
    """Triton's `fix_artifacts`: the public model that mends before it enlarges."""

    def start(self, parameters: Mapping[str, Mapping[str, str]]) -> None:
        # Imported here, so that the other pipelines go without numba's 100 MB.
        from sakuga_server.pipelines import fix_artifacts

        fix_artifacts.warm_up()
        settings = FixSettings.from_parameters(parameters)
        self.fix = fix_artifacts.FixArtifacts(run_network, run_inpainter, settings)

    async def answer(self, request: Any) -> dict[str, Array]:
        image, options = _bytes(request, wire.IMAGE), _options(request)
        result, report = await self.fix(image, options, request.is_cancelled)
        return {wire.RESULT: _text(result), wire.REPORT: _text(json.dumps(report).encode())}


class RembgPrepareModel(PictureModel):
    """Triton's `rembg_prepare`: the first step of every ensemble that cuts out."""

    def start(self, parameters: Mapping[str, Mapping[str, str]]) -> None:
        self.settings = Settings[wire.CutoutFacts].from_parameters(parameters)
        self.outputs = {wire.prepared(name): name for name in self.settings.networks}

    async def answer(self, request: Any) -> dict[str, Array]:
        wanted = request.requested_output_names()
        name = next(n for n in wanted if n in self.outputs)
        image, options = _bytes(request, wire.IMAGE), _options(request)
        square, picture, job = prepare(image, options, self.outputs[name], self.settings)
        tensors = {
            name: square,
            wire.NET_AUTHOR: np.array([[job.author]], np.uint8),
            wire.PICTURE: picture,
            wire.JOB: _text(job.model_dump_json().encode()),
        }
        return {name: tensors[name] for name in wanted}


class AlphaMattingModel(PictureModel):
    """Triton's `alpha_matting`: the last step of every ensemble that cuts out."""

    def start(self, parameters: Mapping[str, Mapping[str, str]]) -> None:
        # Imported here, so that the other pipelines go without numba's 100 MB.
        from sakuga_server.pipelines import alpha_matting, matting

        matting.warm_up()
        self.finish = alpha_matting.finish

    async def answer(self, request: Any) -> dict[str, Array]:
        prediction, picture = _array(request, wire.NET_MASK)[0], _array(request, wire.PICTURE)
        job = Job.model_validate_json(_bytes(request, wire.JOB))
        result, report = self.finish(prediction, picture, job)
        return {wire.RESULT: _text(result), wire.REPORT: _text(json.dumps(report).encode())}


class NetworksModel(PictureModel):
    """Triton's `networks`: tells of them, and loads one that a request needs.

    It has one instance, so that pictures which need the same network don't load it twice.
    """

    def initialize(self, args: Mapping[str, str]) -> None:
        self.repository = Path(args["model_repository"]).parent
        super().initialize(args)

    def start(self, parameters: Mapping[str, Mapping[str, str]]) -> None:
        self.inventory = Inventory.from_parameters(self.repository, parameters)

    async def answer(self, request: Any) -> dict[str, Array]:
        options, report = parse_options(NetworksOptions, _options(request)), {}
        if options.load:
            self._load(options.load, options.kind)
        else:
            report["networks"] = self.inventory.listed(_ready)
        return {wire.REPORT: _text(json.dumps(report).encode())}

    def _load(self, name: str, kind: wire.Kind | None) -> None:
        model = self.inventory.served_by(name, kind)
        if _ready(model):
            return
        self.inventory.check_loadable(name)
        try:
            pb.load_model(model_name=model)
        except Exception:
            log.exception("%s can't be loaded", model)
            raise ServerError(f"model {name!r} can't be loaded; the server's log has why") from None


def _ready(model: str) -> bool:
    return bool(pb.is_model_ready(model_name=model))


def _failure(error: SakugaError) -> Any:
    status = getattr(pb.TritonError, STATUSES.get(error.status, "INTERNAL"))
    return pb.InferenceResponse(error=pb.TritonError(error.to_wire(), status))


def _text(value: bytes) -> Array:
    return np.array([value], dtype=object)


def _array(request: Any, name: str) -> Array:
    array: Array = pb.get_input_tensor_by_name(request, name).as_numpy()
    return array


def _bytes(request: Any, name: str) -> bytes:
    tensor = pb.get_input_tensor_by_name(request, name)
    if tensor is None:
        return b""
    values = tensor.as_numpy().reshape(-1)
    return bytes(values[0]) if len(values) else b""


def _options(request: Any) -> dict[str, Any]:
    text = _bytes(request, wire.OPTIONS) or b"{}"
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise BadOption(f"{wire.OPTIONS} is {text[:60]!r}; allowed: a JSON object")
    return options


async def run_network(
    model: str, tile: Array, denoise: float | None, inner: wire.Inner | None
) -> Array:
    """One tile through a network of this server; see `pipelines.upscale.Net`."""
    output = wire.NET_RESULT if tile.shape[-1] == 3 else wire.NET_RESULT_16
    inputs = [pb.Tensor(wire.NET_IMAGE, tile)]
    if denoise is not None:
        strength = np.zeros((1, wire.denoise_length(denoise)), np.uint8)
        inputs.append(pb.Tensor(wire.NET_DENOISE, strength))
    if inner is not None:
        sides = np.zeros((1, *wire.inner_shape(inner)), np.uint8)
        inputs.append(pb.Tensor(wire.NET_INNER, sides))
    return await _run(model, inputs, output)


async def run_inpainter(model: str, image: Array, hole: Array) -> Array:
    """One window through an inpainting network of this server; see `pipelines.inpaint.Painter`."""
    inputs = [pb.Tensor(wire.NET_IMAGE, image), pb.Tensor(wire.NET_HOLE, hole)]
    return await _run(model, inputs, wire.NET_RESULT)


async def _run(model: str, inputs: list[Any], output: str) -> Array:
    """A network's output; if it isn't loaded, it is loaded first, should the server do that."""
    for _ in range(LOADS):
        response = await _asked(wire.folder(model), inputs, output)
        if not response.has_error():
            result: Array = pb.get_output_tensor_by_name(response, output).as_numpy()
            return result
        # Statuses of nested calls all come back as INTERNAL, so the text has to tell.
        message = response.error().message()
        if not says_not_loaded(message):
            log.error("network %s: %s", model, message)
            raise ServerError("internal error; the server's log has the reason")
        await _load_on_demand(model)
    raise ModelNotLoaded.loadable(model)


# What is being loaded for pictures of this process, by network.
_loading: dict[str, asyncio.Task[None]] = {}


async def _load_on_demand(model: str) -> None:
    """Has `networks` load it; tiles that need the same network wait for one request."""
    if model not in _loading:
        task = _loading[model] = asyncio.ensure_future(_load(model))
        task.add_done_callback(lambda _: _loading.pop(model))
    await asyncio.shield(_loading[model])  # a tile that is given up doesn't stop the others' load


async def _load(model: str) -> None:
    wanted = _text(json.dumps({"load": model}).encode())
    response = await _asked(wire.NETWORKS, [pb.Tensor(wire.OPTIONS, wanted)], wire.REPORT)
    if response.has_error():
        message = response.error().message()
        raise from_wire(message) or ModelNotLoaded.loadable(model)


async def _asked(model: str, inputs: list[Any], output: str) -> Any:
    request = pb.InferenceRequest(
        model_name=model,
        requested_output_names=[output],
        inputs=inputs,
        preferred_memory=pb.PreferredMemory(pb.TRITONSERVER_MEMORY_CPU),
        **({"trace": trace} if (trace := _trace.get()) else {}),
    )
    return await request.async_exec()
