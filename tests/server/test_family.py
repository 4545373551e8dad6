"""Which network of a family a request gets."""

from pathlib import Path

import numpy as np
import pytest

from pictures import encoded, gradient
from sakuga import BadOption, Config
from sakuga_core import actions
from sakuga_core.config.check import missing_levels, unknown_networks
from sakuga_core.config.server import NetworkSettings
from sakuga_core.networks.families import CustomUpscaler
from sakuga_core.networks.registry import FAMILIES, MEMBERS, UPSCALERS, names
from sakuga_core.options import UpscaleOptions
from sakuga_core.repository import writer
from sakuga_core.repository.networks import settings_of
from sakuga_core.repository.pipelines import action_pipelines, listings
from sakuga_server.networks import Tile
from sakuga_server.pipelines import family
from sakuga_server.pipelines.fix_artifacts import FixArtifacts
from sakuga_server.pipelines.settings import FixSettings, UpscaleSettings
from sakuga_server.pipelines.upscale import Upscale
from sakuga_server.runtime.placement import wanted

FACTS = {row.name: row.facts for row in MEMBERS}


def chosen(name: str, factor: float, **options: object) -> str:
    return family.chosen(family.members(FACTS, name), factor, UpscaleOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "factor", "network"),
    [
        ("waifu2x-cunet", 1, "waifu2x-cunet-1x-denoise0"),
        ("waifu2x-cunet", 1.01, "waifu2x-cunet-2x-denoise0"),
        ("waifu2x-cunet", 2, "waifu2x-cunet-2x-denoise0"),
        ("waifu2x-cunet", 3, "waifu2x-cunet-2x-denoise0"),
        ("waifu2x-upconv-photo", 1, "waifu2x-upconv-photo-2x-denoise0"),
        ("realcugan-se", 1, "realcugan-se-2x-conservative"),
        ("realcugan-se", 2.5, "realcugan-se-3x-conservative"),
        ("realcugan-se", 3.01, "realcugan-se-4x-conservative"),
        ("realcugan-se", 16, "realcugan-se-4x-conservative"),
        ("realcugan-pro", 4, "realcugan-pro-3x-conservative"),
    ],
)
def test_the_smallest_scale_that_reaches_is_taken(name: str, factor: float, network: str) -> None:
    assert chosen(name, factor) == network


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row.name)
def test_every_network_of_a_family_can_be_asked_for(row: object) -> None:
    for facts in row.members:  # type: ignore[attr-defined]
        asked = chosen(facts.family, facts.scale, denoise_level=facts.denoise_level)
        assert asked == facts.name


@pytest.mark.parametrize(
    ("name", "factor", "level", "there_are"),
    [
        ("waifu2x-cunet", 1, "conservative", "waifu2x-cunet has at 1x: 0, 1, 2, 3"),
        ("realcugan-se", 16, 2, "realcugan-se has at 4x: conservative, none, 3"),
        ("realcugan-se", 4, 2, "realcugan-se has at 4x: conservative, none, 3"),
        ("realcugan-se", 2, 0, "realcugan-se has at 2x: conservative, none, 1, 2, 3"),
        ("waifu2x-cunet", 2, "conservative", "waifu2x-cunet has at 2x: none, 0, 1, 2, 3"),
    ],
)
def test_a_level_that_there_is_not_is_named_with_those_there_are(
    name: str, factor: float, level: object, there_are: str
) -> None:
    with pytest.raises(BadOption, match=f"option 'denoise_level' is '{level}'; {there_are}$"):
        chosen(name, factor, denoise_level=level)


def test_a_level_that_a_larger_scale_has_is_taken_from_there() -> None:
    """So `none` holds for a folder whose pictures are partly large enough already."""
    assert chosen("waifu2x-cunet", 1, denoise_level="none") == "waifu2x-cunet-2x-none"


def test_another_word_is_no_level() -> None:
    with pytest.raises(ValueError, match="denoise_level"):
        UpscaleOptions(denoise_level="4")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "strength", "network"),
    [
        ("waifu2x-cunet", 0, "waifu2x-cunet-2x-none"),
        ("waifu2x-cunet", 0.3, "waifu2x-cunet-2x-denoise0"),
        ("waifu2x-cunet", 0.7, "waifu2x-cunet-2x-denoise2"),
        ("waifu2x-cunet", 1, "waifu2x-cunet-2x-denoise3"),
        ("realcugan-pro", 0.4, "realcugan-pro-2x-conservative"),
        ("realcugan-pro", 0.9, "realcugan-pro-2x-denoise3"),
    ],
)
def test_a_strength_is_the_nearest_level(name: str, strength: float, network: str) -> None:
    assert chosen(name, 2, denoise_strength=strength) == network


def test_a_level_goes_before_a_strength() -> None:
    assert chosen("waifu2x-cunet", 2, denoise_strength=1, denoise_level="none").endswith("none")


