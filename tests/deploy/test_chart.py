"""The chart: with all values files it renders what Kubernetes, Envoy and Prometheus take."""

import json
import math
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
import yaml

import pod_security
import tools
from charts import (
    CHART,
    CHECKERS,
    DEFAULTS,
    KUBERNETES,
    VALUES,
    component,
    containers,
    data,
    mounted,
    objects,
    passes,
    pods,
    refusal,
    rendered,
    run,
    server_pod,
)
from networks_for_tests import PROJECT
from sakuga import load_config
from sakuga_core.networks.registry import by_name
from sakuga_export import cli as sakuga_export
from sakuga_export.fetch import fetch
from sakuga_server.metrics import METRICS
from sakuga_server.runtime.embedded import EXIT_SECONDS, MARGIN_SECONDS
from sakuga_server.runtime.placement import servable

VIDEO = "realesr-animevideov3"
CUSTOM = ("PrometheusRule", "ScaledObject", "ServiceMonitor")  # whose schemas Kubernetes hasn't

each_values = pytest.mark.parametrize("values", VALUES, ids=lambda file: file.stem)
pytestmark = pytest.mark.usefixtures("helm")


@each_values
def test_helm_finds_nothing_to_report(helm: Path, values: Path) -> None:
    printed = passes(helm, "lint", "--strict", CHART, "--values", values)
    assert "1 chart(s) linted, 0 chart(s) failed" in printed


@each_values
def test_the_server_understands_its_configuration(values: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(data(values, "config.yaml"))
    server = load_config(tmp_path / "config.yaml").server
    (container,) = server_pod(values)["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    grpc = int(server.url.rpartition(":")[2])
    assert ports == {"grpc": grpc, "http": server.http_port, "metrics": server.metrics_port}
    startup = container["startupProbe"]
    assert server.start_timeout == startup["periodSeconds"] * startup["failureThreshold"]
    assert {str(server.repository), "/dev/shm", "/tmp"} <= set(mounted(container))
    assert server.tls.mutual == ("/tls" in mounted(container))


@each_values
def test_a_server_has_time_to_finish_its_pictures(values: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(data(values, "config.yaml"))
    pod = server_pod(values)
    (server,) = pod["containers"]
    stopping = load_config(tmp_path / "config.yaml").server.exit_timeout
    stopping += server["lifecycle"]["preStop"]["sleep"]["seconds"] + EXIT_SECONDS + MARGIN_SECONDS
    assert pod["terminationGracePeriodSeconds"] > stopping
    alive = server["livenessProbe"]
    assert alive["failureThreshold"] * alive["periodSeconds"] > stopping


@each_values
def test_pods_may_do_nothing_that_they_need_not(values: Path) -> None:
    for pod in pods(values).values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])


@each_values
def test_a_namespace_that_enforces_pod_securitys_restricted_takes_every_pod(values: Path) -> None:
    documents = [each for each in yaml.safe_load_all(rendered(values)) if each]
    templates = [
        each["spec"]["template"] for each in documents if "template" in each.get("spec", {})
    ]
    assert templates
    assert [rule for each in templates for rule in pod_security.violations(each["spec"])] == []


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"hostNetwork": True}, ["hostNetwork"]),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, ["hostPath"]),
        ({"securityContext": {"sysctls": [{"name": "kernel.shm_rmid_forced"}]}}, ["sysctls"]),
        (
            {"containers": [{"name": "c"}]},
            ["allowPrivilegeEscalation", "capabilities.drop"],
        ),
    ],
)
def test_what_breaks_a_rule_of_pod_security_is_found(
    changes: dict[str, object], rules: list[str]
) -> None:
    pod = pods(VALUES[0])["sakuga-servers"]
    assert list(pod_security.violations({**pod, **changes}))[: len(rules)] == rules


@each_values
def test_envoy_takes_its_configuration(values: Path, tmp_path: Path) -> None:
    text = data(values, "envoy.yaml")
    if "/tls/" in text:
        authority = trustme.CA()
        issued = authority.issue_cert("sakuga.example.org")
        authority.cert_pem.write_to_path(tmp_path / "ca.crt")
        issued.private_key_pem.write_to_path(tmp_path / "tls.key")
        issued.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    (tmp_path / "envoy.yaml").write_text(text.replace("/tls/", f"{tmp_path}/"))
    printed = passes(
        *(tools.needed("envoy"), "--mode", "validate", "-c", tmp_path / "envoy.yaml"),
        *("--log-level", "warn"),
    )
    assert "OK" in printed
    assert "deprecated" not in printed.lower()


