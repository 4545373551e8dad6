"""Custom networks in a repository: added, listed, replaced, removed, refused."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner, Result

import third_party_networks
from sakuga import Config
from sakuga_core.networks.facts import NetworkFacts, SegmenterFacts
from sakuga_core.networks.families import Segmenter
from sakuga_core.repository import pipelines, writer
from sakuga_core.repository.text import as_text
from sakuga_export.cli import main
from sakuga_export.custom import add
from sakuga_export.custom.add import CustomOptions
from sakuga_export.families import segmenters
from sakuga_server.pipelines.settings import Settings, UpscaleSettings

SIDE = 32


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config.yaml and a repository, in which commands run."""
    (tmp_path / "config.yaml").write_text("server: {repository: models}\n")
    writer.write(tmp_path / "models", Config())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cutter(file: Path, side: int | str = SIDE, output: str = "batch, 1, H, W", of: int = 1) -> Path:
    """Writes a segmentation network what is bright: batch of 1, as rembg's are."""
    sizes = f"1, 3, {side}, {side}"
    model = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["": 13]>
        cutter (float[{sizes}] picture) => (float[{output}] mask)
        <float[{of}, 3, 1, 1] weights = {{{", ".join(["0.5, 1, -0.25"] * of)}}}>
        {{ seen = Conv (picture, weights)  mask = Sigmoid (seen) }}
    """)
    onnx.save(model, file)
    return file


def test_an_upscaler_is_added_listed_replaced_and_removed(project: Path) -> None:
    before, models = files(project / "models"), project / "models"
    third_party_networks.write_checkpoint("compact", project)
    done = export("compact.pth", "--name", "my-4x", "--title", "Mine", "--licence", "MIT")
    assert done.exit_code == 0, done.output
    assert "my-4x: RealESRGAN Compact, 4x, receptive field 5; exported in" in done.output
    facts = NetworkFacts(scale=4, receptive_field=5, block="realesrgan")
    (row,) = add.rows(models)
    assert (row.listing.title, row.listing.licence) == ("Mine", "MIT")
    assert facts_of(models, "upscale")["my-4x"] == facts
    assert facts_of(models, "fix_artifacts")["my-4x"] == facts
    assert (models / "my_4x" / "1" / "model.onnx").exists()
    assert export("--check").exit_code == 0

    third_party_networks.write_checkpoint("esrgan-8x", project, ".safetensors")
    assert export("esrgan-8x.safetensors", "--name", "my-4x").exit_code == 0
    (row,) = add.rows(models)
    assert (row.facts.scale, row.facts.receptive_field, row.title) == (
        8,
        19,
        "esrgan-8x.safetensors",
    )
    assert row.licence == "not stated"
    assert "dims: 3" in (models / "my_4x" / "config.pbtxt").read_text()

    assert export("--remove", "my-4x").exit_code == 0
    assert files(models) == before
    assert not (models / "my_4x").exists()
    assert export("--check").exit_code == 0


def facts_of(models: Path, pipeline: str) -> dict[str, NetworkFacts]:
    """The parameters of a pipeline, which are those of its config.pbtxt, of each network."""
    found = pipelines.pipelines(Config(), add.rows(models))
    model = next(each for each in found if each["name"] == pipeline)
    assert (models / pipeline / "config.pbtxt").read_text() == writer.HEADER + as_text(model)
    return UpscaleSettings.from_parameters(model["parameters"]).networks


def test_a_segmenter_is_added_listed_and_removed(project: Path) -> None:
    before, models = files(project / "models"), project / "models"
    cutter(project / "mine.onnx")
    done = export("mine.onnx", "--name", "my-segmenter", "--mean", "0.5", "--std", "1,2,3")
    assert done.exit_code == 0, done.output
    (row,) = add.rows(models)
    assert isinstance(row, Segmenter)
    assert (row.mean, row.std, row.side) == ((0.5, 0.5, 0.5), (1, 2, 3), SIDE)
    (settings,) = (
        model["parameters"]
        for model in pipelines.pipelines(Config(), [row])
        if model["name"] == "rembg"
    )
    known = Settings[SegmenterFacts].from_parameters(settings).network("my-segmenter")
    assert (known.side, row.listing.title) == (SIDE, "mine.onnx")
    text = (models / "rembg_my_segmenter" / "config.pbtxt").read_text()
    assert 'key: "RESULT_MY_SEGMENTER"' in text
    assert (models / "rembg_my_segmenter" / "1").is_dir()
    assert export("--check").exit_code == 0
    assert export("--remove", "my-segmenter").exit_code == 0
    assert files(models) == before
    assert not (models / "rembg_my_segmenter").exists()


def test_a_segmenter_takes_the_place_of_an_upscaler(project: Path) -> None:
    third_party_networks.write_checkpoint("compact", project)
    cutter(project / "mine.onnx")
    for file in ("mine.onnx", "compact.pth", "mine.onnx", "compact.pth"):
        assert export(file, "--name", "mine").exit_code == 0
        assert [row.name for row in add.rows(project / "models")] == ["mine"]
        assert (project / "models" / "rembg_mine").exists() == (file == "mine.onnx")
        assert export("--check").exit_code == 0


def test_imagenets_mean_and_deviation_are_printed_where_none_is_given(project: Path) -> None:
    cutter(project / "mine.onnx")
    assert "std (0.229, 0.224, 0.225)" in export("mine.onnx", "--name", "mine").output
    options = ["--mean", "0.5", "--std", "1"]
    assert "ImageNet" not in export("mine.onnx", "--name", "mine", *options).output


def test_a_segmenter_of_any_size_asks_for_one(project: Path) -> None:
    cutter(project / "free.onnx", "S")
    refused = export("free.onnx", "--name", "free")
    assert refused.exit_code == 1
    assert "choose one with --side" in refused.output
    done = export("free.onnx", "--name", "free", "--side", 48)
    assert done.exit_code == 0, done.output
    (row,) = add.rows(project / "models")
    assert row.side == 48
    assert isinstance(row, Segmenter)
    file = project / "models" / "free" / "1" / "model.onnx"
    session, original = (onnxruntime.InferenceSession(f) for f in (file, project / "free.onnx"))
    picture = np.random.default_rng(1).integers(0, 256, (48, 48, 3), np.uint8)
    (found,) = segmenters.run_file(row, session, picture[None])
    assert np.abs(found - segmenters.reference(row, original, picture)).max() < 1e-6


class Forbidden:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("opened",)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that can't be served, or not with every option."""
    folder = tmp_path_factory.mktemp("bad")
    whole = third_party_networks.write_checkpoint("compact", folder).read_bytes()
    (folder / "cut-short.pth").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.pth").touch()
    (folder / "empty.onnx").touch()
    for suffix in ("pth", "safetensors", "onnx"):
        (folder / f"text.{suffix}").write_text("I am no network")
    torch.save({"params": {"some.weight": torch.zeros(3)}}, folder / "unknown.pth")
    torch.save([1, 2], folder / "list.pth")
    torch.save({"params": Forbidden()}, folder / "forbidden.pth")
    (folder / "old-forbidden.pth").write_bytes(pickle.dumps(Forbidden()))
    restoring = third_party_networks._esrgan(scale=1).state_dict()
    third_party_networks.write(restoring, folder / "restoring.pth")
    third_party_networks.write(
        third_party_networks._compact(num_in_ch=4).state_dict(), folder / "four.pth"
    )
    cutter(folder / "two-masks.onnx", of=2)
    model = onnx.load(cutter(folder / "oblong.onnx"))
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 48
    onnx.save(model, folder / "oblong.onnx")
    cutter(folder / "mine.onnx")
    return folder


