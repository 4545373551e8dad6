"""Who reaches the gateway of the chart, and whom it reaches; what is measured of it."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from charts import CHART, GATEWAYS, KUBERNETES, component, data, objects, of_gateway, the
from sakuga import Config, load_config
from sakuga_gateway.access import Access
from sakuga_gateway.app import create_app
from sakuga_gateway.context import Context
from sakuga_gateway.metrics import Metrics

EXAMPLE = KUBERNETES / "values" / "gateway.yaml"
HARDENED = KUBERNETES / "tests" / "hardened.yaml"
INSIDE = {"/healthz", "/readyz", "/metrics"}  # routes for the cluster alone

each_gateway = pytest.mark.parametrize("values", GATEWAYS, ids=lambda file: file.stem)
pytestmark = pytest.mark.usefixtures("helm")


def selectors(rule: dict[str, Any]) -> list[dict[str, str]]:
    """Of the pods and namespaces that a rule of a NetworkPolicy names."""
    peers = rule.get("from", []) + rule.get("to", [])
    named = [next(iter(each.values())) for each in peers]
    return [each.get("matchLabels", each) for each in named]


def rules(policy: dict[str, Any], direction: str, port: Any) -> dict[str, Any]:
    found = [
        rule
        for rule in policy["spec"][direction]
        if any(each["port"] == port for each in rule["ports"])
    ]
    (rule,) = found
    return rule


@each_gateway
def test_the_gateway_reaches_envoy_even_where_few_may(values: Path) -> None:
    (envoy,) = [each for each in objects(values, "NetworkPolicy") if component(each) == "envoy"]
    labels = the(values, "Deployment")["spec"]["template"]["metadata"]["labels"]
    allowed = selectors(rules(envoy, "ingress", "grpc"))
    assert any(each and each.items() <= labels.items() for each in allowed)
    (there,) = selectors(rules(the(values, "NetworkPolicy"), "egress", "grpc"))
    assert there["app.kubernetes.io/component"] == "envoy"


@each_gateway
def test_the_gateway_is_reached_by_its_clients_and_reaches_what_it_needs(values: Path) -> None:
    policy = the(values, "NetworkPolicy")
    namespace = "kubernetes.io/metadata.name"
    callers = selectors(rules(policy, "ingress", "http"))
    assert {} in callers  # pods of its namespace
    assert {namespace: "monitoring"} in callers
    assert ({namespace: "ingress-nginx"} in callers) == bool(of_gateway(values, "Ingress"))
    ports = {each["port"] for rule in policy["spec"]["egress"] for each in rule["ports"]}
    database = set() if of_gateway(values, "PersistentVolumeClaim") else {5432}
    webhooks = {443} if "webhook_hosts" in values.read_text() else set()
    assert ports == {53, "grpc"} | webhooks | database


@pytest.mark.parametrize("values", [EXAMPLE, HARDENED], ids=lambda file: file.stem)
def test_the_ingress_lets_through_what_the_gateway_takes(values: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(data(values, "config.yaml", of="gateway"))
    config, ingress = load_config(tmp_path / "config.yaml"), the(values, "Ingress")
    found = ingress["metadata"]["annotations"]
    for name in ("nginx.ingress.kubernetes.io/proxy-body-size", "nginx.org/client-max-body-size"):
        assert int(found[name]) >= config.gateway.body_bytes
        assert int(found[name]) >= 1.4 * config.limits.input_bytes
    for name in ("nginx.ingress.kubernetes.io", "nginx.org"):
        assert int(found[f"{name}/proxy-read-timeout"].rstrip("s")) > config.server.timeout
    (rule,) = ingress["spec"]["rules"]
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    service = the(values, "Service")
    (port,) = [each["name"] for each in service["spec"]["ports"]]
    for path in rule["http"]["paths"]:
        backend = path["backend"]["service"]
        assert backend == {"name": service["metadata"]["name"], "port": {"name": port}}


def test_an_annotation_of_the_values_wins() -> None:
    name = r"nginx\.ingress\.kubernetes\.io/proxy-body-size"
    settings = (f"gateway.ingress.annotations.{name}=1m", "config.gateway.body_bytes=5")
    found = the(EXAMPLE, "Ingress", *settings)["metadata"]["annotations"]
    assert found[name.replace("\\", "")] == "1m"
    assert found["nginx.org/client-max-body-size"] == "5"


def paths(routes: Iterable[Any], before: str = "") -> Iterator[str]:
    """Those of routes, and of routers among them, documented or not."""
    for route in routes:
        if router := getattr(route, "original_router", None):
            yield from paths(router.routes, before + route.include_context.prefix)
        else:
            yield before + route.path


def test_callers_from_outside_reach_every_route_but_health_and_metrics() -> None:
    config = Config()
    parts: Any = (Metrics(lambda: 0), None, None)
    app = create_app(Context(config, Access(config), *parts))
    routes = set(paths(app.routes))
    assert routes > set(app.openapi()["paths"]) >= INSIDE
    (rule,) = the(EXAMPLE, "Ingress")["spec"]["rules"]
    outside = [each["path"] for each in rule["http"]["paths"]]
    reached = {path for path in routes if any(f"{path}/".startswith(f"{o}/") for o in outside)}
    assert routes - reached == INSIDE


def counted() -> set[str]:
    """Names of the metrics that a gateway has."""
    metrics = Metrics(lambda: 0)
    metrics.requests.labels("/", "GET", 200).inc()
    metrics.seconds.labels("/", "GET").observe(1)
    metrics.jobs.labels("queued").set(0)
    return set(re.findall(r"^(sakuga_gateway_\w+)", metrics.text().decode(), re.MULTILINE))


def test_rules_and_dashboard_use_what_the_gateway_exposes() -> None:
    texts = [(CHART / file).read_text() for file in ("files/rules.yaml", "dashboards/sakuga.json")]
    used = {name for text in texts for name in re.findall(r"sakuga_gateway_\w+", text)}
    assert len(used) >= 4
    assert used <= counted()


@pytest.mark.parametrize("values", [EXAMPLE, HARDENED], ids=lambda file: file.stem)
def test_prometheus_finds_the_gateway_by_the_name_that_rules_have(values: Path) -> None:
    monitor, service = the(values, "ServiceMonitor"), the(values, "Service")
    labels = monitor["spec"]["selector"]["matchLabels"]
    assert labels.items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["path"] == "/metrics"
    assert [each["name"] for each in service["spec"]["ports"]] == [endpoint["port"]]
    (job,) = [each["replacement"] for each in endpoint["relabelings"]]
    assert f'up{{job="{job}"}}' in (CHART / "files" / "rules.yaml").read_text()
    (rule,) = objects(values, "PrometheusRule")
    recorded = {each["record"]: each["expr"] for each in rule["spec"]["groups"][-1]["rules"]}
    assert recorded["sakuga:gateways_wanted"] == "vector(2)"


def test_the_autoscaler_asks_for_a_metric_that_there_is() -> None:
    _, pictures = the(HARDENED, "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert pictures["pods"]["metric"]["name"] in counted()
