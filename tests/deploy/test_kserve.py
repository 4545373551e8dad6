"""KServe's sample: its fields are those of KServe 0.20, and its pod is the chart's."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import kserve_schema
import tools
from charts import CHECKERS, DEFAULTS, KUBERNETES, data, mounted, objects, passes, server_pod
from sakuga import load_config
from sakuga_core.config.schema import Config

FILES = sorted(KUBERNETES.glob("kserve/*.yaml"))
CHART_VALUES = KUBERNETES / "values" / "gpu.yaml"  # of which the sample is KServe's counterpart
ANY_NAME = ("annotations", "labels", "nodeSelector", "requests", "limits")  # any keys are allowed
OURS = "serving.kserve.io"
MODELS = "/mnt/models"  # where KServe mounts storageUri

Document = dict[str, Any]
Path_ = tuple[str | int, ...]


def documents() -> list[Document]:
    return [each for file in FILES for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def one(kind: str) -> Document:
    (found,) = [each for each in documents() if each["kind"] == kind]
    return found


def pod() -> Document:
    """The pod that KServe makes of both: the runtime's container and volumes, the predictor's other
    fields, and the model mounted."""
    runtime, predictor = one("ServingRuntime")["spec"], one("InferenceService")["spec"]["predictor"]
    of_kserve = ("model", "minReplicas", "deploymentStrategy")
    spec = {key: value for key, value in predictor.items() if key not in of_kserve}
    spec |= {key: copy.deepcopy(runtime[key]) for key in ("containers", "volumes")}
    claim, _, folder = predictor["model"]["storageUri"].removeprefix("pvc://").partition("/")
    source = {"name": "source", "mountPath": MODELS, "subPath": folder, "readOnly": True}
    spec["containers"][0]["volumeMounts"].append(source)
    spec["volumes"].append({"name": "source", "persistentVolumeClaim": {"claimName": claim}})
    return spec


def configuration(text: str, folder: Path) -> Config:
    (folder / "config.yaml").write_text(text)
    return load_config(folder / "config.yaml")


def keys(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Where a document has a field whose name KServe or Kubernetes chose."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            if key not in ANY_NAME:
                yield from keys(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from keys(inner, (*path, index))


def misspelt(document: Document, path: Path_) -> Document:
    changed = copy.deepcopy(document)
    inside: Any = changed
    for step in path[:-1]:
        inside = inside[step]
    inside[f"{path[-1]}s"] = inside.pop(path[-1])
    return changed


@pytest.fixture(scope="module")
def schema() -> None:
    tools.needed("kserve")
    if not CHECKERS.exists():
        pytest.fail("kubernetes-validate isn't installed: make check-deploy")


@pytest.mark.deploy
@pytest.mark.parametrize("kind", ["ServingRuntime", "InferenceService"])
def test_kserve_takes_its_objects(schema: None, kind: str) -> None:
    assert kserve_schema.errors(one(kind)) == []


@pytest.mark.deploy
@pytest.mark.parametrize("kind", ["ServingRuntime", "InferenceService"])
def test_a_misspelt_field_is_refused_wherever_it_is(schema: None, kind: str) -> None:
    document = one(kind)
    paths = [path for path in keys(document) if path not in {("apiVersion",), ("kind",)}]
    assert len(paths) > 20
    passed = [path for path in paths if not kserve_schema.errors(misspelt(document, path))]
    assert passed == []


@pytest.mark.deploy
@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("ServingRuntime", ("spec", "multiModel"), "no"),
        ("ServingRuntime", ("spec", "protocolVersions"), "grpc-v2"),
        ("ServingRuntime", ("spec", "containers", 0, "ports", 0, "containerPort"), "grpc"),
        ("InferenceService", ("spec", "predictor", "minReplicas"), "one"),
        ("InferenceService", ("spec", "predictor", "model", "modelFormat"), "sakuga"),
    ],
)
def test_a_value_of_another_type_is_refused(
    schema: None, kind: str, path: Path_, value: object
) -> None:
    document = one(kind)
    inside: Any = document
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    assert [tuple(error.absolute_path) for error in kserve_schema.errors(document)] == [path]


@pytest.mark.deploy
def test_kubernetes_takes_the_pod_and_what_is_beside_it(tmp_path: Path) -> None:
    labels = {"serving.kserve.io/inferenceservice": one("InferenceService")["metadata"]["name"]}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sakuga", "labels": labels}}
    made["spec"] = pod()
    everything = [made, *(each for each in documents() if OURS not in each["apiVersion"])]
    for each in everything:
        each["metadata"]["namespace"] = "pictures"  # who applies a sample chooses one
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(everything))
    printed = passes(CHECKERS / "kubernetes-validate", "--strict", tmp_path / "all.yaml")
    assert "WARN" not in printed
    how = ["--config-file", KUBERNETES / "checkov.yaml", "--file", tmp_path / "all.yaml"]
    assert "FAILED" not in passes(CHECKERS / "checkov", *how)


def test_the_service_names_its_runtime_in_what_the_runtime_supports() -> None:
    runtime, model = one("ServingRuntime"), one("InferenceService")["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    formats = [each["name"] for each in runtime["spec"]["supportedModelFormats"]]
    assert model["modelFormat"]["name"] in formats
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]


def test_the_service_is_grpc() -> None:
    """KServe makes the first port the Service's, and takes HTTP/2 from a name with grpc in it."""
    first = pod()["containers"][0]["ports"][0]
    config = yaml.safe_load(one("ConfigMap")["data"]["config.yaml"])
    assert "grpc" in first["name"]
    assert config["server"]["url"] == f"localhost:{first['containerPort']}"


