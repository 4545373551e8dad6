"""One version: of every distribution, of what they ask of each other, and of all that names it."""

import re
import shutil
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from networks_for_tests import PROJECT

PYPROJECTS = sorted(PROJECT.glob("*/pyproject.toml"))
# What `make version` reads and writes.
NAMED = ("docker", "kubernetes", "release", "CHANGELOG.md", "CITATION.cff", "LICENSE", "NOTICE")
# Of Keep a Changelog 1.1.0.
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def project(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    return found


ROWS = {project(file)["name"]: project(file) for file in PYPROJECTS}
VERSION = ROWS["sakuga"]["version"]


def headings(text: str) -> list[tuple[str, str]]:
    """The changelog's versions and their days."""
    return re.findall(r"^## \[?([^\]\n]*?)\]?(?: - (.*))?$", text, re.MULTILINE)


def asked(row: dict[str, Any]) -> list[Requirement]:
    """What a distribution asks for, with and without its extras."""
    lists = [row["dependencies"], *row.get("optional-dependencies", {}).values()]
    return [Requirement(each) for every in lists for each in every]


def test_there_are_five_distributions_of_one_version() -> None:
    names = {"sakuga", "sakuga-core", "sakuga-server", "sakuga-export", "sakuga-gateway"}
    assert {name: row["version"] for name, row in ROWS.items()} == dict.fromkeys(names, VERSION)


@pytest.mark.parametrize("name", ROWS)
def test_each_asks_for_its_siblings_in_this_very_version(name: str) -> None:
    siblings = [each for each in asked(ROWS[name]) if each.name in {*ROWS} - {name}]
    assert [each for each in siblings if str(each.specifier) != f"=={VERSION}"] == []
    assert bool(siblings) == (name != "sakuga-core")


@pytest.mark.parametrize(
    ("extra", "wanted"),
    [
        ("serve", {"sakuga-server[embedded]"}),
        ("export", {"sakuga-export"}),
        ("web", {"sakuga-gateway"}),
        ("all", {"sakuga[export,serve,urls,web]", "sakuga-server[formats]"}),
    ],
)
def test_extras_of_the_client_bring_the_other_rooms(extra: str, wanted: set[str]) -> None:
    found = map(Requirement, ROWS["sakuga"]["optional-dependencies"][extra])
    names = {f"{each.name}[{','.join(sorted(each.extras))}]".removesuffix("[]") for each in found}
    assert names == wanted


def test_the_command_says_the_version() -> None:
    command = Path(sys.executable).with_name("sakuga")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == VERSION


def test_citation_chart_and_changelog_name_the_version() -> None:
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    chart = yaml.safe_load((PROJECT / "kubernetes/sakuga/Chart.yaml").read_text(encoding="utf-8"))
    newest = headings((PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"))[1]
    assert citation["version"] == chart["version"] == chart["appVersion"] == newest[0] == VERSION
    assert str(citation["date-released"]) == newest[1]


def test_the_changelog_keeps_its_form() -> None:
    text = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    (first, no_day), *versions = headings(text)
    assert (first, no_day) == ("Unreleased", "")
    days = [date.fromisoformat(day) for _, day in versions]
    assert days == sorted(days, reverse=True)
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.*)$", section, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds]


@pytest.mark.parametrize(
    "link",
    re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (PROJECT / "CHANGELOG.md").read_text("utf-8")),
)
def test_every_link_of_the_changelog_leads_somewhere(link: str) -> None:
    assert (PROJECT / link).exists()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the project, as far as versions go."""
    for name in NAMED:
        if (source := PROJECT / name).is_dir():
            shutil.copytree(source, tmp_path / name)
        else:
            shutil.copy(source, tmp_path)
    for file in PYPROJECTS:
        (tmp_path / file.parent.name).mkdir()
        shutil.copy(file, tmp_path / file.parent.name)
    return tmp_path


def set_version(folder: Path, version: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "release/version.py", version]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def texts(folder: Path) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.suffix != ".pyc" and file.is_file()]
    return {str(file.relative_to(folder)): file.read_text(encoding="utf-8") for file in files}


def changelog(folder: Path, unreleased: str) -> None:
    """Gives the copy a changelog of which nothing but `unreleased` is new."""
    file = folder / "CHANGELOG.md"
    text = file.read_text(encoding="utf-8")
    newest = text.index(f"## [{VERSION}]")
    file.write_text(f"# Changelog\n\n## [Unreleased]\n\n{unreleased}{text[newest:]}", "utf-8")


def test_one_command_sets_the_version_everywhere(copy: Path) -> None:
    changelog(copy, "### Added\n\n- Something.\n\n")
    before = texts(copy)
    done = set_version(copy, "9.8.7")
    assert done.returncode == 0, done.stderr
    after = texts(copy)
    history = after.pop("CHANGELOG.md")
    assert re.search(r"## \[Unreleased\]\n\n## \[9.8.7\] - \d{4}-\d\d-\d\d\n\n### Added", history)
    # Nowhere else is anything of the old version: but of others' packages of the same number.
    changed = {name for name in after if after[name] != before[name]}
    assert {file.relative_to(PROJECT).as_posix() for file in PYPROJECTS} <= changed
    left = [name for name in changed if re.search(rf"sakuga\S*[=:]{VERSION}", after[name])]
    assert left == []
    for name in before.keys() - {"CHANGELOG.md"}:
        ours = re.findall(rf"sakuga\S*[=:]+{re.escape(VERSION)}", before[name])
        assert bool(ours) <= (name in changed), name


def test_what_is_set_again_stays_as_it_is(copy: Path) -> None:
    before = texts(copy)
    assert set_version(copy, VERSION).stdout == f"{VERSION}\n"
    assert texts(copy) == before


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "1.0.0rc1", "1.0.0\n"])
def test_what_is_no_version_changes_nothing(copy: Path, version: str) -> None:
    before = texts(copy)
    done = set_version(copy, version)
    assert done.returncode == 1
    assert "allowed: three numbers" in done.stderr
    assert texts(copy) == before


def test_there_is_no_version_without_a_change(copy: Path) -> None:
    changelog(copy, "")
    before = texts(copy)
    assert "nothing under [Unreleased]" in set_version(copy, "9.8.7").stderr
    assert texts(copy) == before


@pytest.mark.parametrize("file", PYPROJECTS, ids=lambda file: file.parent.name)
@pytest.mark.parametrize("name", ["LICENSE", "NOTICE"])
def test_every_distribution_carries_licence_and_notices(file: Path, name: str) -> None:
    assert name in project(file)["license-files"]
    assert (file.parent / name).read_bytes() == (PROJECT / name).read_bytes()


def test_what_the_page_carries_of_others_is_in_the_notices() -> None:
    vendor = PROJECT / "gateway/src/sakuga_gateway/web/vendor"
    rows = re.findall(
        r"^\| `([^`]+)` \| ([\w-]+ [\d.]+).* \| ([\w-]+), `([^`]+)` \|$",
        (vendor / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert {file for file, *_ in rows} == {file.name for file in vendor.glob("*.js")}
    notices = (PROJECT / "NOTICE").read_text(encoding="utf-8")
    for file, package, licence, text in rows:
        assert all(each in notices for each in (file, package, licence, text))
        assert (vendor / text).exists()
        assert licence in ROWS["sakuga-gateway"]["license"].split(" AND ")
