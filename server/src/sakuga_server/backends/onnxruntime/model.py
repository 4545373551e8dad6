"""Triton's `onnxruntime` backend, for a Triton that comes without it.

A Python-based backend: a folder of this name in Triton's backend directory makes
`backend: "onnxruntime"` work there, with the conventions of the native one, so one config.pbtxt
serves both. Where the native library is installed, Triton finds that first.
"""

import json
import math
from functools import partial

import numpy as np
import triton_python_backend_utils as pb

from sakuga_core import protocol
from sakuga_core.paths import cache_folder
from sakuga_server.backends.background import Background
from sakuga_server.backends.engines import EngineOptions, engine
from sakuga_server.backends.stand_in import (
    answer,
    failed,
    joined,
    lost,
    opened,
    parted,
    refused,
    unfinished,
)

# Pixels of one call into the engine on a CPU, where larger calls gain nothing, and memory grows
# with them; one item always goes.
CALL_PIXELS = 64 * 64


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        return config

    def initialize(self, args):
        path, parameters, self.inputs = opened(args, "model.onnx")
        config = json.loads(args["model_config"])
        self.on_gpu = args["model_instance_kind"] == "GPU"
        options = EngineOptions(
            accelerators=_accelerators(config, "gpu" if self.on_gpu else "cpu"),
            any_engine=parameters.get("accelerator", "auto") == "auto",
            bf16=parameters.get("precision") == "bf16",
            threads=parameters.get("intra_op_thread_count", 0),
            gpu=args["model_instance_device_id"] if self.on_gpu else None,
            gpu_memory=parameters.get("gpu_mem_limit"),
            cache=cache_folder() / "openvino",
            output=config["output"][0]["name"],
        )
        self.image_pixels = parameters.get("image_pixels", math.inf)
        name = config["name"]
        load = partial(engine, path, options, lambda text: pb.Logger.log_warn(f"{name}: {text}"))
        # Without a cost nothing is computed in the background; on a GPU no tile takes long.
        kilomacs = 0 if self.on_gpu else parameters.get("kilomacs", 0)
        self.background = Background(load, kilomacs)
        if kilomacs and min(config["input"][0]["dims"]) > 0:
            # All images cost the same, so another engine would only double the memory.
            self.engine = self.background.share()
        else:
            self.engine = load()

    def execute(self, requests):
        first = self.inputs[0]
        responses = [
            refused(request, first, self.image_pixels) or self._in_background(request)
            for request in requests
        ]
        others = [r for r, done in zip(requests, responses, strict=True) if done is None]
        answers = iter(self._together(others) if others else ())
        return [done or next(answers) for done in responses]

    def finalize(self):
        self.background.close()

    def _in_background(self, request):
        """The response to a request for the background, maybe without a result yet; None: it's
        another one."""
        parameters = json.loads(request.parameters() or "{}")
        key, call = (parameters.get(name, "") for name in (protocol.TILE_KEY, protocol.TILE_CALL))
        feed = {name: joined([request], name) for name in self.inputs} if key else {}
        if not key or not self.background.takes(feed[protocol.NET_IMAGE]):
            return None
        names = request.requested_output_names()
        try:
            results = self.background.result(key, call, names, feed)
        except LookupError:
            return lost()
        except Exception as error:
            return failed([request], "onnxruntime", error)[0]
        return unfinished(names) if results is None else answer(results)

    def _together(self, requests):
        """The responses to requests that Triton batched."""
        try:
            batch = {name: joined(requests, name) for name in self.inputs}
            names = sorted({name for r in requests for name in r.requested_output_names()})
            results = self._run(names, batch)
        except Exception as error:
            return failed(requests, "onnxruntime", error)
        return parted(requests, self.inputs[0], results)

    def _run(self, names, batch):
        """The batch in calls of at most CALL_PIXELS, put together again; on a GPU whole."""
        shape = next(iter(batch.values())).shape
        step = shape[0] if self.on_gpu else max(1, CALL_PIXELS // max(1, shape[1] * shape[2]))
        if step >= shape[0]:
            return self.engine(names, batch)
        whole = {}
        for at in range(0, shape[0], step):
            feed = {name: tensor[at : at + step] for name, tensor in batch.items()}
            for name, part in self.engine(names, feed).items():
                if name not in whole:
                    whole[name] = np.empty((shape[0], *part.shape[1:]), part.dtype)
                whole[name][at : at + step] = part
        return whole


def _accelerators(config, kind):
    """Those of config.pbtxt, and their parameters."""
    named = config.get("optimization", {}).get("execution_accelerators", {})
    listed = named.get(f"{kind}_execution_accelerator", [])
    return {each["name"]: each.get("parameters", {}) for each in listed}
