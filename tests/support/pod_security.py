"""Kubernetes' Pod Security Standard `restricted`, which a namespace may enforce.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterator
from typing import Any

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"}
VOLUMES |= {"projected", "secret"}
SECCOMP = ("RuntimeDefault", "Localhost")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def violations(pod: dict[str, Any]) -> Iterator[str]:
    """The rules that a pod's spec breaks."""
    of_pod = pod.get("securityContext", {})
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    yield from ("sysctls" for _ in of_pod.get("sysctls", []))
    for volume in pod.get("volumes", []):
        yield from sorted(volume.keys() - {"name"} - VOLUMES)
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in pod.get(kind, []):
            yield from _of_container(container, of_pod)


def _of_container(container: dict[str, Any], of_pod: dict[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    either = {**of_pod, **own}
    rules = {
        "privileged": not own.get("privileged"),
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
        "capabilities.drop": "ALL" in own.get("capabilities", {}).get("drop", []),
        "capabilities.add": {*own.get("capabilities", {}).get("add", [])} <= {"NET_BIND_SERVICE"},
        "procMount": own.get("procMount", "Default") == "Default",
        "runAsNonRoot": either.get("runAsNonRoot") is True,
        "runAsUser": either.get("runAsUser") != 0,
        "seccompProfile": either.get("seccompProfile", {}).get("type") in SECCOMP,
        "seLinuxOptions": not {"user", "role"} & either.get("seLinuxOptions", {}).keys(),
        "windowsOptions": not either.get("windowsOptions", {}).get("hostProcess"),
        "hostPort": not any(port.get("hostPort") for port in container.get("ports", [])),
        "probe": not any(
            container.get(probe, {}).get("httpGet", {}).get("host") for probe in PROBES
        ),
    }
    yield from (rule for rule, is_kept in rules.items() if not is_kept)
