"""The one path from weights to a served network: fetch, verify, load, wrap, export, compare, place.

The only module, with the architectures, that needs torch.
"""

import hashlib
import inspect
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from sakuga import wire
from sakuga_export import ncnn
from sakuga_export.architectures.rrdb import RRDBNet
from sakuga_export.architectures.srvgg import SRVGGNetCompact
from sakuga_export.fetch import Fetched, fetch
from sakuga_export.networks import Network, Weights

OPSET = 17
FILE = "model.onnx"

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "RRDBNet": RRDBNet,
    "SRVGGNetCompact": SRVGGNetCompact,
}

State = Mapping[str, Tensor]
Array = npt.NDArray[Any]


class ExportError(Exception):
    """The weights don't fit the network, or the export doesn't do what torch does."""


def export(network: Network, repository: Path, weights_folder: Path | None = None) -> bool:
    """Brings a network into the model repository, unless the very same export is there already.

    Returns:
        Whether there was anything to do.

    Raises:
        FetchError: its weights can't be had.
        ExportError: they don't fit, or the exported graph's results differ from torch's.
    """
    target = repository / network.folder / "1" / FILE
    fetched = [fetch(weights, weights_folder) for weights in network.weights]
    origin = _origin(network, fetched)
    if target.exists() and _origin_of(target) == origin:
        return False
    states = [load(network, w, f) for w, f in zip(network.weights, fetched, strict=True)]
    place(network, states, target, origin)
    return True


def build(network: Network) -> nn.Module:
    """The network's architecture, in evaluation mode, its weights as torch starts them.

    Raises:
        ExportError: it hasn't as many parameters as its row says.
    """
    net = ARCHITECTURES[network.architecture](**network.settings).eval()
    found = sum(p.numel() for p in net.parameters())
    if found != network.parameters:
        raise ExportError(f"{network.name} has {found} parameters, not {network.parameters}")
    return net


def place(network: Network, states: list[State], target: Path, origin: str = "") -> None:
    """Wraps, exports and compares; `target` appears only if all of it went well."""
    served = Served(build(network), states)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        file = Path(folder) / FILE
        _write(served, file, origin)
        _compare(network, states, file)
        file.rename(target)


