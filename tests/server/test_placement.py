"""What a repository can serve, and what of it config.yaml wants loaded."""

from pathlib import Path

import pytest

from sakuga import Config
from sakuga_core.networks.registry import by_name
from sakuga_core.protocol import PIPELINES
from sakuga_core.repository import writer
from sakuga_server.runtime.placement import servable, wanted

EXPORTED = ("realesrgan-x4plus-anime", "realesr-animevideov3", "u2net", "isnet-anime", "migan")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Of a repository with five networks, that names the anime network and isnet-anime."""
    config = Config()
    config.server.repository = tmp_path
    writer.write(tmp_path, config)
    files = [tmp_path / by_name(n).folder / "1" / by_name(n).file for n in EXPORTED]
    for file in files:
        file.parent.mkdir()
        file.touch()
    return config


def networks(config: Config) -> set[str]:
    return set(wanted(config, config.server.repository)).difference(PIPELINES)


def test_pipelines_and_what_the_actions_name_are_wanted(config: Config) -> None:
    assert set(wanted(config, config.server.repository)) >= set(PIPELINES)
    assert networks(config) == {"realesrgan_x4plus_anime", "isnet_anime", "rembg_isnet_anime"}


def test_an_ensemble_comes_after_its_steps(config: Config) -> None:
    names = wanted(config, config.server.repository)
    for step in ("isnet_anime", "rembg"):
        assert names.index(step) < names.index("rembg_isnet_anime")


def test_another_model_is_another_network(config: Config) -> None:
    config.providers.image.upscale.model = "realesr-animevideov3"
    config.providers.image.rembg.model = "u2net"
    assert networks(config) == {
        *("realesr_animevideov3", "realesrgan_x4plus_anime"),  # the second for `fix_artifacts`
        *("u2net", "rembg_u2net"),
    }


def test_what_a_custom_provider_does_needs_no_network(config: Config) -> None:
    image = config.providers.image
    for block in (image.upscale, image.fix_artifacts, image.rembg):
        block.provider = "my:Own"
    assert networks(config) == set()


def test_preload_adds_networks_or_all(config: Config) -> None:
    before = networks(config)
    config.server.preload = ["realesr-animevideov3", "u2net"]
    assert networks(config) == before | {"realesr_animevideov3", "u2net", "rembg_u2net"}
    config.server.preload = "all"
    assert set(wanted(config, config.server.repository)) == set(servable(config.server.repository))


def test_inpainting_networks_are_loaded_first_where_requests_can_not(config: Config) -> None:
    assert "migan" not in wanted(config, config.server.repository)
    config.server.load_on_demand = False
    assert "migan" in wanted(config, config.server.repository)
    config.providers.image.fix_artifacts.inpaint = "opencv"
    assert "migan" not in wanted(config, config.server.repository)


def test_what_is_not_exported_is_not_wanted(config: Config) -> None:
    (config.server.repository / "isnet_anime" / "1" / "model.onnx").unlink()
    assert networks(config) == {"realesrgan_x4plus_anime"}  # and no ensemble
