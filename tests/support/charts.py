"""The chart as helm renders it, with each of its values files."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

import tools
from networks_for_tests import PROJECT

KUBERNETES = PROJECT / "kubernetes"
CHART = KUBERNETES / "sakuga"
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
VALUES = [CHART / "values.yaml", *sorted(KUBERNETES.glob("values/*.yaml"))]
VALUES.append(KUBERNETES / "tests" / "hardened.yaml")
GATEWAYS = [file for file in VALUES[1:] if "\ngateway:" in file.read_text(encoding="utf-8")]
"""Values with a gateway."""
CHECKERS = PROJECT / ".venv-deploy" / "bin"


def run(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, **options
    )


def passes(*command: object, **options: Any) -> str:
    """What a program says that has to end well."""
    done = run(*command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@cache
def rendered(values: Path, *settings: str) -> str:
    wanted = [word for setting in settings for word in ("--set", setting)]
    command = ["template", "sakuga", CHART, "--namespace", "pictures", "--values", values, *wanted]
    done = run(tools.tool("helm"), *command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(values: Path, kind: str, *settings: str) -> list[dict[str, Any]]:
    documents = yaml.safe_load_all(rendered(values, *settings))
    return [document for document in documents if document and document["kind"] == kind]


def pods(values: Path, *settings: str) -> dict[str, Any]:
    """The pod of each Deployment, by name."""
    found = objects(values, "Deployment", *settings)
    return {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in found}


def component(document: dict[str, Any]) -> str:
    """Which part of the release an object belongs to: server, envoy or gateway."""
    return str(document["metadata"]["labels"]["app.kubernetes.io/component"])


def data(values: Path, key: str, *settings: str, of: str = "") -> str:
    """The file of that name in the ConfigMap that has it; by default, config.yaml is the
    servers'."""
    of = of or {"config.yaml": "server", "envoy.yaml": "envoy"}[key]
    maps = [each for each in objects(values, "ConfigMap", *settings) if component(each) == of]
    (text,) = [str(each["data"][key]) for each in maps if key in each["data"]]
    return text


def of_gateway(values: Path, kind: str, *settings: str) -> list[dict[str, Any]]:
    """The gateway's objects of a kind."""
    found = objects(values, kind, *settings)
    return [each for each in found if component(each) == "gateway"]


def the(values: Path, kind: str, *settings: str) -> dict[str, Any]:
    """The gateway's object of a kind, of which it has one."""
    (found,) = of_gateway(values, kind, *settings)
    return found


def gateway_pod(values: Path, *settings: str) -> dict[str, Any]:
    return pods(values, *settings)["sakuga-gateway"]


def containers(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from pod["containers"]
    yield from pod.get("initContainers", [])


def server_pod(values: Path, *settings: str) -> dict[str, Any]:
    """The pod of the servers, whose first container is the server."""
    (pod,) = [p for name, p in pods(values, *settings).items() if name.endswith("-servers")]
    return pod


def mounted(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a container mounts, by path."""
    return {mount["mountPath"]: mount for mount in container["volumeMounts"]}


def volume_of(pod: dict[str, Any], name: str) -> dict[str, Any]:
    (volume,) = [each for each in pod["volumes"] if each["name"] == name]
    return volume


def refusal(helm: Path, setting: str) -> str:
    """What helm says of a value that the chart refuses."""
    done = run(helm, "template", "sakuga", CHART, "--set", setting)
    assert done.returncode != 0
    return done.stderr
