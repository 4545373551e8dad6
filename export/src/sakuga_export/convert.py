"""The one path from weights to a served network: fetch, verify, load, wrap, export, compare, place.

Of super-resolution networks all of it is here; of cut-out networks, `masks` has the second half.
"""

import hashlib
import inspect
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from sakuga import wire
from sakuga_export import masks, ncnn
from sakuga_export.architectures import isnet
from sakuga_export.architectures.rrdb import RRDBNet
from sakuga_export.architectures.srvgg import SRVGGNetCompact
from sakuga_export.fetch import Fetched, checkpoint_by_hand, fetch
from sakuga_export.networks import Cutout, Network, Upscaler, Weights
from sakuga_export.placing import FILE as FILE
from sakuga_export.placing import ExportError as ExportError
from sakuga_export.placing import mark, origin_of, placed

OPSET = 17

ARCHITECTURES: dict[str, type[nn.Module]] = {
    "RRDBNet": RRDBNet,
    "SRVGGNetCompact": SRVGGNetCompact,
}

State = Mapping[str, Tensor]
Array = npt.NDArray[Any]


def export(network: Network, repository: Path, weights_folder: Path | None = None) -> bool:
    """Brings a network into the model repository, unless the very same export is there already.

    Returns:
        Whether there was anything to do.

    Raises:
        FetchError: its weights can't be had.
        ExportError: they don't fit, or the exported graph's results differ from the original's.
    """
    target = repository / network.folder / "1" / FILE
    fetched = _fetched(network, weights_folder)
    origin = _origin(network, fetched)
    if target.exists() and origin_of(target) == origin:
        return False
    match network:
        case Cutout():
            masks.place(network, fetched[0].path, target, origin)
        case Upscaler():
            states = [load(network, w, f) for w, f in zip(network.weights, fetched, strict=True)]
            place(network, states, target, origin)
    return True


def _fetched(network: Network, folder: Path | None) -> list[Fetched]:
    if isinstance(network, Cutout) and (found := checkpoint_by_hand(network, folder)):
        return [found]
    return [fetch(weights, folder) for weights in network.weights]


def build(network: Upscaler) -> nn.Module:
    """The network's architecture, in evaluation mode, its weights as torch starts them.

    Raises:
        ExportError: it hasn't as many parameters as its row says.
    """
    net = ARCHITECTURES[network.architecture](**network.settings).eval()
    found = sum(p.numel() for p in net.parameters())
    if found != network.parameters:
        raise ExportError(f"{network.name} has {found} parameters, not {network.parameters}")
    return net


def place(network: Upscaler, states: list[State], target: Path, origin: str = "") -> None:
    """Wraps, exports and compares; `target` appears only if all of it went well."""
    served = Served(build(network), states)
    with placed(target) as file:
        _write(served, file, origin)
        _compare(network, states, file)


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


def load(network: Upscaler, weights: Weights, fetched: Fetched) -> State:
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
    mark(model, origin)
    onnx.save(model, file)


def _compare(network: Upscaler, states: list[State], file: Path) -> None:
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
    network: Upscaler, states: list[State], image: Array, strength: float | None = None
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
    parts = [*(f.sha256 for f in fetched), repr(network), torch.__version__]
    code = b"".join(Path(file).read_bytes() for file in _code(network))
    return hashlib.sha256("\n".join(parts).encode() + code).hexdigest()


def _code(network: Network) -> tuple[str, str]:
    if isinstance(network, Upscaler):
        return inspect.getfile(ARCHITECTURES[network.architecture]), __file__
    return inspect.getfile(isnet), masks.__file__
