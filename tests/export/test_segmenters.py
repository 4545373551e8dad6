from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from networks_for_tests import generated_isnet, generated_isnet_net
from sakuga_core.networks.families import Segmenter, Weights
from sakuga_core.networks.registry import SEGMENTERS
from sakuga_export import export
from sakuga_export.architectures import isnet
from sakuga_export.errors import ExportError
from sakuga_export.families import rembg_arithmetic, segmenters
from sakuga_export.fetch import FetchError, sha256
from sakuga_export.output import ONNX
from segmenters_for_tests import write_birefnet

ANIME = replace(SEGMENTERS[0], side=128, half=False)
SIDE = 8
TINY = Segmenter(
    name="tiny",
    title="",
    licence="",
    weights=(),
    side=SIDE,
    mean=(0.4, 0.5, 0.6),
    std=(0.5, 1.0, 2.0),
    letterbox=True,
    architecture="ISNet",
)
# A network as one is published: of one picture, with side outputs and fixed sizes.
TEXT = """
<ir_version: 7, opset_import: ["": OPSET]>
tiny (float[1, 3, 8, 8] picture) => (float[1, 1, 8, 8] mask, float[1, 1, 4, 4] side)
<
    float[1, 3, 1, 1] weights = {0.5, 0.25, -0.25}, float[0] none = {},
    int64[4] sizes = {1, 1, 8, 8}, int64[4] shape = {1, 1, 4, 4}
>
{
    mixed = Conv (picture, weights)
    halved = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (mixed)
    side = Neg (halved)
    mask = Resize <mode = "linear"> (halved, none, none, sizes)
}
"""


def tiny(opset: int = 11, **changes: str) -> onnx.ModelProto:
    text = TEXT.replace("OPSET", str(opset))
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return onnx.parser.parse_model(text)


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    file = folder / "tiny.onnx"
    onnx.save(model, file)
    return file


