"""The gateway in the chart: its configuration, where its jobs are, how it stops, and how many."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from charts import (
    CHART,
    DEFAULTS,
    GATEWAYS,
    KUBERNETES,
    VALUES,
    component,
    containers,
    data,
    gateway_pod,
    mounted,
    objects,
    of_gateway,
    pods,
    refusal,
    the,
    volume_of,
)
from sakuga import Config, load_config
from sakuga_core.config.gateway import Gateway
from sakuga_gateway.jobs.webhooks import SECRET
from sakuga_gateway.routes.about import READY_SECONDS

OFF = VALUES[0]
EXAMPLE, LAPTOP = (KUBERNETES / "values" / f"{name}.yaml" for name in ("gateway", "cpu-dev"))
HARDENED = KUBERNETES / "tests" / "hardened.yaml"
JOBS = "/var/lib/sakuga"  # in the image
KINDS = ("ConfigMap", "Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget", "Ingress")
STORE_SECONDS = 15  # that the store of jobs may take to be closed

each_gateway = pytest.mark.parametrize("values", GATEWAYS, ids=lambda file: file.stem)
pytestmark = pytest.mark.usefixtures("helm")


def configuration(values: Path, folder: Path) -> Config:
    """What the gateway reads from its ConfigMap."""
    (folder / "config.yaml").write_text(data(values, "config.yaml", of="gateway"))
    return load_config(folder / "config.yaml")


def environment(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod["containers"]
    return {each["name"]: each.get("value") or each["valueFrom"] for each in container["env"]}


def is_shared(values: Path, *settings: str) -> bool:
    """Whether its jobs are in a PostgreSQL."""
    named = the(values, "ConfigMap", *settings)["data"]["config.yaml"]
    return "SAKUGA_JOBS" in environment(gateway_pod(values, *settings)) or "postgresql:" in named


def test_examples_have_gateways_of_both_kinds_and_the_default_has_none() -> None:
    assert {is_shared(values) for values in GATEWAYS} == {True, False}
    assert not DEFAULTS["gateway"]["enabled"]
    for values in set(VALUES) - set(GATEWAYS):
        assert [each for kind in KINDS for each in of_gateway(values, kind)] == []


@each_gateway
def test_the_gateway_understands_its_configuration_and_finds_envoy(
    values: Path, tmp_path: Path
) -> None:
    config, pod = configuration(values, tmp_path), gateway_pod(values)
    (container,) = pod["containers"]
    (port,) = container["ports"]
    assert (config.gateway.host, config.gateway.port) == ("0.0.0.0", port["containerPort"])
    (envoy,) = [each for each in objects(values, "Service") if each["metadata"]["name"] == "sakuga"]
    assert config.server.url == f"sakuga.pictures.svc:{envoy['spec']['ports'][0]['port']}"
    assert component(envoy) == "envoy"
    assert config.server.timeout == DEFAULTS["config"]["server"]["timeout"]
    assert (config.server.tls.ca is not None) == ("/tls" in mounted(container))
    assert bool(config.gateway.keys) != ("--no-auth" in container["args"])
    assert environment(pod)["SAKUGA_CONFIG"] == "/etc/sakuga/config.yaml"
    (mount,) = [each["name"] for path, each in mounted(container).items() if path == "/etc/sakuga"]
    name = volume_of(pod, mount)["configMap"]["name"]
    assert name == the(values, "ConfigMap")["metadata"]["name"]


def test_a_new_key_restarts_gateways_and_no_server() -> None:
    keys = f"config.gateway.keys[0].name=bot,config.gateway.keys[0].sha256={'a' * 64}"
    before, after = pods(EXAMPLE), pods(EXAMPLE, keys)
    assert before["sakuga-gateway"] != after["sakuga-gateway"]
    assert before["sakuga-servers"] == after["sakuga-servers"]
    assert before["sakuga-envoy"] == after["sakuga-envoy"]


@each_gateway
def test_jobs_are_on_a_volume_or_in_a_database(values: Path) -> None:
    pod, deployment = gateway_pod(values), the(values, "Deployment")
    folder = Path(environment(pod)["XDG_DATA_HOME"], "sakuga")
    assert str(folder) == JOBS
    (container,) = pod["containers"]
    assert (JOBS in mounted(container)) != is_shared(values)
    claims = [each["metadata"]["name"] for each in of_gateway(values, "PersistentVolumeClaim")]
    if is_shared(values):
        assert claims == []
        assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"
    else:
        claim = volume_of(pod, mounted(container)[JOBS]["name"])["persistentVolumeClaim"]
        assert claims == [claim["claimName"]]
        # Two pods at once would be two gateways on one file, of which one never gets the volume.
        assert deployment["spec"]["strategy"] == {"type": "Recreate"}
        assert deployment["spec"]["replicas"] == 1


def test_the_volume_has_room_for_the_jobs() -> None:
    size = DEFAULTS["gateway"]["persistence"]["size"]
    assert int(size.removesuffix("Gi")) * 2**30 >= 1.5 * Gateway().job_bytes


@pytest.mark.parametrize("setting", ["gateway.replicas=2", "gateway.autoscaling.enabled=true"])
@pytest.mark.parametrize(
    "store", ["config.gateway.jobs=postgresql://a@b/c", "gateway.jobs.existingSecret=postgres"]
)
def test_several_gateways_need_a_database(helm: Path, setting: str, store: str) -> None:
    alone = f"gateway.enabled=true,gateway.noAuth=true,{setting}"
    for settings in (alone, f"{alone},gateway.jobs.existingSecret=postgres,gateway.jobs.key="):
        said = refusal(helm, settings)
        assert setting.partition("=")[0] in said
        assert "config.gateway.jobs" in said
        assert "gateway.jobs.existingSecret" in said
    assert is_shared(OFF, f"{alone},{store}")


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("gateway.enabled=true", "config.gateway.keys is empty"),
        ("gateway.ingress.enabled=true", "/gateway/ingress/host"),
        ("gateway.ingress.paths={v1}", "/gateway/ingress/paths"),
        ("gateway.shutdown.margin=5", "/gateway/shutdown/margin"),
        ("config.gateway.port=80", "port"),
        ("config.gateway.jobs=sqlite:///tmp/jobs", "/config/gateway/jobs"),
        ("config.gateway.jobs=postgresql://a:secret@b/c", "/config/gateway/jobs"),
        ("config.gateway.body_bytes=null", "body_bytes"),
        ("gateway.jobs.secret=a", "secret"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(helm: Path, setting: str, named: str) -> None:
    assert named in refusal(helm, setting)


def test_secrets_are_in_the_environment_and_in_no_configmap() -> None:
    pod = environment(gateway_pod(HARDENED))
    found = {name: value["secretKeyRef"] for name, value in pod.items() if isinstance(value, dict)}
    assert found == {
        "PGPASSWORD": {"name": "postgres", "key": "password"},
        SECRET: {"name": "webhooks", "key": "webhook-secret"},
    }
    pod = environment(gateway_pod(EXAMPLE))
    assert pod["SAKUGA_JOBS"] == {"secretKeyRef": {"name": "sakuga-jobs-app", "key": "uri"}}


@each_gateway
def test_requests_in_flight_have_their_time_when_a_gateway_stops(values: Path) -> None:
    for settings in ((), ("gateway.shutdown.preStop=90",), ("config.gateway.exit_timeout=300",)):
        exit_timeout = 300 if "300" in str(settings) else Gateway().exit_timeout
        pod = gateway_pod(values, *settings)
        (gateway,) = pod["containers"]
        stopping = gateway["lifecycle"]["preStop"]["sleep"]["seconds"] + exit_timeout
        grace = pod["terminationGracePeriodSeconds"]
        assert grace >= stopping + STORE_SECONDS
        alive = gateway["livenessProbe"]
        assert alive["failureThreshold"] * alive["periodSeconds"] > grace


@each_gateway
def test_probes_ask_what_they_are_for_and_wait_for_the_answer(values: Path) -> None:
    (gateway,) = gateway_pod(values)["containers"]
    paths = {name: each["httpGet"]["path"] for name, each in gateway.items() if "Probe" in name}
    assert paths == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert gateway["readinessProbe"]["timeoutSeconds"] > READY_SECONDS


@pytest.mark.parametrize("values", [EXAMPLE, HARDENED], ids=lambda file: file.stem)
def test_gateways_scale_by_cpu_and_if_wished_by_pictures(values: Path) -> None:
    scaler, deployment = the(values, "HorizontalPodAutoscaler"), the(values, "Deployment")
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]  # whoever scales says how many there are
    cpu, *others = scaler["spec"]["metrics"]
    assert cpu["resource"]["name"] == "cpu"
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert "cpu" in container["resources"]["requests"]  # of which it is a share
    wanted = {HARDENED: ["16"], EXAMPLE: []}[values]
    assert [each["pods"]["target"]["averageValue"] for each in others] == wanted


@each_gateway
def test_drains_leave_a_gateway(values: Path) -> None:
    budgets = of_gateway(values, "PodDisruptionBudget")
    wanted = yaml.safe_load(values.read_text()).get("podDisruptionBudget", {"enabled": True})
    assert [each["spec"]["maxUnavailable"] for each in budgets] == [1] * wanted["enabled"]


def test_only_the_gateways_image_is_needed_besides() -> None:
    images = {each["image"] for pod in pods(EXAMPLE).values() for each in containers(pod)}
    before = {each["image"] for pod in pods(OFF).values() for each in containers(pod)}
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert images - before == {f"sakuga/gateway:{version}"}
