"""The pod security standard "restricted".

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/ (as of Kubernetes 1.34), the
controls relevant to the pods of this project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LABEL = "pod-security.kubernetes.io/enforce"
_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
    "projected", "secret",
}  # fmt: skip


def violations(spec: Mapping[str, Any]) -> Iterator[str]:
    """The violations in the spec of a pod."""
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield f"host namespaces ({name}=true)"
    for volume in spec.get("volumes") or ():
        if kinds := set(volume) - {"name"} - _VOLUMES:
            yield f"restricted volume types (volume {volume['name']!r} uses {', '.join(sorted(kinds))})"
    pod = spec.get("securityContext") or {}
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        yield from (f"{what} (container {container['name']!r})" for what in _of_container(container, pod))


def _of_container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    own = container.get("securityContext") or {}
    capabilities = own.get("capabilities") or {}
    profile = own.get("seccompProfile") or pod.get("seccompProfile") or {}
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation != false"
    if "ALL" not in (capabilities.get("drop") or ()) or set(capabilities.get("add") or ()) - {
        "NET_BIND_SERVICE"
    }:
        yield "unrestricted capabilities"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot != true"
    if own.get("runAsUser", pod.get("runAsUser")) == 0:
        yield "runAsUser=0"
    if profile.get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
