"""Triton's `onnxruntime` backend, for a Triton that comes without it.

A Python-based backend: a folder of this name in Triton's backend directory makes
`backend: "onnxruntime"` work there, with the conventions of the native one, so one config.pbtxt
serves both. Where the native library is installed, Triton finds that first.
"""

import json

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb

from sakuga_server.backends.stand_in import failed, joined, opened, parted

# Pixels of one call into the engine on a CPU, where larger calls gain nothing, and memory grows
# with them; one item always goes.
CALL_PIXELS = 64 * 64


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        return config

    def initialize(self, args):
        path, parameters, self.inputs = opened(args, "model.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(parameters.get("intra_op_thread_count", 0))
        self.session = onnxruntime.InferenceSession(path, options, _providers(args))
        self.on_gpu = args["model_instance_kind"] == "GPU"

    def execute(self, requests):
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
        calls = []
        for at in range(0, shape[0], step):
            feed = {name: tensor[at : at + step] for name, tensor in batch.items()}
            calls.append(self.session.run(names, feed))
        if len(calls) == 1:
            return dict(zip(names, calls[0], strict=True))
        return dict(zip(names, map(np.concatenate, zip(*calls, strict=True)), strict=True))


# What Triton calls accelerators, and what onnxruntime calls them.
ACCELERATORS = {"openvino": "OpenVINOExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}


def _providers(args):
    """In order of preference: what config.pbtxt asks for, where onnxruntime has it here."""
    on_gpu = args["model_instance_kind"] == "GPU"
    device = {"device_id": args["model_instance_device_id"]} if on_gpu else {}
    wanted = [*_accelerators(args, "gpu" if on_gpu else "cpu", device)]
    if on_gpu:
        wanted.append(("CUDAExecutionProvider", device))
    return [*wanted, "CPUExecutionProvider"]


def _accelerators(args, kind, device):
    config = json.loads(args["model_config"])
    asked = config.get("optimization", {}).get("execution_accelerators", {})
    for each in asked.get(f"{kind}_execution_accelerator", []):
        provider = ACCELERATORS.get(each["name"])
        if provider in onnxruntime.get_available_providers():
            yield provider, {**device, **each.get("parameters", {})}
        else:
            pb.Logger.log_warn(
                f"{config['name']} asks for {each['name']}, which onnxruntime doesn't have here"
            )
