"""Triton's `pytorch` backend, for a Triton that comes without it.

Like the stand-in for `onnxruntime` beside it, with the native backend's conventions: TorchScript in
`model.pt`; inputs and outputs in the order of config.pbtxt, which is what the native one does with
names that aren't the arguments' own and don't end in `__0`; parameters of the native one's names.
It needs torch, which the server's package doesn't bring.
"""

import json
import math

import torch

from sakuga_server.backends.stand_in import failed, joined, opened, parted, refused


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        return config

    def initialize(self, args):
        path, parameters, self.inputs = opened(args, "model.pt")
        self.image_pixels = parameters.get("image_pixels", math.inf)
        if threads := int(parameters.get("INTRA_OP_THREAD_COUNT", 0)):
            torch.set_num_threads(threads)
        torch._C._set_graph_executor_optimize(
            not parameters.get("DISABLE_OPTIMIZED_EXECUTION", False)
        )
        self.device = _device(args)
        self.net = torch.jit.load(path, map_location=self.device).eval()
        config = json.loads(args["model_config"])
        self.outputs = [tensor["name"] for tensor in config["output"]]

    def execute(self, requests):
        refusals = [refused(request, self.inputs[0], self.image_pixels) for request in requests]
        others = [r for r, refusal in zip(requests, refusals, strict=True) if refusal is None]
        answers = iter(self._together(others) if others else ())
        return [refusal or next(answers) for refusal in refusals]

    def _together(self, requests):
        """The responses to requests that Triton batched."""
        try:
            results = self._run([joined(requests, name) for name in self.inputs])
        except Exception as error:
            return failed(requests, "pytorch", error)
        return parted(requests, self.inputs[0], results)

    @torch.inference_mode()
    def _run(self, batch):
        """The outputs by name. On a CPU item by item: that is no slower, takes less memory, and
        the choice of kernels, so the last bits, would follow the size of the batch."""
        tensors = [torch.from_numpy(values).to(self.device) for values in batch]
        step = 1 if self.device.type == "cpu" else len(batch[0])
        calls = [
            results if isinstance(results, tuple) else (results,)  # one output comes bare
            for results in (
                self.net(*items) for items in zip(*(t.split(step) for t in tensors), strict=True)
            )
        ]
        joined = [torch.cat(parts).cpu().numpy() for parts in zip(*calls, strict=True)]
        return dict(zip(self.outputs, joined, strict=True))


def _device(args):
    if args["model_instance_kind"] != "GPU":
        return torch.device("cpu")
    return torch.device("cuda", int(args["model_instance_device_id"]))