class Enlarging:
    """Any network, by repeating pixels; knows which were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, model: str, tile: Tile) -> np.ndarray:
        self.asked.append(model)
        scale = FACTS[model].scale if model in FACTS else 4
        return tile.pixels.repeat(scale, axis=1).repeat(scale, axis=2)


def pipeline(config: Config) -> tuple[Enlarging, Upscale]:
    """Of a server with that configuration."""
    action = actions.find("upscale")
    assert action.program
    model, _ = action_pipelines(action, action.program, config)
    net = Enlarging()
    return net, Upscale(net, UpscaleSettings.from_parameters(model["parameters"]))


@pytest.mark.parametrize(
    ("options", "network", "size"),
    [
        ({}, "waifu2x-cunet-2x-denoise0", (20, 14)),
        ({"scale": 1}, "waifu2x-cunet-1x-denoise0", (10, 7)),
        ({"max_side": 15}, "waifu2x-cunet-2x-denoise0", (15, 10)),
        ({"max_side": 10, "denoise_level": 3}, "waifu2x-cunet-1x-denoise3", (10, 7)),
        ({"scale": 4}, "waifu2x-cunet-2x-denoise0", (40, 28)),
        ({"model": "waifu2x-cunet-2x-none"}, "waifu2x-cunet-2x-none", (20, 14)),
    ],
)
async def test_requests_name_families(
    options: dict[str, object], network: str, size: tuple[int, int]
) -> None:
    net, upscale = pipeline(Config())
    values = {"model": "waifu2x-cunet", **options}
    _, report = await upscale(encoded(gradient(7, 10)), values)
    assert {*net.asked} == {network}
    assert (report["output"]["width"], report["output"]["height"]) == size
    assert report["model"] == values["model"]
    assert report.get("network", report["model"]) == network


async def uncalled(model: str, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    raise AssertionError(model)


async def test_a_family_that_was_not_needed_has_no_network_in_the_report() -> None:
    config = Config()
    action = actions.find("fix_artifacts")
    assert action.program
    model, _ = action_pipelines(action, action.program, config)
    fix = FixArtifacts(Enlarging(), uncalled, FixSettings.from_parameters(model["parameters"]))
    options = {"model": "waifu2x-cunet", "result": "restored"}
    _, report = await fix(encoded(gradient(7, 10)), options)
    assert report["model"] == "waifu2x-cunet"
    assert "network" not in report


async def test_the_report_says_which_level_a_strength_is() -> None:
    _, upscale = pipeline(Config())
    options = {"model": "waifu2x-cunet", "denoise_strength": 0.7}
    _, report = await upscale(encoded(gradient(7, 10)), options)
    assert report["notes"] == ["denoise_strength 0.7 is denoise_level 2 here"]


async def test_what_the_configuration_asks_of_all_is_no_note() -> None:
    config = Config()
    config.providers.image.upscale.denoise_strength = 0.7
    net, upscale = pipeline(config)
    options = {"model": "waifu2x-cunet", "denoise_strength": 0.7}
    _, report = await upscale(encoded(gradient(7, 10)), options)
    assert ({*net.asked}, report["notes"]) == ({"waifu2x-cunet-2x-denoise2"}, [])


async def test_a_tile_that_takes_too_much_memory_is_made_smaller_with_a_note() -> None:
    _, upscale = pipeline(Config())
    options = {"model": "realcugan-se", "scale": 3, "tile_size": 1024}
    _, report = await upscale(encoded(gradient(7, 10)), options)
    assert report["tile_size"] == 640
    assert report["notes"] == ["tile_size is 1024; realcugan-se-3x-conservative allows 640"]


def test_config_yaml_may_name_a_family_wherever_it_names_a_network(tmp_path: Path) -> None:
    config = Config()
    config.providers.image.upscale.model = "waifu2x-cunet"
    config.server.preload = ["realcugan-pro"]
    config.server.networks = {
        "waifu2x-cunet": NetworkSettings(batch=2, instances=3),
        "waifu2x-cunet-2x-none": NetworkSettings(batch=5),
    }
    assert list(unknown_networks(config, listings(config))) == []
    settings = {row.name: settings_of(row, config) for row in MEMBERS}
    own, other = settings["waifu2x-cunet-2x-none"], settings["waifu2x-cunet-1x-denoise0"]
    assert [(own.batch, own.instances), (other.batch, other.instances)] == [(5, 3), (2, 3)]
    writer.write(tmp_path, config)
    folders = {row.family: row.folder for row in MEMBERS}
    for folder in folders.values():
        (tmp_path / folder / "1").mkdir()
        (tmp_path / folder / "1" / "model.onnx").touch()
    loaded = {name for name in wanted(config, tmp_path) if name in folders.values()}
    assert loaded == {folders["waifu2x-cunet"], folders["realcugan-pro"]}


def test_an_unknown_name_in_config_yaml_is_told_with_families() -> None:
    config = Config()
    config.server.preload = ["waifu2x"]
    ((_, problem),) = unknown_networks(config, listings(config))
    assert problem.endswith(f"allowed: {', '.join(names())}")


@pytest.mark.parametrize("model", ["realesr-animevideov3", "waifu2x-cunet-2x-denoise0"])
@pytest.mark.parametrize("option", [{"denoise_level": 2}, {"denoise_strength": 0.75}])
async def test_a_level_does_nothing_for_a_single_network(
    model: str, option: dict[str, object]
) -> None:
    _, upscale = pipeline(Config())
    _, report = await upscale(encoded(gradient(7, 10)), {"model": model, **option})
    assert report["notes"] == [f"{next(iter(option))} has no effect on {model}"]


async def test_a_networks_own_level_needs_no_note() -> None:
    _, upscale = pipeline(Config())
    options = {"model": "waifu2x-cunet-2x-denoise1", "denoise_level": 1}
    _, report = await upscale(encoded(gradient(7, 10)), options)
    assert report["notes"] == []


@pytest.mark.parametrize("by_client", [False, True])
@pytest.mark.parametrize(
    ("request_", "network"),
    [
        ({}, "waifu2x-cunet-2x-denoise1"),
        ({"denoise_level": "none"}, "waifu2x-cunet-2x-none"),
        ({"denoise_strength": 1}, "waifu2x-cunet-2x-denoise3"),
        ({"model": "realcugan-pro"}, "realcugan-pro-2x-conservative"),
        ({"model": "waifu2x-upconv-anime"}, "waifu2x-upconv-anime-2x-denoise0"),
    ],
)
async def test_a_configured_level_is_that_of_the_configured_model(
    request_: dict[str, object], network: str, by_client: bool
) -> None:
    """And gives way to a request's level or strength."""
    config = Config()
    upscale_block = config.providers.image.upscale
    upscale_block.model, upscale_block.denoise_level = "waifu2x-cunet", "1"
    net, upscale = pipeline(config)
    options = config.options_for("upscale", request_) if by_client else request_
    await upscale(encoded(gradient(7, 10)), options)
    assert {*net.asked} == {network}