def test_envoy_is_validated_in_the_version_that_is_deployed() -> None:
    assert DEFAULTS["envoy"]["image"]["tag"] == f"v{tools.TOOLS['envoy'].version}"


@each_values
def test_prometheus_takes_the_rules(values: Path, tmp_path: Path) -> None:
    promtool = tools.needed("promtool")
    assert "SUCCESS" in passes(promtool, "check", "rules", CHART / "files" / "rules.yaml")
    for rules in objects(values, "PrometheusRule"):
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules["spec"]))
        assert "SUCCESS" in passes(promtool, "check", "rules", tmp_path / "rules.yaml")


def test_alerts_fire_when_they_should_and_only_then() -> None:
    tests = KUBERNETES / "tests" / "alerts.yaml"
    assert "SUCCESS" in passes(tools.needed("promtool"), "test", "rules", tests)


def test_every_alert_is_explained() -> None:
    rules = yaml.safe_load((CHART / "files" / "rules.yaml").read_text(encoding="utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    documented = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    for alert in alerts:
        name = alert["alert"]
        assert f"\n### {name}\n" in documented
        assert alert["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"


def test_the_dashboard_asks_for_what_is_recorded() -> None:
    board = json.loads((CHART / "dashboards" / "sakuga.json").read_text(encoding="utf-8"))
    text = (CHART / "files" / "rules.yaml").read_text(encoding="utf-8")
    records = {r.get("record") for g in yaml.safe_load(text)["groups"] for r in g["rules"]}
    wanted = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    asked = {name for expression in wanted for name in re.findall(r"sakuga:[\w:]+", expression)}
    assert len(asked) > 10
    assert asked <= records


def test_rules_and_dashboard_use_what_servers_count() -> None:
    """All of it, and nothing else."""
    texts = [(CHART / file).read_text() for file in ("files/rules.yaml", "dashboards/sakuga.json")]
    used = {name for text in texts for name in re.findall(r"\bsakuga_(?!gateway)\w+", text)}
    counted = {name: metric for metric in METRICS for name in metric.samples}
    assert used <= counted.keys()
    assert {counted[name] for name in used} == set(METRICS)


def test_labels_in_rules_are_those_that_servers_count_by() -> None:
    text = (CHART / "files" / "rules.yaml").read_text()
    labels = {name: {*m.labels, "le"} for m in METRICS for name in m.samples}
    found = re.findall(r"\b(sakuga_(?!gateway)\w+)\{([^}]*)\}", text)
    assert found
    for name, selector in found:
        assert set(re.findall(r"(\w+)[=!]", selector)) <= labels[name]


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_not() -> None:
    rules = yaml.safe_load((CHART / "files" / "rules.yaml").read_text(encoding="utf-8"))
    alerts = {rule.get("alert") for group in rules["groups"] for rule in group["rules"]} - {None}
    tests = yaml.safe_load((KUBERNETES / "tests" / "alerts.yaml").read_text(encoding="utf-8"))
    cases = [case for test in tests["tests"] for case in test.get("alert_rule_test", [])]
    for fires in (True, False):
        assert {case["alertname"] for case in cases if bool(case["exp_alerts"]) == fires} == alerts


def test_the_metrics_of_servers_are_documented() -> None:
    text = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(sakuga_(?!gateway)\w+)` \| ([^|]*) \|", text, re.MULTILINE)
    documented = {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert documented == {metric.name: metric.labels for metric in METRICS}


def test_a_change_of_the_configuration_is_a_rollout() -> None:
    values = VALUES[0]
    before, after = pods(values), pods(values, "config.limits.queue_size=7")
    assert before["sakuga-servers"] != after["sakuga-servers"]
    assert before["sakuga-envoy"] == after["sakuga-envoy"]


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("gpus=1", "gpus"),
        ("replicas=-1", "replicas"),
        ("config.server.host=1.2.3.4", "host"),
        ("config.sever.timeout=3", "sever"),
        ("config.server.exit_timeout=0", "exit_timeout"),
        ("autoscaling.kind=vpa", "kind"),
        ("tls.mutual=true", "existingSecret"),
        ("export.networks={}", "networks"),
        ("shutdown.preStop=1", "preStop"),
        ("envoy.image.tag=a b", "tag"),
        ("persistence.accessModes={ReadOften}", "accessModes"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(
    helm: Path, setting: str, named: str
) -> None:
    assert named in refusal(helm, setting)


def test_nothing_could_ever_be_rolled_out_without_a_pod_more_or_less(helm: Path) -> None:
    both = "rollout.maxSurge=0,rollout.maxUnavailable=0"
    assert "rollout" in run(helm, "template", "sakuga", CHART, "--set", both).stderr


def test_a_queue_scales_the_servers() -> None:
    multi, hardened = KUBERNETES / "values" / "gpu-multi.yaml", VALUES[-1]
    (keda,) = objects(multi, "ScaledObject")
    scalers = objects(hardened, "HorizontalPodAutoscaler")
    (plain,) = [each for each in scalers if component(each) == "server"]
    for target in (keda["spec"]["scaleTargetRef"], plain["spec"]["scaleTargetRef"]):
        assert target["name"] == "sakuga-servers"
    # Whoever scales says how many there are.
    for values in (multi, hardened):
        servers = objects(values, "Deployment")
        (spec,) = [s["spec"] for s in servers if s["metadata"]["name"] == "sakuga-servers"]
        assert "replicas" not in spec
    query = keda["spec"]["triggers"][0]["metadata"]["query"]
    assert query == 'sakuga:queue_seconds:mean1m{namespace="pictures"}'


@pytest.mark.deploy
@each_values
def test_kubernetes_takes_every_object(values: Path, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(rendered(values))
    printed = passes(CHECKERS / "kubernetes-validate", "--strict", tmp_path / "all.yaml")
    warned = [line for line in printed.splitlines() if line.startswith("WARN")]
    assert [line for line in warned if not any(kind in line for kind in CUSTOM)] == []


@pytest.mark.deploy
@each_values
def test_checkov_finds_no_weakness(values: Path, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(rendered(values))
    how = ["--config-file", KUBERNETES / "checkov.yaml", "--file", tmp_path / "all.yaml"]
    assert "FAILED" not in passes(CHECKERS / "checkov", *how)


def test_liveness_outlasts_a_whole_shutdown_whatever_its_period() -> None:
    for period in (1, 7, 60):
        pod = pods(VALUES[0], f"probes.livenessPeriod={period}")["sakuga-servers"]
        failures = pod["containers"][0]["livenessProbe"]["failureThreshold"]
        assert failures == math.ceil(pod["terminationGracePeriodSeconds"] / period) + 2


def exporting(folder: Path, programs: Path) -> Callable[[], str]:
    """The export of one network as a pod does it, in a folder, with the `sakuga` among `programs`;
    gives what it says."""
    weights, models = folder / "weights", folder / "models"
    weights.mkdir()
    models.mkdir()
    (folder / "config.yaml").write_text(json.dumps({"server": {"repository": str(models)}}))
    *shell, script, name = server_pod(VALUES[0])["initContainers"][0]["command"]
    script = script.replace("/weights", str(weights)).replace("/models", str(models))
    path = f"{programs}:{os.environ['PATH']}"
    env = os.environ | {"SAKUGA_CONFIG": str(folder / "config.yaml"), "PATH": path}
    return lambda: passes(*shell, script, name, VIDEO, env=env, cwd=folder)


def assert_exports_once_and_again_what_is_damaged(export: Callable[[], str], models: Path) -> None:
    assert "exported" in export()
    assert "exported in" not in export()
    network = models / by_name(VIDEO).folder / "1" / "model.onnx"
    whole = network.read_bytes()
    network.write_bytes(whole[:1000])
    assert "exported in" in export()
    assert network.read_bytes() == whole


# Exports what isn't there, in no time, and keeps how it was called.
STAND_IN = f"""#!/bin/sh
echo "$*" >> ../calls
file={by_name(VIDEO).folder}/1/model.onnx
[ "$2" = --check ] || [ -f $file ] && exit
mkdir -p ${{file%/*}}
seq 1000 > $file
echo "exported in 0 s"
"""


def test_networks_are_exported_once_and_again_where_they_are_damaged(tmp_path: Path) -> None:
    (tmp_path / "sakuga").write_text(STAND_IN)
    (tmp_path / "sakuga").chmod(0o755)
    export = exporting(tmp_path, tmp_path)
    assert_exports_once_and_again_what_is_damaged(export, tmp_path / "models")
    calls = (tmp_path / "calls").read_text().splitlines()
    each = [f"export --weights {tmp_path / 'weights'} {VIDEO}", "export --check"]
    assert calls == each * 2
    for call in each:
        _, *arguments = call.split()
        assert sakuga_export.main.make_context("export", arguments)


@pytest.mark.full
def test_networks_are_exported_by_the_command_itself(tmp_path: Path) -> None:
    export = exporting(tmp_path, Path(sys.executable).parent)
    fetch(by_name(VIDEO).weights[0], tmp_path / "weights")
    assert_exports_once_and_again_what_is_damaged(export, tmp_path / "models")
    assert {"upscale", "networks", by_name(VIDEO).folder} <= set(servable(tmp_path / "models"))
