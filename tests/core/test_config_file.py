"""config.yaml while it changes: what is taken over, what stays, and where each setting is from."""

import json
import os
import time
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from networks_for_tests import PROJECT
from sakuga import Config, ConfigError, load_config
from sakuga.cli import main
from sakuga_core.config import file
from sakuga_core.config.file import STABLE_SECONDS, refresh
from sakuga_core.config.provenance import settings
from sakuga_core.config.schema import json_schema

VIDEO, ANIME = "realesr-animevideov3", "realesrgan-x4plus-anime"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SAKUGA_CONFIG", raising=False)
    monkeypatch.delenv("SAKUGA_URL", raising=False)
    monkeypatch.chdir(tmp_path)


def nested(twice: str) -> str:
    """Lines each of which has all that the one before it has, twice."""
    lines = (f"{n}: &{n} {{{twice.format(o)}}}" for o, n in pairwise("abcdefghijklmnopqrstuvwxyz"))
    return "\n".join(("a: &a {x: 1}", *lines))


def write(text: str, file: Path = Path("config.yaml"), age: float = 1) -> Path:
    """Replaces the file; `age` is how many seconds ago."""
    new = file.with_suffix(".new")
    new.write_text(text)
    then = time.time() - age
    os.utime(new, (then, then))
    new.replace(file)
    return file


def model(name: str) -> str:
    return f"providers: {{image: {{upscale: {{model: {name}}}}}}}"


def test_a_changed_file_is_taken_over_by_whoever_holds_the_configuration() -> None:
    config = load_config(write(model(ANIME)))
    block = config.providers.image.upscale
    assert not refresh(config)
    write(model(VIDEO) + "\nserver: {timeout: 7}")
    assert refresh(config)
    assert block.model == VIDEO
    assert config.server.timeout == 7
    assert not refresh(config)
    write(model(ANIME))
    assert refresh(config)
    assert config.server.timeout == 600  # what isn't there any more has its default again
    assert config.options_for("upscale") == {"model": ANIME}


