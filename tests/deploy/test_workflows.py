"""The workflows of GitHub: they call make, by targets that there are, and may do little."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from networks_for_tests import PROJECT

FILES = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((PROJECT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))  # config.yml is none
READ = {"contents": "read"}
# What a job may do beyond reading: nothing, unless it stands here.
MAY = {
    ("docs", "publish"): {"pages": "write", "id-token": "write"},
    ("release", "pypi"): {"id-token": "write"},
    ("release", "github"): {"contents": "write"},
    ("release", "images"): {"contents": "read", "packages": "write"},
}
TARGETS = set(
    re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
)


def workflow(file: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


JOBS = {(file.stem, name): job for file in FILES for name, job in workflow(file)["jobs"].items()}
RUNS = [
    (*key, line)
    for key, job in JOBS.items()
    for step in job["steps"]
    for line in step.get("run", "").splitlines()
]
USES = sorted({step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step})


def events(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = workflow(file)[True]  # YAML 1.1 takes `on` for true
    return found


def test_there_is_a_workflow_for_each_purpose() -> None:
    assert [file.stem for file in FILES] == ["checks", "docs", "image", "release"]
    calls = {(name, line.split()[1]) for name, _, line in RUNS}
    assert calls >= {("checks", "check"), ("checks", "test"), ("docs", "docs"), ("image", "images")}
    assert calls >= {("release", target) for target in ("dist", "test", "images", "push")}


@pytest.mark.parametrize(("name", "job", "line"), RUNS)
def test_every_command_is_a_target_of_make(name: str, job: str, line: str) -> None:
    found = re.fullmatch(r'make ([a-z-]+)(?: [A-Z]+=(?:[\w.]+|"[^"]*"))*(?: #.*)?', line.strip())
    assert found, line
    assert found[1] in TARGETS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_workflows_read_and_no_more(file: Path) -> None:
    assert workflow(file)["permissions"] == READ


@pytest.mark.parametrize("key", JOBS, ids="-".join)
def test_jobs_may_do_what_they_are_for_and_end(key: tuple[str, str]) -> None:
    job = JOBS[key]
    assert job.get("permissions", READ) == MAY.get(key, READ)
    assert 0 < job["timeout-minutes"] <= 120
    checkouts = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("action", USES)
def test_actions_are_pinned_by_the_tag_of_a_version(action: str) -> None:
    assert re.fullmatch(r"(actions|docker|pypa)/[\w-]+@v\d+(\.\d+)*", action)


def test_nothing_that_strangers_write_becomes_a_command() -> None:
    assert [line for *_, line in RUNS if "${{" in line] == []
    # The secrets of the repository are never given to a pull request's code.
    assert [file.stem for file in FILES if "pull_request_target" in events(file)] == []


def test_only_a_tag_releases_and_only_what_was_tested() -> None:
    (file,) = (file for file in FILES if file.stem == "release")
    assert events(file) == {"push": {"tags": ["v*"]}}
    jobs = workflow(file)["jobs"]
    assert set(jobs["pypi"]["needs"]) == set(jobs["images"]["needs"]) == {"dist", "test"}
    assert jobs["github"]["needs"] == "pypi"
    assert jobs["pypi"]["environment"] == "pypi"
    # As GitHub's name of a tag begins with a v, and the version doesn't.
    notes = [line for _, job, line in RUNS if job == "dist" and "make notes" in line]
    assert len(notes) == 1
    assert "${GITHUB_REF_NAME#v}" in notes[0]


@pytest.mark.parametrize("form", FORMS, ids=lambda file: file.stem)
def test_forms_of_issues_have_what_github_asks_for(form: Path) -> None:
    found = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= found.keys()
    fields = [each for each in found["body"] if each["type"] != "markdown"]
    assert len({each["id"] for each in fields}) == len(fields) > 0
    assert all(each["attributes"]["label"] for each in fields)


def test_every_hook_before_a_commit_is_one_of_make_check() -> None:
    config = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    others, local = config["repos"]
    assert re.fullmatch(r"v\d+\.\d+\.\d+", others["rev"])
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\ncheck:")[2].partition("\n\n")[0].replace("$(BIN)", ".venv/bin")
    for hook in local["hooks"]:
        entry = hook["entry"].replace(" --force-exclude", "")
        assert f"{entry}\n" in recipe.replace(" .\n", "\n"), hook["id"]