@pytest.mark.parametrize(
    ("model", "level"), [("waifu2x-cunet", "conservative"), ("realcugan-pro", "2")]
)
def test_a_configured_level_that_the_model_lacks_is_found(model: str, level: str) -> None:
    config = Config()
    block = config.providers.image.upscale
    block.model, block.denoise_level = model, level
    ((path, problem),) = missing_levels(config, listings(config))
    assert path == "providers.image.upscale.denoise_level"
    assert problem.startswith(f"{path!r} is {level!r}; allowed for {model}: ")
    block.denoise_level = "3"
    assert list(missing_levels(config, listings(config))) == []


async def test_the_options_of_another_block_do_not_apply() -> None:
    config = Config()
    config.realesrgan.scale, config.realesrgan.tile_size = 3, 64
    _, upscale = pipeline(config)
    _, report = await upscale(encoded(gradient(7, 10)), {"model": "waifu2x-cunet"})
    assert (report["output"]["width"], report["tile_size"]) == (20, 1024)
    _, report = await upscale(encoded(gradient(7, 10)), {"model": "realesr-animevideov3"})
    assert (report["output"]["width"], report["tile_size"]) == (30, 64)
    assert "scale" not in config.options_for("upscale", {"model": "waifu2x-cunet"})


async def test_a_family_may_be_the_default() -> None:
    config = Config()
    config.providers.image.upscale.model = "realcugan-se"
    net, upscale = pipeline(config)
    await upscale(encoded(gradient(7, 10)), {"scale": 3})
    assert {*net.asked} == {"realcugan-se-3x-conservative"}


async def test_an_unknown_network_is_named_with_families_in_place_of_their_networks() -> None:
    _, upscale = pipeline(Config())
    with pytest.raises(BadOption, match="allowed: ") as raised:
        await upscale(encoded(gradient(7, 10)), {"model": "waifu2x"})
    names = str(raised.value).partition("allowed: ")[2].split(", ")
    assert names[: len(UPSCALERS) + len(FAMILIES)] == [
        *(row.name for row in UPSCALERS),
        *(row.name for row in FAMILIES),
    ]


async def test_a_licence_that_is_not_wanted_is_refused_by_name() -> None:
    config = Config()
    config.server.licences = "permissive"
    mine = CustomUpscaler(
        name="mine", title="", weights=(), licence="CC-BY-NC-SA-4.0", architecture="X", scale=2,
        receptive_field=3,
    )  # fmt: skip
    action = actions.find("upscale")
    assert action.program
    model, _ = action_pipelines(action, action.program, config, [mine])
    upscale = Upscale(Enlarging(), UpscaleSettings.from_parameters(model["parameters"]))
    with pytest.raises(BadOption, match=r"'mine', whose licence is 'CC-BY-NC-SA-4\.0'"):
        await upscale(encoded(gradient(7, 10)), {"model": "mine"})
    await upscale(encoded(gradient(7, 10)), {"model": "realesr-animevideov3"})