BAD = {
    "cut-short.pth": "cut-short.pth can't be read: ",
    "empty.pth": "empty.pth can't be read: ",
    "text.pth": "text.pth can't be read: ",
    "text.safetensors": "text.safetensors can't be read: ",
    "unknown.pth": "unknown.pth: spandrel knows no network with such weights",
    "list.pth": "list.pth can't be read: ",
    "forbidden.pth": "'posix.mkdir' is forbidden",
    "old-forbidden.pth": "'posix.mkdir' is forbidden",
    "restoring.pth": "`upscale` serves networks that upscale",
    "missing.pth": "there is no file ",
    "text.onnx": "text.onnx isn't an ONNX file",
    "empty.onnx": "empty.onnx takes []; a segmentation network takes [1, 3, S, S]",
    "two-masks.onnx": "two-masks.onnx gives [1, 2, 32, 32]; a segmentation network",
    "oblong.onnx": "oblong.onnx takes [1, 3, 32, 48], not squares of one size",
    "mine.onnx --side 64": "mine.onnx takes [1, 3, 32, 32], not squares of one size",
    "mine.onnx --std 0": "--std is (0.0, 0.0, 0.0); allowed: numbers over 0",
    "four.pth": "four.pth takes 4 channels and gives 3; allowed: 3 or 1",
    "compact.pth --side 64": "--side is for segmentation networks",
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_served_is_refused_in_one_line(project: Path, bad: Path, case: str) -> None:
    before = files(project / "models")
    file, *options = case.split()
    done = export(bad / file, "--name", "mine", *options)
    assert done.exit_code == 1
    (line,) = (line for line in done.output.splitlines() if line.startswith("Error: "))
    assert BAD[case] in line
    assert done.output.splitlines()[-1] == line
    assert files(project / "models") == before
    assert not (project / "models" / "mine").exists()
    assert not (project / "opened").exists()


def test_a_failed_export_leaves_the_one_before_it(project: Path, bad: Path) -> None:
    assert export(bad / "compact.pth", "--name", "mine").exit_code == 0
    before = files(project / "models")
    assert export(bad / "cut-short.pth", "--name", "mine").exit_code == 1
    assert files(project / "models") == before


@pytest.mark.parametrize(
    "name",
    [
        *("My-Model", "my_model", "my.model", "-x", "x-", "x--y", "../x", "ü", " "),
        *("u2net", "realesrgan-anime-6b", "realesr-animevideov3", "migan", "lama-anime"),
        *("waifu2x-cunet", "realcugan-pro", "waifu2x-cunet-2x-none"),
        *("upscale", "fix-artifacts", "networks", "rembg-stream", "rembg-u2net", "rembg-x"),
        "stream",  # its ensemble would be the pipeline rembg_stream
    ],
)
def test_names_that_are_taken_or_odd_are_refused(project: Path, name: str) -> None:
    cutter(project / "mine.onnx")
    done = export("mine.onnx", f"--name={name}")
    assert done.exit_code == 1
    assert f"Error: --name is {name!r}" in done.output


def test_a_file_and_its_name_go_together(project: Path) -> None:
    cutter(project / "mine.onnx")
    for arguments in ("mine.onnx", "u2net --name x", "mine.onnx u2net", "--name x"):
        done = export(*arguments.split())
        assert done.exit_code == 2, arguments
        assert "and its --name must be given together" in done.output
    for numbers in ("1,2", "", "a", "nan", "1,2,3,4"):
        assert export("mine.onnx", "--name=x", f"--mean={numbers}").exit_code == 2


def test_only_custom_networks_are_removed(project: Path) -> None:
    before = files(project / "models")
    for name in ("u2net", "upscale", "..", "nothing"):
        done = export("--remove", name)
        assert done.exit_code == 1
        assert "isn't a custom network; there are: none" in done.output
    assert files(project / "models") == before


def test_exporting_a_custom_network_by_name_says_that_it_is_there(project: Path) -> None:
    cutter(project / "mine.onnx")
    assert export("mine.onnx", "--name", "mine").exit_code == 0
    done = export("mine")
    assert done.exit_code == 0
    assert "to export it again, give its file" in done.output


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"kind": "cutout"}', '{"kind": "other"}'])
def test_a_broken_row_is_named_by_its_file(project: Path, text: str) -> None:
    (project / "models" / "mine").mkdir()
    (project / "models" / "mine" / "network.json").write_text(text)
    for arguments in (["--check"], ["u2net"]):
        done = export(*arguments)
        assert done.exit_code == 1
        assert "network.json isn't what `sakuga export` writes" in done.output


def test_a_row_belongs_to_its_folder(project: Path) -> None:
    cutter(project / "mine.onnx")
    export("mine.onnx", "--name", "mine")
    (project / "models" / "mine").rename(project / "models" / "other")
    assert "whose folder is mine" in export("--check").output


def test_rows_come_back_as_they_were(project: Path) -> None:
    cutter(project / "mine.onnx")
    row = add.add(
        project / "mine.onnx", CustomOptions(name="mine", title="Größe"), project / "models"
    )
    assert add.rows(project / "models") == [row]
    values = json.loads((project / "models" / "mine" / "network.json").read_text())
    assert values["weights"][0]["file"] == "mine.onnx"
