"""The site builds, its reference is that of the code, its links lead somewhere, and the commands
and programs of the documentation are sound."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from networks_for_tests import PROJECT
from sakuga.cli.main import main
from sakuga_core import errors, protocol
from sakuga_core.actions import ACTIONS, Action
from sakuga_core.config import restart
from sakuga_core.config.provenance import settings
from sakuga_core.config.schema import Config
from sakuga_core.errors import SakugaError
from sakuga_core.networks.registry import NETWORKS
from site_for_tests import Block, Site, blocks, commands

for needed in ("mkdocs", "material", "mkdocstrings"):
    pytest.importorskip(needed, reason=f"{needed} isn't installed: docs/requirements.txt")

from sitepages.http_api import document  # noqa: E402 # needs what is looked for above

BUILD_SECONDS = 300


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Built as `make docs` does, into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=PROJECT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )
    assert built.returncode == 0, built.stderr[-6000:]
    return Site(folder)


def shown(value: Any) -> str:
    """A default as the pages write it."""
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 else str(value)
    return value if isinstance(value, str) else json.dumps(value)


# Links


def test_every_link_leads_to_something(site: Site) -> None:
    assert len(site.files) > 40
    assert [problem for file in site.files for problem in site.broken(file)] == []


def test_nothing_is_loaded_from_another_host(site: Site) -> None:
    assert list(site.foreign()) == []
    # The theme would fetch a program for these.
    assert not [f for f in site.files if 'class="mermaid"' in f.read_text(encoding="utf-8")]


def test_no_table_or_list_is_left_as_text(site: Site) -> None:
    """Where GitHub makes a list or a table, and the site needs an empty line before it."""
    for file in site.files:
        html = file.read_text(encoding="utf-8")
        for paragraph in re.findall(r"<p>(.*?)</p>", html, re.DOTALL):
            assert not re.search(r"^(- |\* |\d+\. |\|.*\|$)", paragraph, re.MULTILINE), file.name


# The reference


@pytest.mark.parametrize("action", ACTIONS.values(), ids=list(ACTIONS))
def test_every_option_has_its_row(site: Site, action: Action) -> None:
    rows = site.page("reference/options.html").rows
    for name, option in action.options.model_fields.items():
        called, _, default, about = rows[f"{action.name.value}.{name}"]
        assert called.startswith(name)
        assert str(option.description).split("; ")[0][1:] in about
        value = action.defaults.get(name, option.default)
        if value is not None:
            assert default == shown(value)
    assert rows[f"{action.name.value}.model"][2] == action.default_model


def called_commands(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command
            yield from called_commands(click.Context(command, parent=context, info_name=name))


COMMANDS = {
    each.command_path: each for each in called_commands(click.Context(main, info_name="sakuga"))
}


def test_commands_of_every_package_are_there() -> None:
    assert {"sakuga serve", "sakuga export", "sakuga web", "sakuga models load"} <= set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_flag_has_its_row(site: Site, path: str) -> None:
    page, anchor = site.page("reference/command-line.html"), path.replace(" ", "-")
    assert anchor in page.anchors
    for parameter in COMMANDS[path].command.params:
        if isinstance(parameter, click.Argument):
            assert parameter.human_readable_name in page.text
            continue
        row = page.rows[f"{anchor}{parameter.opts[-1].replace('--', '-')}"]
        for flag in (*parameter.opts, *parameter.secondary_opts):
            assert flag in row[0].split(", ")


def test_flags_are_beside_their_options(site: Site) -> None:
    rows = site.page("reference/options.html").rows
    assert "--denoise-strength --denoise" in rows["upscale.denoise_strength"][0]
    assert "--restore --no-restore" in rows["fix_artifacts.restore"][0]


def test_every_setting_has_its_row(site: Site) -> None:
    rows = site.page("reference/config.html").rows
    usual = {path: block.model_dump(mode="json")[name] for path, block, name in Config().fields()}
    usual |= {setting.path: setting.value for setting in settings(Config())}
    for path, value in usual.items():
        called, values, default, about = rows[path]
        assert path.endswith(f".{called}")
        assert values
        assert about
        assert (path, default) == (path, "–" if value is None else shown(value))
        assert ("Needs a restart" in about) == restart.needs_restart(path)


def test_settings_in_lists_and_mappings_have_theirs(site: Site) -> None:
    rows = site.page("reference/config.html").rows
    assert {"server.networks.each.batch", "gateway.keys.each.sha256"} <= set(rows)
    assert rows["gateway.keys.each.sha256"][2] == "required"


def test_the_settings_that_need_a_restart_exist() -> None:
    known = {path for path, _, _ in Config().fields()}
    named = (
        f"{block}.{name}" for block, names in (*restart.SERVER, *restart.GATEWAY) for name in names
    )
    assert set(named) <= known


def test_every_environment_variable_has_its_row(site: Site) -> None:
    folders = ("core", "client", "server", "export", "gateway", "docker", "kubernetes")
    files = (path for folder in folders for path in (PROJECT / folder).rglob("*") if path.is_file())
    texts = [path.read_text(encoding="utf-8", errors="ignore") for path in files]
    used = {name for text in texts for name in re.findall(r"\bSAKUGA_[A-Z_]+\b", text)}
    rows = {name for name in site.page("reference/config.html").rows if name.startswith("SAKUGA_")}
    assert rows == used


def error_classes() -> Iterator[type[SakugaError]]:
    found = [each for each in vars(errors).values() if isinstance(each, type)]
    return (each for each in found if issubclass(each, SakugaError) and each is not SakugaError)


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_every_error_has_its_row(site: Site, kind: type[SakugaError]) -> None:
    row = site.page("reference/errors.html").rows[kind.__name__]
    name, meaning, status, http, retried, remedy = row
    assert (name.strip(), status, http) == (kind.__name__, kind.status, str(kind.http_status))
    assert retried == ("yes" if errors.is_retryable(kind("")) else "no")
    assert meaning
    assert remedy == kind.remedy.replace("`", "")
    assert "remedy" in vars(kind)


HTTP = document()
ROUTES = [(method, path) for path, operations in HTTP["paths"].items() for method in operations]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_has_its_section(site: Site, method: str, path: str) -> None:
    page, named = site.page("reference/http-api.html"), f"{method.upper()} {path}"
    assert re.sub(r"[^a-z0-9]+", "-", named.lower()).strip("-") in page.anchors
    assert named in page.text


def test_every_field_and_status_of_http_is_there(site: Site) -> None:
    page = site.page("reference/http-api.html")
    for operations in HTTP["paths"].values():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                assert all(name in page.text for name in content["schema"].get("properties", {}))
            statuses = {
                status for status in operation["responses"] if status.isdigit() and status >= "4"
            }
            assert {f"status-{status}" for status in statuses} <= page.anchors


@pytest.mark.parametrize("name", [row.name for row in NETWORKS])
def test_every_network_has_its_row(site: Site, name: str) -> None:
    row = next(row for row in NETWORKS if row.name == name)
    page = site.page("models.html")
    assert row.licence in " ".join(page.rows[row.called])
    assert row.title[1:] in page.rows[row.called][1]
    assert all(weights.file in page.rows[f"source-{name}"][1] for weights in row.weights)
    assert set(row.source.split(", ")) <= {address for _, address in page.links}


def test_every_public_model_has_its_tensors(site: Site) -> None:
    rows = site.page("reference/protocol.html").rows
    ensembles = [each.name for each in (PROJECT / "model_repository").glob("rembg_*")]
    for model in {*protocol.PIPELINES, *ensembles}:
        text = (PROJECT / "model_repository" / model / "config.pbtxt").read_text(encoding="utf-8")
        for place, kind in ((2, "input"), (3, "output")):
            names = re.findall(rf'^{kind} {{\n  name: "(\w+)"', text, re.MULTILINE)
            shared = {name for name in names if not name.startswith("RESULT_")}
            assert shared == set(re.findall(r"\b[A-Z]+\b", rows[f"model-{model}"][place]))


def test_every_public_name_is_in_the_python_interface(site: Site) -> None:
    import sakuga

    page = site.page("reference/python-api.html")
    classes = {each.__name__ for each in (*error_classes(), SakugaError)}
    for name in set(sakuga.__all__) - classes:
        assert f"sakuga.{name}" in page.anchors
    assert all(name in page.text for name in classes)


@pytest.mark.parametrize(
    "file", sorted((PROJECT / "benchmarks/results").glob("*.md")), ids=lambda f: f.stem
)
def test_every_result_of_a_benchmark_has_its_page(site: Site, file: Path) -> None:
    title = re.search(r"^# (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    assert title
    assert title[1] in site.page(f"benchmarks/{file.stem}.html").text
    assert ("a", f"{file.stem}.html") in site.page("benchmarks/index.html").links


# The examples


@pytest.mark.parametrize("block", blocks("python", "py"), ids=str)
def test_programs_compile(block: Block) -> None:
    assert compile(block.text, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT).co_code


@pytest.mark.parametrize("block", blocks("sh", "bash", "shell", "console"), ids=str)
def test_commands_are_understood(block: Block) -> None:
    for words in commands(block, "sakuga"):
        understand(words)
    for words in commands(block, "make"):
        assert all(is_target(word) for word in words if "=" not in word), words


def understand(words: list[str]) -> None:
    """Fails where a command of `sakuga` has no such subcommand, option or value."""
    context = click.Context(main, info_name="sakuga")
    while True:
        command = context.command
        values, rest, _ = command.make_parser(context).parse_args(list(words))
        if values.get("help") or values.get("version"):
            return
        for parameter in command.params:
            check(parameter, values.get(str(parameter.name)), context, words)
        if not (isinstance(command, click.Group) and rest):
            assert not isinstance(command, click.Group) or command.invoke_without_command, words
            return
        found = command.get_command(context, rest[0])
        assert found, f"{words}: no command {rest[0]}"
        context, words = click.Context(found, parent=context, info_name=rest[0]), rest[1:]


def check(parameter: click.Parameter, value: Any, context: click.Context, words: list[str]) -> None:
    """Fails where a value is missing or isn't allowed; of files only the name is there."""
    given = isinstance(value, str | tuple | list | bool) and value
    assert given or not parameter.required, f"{words}: {parameter.name} is missing"
    if isinstance(parameter.type, click.File | click.Path):
        return
    for each in value if isinstance(value, list | tuple) else [value]:
        if isinstance(each, str):
            parameter.type.convert(each, parameter, context)


def is_target(name: str) -> bool:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    return re.search(rf"^{re.escape(name)}:", makefile, re.MULTILINE) is not None


def test_every_make_command_in_the_text_exists() -> None:
    from site_for_tests import SOURCES

    named = {
        (path.name, target)
        for path in SOURCES
        for target in re.findall(r"`make ([a-z][\w-]*)", path.read_text(encoding="utf-8"))
    }
    assert named
    assert [each for each in sorted(named) if not is_target(each[1])] == []


@pytest.mark.parametrize(
    "words",
    [
        ["upscal", "a.png"],
        ["upscale"],
        ["upscale", "a.png", "--sale", "2"],
        ["upscale", "a.png", "--scale", "x"],
    ],
    ids=" ".join,
)
def test_wrong_commands_are_noticed(words: list[str]) -> None:
    with pytest.raises((AssertionError, click.ClickException)):
        understand(words)
