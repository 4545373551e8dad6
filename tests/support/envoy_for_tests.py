"""The chart's own Envoy, in front of servers on this machine."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

import tools
from networks_for_tests import PROJECT
from sakuga_server.runtime.embedded import free_port

CHART = PROJECT / "kubernetes" / "sakuga"
ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Envoy:
    """One that runs."""

    port: int
    observed: int
    """Port of its administration."""

    @property
    def url(self) -> str:
        return f"localhost:{self.port}"

    @property
    def metrics(self) -> str:
        url = f"http://{ADDRESS}:{self.observed}/stats/prometheus"
        return str(urlopen(url).read().decode())


def config(values: Sequence[str] = ()) -> dict[str, Any]:
    """Envoy's, as the chart has it with these further arguments of helm's."""
    command = [tools.needed("helm"), "template", "sakuga", CHART, *values]
    rendered = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for document in yaml.safe_load_all(rendered):
        if document and "envoy.yaml" in document.get("data", {}):
            found: dict[str, Any] = yaml.safe_load(document["data"]["envoy.yaml"])
            return found
    raise AssertionError("the chart has no config of Envoy")


@contextmanager
def envoy(
    folder: Path, servers: Sequence[int], values: Sequence[str] = (), tls: str = "/tls"
) -> Iterator[Envoy]:
    """Envoy in front of servers with these ports; all else in its config stands as it is.

    Args:
        folder: of its files.
        servers: ports of gRPC.
        values: further arguments of helm's.
        tls: the folder that has what the chart's Secret has.
    """
    rendered, running = config(values), Envoy(free_port(), free_port())
    listeners = {each["name"]: each for each in rendered["static_resources"]["listeners"]}
    for name, port in (("grpc", running.port), ("observe", running.observed)):
        listeners[name]["address"] = address(port)
    clusters = {each["name"]: each for each in rendered["static_resources"]["clusters"]}
    del clusters["servers"]["cluster_type"]  # which asks DNS
    clusters["servers"]["type"] = "STATIC"
    endpoints = [{"endpoint": {"address": address(port)}} for port in servers]
    clusters["servers"]["load_assignment"]["endpoints"] = [{"lb_endpoints": endpoints}]
    rendered["admin"]["address"] = address(free_port())
    for each in clusters["administration"]["load_assignment"]["endpoints"]:
        each["lb_endpoints"] = [{"endpoint": {"address": rendered["admin"]["address"]}}]
    (folder / "envoy.yaml").write_text(yaml.safe_dump(rendered).replace("/tls/", f"{tls}/"))
    with (folder / "log").open("w") as log:
        how = ["--disable-hot-restart", "--log-level", "warn", "-c", folder / "envoy.yaml"]
        process = subprocess.Popen([tools.needed("envoy"), *how], stdout=log, stderr=log)
    try:
        wait_for(running, process, folder / "log")
        yield running
    finally:
        process.terminate()
        process.wait(60)


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": ADDRESS, "port_value": port}}


def wait_for(running: Envoy, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until its first checks of the servers' health."""
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        try:
            if urlopen(f"http://{ADDRESS}:{running.observed}/ready").status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())
