import json
from pathlib import Path

import pytest

from sakuga import BadOption, Config, ConfigError, load_config

USERS_WORDS = """
providers:
  image:
    upscale:       {model: realesrgan-x4plus-anime}
    rembg:         {model: isnet-anime}
    fix_artifacts: {model: realesrgan-x4plus-anime, scale: 2, denoise_strength: 0.7, detector: auto, inpaint: auto}
    enhance:       {model: aura-sr-v2}
realesrgan: {model: realesrgan-x4plus-anime, scale: 4, denoise_strength: 0.5, tile_size: 512, gpu_id: 0}
rembg: {model: isnet-anime, alpha_matting: true, alpha_matting_foreground_threshold: 270, alpha_matting_background_threshold: 5}
aurasr: {model: aura-sr-v2, scale: 4, overlapping_tiles: true}
server: {url: "localhost:8001"}
limits: {}
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SAKUGA_CONFIG", raising=False)
    monkeypatch.delenv("SAKUGA_URL", raising=False)
    monkeypatch.chdir(tmp_path)


def write(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text)
    return file


def test_the_users_own_words_load_as_they_stand(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, USERS_WORDS))
    assert config.rembg.alpha_matting_foreground_threshold == 270
    assert config.providers.image.fix_artifacts.denoise_strength == 0.7
    assert config.options_for("upscale") == {
        "model": "realesrgan-x4plus-anime",
        "scale": 4,
        "denoise_strength": 0.5,
        "tile_size": 512,
    }


def test_the_projects_own_file_loads() -> None:
    file = Path(__file__).parents[2] / "config.yaml"
    assert load_config(file).server.repository == file.parent / "model_repository"


def test_a_requests_option_goes_before_its_actions_before_its_familys(tmp_path: Path) -> None:
    text = "{realesrgan: {scale: 4, tile_size: 256}, providers: {image: {upscale: {scale: 3}}}}"
    config = load_config(write(tmp_path, text))
    assert config.options_for("upscale")["scale"] == 3
    assert config.options_for("upscale", {"scale": 2})["scale"] == 2
    assert config.options_for("upscale", {"scale": 2})["tile_size"] == 256


def test_the_familys_model_serves_where_the_action_names_none(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "realesrgan: {model: realesr-animevideov3}"))
    options = config.options_for("upscale")
    assert options == {"model": "realesr-animevideov3"}


def test_two_configurations_share_nothing() -> None:
    first = Config()
    first.realesrgan.scale = 2
    first.realesrgan.gpu_id = [3]
    first.providers.image.upscale.model = "aura-sr-v2"
    first.server.upscale_workers = 9
    assert Config() == Config.model_validate({})
    assert Config().realesrgan.scale is None
    assert Config().realesrgan.gpu_id == [0]
    assert Config().providers.image.upscale.model is None
    assert Config().server.upscale_workers == 4


def test_an_assignment_takes_effect_and_is_checked() -> None:
    config = Config()
    config.providers.image.upscale.model = "aura-sr-v2"
    config.aurasr.scale = 2
    options = config.options_for("upscale")
    assert options == {"model": "aura-sr-v2", "scale": 2}
    with pytest.raises(ConfigError, match="'scale' is 90; allowed: a number from 1 to 16"):
        config.providers.image.upscale.scale = 90
    with pytest.raises(ConfigError, match="'sclae' is unknown; allowed: model, format"):
        config.realesrgan.sclae = 2  # type: ignore[attr-defined]


def test_a_rejected_assignment_changes_nothing() -> None:
    config = Config()
    before = config.model_dump()
    with pytest.raises(ConfigError, match="'scale' is 90"):
        config.providers.image.upscale.scale = 90
    with pytest.raises(ConfigError, match="together with 'provider'"):
        config.providers.image.rembg.options = {"a": 1}
    with pytest.raises(ConfigError, match="'certificate' and 'key' must be set together"):
        config.server.tls.key = "a.pem"  # type: ignore[assignment]
    assert config.model_dump() == before
    assert config.model_dump(exclude_unset=True) == {}
    assert not config.server.tls.assigned("key")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server: {prot: 1}", "'server.prot' is unknown; allowed: url, timeout"),
        ("realesrgan: {scale: 70}", "'realesrgan.scale' is 70; allowed: a number from 1 to 16"),
        ("providers: {image: {upscale: {sclae: 2}}}", "'providers.image.upscale.sclae' is unknown"),
        ("limits: {input_pixels: 0}", "'limits.input_pixels' is 0; allowed: a whole number from 1"),
        ("server: 7", "'server' is 7"),
        ("server: {tls: {key: a, ca: b}}", "'certificate' and 'key' must be set together"),
        ("server: {tls: {key: a, certificate: b}}", "'certificate' also needs 'ca'"),
        ("server: {tls: {mutual: true, ca: b}}", "'mutual' needs 'certificate', 'key', and a file"),
        ("server: {tls: {ca: 7}}", "'server.tls.ca' is 7; allowed: a file in PEM form, or system"),
        ("[1, 2]", "allowed: a mapping"),
        ("server: {url: [", "isn't YAML"),
    ],
)
def test_an_error_names_file_path_value_and_what_is_allowed(
    tmp_path: Path, text: str, message: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(file) in str(caught.value)
    assert message in str(caught.value)


def test_certificates_count_from_the_files_folder(tmp_path: Path) -> None:
    text = "server: {tls: {ca: own/ca.pem, certificate: /a/b.pem, key: c.key}}"
    tls = load_config(write(tmp_path, text)).server.tls
    assert (tls.ca, tls.key) == (tmp_path / "own/ca.pem", tmp_path / "c.key")
    assert str(tls.certificate) == "/a/b.pem"
    assert load_config(write(tmp_path, "server: {tls: {ca: system}}")).server.tls.of_system


def test_a_missing_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "absent.yaml")


def test_without_any_file_there_are_defaults() -> None:
    assert load_config().server.url == "auto"


def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, "server: {url: 'gpu:1'}")
    monkeypatch.setenv("SAKUGA_CONFIG", str(file))
    assert load_config().server.url == "gpu:1"
    monkeypatch.setenv("SAKUGA_URL", "gpu:2")
    assert load_config().server.url == "gpu:2"


def test_a_bad_request_option_is_an_error() -> None:
    with pytest.raises(BadOption):
        Config().options_for("upscale", {"scale": 90})


def test_rembg_options_come_from_family_action_and_request_in_that_order(
    tmp_path: Path,
) -> None:
    config = load_config(write(tmp_path, USERS_WORDS))
    assert config.options_for("rembg") == {
        "model": "isnet-anime",
        "alpha_matting": True,
        "alpha_matting_foreground_threshold": 270,
        "alpha_matting_background_threshold": 5,
    }
    config.providers.image.rembg.only_mask = True
    options = config.options_for("rembg", {"model": "u2net", "alpha_matting": False})
    assert (options["model"], options["only_mask"], options["alpha_matting"]) == (
        "u2net",
        True,
        False,
    )
    with pytest.raises(BadOption, match="from 0 to 255"):
        config.options_for("rembg", {"alpha_matting_background_threshold": 256})


def test_fix_artifacts_takes_its_own_block_then_its_familys_then_its_defaults(
    tmp_path: Path,
) -> None:
    assert Config().options_for("fix_artifacts") == {
        "model": "realesrgan-x4plus-anime",
        "scale": 2,
        "denoise_strength": 0.7,
    }
    config = load_config(write(tmp_path, USERS_WORDS))
    options = config.options_for("fix_artifacts", {"regions": [[1, 2, 3, 4]], "mask": b"file"})
    assert options["scale"] == 2
    assert options["denoise_strength"] == 0.7
    assert options["tile_size"] == 512
    assert (options["detector"], options["inpaint"]) == ("auto", "auto")
    assert json.loads(json.dumps(options))["mask"] == "ZmlsZQ=="
    assert options["regions"] == [{"box": [1, 2, 3, 4]}]
    config.providers.image.fix_artifacts.model = "aura-sr-v2"
    assert config.options_for("fix_artifacts")["overlapping_tiles"] is True
    with pytest.raises(ConfigError):
        config.providers.image.fix_artifacts.inpaint = "photoshop"  # type: ignore[assignment]