def test_kserve_adds_no_arguments_of_tritonserver() -> None:
    runtime = one("ServingRuntime")
    assert runtime["metadata"]["name"] != "kserve-tritonserver"
    assert "serving.kserve.io/server-type" not in runtime["metadata"].get("annotations", {})
    (container,) = runtime["spec"]["containers"]
    assert container["name"] == "kserve-container"  # by this name KServe finds it


def test_the_configuration_is_the_charts(helm: Path, tmp_path: Path) -> None:
    ours = configuration(one("ConfigMap")["data"]["config.yaml"], tmp_path)
    charts = configuration(data(CHART_VALUES, "config.yaml"), tmp_path)
    assert ours.server.repository == Path(MODELS)
    ours.server.repository = charts.server.repository
    assert ours.model_dump() == charts.model_dump()


def test_the_container_is_the_charts(helm: Path) -> None:
    (ours,), (charts,) = pod()["containers"], server_pod(CHART_VALUES)["containers"]
    # The administration key comes from the chart's Secret; without one, the server makes one up.
    charts["env"] = [each for each in charts["env"] if each["name"] != "SAKUGA_ADMIN_KEY"]
    same = set(charts) - {"name", "ports", "volumeMounts"}
    assert {key: ours[key] for key in same} == {key: charts[key] for key in same}
    assert {p["name"]: p["containerPort"] for p in ours["ports"]} == {
        port["name"]: port["containerPort"] for port in charts["ports"]
    }
    moved = {MODELS if path == "/models" else path for path in mounted(charts)}
    assert set(mounted(ours)) == moved


def test_the_pod_is_the_charts(helm: Path) -> None:
    ours, charts = pod(), server_pod(CHART_VALUES)
    same = set(charts) - {"containers", "initContainers", "volumes", "serviceAccountName"}
    assert {key: ours.get(key) for key in same} == {key: charts[key] for key in same}
    for name in ("shm", "tmp"):
        (one_of_ours,) = [each for each in ours["volumes"] if each["name"] == name]
        assert one_of_ours in charts["volumes"]
    (deployment,) = [
        each
        for each in objects(CHART_VALUES, "Deployment")
        if each["metadata"]["name"] == "sakuga-servers"
    ]
    predictor = one("InferenceService")["spec"]["predictor"]
    assert predictor["deploymentStrategy"] == deployment["spec"]["strategy"]
    assert predictor["minReplicas"] == deployment["spec"]["replicas"]


def test_what_the_pod_mounts_is_beside_it() -> None:
    made = {(each["kind"], each["metadata"]["name"]) for each in documents()}
    for volume in pod()["volumes"]:
        if claim := volume.get("persistentVolumeClaim"):
            assert ("PersistentVolumeClaim", claim["claimName"]) in made
        if config := volume.get("configMap"):
            assert ("ConfigMap", config["name"]) in made


def test_the_job_exports_into_what_the_service_serves(helm: Path) -> None:
    job = one("Job")["spec"]["template"]["spec"]
    (ours,), (charts,) = job["containers"], server_pod(CHART_VALUES)["initContainers"]
    for key in ("image", "env", "resources", "securityContext"):
        assert ours[key] == charts[key]
    assert ours["args"] == DEFAULTS["export"]["networks"]
    assert job["securityContext"] == pod()["securityContext"]
    volumes = {volume["name"]: volume for volume in job["volumes"]}
    mount = mounted(ours)[MODELS]
    claim = volumes[mount["name"]]["persistentVolumeClaim"]["claimName"]
    uri = one("InferenceService")["spec"]["predictor"]["model"]["storageUri"]
    assert uri == f"pvc://{claim}/{mount['subPath']}"
