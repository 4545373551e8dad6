"""The one path from weights to a served network: fetch, verify, convert, compare.

What differs between kinds of networks is in `families`.
"""

import hashlib
import inspect
from pathlib import Path
from types import ModuleType

import torch

from sakuga_core.networks.families import (
    HALF_FILE,
    Enhancer,
    Inpainter,
    Network,
    Segmenter,
    Upscaler,
)
from sakuga_export.architectures import aura, bordered, isnet
from sakuga_export.families import (
    enhancers,
    graph,
    half,
    inpainters,
    rembg_arithmetic,
    segmenters,
    split_rrdb,
    upscalers,
)
from sakuga_export.fetch import Fetched, checkpoint_by_hand, fetch
from sakuga_export.output import origin_of


def export(network: Network, repository: Path, weights_folder: Path | None = None) -> bool:
    """Brings a network into the model repository, unless the very same export is there already.

    Returns:
        Whether there was anything to do.

    Raises:
        FetchError: its weights can't be had.
        ExportError: they don't fit, or the exported graph's results differ from the original's.
    """
    target = repository / network.folder / "1" / network.file
    files = [target, *([target.with_name(HALF_FILE)] if network.half else [])]
    fetched = _fetched(network, weights_folder)
    origin = _origin(network, fetched)
    if all(file.exists() and origin_of(file) == origin for file in files):
        return False
    match network:
        case Segmenter():
            segmenters.convert(network, fetched[0].path, target, origin)
        case Enhancer():
            enhancers.convert(network, enhancers.load(network, fetched[0].path), target, origin)
        case Inpainter():
            inpainters.convert(network, fetched[0].path, target, origin)
        case Upscaler():
            pairs = zip(network.weights, fetched, strict=True)
            states = [upscalers.load(network, *pair) for pair in pairs]
            upscalers.convert(network, states, target, origin)
    return True


def _fetched(network: Network, folder: Path | None) -> list[Fetched]:
    if isinstance(network, Segmenter) and (found := checkpoint_by_hand(network, folder)):
        return [found]
    return [fetch(weights, folder) for weights in network.weights]


def _origin(network: Network, fetched: list[Fetched]) -> str:
    """What an export was made of: weights, row and code. A change of any asks for a new one."""
    parts = [*(f.sha256 for f in fetched), repr(network), torch.__version__]
    code = b"".join(Path(inspect.getfile(part)).read_bytes() for part in _code(network))
    return hashlib.sha256("\n".join(parts).encode() + code).hexdigest()


def _code(network: Network) -> tuple[ModuleType | type, ...]:
    match network:
        case Upscaler():
            architecture = upscalers.ARCHITECTURES[network.architecture]
            shared = (upscalers, split_rrdb, graph, half, bordered)
            return architecture, *shared
        case Enhancer():
            return aura, enhancers, graph, half
        case Inpainter():
            return (inpainters,)
    return isnet, segmenters, rembg_arithmetic, half