def test_what_a_program_assigned_goes_before_the_file() -> None:
    config = load_config(write(model(ANIME)))
    config.providers.image.upscale.model = "aura-sr-v2"
    config.realesrgan.scale = 3
    write("realesrgan: {scale: 2, tile_size: 64}")
    assert refresh(config)
    assert config.providers.image.upscale.model == "aura-sr-v2"
    assert (config.realesrgan.scale, config.realesrgan.tile_size) == (3, 64)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("realesrgan: {scale: 70}", "'realesrgan.scale' is 70"),
        ("server: {url: [", "isn't YAML"),
        ("server: {timeout: 5}\nserver: {timeout: 6}", "'server' occurs twice"),
        ("server: {timeout: 2001-99-99}", "isn't YAML"),
        ("server: {timeout: !!int x}", "isn't YAML"),
        ("server: {timeout: !!bool x}", "isn't YAML"),
        ("server: {timeout: !!timestamp x}", "isn't YAML"),
        ("server: &a [*a]", "keys and values"),
        ("server: &a {<<: *a}", "keys and values"),
        (nested("x: *{0}, y: *{0}"), "keys and values"),
        (nested("<<: [*{0}, *{0}]"), "keys and values"),
    ],
)
def test_a_broken_edit_changes_nothing_and_is_logged_once(
    text: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = load_config(write(model(VIDEO)))
    before = config.model_dump()
    write(text)
    assert not refresh(config)
    assert not refresh(config)
    assert config.model_dump() == before
    (record,) = caplog.records
    assert reason in record.getMessage()
    write("server: {timeout: 5}")
    assert refresh(config)
    assert config.server.timeout == 5


def test_a_file_that_may_still_be_written_is_left_for_later() -> None:
    config = load_config(write(model(ANIME)))
    write("", age=0)
    assert not refresh(config)
    assert config.providers.image.upscale.model == ANIME
    write("", age=2 * STABLE_SECONDS)
    assert refresh(config)
    assert config.providers.image.upscale.model is None


def test_a_file_of_a_clock_that_is_ahead_is_read() -> None:
    config = load_config(write(model(ANIME)))
    write(model(VIDEO), age=-3600)
    assert refresh(config)
    assert config.providers.image.upscale.model == VIDEO


def test_a_file_that_is_gone_for_a_moment_changes_nothing() -> None:
    config = load_config(write(model(VIDEO)))
    Path("config.yaml").unlink()
    assert not refresh(config)
    write(model(ANIME))
    assert refresh(config)


def test_a_link_that_is_turned_to_another_file_is_a_change() -> None:
    # As Kubernetes mounts a ConfigMap.
    write(model(ANIME), Path("one"))
    write(model(VIDEO), Path("two"))
    Path("config.yaml").symlink_to("one")
    config = load_config()
    Path("config.yaml").unlink()
    Path("config.yaml").symlink_to("two")
    assert refresh(config)
    assert config.providers.image.upscale.model == VIDEO


def test_the_environment_still_goes_before_a_changed_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKUGA_URL", "gpu:2")
    config = load_config(write("server: {url: 'gpu:1'}"))
    write("server: {url: 'gpu:3', timeout: 5}")
    assert refresh(config)
    assert (config.server.url, config.server.timeout) == ("gpu:2", 5)


def test_a_file_is_trusted_that_somebody_named_or_that_lies_in_the_users_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def trusted(config: Config) -> bool:
        assert config.source is not None
        return config.source.trusted

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    users = tmp_path / "home" / "sakuga"
    users.mkdir(parents=True)
    write(model(ANIME), users / "config.yaml")
    assert trusted(load_config())
    file = write(model(VIDEO))
    found = load_config()
    assert found.providers.image.upscale.model == VIDEO
    assert not trusted(found)
    assert trusted(load_config(file))
    monkeypatch.setenv("SAKUGA_CONFIG", str(file))
    assert trusted(load_config())


def test_a_changed_file_is_trusted_as_before() -> None:
    write(model(VIDEO))
    config = load_config()
    write(model(ANIME))
    assert refresh(config)
    assert config.source is not None
    assert not config.source.trusted


def test_the_repository_lies_beside_the_file_or_in_the_users_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert load_config().server.repository == tmp_path / "data" / "sakuga" / "model_repository"
    Path("model_repository").mkdir()
    assert load_config().server.repository == tmp_path / "model_repository"
    file = write("server: {repository: models}")
    assert load_config(file).server.repository == tmp_path / "models"


def test_an_error_names_the_line() -> None:
    file = write("realesrgan:\n  model: x\n  scale: 70\nserver:\n  prot: 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert "config.yaml, line 3: 'realesrgan.scale' is 70" in str(caught.value)
    assert "config.yaml, line 5: 'server.prot' is unknown" in str(caught.value)


def test_options_of_a_provider_need_one() -> None:
    with pytest.raises(ConfigError, match="together with 'provider'"):
        load_config(write("providers: {image: {rembg: {options: {a: 1}}}}"))


def test_each_setting_says_where_it_is_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKUGA_URL", "gpu:2")
    config = load_config(write(f"realesrgan:\n  scale: 3\n{model(VIDEO)}\naurasr: {{scale: 2}}"))
    config.server.timeout = 5
    found = {path: (value, origin) for path, value, origin in settings(config)}
    upscale, enhance = "providers.image.upscale", "providers.image.enhance"
    assert found[f"{upscale}.model"] == (VIDEO, "config.yaml, line 3")
    assert found[f"{upscale}.scale"] == (3, "config.yaml, line 2")
    assert found[f"{upscale}.format"] == (None, "default")
    assert found[f"{enhance}.scale"] == (2, "config.yaml, line 4")
    assert found["server.url"] == ("gpu:2", "environment, SAKUGA_URL")
    assert found["server.timeout"] == (5, "flag")
    assert found["limits.tile_size"] == (1024, "default")


def run(*arguments: str) -> str:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_what_is_shown_is_a_file_with_the_same_effect() -> None:
    project = load_config(PROJECT / "config.yaml")
    shown = run("--config", str(PROJECT / "config.yaml"), "config", "show")
    again = load_config(write(shown))
    assert [setting[:2] for setting in settings(again)] == [s[:2] for s in settings(project)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (model("waifu2x"), "line 1: 'providers.image.upscale.model' is 'waifu2x'; allowed: real"),
        ("rembg: {model: aura-sr-v2}", "'rembg.model' is 'aura-sr-v2'; allowed: isnet-anime"),
        ("server: {preload: [vdsr]}", "'server.preload' is 'vdsr'"),
        ("server: {networks: {vdsr: {batch: 2}}}", "'server.networks.vdsr' is 'vdsr'"),
        ("providers: {image: {rembg: {provider: 'no.such:Thing'}}}", "can't be imported"),
        ("providers: {image: {rembg: {provider: 'json:dumps'}}}", "has no `process`"),
    ],
)
def test_check_finds_what_reading_the_file_can_not(text: str, problem: str) -> None:
    done = CliRunner().invoke(main, ["--config", str(write(text)), "config", "check"])
    assert done.exit_code == 1
    assert problem in done.output
    assert "Traceback" not in done.output


def test_a_file_that_merely_lies_in_the_current_folder_imports_no_code(tmp_path: Path) -> None:
    (tmp_path / "strangers.py").write_text("import pathlib; pathlib.Path('ran').touch()")
    file = write("providers: {image: {rembg: {provider: 'strangers:Tool'}}}")
    assert file.resolve().parent == tmp_path
    done = CliRunner().invoke(main, ["config", "check"])
    assert done.exit_code == 1
    assert "line 1: 'providers.image.rembg.provider' imports Python code" in done.output
    assert "--config" in done.output
    assert not Path("ran").exists()


def test_check_passes_the_projects_file_and_names_by_their_aliases() -> None:
    assert "good" in run("--config", str(PROJECT / "config.yaml"), "config", "check")
    write(model("realesrgan-anime-6b"))
    assert "good" in run("config", "check")


def test_the_committed_schema_is_what_the_classes_say() -> None:
    committed = json.loads((PROJECT / "config.schema.json").read_text())
    assert committed == json_schema() == json.loads(run("config", "schema"))


GOOD = (
    {},
    {"realesrgan": {"gpu_id": 0, "denoise": 0.5}, "server": {"preload": "all"}},
    {"realesrgan": {"gpu_id": [0, 1]}, "server": {"networks": {"u2net": {"batch": 4}}}},
    {"rembg": {"background_color": [1, 2, 3]}, "server": {"preload": ["u2net"]}},
    {"providers": {"image": {"upscale": {"provider": "a.b:C", "options": {"any": [1]}}}}},
)
BAD = (
    {"sever": {}},
    {"realesrgan": {"scale": 70}},
    {"realesrgan": {"gpu_id": -1}},
    {"realesrgan": {"gpu_id": []}},
    {"server": {"accelerator": "vulkan"}},
    {"server": {"networks": {"u2net": {"batch": 0}}}},
    {"limits": {"tile_size": 8}},
    {"providers": {"image": {"upscale": {"provider": "not a path"}}}},
)


@pytest.mark.parametrize("values", GOOD, ids=str)
def test_schema_and_classes_agree_on_good_files(values: dict[str, object]) -> None:
    assert not list(jsonschema.Draft202012Validator(json_schema()).iter_errors(values))
    assert load_config(write(json.dumps(values))).source is not None


@pytest.mark.parametrize("values", BAD, ids=str)
def test_schema_and_classes_agree_on_bad_files(values: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, json_schema())
    with pytest.raises(ConfigError):
        load_config(write(json.dumps(values)))


def test_a_file_that_does_not_come_back_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("server: {retries: 1}")
    config, now = load_config(path), [100.0]
    monkeypatch.setattr(file.time, "monotonic", lambda: now[0])
    path.unlink()
    for seconds in (0, 1, 9, 9):
        now[0] += seconds
        assert not refresh(config)
    assert [record.message for record in caplog.records] == [
        f"{path}: is gone; what it said stays in effect"
    ]
    assert config.server.retries == 1
