"""The chart on GPUs: what pods ask for, and where TensorRT's engines stay."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from charts import (
    DEFAULTS,
    VALUES,
    component,
    data,
    mounted,
    objects,
    refusal,
    server_pod,
    volume_of,
)
from sakuga import load_config
from sakuga_core.config.server import Server

CACHE = "/var/cache/sakuga/tensorrt"
GPU = VALUES[0]

each_values = pytest.mark.parametrize("values", VALUES, ids=lambda file: file.stem)
pytestmark = pytest.mark.usefixtures("helm")


def wanted(values: Path, name: str) -> Any:
    """A value in effect, or a block of them."""
    own = yaml.safe_load(values.read_text(encoding="utf-8")) or {}
    if isinstance(DEFAULTS[name], dict):
        return DEFAULTS[name] | own.get(name, {})
    return own.get(name, DEFAULTS[name])


def server_settings(values: Path, folder: Path, *settings: str) -> Server:
    """The server's settings, as it reads them from its ConfigMap."""
    (folder / "config.yaml").write_text(data(values, "config.yaml", *settings))
    return load_config(folder / "config.yaml").server


@each_values
def test_a_server_has_one_gpu_or_none_and_shared_memory(values: Path) -> None:
    pod, resource = server_pod(values), wanted(values, "gpu")["resource"]
    for kind in ("requests", "limits"):
        amounts = pod["containers"][0]["resources"][kind]
        gpus = {name: count for name, count in amounts.items() if "/" in name}
        assert gpus == ({resource: 1} if resource else {})
    assert volume_of(pod, "shm")["emptyDir"]["medium"] == "Memory"


@each_values
def test_engines_stay_on_a_volume_where_the_server_looks_for_them(
    values: Path, tmp_path: Path
) -> None:
    cache = server_settings(values, tmp_path).engine_cache
    pod, on_gpu = server_pod(values), bool(wanted(values, "gpu")["resource"])
    found = mounted(pod["containers"][0])
    assert (cache is not None) == (CACHE in found) == on_gpu
    if cache is not None:
        mount = found[str(cache)]
        assert not mount.get("readOnly")
        volume = volume_of(pod, mount["name"])
        kept = wanted(values, "engineCache")["enabled"]
        assert ("persistentVolumeClaim" in volume, "emptyDir" in volume) == (kept, not kept)


@each_values
def test_every_claim_exists_or_was_named(values: Path) -> None:
    volumes = [each for each in server_pod(values)["volumes"] if "persistentVolumeClaim" in each]
    claimed = {each["persistentVolumeClaim"]["claimName"] for each in volumes}
    claims = objects(values, "PersistentVolumeClaim")
    made = {each["metadata"]["name"] for each in claims if component(each) == "server"}
    blocks = [wanted(values, block) for block in ("persistence", "engineCache")]
    named = {block["existingClaim"] for block in blocks if block["enabled"]} - {""}
    assert claimed == made | named


def test_engines_may_be_on_a_volume_that_is_there() -> None:
    settings = ("engineCache.enabled=true", "engineCache.existingClaim=fast")
    volume = volume_of(server_pod(GPU, *settings), "engines")
    assert volume["persistentVolumeClaim"] == {"claimName": "fast"}
    made = [each["metadata"]["name"] for each in objects(GPU, "PersistentVolumeClaim", *settings)]
    assert made == ["sakuga"]


def test_engines_of_slices_and_of_whole_gpus_are_apart() -> None:
    """TensorRT names them by the architecture, which all slices of a GPU have in common."""
    resources = ["nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "nvidia.com/mig-3g.40gb"]
    pods = [server_pod(GPU, f"gpu.resource={resource}") for resource in resources]
    folders = {mounted(pod["containers"][0])[CACHE]["subPath"] for pod in pods}
    assert len(folders) == len(resources)


@each_values
def test_servers_on_several_nodes_share_volumes_that_can_be_shared(values: Path) -> None:
    scaling = wanted(values, "autoscaling")
    most = scaling["maxReplicas"] if scaling["kind"] != "none" else wanted(values, "replicas")
    if most > 1 and wanted(values, "topologySpread")["enabled"]:
        claims = objects(values, "PersistentVolumeClaim")
        assert {mode for claim in claims for mode in claim["spec"]["accessModes"]} <= {
            "ReadWriteMany"
        }


@each_values
def test_a_rollout_is_not_given_up_while_engines_are_built(values: Path, tmp_path: Path) -> None:
    server = server_settings(values, tmp_path)
    for deployment in objects(values, "Deployment"):
        if deployment["metadata"]["name"].endswith("-servers"):
            assert deployment["spec"]["progressDeadlineSeconds"] > server.start_timeout


def test_the_time_for_engines_is_a_value(tmp_path: Path) -> None:
    setting = "probes.startTimeout=4000"
    probe = server_pod(GPU, setting)["containers"][0]["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] == 4000
    assert server_settings(GPU, tmp_path, setting).start_timeout == 4000


@pytest.mark.parametrize(
    "resource",
    [
        "nvidia.com/gpu",
        "nvidia.com/gpu.shared",
        "nvidia.com/mig-1g.10gb",
        "nvidia.com/mig-1g.10gb.me",
        "nvidia.com/mig-3g.40gb.shared",
        "example.com/gpu",
    ],
)
def test_a_gpu_has_the_name_that_its_device_plugin_gives_it(resource: str) -> None:
    limits = server_pod(GPU, f"gpu.resource={resource}")["containers"][0]["resources"]["limits"]
    assert limits[resource] == 1


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("gpu.resource=gpu", "/gpu/resource"),
        ("gpu.resource=nvidia.com/gpus", "/gpu/resource"),
        ("gpu.resource=nvidia.com/mig-3g40gb", "/gpu/resource"),
        ("gpu.resource=nvidia.com/mig-3.40gb", "/gpu/resource"),
        ("gpu.count=0", "/gpu/count"),
        ("gpu.resource=nvidia.com/mig-3g.40gb,gpu.count=2", "/gpu/count"),
        ("gpu.resource=,engineCache.enabled=true", "/engineCache/enabled"),
        ("engineCache.path=/tmp", "engineCache"),
        ("engineCache.accessModes={ReadOften}", "/engineCache/accessModes"),
        ("engineCache.size=much", "/engineCache/size"),
        ("config.server.engine_cache=/tmp", "engine_cache"),
    ],
)
def test_gpus_that_no_pod_would_get_are_refused_by_name(
    helm: Path, setting: str, named: str
) -> None:
    assert named in refusal(helm, setting)