class Served(nn.Module):
    """A super-resolution network as Triton serves it: whole numbers in, whole numbers out.

    Takes IMAGE, uint8 (B, H, W, 3), or (B, H, W, 6) for 16 bits, and DENOISE where there are two
    states. Gives RESULT, uint8 (B, sH, sW, 3), and RESULT_16, int32 in 0…65535.
    """

    def __init__(self, net: nn.Module, states: list[State]) -> None:
        super().__init__()
        self.net, self.states = net, states
        net.load_state_dict(states[0], strict=True)
        # The tracer freezes parameters; of two states, plain tensors take their places.
        self.places = _emptied(net) if len(states) == 2 else {}

    def forward(self, image: Tensor, denoise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        # High and low bytes. With three channels both slices are the same, and 257·v / 65535 is
        # exactly v / 255: 8 and 16 bits share one graph.
        samples = image[..., :3].float() * 256 + image[..., -3:].float()
        result = self._run((samples / 65535).permute(0, 3, 1, 2), denoise).clamp(0, 1)
        levels = (result * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        return levels, (result * 65535).round().to(torch.int32).permute(0, 2, 3, 1)

    def _run(self, image: Tensor, denoise: Tensor | None) -> Tensor:
        if denoise is None:
            return self.net(image)  # type: ignore[no-any-return]
        # Deep network interpolation (Wang et al. 2019), once a batch; see wire.denoise_length.
        strength = (torch._shape_as_tensor(denoise)[1] - 1).float() / wire.DENOISE_STEPS
        first, second = self.states
        mixed = {k: strength * first[k] + (1 - strength) * second[k] for k in first}
        for name, (module, leaf) in self.places.items():
            setattr(module, leaf, mixed[name])
        return self.net(image)  # type: ignore[no-any-return]


def _emptied(net: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Takes the parameters out of `net`; gives each one's module and attribute, by its name."""
    places = {}
    for name in dict(net.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        places[name] = (net.get_submodule(owner), leaf)
        delattr(*places[name])
    return places


def load(network: Network, weights: Weights, fetched: Fetched) -> State:
    """The state dict of one of a network's checkpoints.

    Raises:
        ExportError: the file isn't a checkpoint of that network.
    """
    net = build(network)
    try:
        if fetched.packaged:
            return ncnn.read_state(fetched.path, net)
        checkpoint = torch.load(fetched.path, map_location="cpu", weights_only=True)
        # Real-ESRGAN prefers the averaged weights, too.
        state: State = checkpoint.get("params_ema") or checkpoint["params"]
        net.load_state_dict(state, strict=True)
    except (ValueError, KeyError, RuntimeError) as error:
        raise ExportError(
            f"{weights.file} isn't a checkpoint of {network.name}: {error}"
        ) from error
    return state


def _write(served: Served, file: Path, origin: str) -> None:
    inputs = [wire.NET_IMAGE, wire.NET_DENOISE][: len(served.states)]
    outputs = [wire.NET_RESULT, wire.NET_RESULT_16]
    image = {0: "batch", 1: "height", 2: "width", 3: "channels"}
    result = {0: "batch", 1: "result_height", 2: "result_width"}
    example = (torch.zeros(2, 24, 20, 3, dtype=torch.uint8), torch.zeros(2, 501).byte())
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer's warnings of what it can't follow: `_compare` would show it.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            served,
            example[: len(inputs)],
            str(file),
            dynamo=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={
                wire.NET_IMAGE: image,
                wire.NET_DENOISE: {0: "batch", 1: "strength"},
                **dict.fromkeys(outputs, result),
            },
        )
    model = onnx.load(file)
    onnx.helper.set_model_props(model, {"sakuga.origin": origin})
    onnx.save(model, file)


def _compare(network: Network, states: list[State], file: Path) -> None:
    """Holds the exported graph against the bare network, on noise and on structure."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for deep in (False, True):
        for image in (_noise(deep), _structure(deep)):
            for strength in (0.0, 0.5, 1.0) if network.denoise else (None,):
                expected = reference(network, states, image, strength)
                found = run_file(session, image, strength)
                off = int(np.abs(found.astype(np.int64) - expected).max())
                if off > network.tolerance:
                    raise ExportError(
                        f"{network.name}: the export differs from torch by {off} levels; "
                        f"allowed: {network.tolerance}"
                    )


def reference(
    network: Network, states: list[State], image: Array, strength: float | None = None
) -> Array:
    """What torch gives for uint8 or uint16 (B, H, W, 3), by the bare network: the export's measure.

    Two states are interpolated as `RealESRGANer.dni` does.
    """
    net, most = build(network), np.iinfo(image.dtype).max
    state = dict(states[0])
    if strength is not None:
        state = {k: strength * v + (1 - strength) * states[1][k] for k, v in state.items()}
    net.load_state_dict(state)
    with torch.inference_mode():
        samples = torch.from_numpy(image.astype(np.float32) / np.float32(most))
        result = net(samples.permute(0, 3, 1, 2)).clamp(0, 1).permute(0, 2, 3, 1)
        return np.asarray((result * int(most)).round().numpy().astype(np.int64))


def run_file(
    session: onnxruntime.InferenceSession, image: Array, strength: float | None = None
) -> Array:
    """What an exported graph gives for uint8 or uint16 (B, H, W, 3)."""
    deep = image.dtype == np.uint16
    packed = np.concatenate((image >> 8, image & 255), axis=-1).astype(np.uint8) if deep else image
    feed = {wire.NET_IMAGE: packed}
    if strength is not None:
        shape = (len(image), wire.denoise_length(strength))
        feed[wire.NET_DENOISE] = np.zeros(shape, np.uint8)
    (result,) = session.run([wire.NET_RESULT_16 if deep else wire.NET_RESULT], feed)
    return np.asarray(result)


def _noise(deep: bool) -> Array:
    most, dtype = (65535, np.uint16) if deep else (255, np.uint8)
    rng = np.random.default_rng(0)
    return np.asarray(rng.integers(0, most, (2, 33, 46, 3), dtype, endpoint=True))


def _structure(deep: bool) -> Array:
    """A gradient, a flat field and hard lines, of a size unlike the traced one: (1, 52, 40, 3)."""
    y, x = np.mgrid[0:52, 0:40] / 51
    image = np.stack((x, y, np.full_like(x, 0.5)), axis=-1)
    image[20:24, 5:35] = image[:, 11] = 0
    most, dtype = (65535, np.uint16) if deep else (255, np.uint8)
    return np.asarray(image[None] * most).astype(dtype)


def _origin(network: Network, fetched: list[Fetched]) -> str:
    """What an export was made of: weights, row and code. A change of any asks for a new one."""
    architecture = inspect.getmodule(ARCHITECTURES[network.architecture])
    assert architecture is not None
    assert architecture.__file__
    code = Path(architecture.__file__).read_bytes() + Path(__file__).read_bytes()
    parts = [*(f.sha256 for f in fetched), repr(network), torch.__version__]
    return hashlib.sha256("\n".join(parts).encode() + code).hexdigest()


def _origin_of(file: Path) -> str | None:
    model = onnx.load(file, load_external_data=False)
    return next((p.value for p in model.metadata_props if p.key == "sakuga.origin"), None)
