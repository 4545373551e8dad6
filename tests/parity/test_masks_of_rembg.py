"""Against the real `rembg`: same file, same pictures, its own session and arithmetic."""

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from pictures import sample
from sakuga_core.networks.families import Segmenter
from sakuga_core.networks.registry import SEGMENTERS, by_name
from sakuga_export.families import rembg_arithmetic, segmenters
from sakuga_export.fetch import fetch, weights_folder
from slow import full, some

SESSIONS = {
    "isnet-anime": ("dis_anime", "DisSession"),
    "isnet-general-use": ("dis_general_use", "DisSession"),
    "u2net": ("u2net", "U2netSession"),
    "u2netp": ("u2netp", "U2netpSession"),
    "u2net-human-seg": ("u2net_human_seg", "U2netHumanSegSession"),
    "silueta": ("silueta", "SiluetaSession"),
    "birefnet-general": ("birefnet_general", "BiRefNetSessionGeneral"),
    "birefnet-general-lite": ("birefnet_general_lite", "BiRefNetSessionGeneralLite"),
    "birefnet-portrait": ("birefnet_portrait", "BiRefNetSessionPortrait"),
}
PACKAGED = ("u2net", "u2netp")  # the published files
STAND_INS = ("u2net_human_seg", "silueta", "birefnet-general")
STAND_INS_IN_FULL = ("isnet-anime", "birefnet-general-lite", "birefnet-portrait")


def if_present(network: Segmenter) -> Any:
    """The published file, where somebody put it: no package index has it."""
    file = weights_folder() / network.weights[0].file
    missing = pytest.mark.skipif(not file.exists(), reason=f"{file} isn't there")
    return pytest.param(file, marks=missing, id=f"{network.name}, published")


@pytest.fixture(
    scope="module",
    params=[
        *(*PACKAGED, *STAND_INS, *map(full, STAND_INS_IN_FULL)),
        *(if_present(network) for network in SEGMENTERS if network.name not in PACKAGED),
    ],
)
def source(request: pytest.FixtureRequest, published_segmenters: dict[str, Path]) -> Path:
    if isinstance(request.param, Path):
        return fetch(by_name(request.param.stem).weights[0]).path
    return published_segmenters[request.param]


@pytest.fixture(scope="module")
def network(source: Path) -> Segmenter:
    row = by_name(source.stem)
    assert isinstance(row, Segmenter)
    return row


@pytest.fixture(scope="module")
def ours(network: Segmenter, source: Path) -> onnxruntime.InferenceSession:
    model = segmenters.served(network, onnx.load(source))
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.fixture(scope="module")
def theirs(network: Segmenter, source: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("U2NET_HOME", str(source.parent))
        patch.setenv("MODEL_CHECKSUM_DISABLED", "1")
        return session_class(network)(source.stem, onnxruntime.SessionOptions())


def session_class(network: Segmenter) -> Any:
    module, name = SESSIONS[network.name]
    return getattr(importlib.import_module(f"rembg.sessions.{module}"), name)


PICTURES = {
    "drawn": sample("heroine"),
    "dark": sample("sunset")[::2, ::2] // 3,
    "tall": sample("heroine", (100, 20, 180, 300)),
}


@pytest.mark.parametrize("name", some(PICTURES, ("tall",)))
def test_at_most_one_level_from_rembg(
    network: Segmenter, ours: onnxruntime.InferenceSession, theirs: Any, name: str
) -> None:
    picture = Image.fromarray(PICTURES[name])
    (expected,) = theirs.predict(picture)
    side = (network.side, network.side)
    pixels = np.asarray(picture.resize(side, Image.Resampling.LANCZOS))
    found = as_rembg_ends(segmenters.run_file(network, ours, pixels[None])[0], picture.size)
    assert np.ptp(np.asarray(expected)) > 100
    assert np.abs(found.astype(int) - np.asarray(expected)).max() <= 1


class Recorder:
    """Stands in for rembg's onnxruntime session; keeps what a network would be given."""

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="img")]

    def run(self, names: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.given = feed["img"]
        return [self.given[:, :1]]


@pytest.mark.parametrize("network", SEGMENTERS, ids=lambda network: network.name)
@pytest.mark.parametrize("name", some(PICTURES, ("tall",)))
def test_the_network_is_given_what_rembg_gives_it(network: Segmenter, name: str) -> None:
    theirs = object.__new__(session_class(network))
    theirs.inner_session = Recorder()
    picture = Image.fromarray(PICTURES[name])
    theirs.predict(picture)
    pixels = picture.resize((network.side, network.side), Image.Resampling.LANCZOS)
    graph = rembg_arithmetic.prelude(network).SerializeToString()
    prelude = onnxruntime.InferenceSession(graph)
    feed = {"IMAGE": np.asarray(pixels)[None]}
    if network.letterbox:
        feed["LETTERBOX"] = np.zeros((1, 1), np.uint8)
    (found,) = prelude.run(None, feed)
    assert np.abs(found - theirs.inner_session.given).max() <= (0 if network.quantised else 1e-6)


@pytest.mark.parametrize("network", SEGMENTERS, ids=lambda network: network.name)
def test_the_file_is_the_one_that_rembg_downloads(
    network: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("pooch.retrieve", lambda *given, fname, **_: asked.extend([*given, fname]))
    monkeypatch.delenv("MODEL_CHECKSUM_DISABLED", raising=False)
    session_class(network).download_models()
    (weights,) = network.weights
    url, known, name = asked
    assert (weights.url, weights.file) == (url, name)
    assert weights.md5 is None or known == f"md5:{weights.md5}"
    assert weights.sha256 or weights.md5


def as_rembg_ends(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What rembg's sessions do after the network."""
    levels = (mask - mask.min()) / (mask.max() - mask.min()) * 255
    image = Image.fromarray(levels.astype(np.uint8), mode="L")
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))
