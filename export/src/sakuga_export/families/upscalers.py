"""Super-resolution networks for pictures of any size: from checkpoints to a graph for Triton."""

from collections.abc import Mapping
from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from sakuga_core import protocol
from sakuga_core.networks.families import HALF_FILE, Upscaler, Weights
from sakuga_export.architectures.cunet import CUNet
from sakuga_export.architectures.rrdb import RRDBNet
from sakuga_export.architectures.srvgg import SRVGGNetCompact
from sakuga_export.architectures.upconv import UpConv7
from sakuga_export.errors import ExportError
from sakuga_export.families import graph, half, ncnn, split_rrdb
from sakuga_export.families.graph import Array, Served, Session, Trial, run_file
from sakuga_export.fetch import Fetched
from sakuga_export.output import atomically

ARCHITECTURES: dict[str, type[nn.Module]] = {
    "RRDBNet": RRDBNet,
    "SRVGGNetCompact": SRVGGNetCompact,
    "CUNet": CUNet,
    "UpConv7": UpConv7,
}
TEST_SIZE = (52, 40)  # unlike the traced one

State = Mapping[str, Tensor]


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


def load(network: Upscaler, weights: Weights, fetched: Fetched) -> State:
    """The state dict of one of a network's checkpoints.

    Raises:
        ExportError: the file isn't a checkpoint of that network.
    """
    net = build(network)
    try:
        if fetched.path.suffix == ".bin":
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


def convert(network: Upscaler, states: list[State], target: Path, origin: str = "") -> None:
    """Wraps, exports and compares; `target` appears only if all of it went well."""
    net = build(network)
    net.load_state_dict(states[0], strict=True)
    served = Interpolated(net, states) if network.denoise else served_by(net)
    trials = _trials(network, states)

    def compare(check: graph.Check, session: Session) -> None:
        graph.compare(network.name, trials, check, partial(run_file, session))

    deep = network.tolerance_16
    exact = partial(compare, partial(graph.check, tolerance=network.tolerance, deep=deep))
    roughly = partial(compare, graph.check_half)
    with atomically(target) as file:
        _write(network, served, file, origin)
        exact(graph.session(file))
        half.write(file, target.with_name(HALF_FILE), lambda trial: roughly(graph.session(trial)))
        if isinstance(net, RRDBNet):
            split_rrdb.convert(net, target.parent, exact, origin)


def served_by(net: nn.Module) -> Served:
    """A network of one state, with its arithmetic."""
    return Gathering(net) if isinstance(net, CUNet) else Served(net)


class Gathering(Served):
    """A network that takes MEANS, and gives SHARES as well."""

    def forward(  # type: ignore[override]
        self, image: Tensor, inner: Tensor, means: Tensor
    ) -> tuple[Tensor, ...]:
        assert isinstance(self.net, CUNet)
        result, shares = self.net.gathered(self.samples(image), inner, means)
        return *self.levels(result), *shares


class Interpolated(Served):
    """A network between two states, which takes DENOISE."""

    def __init__(self, net: nn.Module, states: list[State]) -> None:
        super().__init__(net)
        self.states = states
        # The tracer freezes parameters; plain tensors take their places.
        self.places = _emptied(net)

    def forward(self, image: Tensor, denoise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if denoise is not None:
            self._mix(denoise)
        return super().forward(image)

    def _mix(self, denoise: Tensor) -> None:
        # Deep network interpolation (Wang et al. 2019), once a batch; see protocol.denoise_length.
        strength = (torch._shape_as_tensor(denoise)[1] - 1).float() / protocol.DENOISE_STEPS
        first, second = self.states
        for name, (module, leaf) in self.places.items():
            setattr(module, leaf, strength * first[name] + (1 - strength) * second[name])


def _emptied(net: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Takes the parameters out of `net`; gives each one's module and attribute, by its name."""
    places = {}
    for name in dict(net.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        places[name] = (net.get_submodule(owner), leaf)
        delattr(*places[name])
    return places


def _write(network: Upscaler, served: Served, file: Path, origin: str) -> None:
    example = {protocol.NET_IMAGE: torch.zeros(2, 24, 20, 3, dtype=torch.uint8)}
    if network.denoise:
        example[protocol.NET_DENOISE] = torch.zeros(2, 501).byte()
    if network.trims:
        example[protocol.NET_INNER] = graph.inner_example(2)
    if network.means:
        example[protocol.NET_MEANS] = torch.zeros(2, 1 + sum(network.means))
    shares = [protocol.shares(layer) for layer in range(len(network.means))]
    free = {
        protocol.NET_IMAGE: graph.IMAGE_AXES,
        protocol.NET_DENOISE: {0: "batch", 1: "strength"},
        protocol.NET_INNER: graph.INNER_AXES,
        protocol.NET_MEANS: {0: "batch"},
        **dict.fromkeys(graph.RESULTS, graph.RESULT_AXES),
        **{name: {0: "batch"} for name in shares},
    }
    graph.write_onnx(served, example, free, file, origin, [*graph.RESULTS, *shares])


def _trials(network: Upscaler, states: list[State]) -> list[Trial]:
    strengths = (0.0, 0.5, 1.0) if network.denoise else (None,)
    pairs = product(graph.trial_pictures(*TEST_SIZE), strengths)
    return [Trial(each, reference(network, states, each, level), level) for each, level in pairs]


def reference(
    network: Upscaler, states: list[State], image: Array, strength: float | None = None
) -> Array:
    """What torch gives for uint8 or uint16 (B, H, W, 3), by the bare network: the export's measure.

    Two states are interpolated as `RealESRGANer.dni` does.
    """
    net, state = build(network), dict(states[0])
    if strength is not None:
        state = {k: strength * v + (1 - strength) * states[1][k] for k, v in state.items()}
    net.load_state_dict(state)
    return graph.bare(net, image)