def session(file: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def loaded(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def pictures(count: int, side: int) -> np.ndarray:
    """Noise in blocks, each picture of another brightness; the last one is black."""
    rng = np.random.default_rng(5)
    blocks = rng.random((count, side // 4, side // 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    return (blocks * np.linspace(255, 0, count)[:, None, None, None]).astype(np.uint8)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated_isnet(tmp_path_factory.mktemp("published"), ANIME.side)


@pytest.fixture(scope="module")
def exported(published: Path) -> Path:
    file = published.parent / "1" / "model.onnx"
    segmenters.convert(ANIME, published, file, "from here")
    return file


def test_the_generated_file_has_the_sizes_of_one_picture_fixed(published: Path) -> None:
    model = onnx.load(published)
    fixed = {tensor.name for tensor in model.graph.initializer}
    resizes = [node for node in model.graph.node if node.op_type == "Resize"]
    assert len(resizes) == 34  # as many as rembg's isnet-anime has
    assert all(node.input[3] in fixed for node in resizes)


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("letterbox", [0, 1])
def test_a_batch_gives_what_the_original_gives_one_by_one(
    published: Path, exported: Path, count: int, letterbox: int
) -> None:
    batch, original = pictures(4, ANIME.side)[:count], session(published)
    found = segmenters.run_file(ANIME, session(exported), batch, np.full(count, letterbox))
    expected = [
        segmenters.reference(ANIME, original, picture, bool(letterbox)) for picture in batch
    ]
    assert found.shape == (count, ANIME.side, ANIME.side)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-4, rtol=0)
    assert np.ptp(found[0]) > 0.3


def test_the_arithmetic_is_chosen_picture_by_picture(exported: Path) -> None:
    batch = pictures(4, ANIME.side)[1:3]
    run = [
        segmenters.run_file(ANIME, session(exported), batch, np.array(a)) for a in ([0, 0], [1, 1])
    ]
    mixed = segmenters.run_file(ANIME, session(exported), batch, np.array([0, 1]))
    assert np.abs(run[0] - run[1]).max(axis=(1, 2)).min() > 0.05
    assert np.allclose(mixed[0], run[0][0], atol=1e-5)
    assert np.allclose(mixed[1], run[1][1], atol=1e-5)


def lightnings(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    helper = {"gt_encoder.conv_in.conv.weight": torch.zeros(16, 1, 3, 3)}
    return {f"net.{name}": value for name, value in state.items()} | helper


CHECKPOINTS = {
    "a state dict": lambda state: state,
    "Lightning's state dict": lightnings,
    "Lightning's whole": lambda state: {"state_dict": lightnings(state), "epoch": 3},
}


@pytest.mark.parametrize("form", CHECKPOINTS)
def test_checkpoints_are_read_in_every_form(form: str, tmp_path: Path) -> None:
    state = generated_isnet_net().state_dict()
    torch.save(CHECKPOINTS[form](state), tmp_path / "isnet-anime.ckpt")
    read = isnet.load(tmp_path / "isnet-anime.ckpt").state_dict()
    assert all(torch.equal(read[name], value) for name, value in state.items())


@dataclass(frozen=True)
class ByHand:
    """A network whose published file lies in a folder, beside a checkpoint that somebody put there;
    exported to a repository."""

    network: Segmenter
    folder: Path

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def file(self) -> Path:
        return self.repository / self.network.folder / "1" / ONNX


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> ByHand:
    folder = tmp_path_factory.mktemp("by-hand")
    network = replace(ANIME, name="tiny", half=True, weights=(published_in(folder),))
    torch.save(generated_isnet_net().state_dict(), folder / "tiny.ckpt")
    made = ByHand(network, folder)
    assert export.export(network, made.repository, folder)
    return made


def published_in(folder: Path) -> Weights:
    """Those of TINY, written to a folder."""
    file = saved(tiny(), folder)
    return Weights(file.name, "http://127.0.0.1:9/", sha256(file))


def test_a_checkpoint_comes_to_the_same_as_its_published_form(
    exported: Path, by_hand: ByHand
) -> None:
    batch = pictures(2, ANIME.side)
    found = segmenters.run_file(ANIME, session(by_hand.file), batch)
    assert np.allclose(found, segmenters.run_file(ANIME, session(exported), batch), atol=1e-4)


def test_checkpoints_of_other_networks_are_refused(tmp_path: Path) -> None:
    torch.save({"net.conv.weight": torch.zeros(1)}, tmp_path / "isnet-anime.ckpt")
    (tmp_path / "isnet-anime.pth").write_bytes(b"no checkpoint")
    for file in tmp_path.iterdir():
        with pytest.raises(ExportError, match="isn't a checkpoint of IS-Net"):
            segmenters.convert(ANIME, file, tmp_path / "1" / "model.onnx")
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize("opset", [11, 13, 17, 18])
def test_the_version_of_onnx_stays_and_the_first_output_alone(opset: int, tmp_path: Path) -> None:
    segmenters.convert(TINY, saved(tiny(opset), tmp_path), tmp_path / "1" / "model.onnx")
    model = onnx.load(tmp_path / "1" / "model.onnx")
    assert [imported.version for imported in model.opset_import] == [opset]
    assert [value.name for value in model.graph.output] == ["MASK"]
    assert not [node for node in model.graph.node if node.op_type == "Neg"]


def test_a_network_without_an_authors_arithmetic_takes_pictures_alone() -> None:
    model = segmenters.served(replace(TINY, letterbox=False), tiny())
    assert [value.name for value in model.graph.input] == ["IMAGE"]


def test_logits_come_out_as_their_sigmoid(tmp_path: Path) -> None:
    row, file = replace(TINY, logits=True, letterbox=False), saved(tiny(), tmp_path)
    plain = segmenters.served(replace(row, logits=False), onnx.load(file))
    batch = pictures(3, SIDE)
    raw = segmenters.run_file(row, loaded(plain), batch)
    found = segmenters.run_file(row, loaded(segmenters.served(row, onnx.load(file))), batch)
    assert np.allclose(found, 1 / (1 + np.exp(-raw)), atol=1e-6)
    segmenters.convert(row, file, tmp_path / "1" / "model.onnx")


@pytest.fixture(scope="module")
def birefnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("birefnet") / "birefnet.onnx"
    write_birefnet(file, 256)
    return file


BIREFNET = replace(next(n for n in SEGMENTERS if n.name == "birefnet-general"), side=256)


def test_a_network_of_one_picture_stays_one_and_refuses_more(
    birefnet: Path, tmp_path: Path
) -> None:
    file = tmp_path / "1" / "model.onnx"
    segmenters.convert(BIREFNET, birefnet, file)
    original, batch = session(birefnet), pictures(2, BIREFNET.side)
    found = segmenters.run_file(BIREFNET, session(file), batch[:1])[0]
    assert np.allclose(found, segmenters.reference(BIREFNET, original, batch[0]), atol=1e-5)
    assert (found.min(), found.max()) == pytest.approx((0, 1), abs=0.01)
    (dimension, *_) = onnx.load(file).graph.input[0].type.tensor_type.shape.dim
    assert dimension.dim_param  # Triton asks for an open one, however many it may join
    with pytest.raises(Exception, match="reshape"):
        segmenters.run_file(BIREFNET, session(file), batch)


def test_a_batch_in_the_shapes_is_noticed(birefnet: Path, tmp_path: Path) -> None:
    row = replace(BIREFNET, batched=True)
    with pytest.raises(ExportError, match="can't take 4 pictures at once"):
        segmenters.convert(row, birefnet, tmp_path / "1" / "model.onnx")


def test_what_rounds_within_is_given_the_same_to_the_bit() -> None:
    row = replace(TINY, quantised=True, letterbox=False)
    batch = pictures(4, SIDE)
    found = loaded(rembg_arithmetic.prelude(row)).run(None, {"IMAGE": batch})[0]
    largest = np.maximum(batch.max(axis=(1, 2, 3), keepdims=True), 1e-6)
    expected = ((batch / largest - row.mean) / row.std).astype(np.float32)
    assert np.array_equal(found, expected.transpose(0, 3, 1, 2))


def test_a_file_that_leaves_sizes_open_is_taken_too(tmp_path: Path) -> None:
    changes = {
        "float[1, 3, 8, 8]": "float[n, 3, h, w]",
        "(halved, none, none, sizes)": "(halved, none, scales)",
        "int64[4] sizes = {1, 1, 8, 8}": "float[4] scales = {1, 1, 2, 2}",
    }
    segmenters.convert(TINY, saved(tiny(**changes), tmp_path), tmp_path / "1" / "model.onnx")
    assert (tmp_path / "1" / "model.onnx").exists()


REFUSED = {
    "a Resize by no whole ratio": (
        {"strides = [2, 2]": "strides = [3, 3]", "[1, 1, 4, 4] side": "[1, 1, 3, 3] side"},
        r"goes from \[1, 1, 3, 3\] to \[1, 1, 8, 8\]: by no whole ratio",
    ),
    "a shape that says one picture": (
        {"side = Neg (halved)": "side = Reshape (halved, shape)", "(halved, none": "(side, none"},
        "can't take 4 pictures at once",
    ),
    "a picture of another size": (
        {"float[1, 3, 8, 8]": "float[1, 3, 16, 16]"},
        "takes one picture of 8x8 pixels; this file takes",
    ),
    "two inputs": (
        {"8] picture)": "8] picture, float[1] other)"},
        "takes one picture of 8x8 pixels; this file takes",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_batched_is_refused(name: str, tmp_path: Path) -> None:
    changes, message = REFUSED[name]
    with pytest.raises(ExportError, match=message):
        segmenters.convert(TINY, saved(tiny(**changes), tmp_path), tmp_path / "1" / "model.onnx")
    assert not list(tmp_path.glob("1/*"))


def test_an_export_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = segmenters.reference
    monkeypatch.setattr(segmenters, "reference", lambda *arguments: right(*arguments) + 0.01)
    with pytest.raises(ExportError, match=r"differ from the original's by 1\.0e-02"):
        segmenters.convert(TINY, saved(tiny(), tmp_path), tmp_path / "1" / "model.onnx")
    assert not list(tmp_path.glob("1/*"))


@pytest.fixture
def row(tmp_path: Path) -> Segmenter:
    """A row whose published file lies in `tmp_path`."""
    return replace(TINY, weights=(published_in(tmp_path),))


def test_a_published_file_is_verified_converted_and_served(row: Segmenter, tmp_path: Path) -> None:
    assert export.export(row, tmp_path / "repository", tmp_path)
    assert (tmp_path / "repository" / "tiny" / "1" / ONNX).exists()
    assert not export.export(row, tmp_path / "repository", tmp_path)


def test_a_file_that_is_not_the_published_one_is_refused(row: Segmenter, tmp_path: Path) -> None:
    file = saved(tiny(Neg="Abs"), tmp_path)
    with pytest.raises(FetchError, match=rf"{file}.* it is another file"):
        export.export(row, tmp_path / "repository", tmp_path)


def test_a_checkpoint_put_there_by_hand_goes_first(by_hand: ByHand, tmp_path: Path) -> None:
    network, repository = by_hand.network, by_hand.repository
    assert by_hand.file.exists()
    assert not export.export(network, repository, by_hand.folder)
    (tmp_path / "tiny.ckpt").write_bytes(b"another content, which asks for another export")
    with pytest.raises(ExportError, match="isn't a checkpoint"):
        export.export(network, repository, tmp_path)


def test_a_missing_file_is_reported_with_where_it_belongs(row: Segmenter, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"tiny\.onnx can't be fetched .* Put the file at "):
        export.export(row, tmp_path / "repository", tmp_path / "weights")
