"""The mutating admission webhook that injects sidecars: pure functions from review to review.

The sidecar is an init container that restarts always (Kubernetes 1.29 or later): it starts before the
application, stops after it, and does not keep the pod of a Job from completing. The kubelet's network probes
of the application have no identity, so they fail under access control; exec probes work.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from smi_reference_mesh import names
from smi_reference_mesh.kube.objects import Object, annotations_of, labels_of
from smi_reference_mesh.membership import udp_ports_of
from smi_reference_mesh.sidecar.own_traffic import VARIABLE, OwnTraffic
from smi_reference_mesh.sidecar.startup_gate import wait_command

INIT = "smi-init"
SIDECAR = "smi-sidecar"
_STATE_VOLUME = "smi-reference"
_TOKEN_VOLUME = "smi-reference-token"  # noqa: S105 - the name of a volume
_TOKEN_LIFETIME_S = 3600
# A sidecar carries all traffic of its application. With a smaller request than the application's, other pods
# of the node take precedence and responses are late; with this one, the workloads of a run still fit two
# processors.
_SIDECAR_CPU = "20m"

Patch = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SidecarTemplate:
    """The settings that all sidecars have in common."""

    image: str
    trust_bundle: str
    pull_policy: str = "IfNotPresent"
    own_traffic: OwnTraffic = "uid"


def is_wanted(pod: Object) -> bool:
    """Whether a pod of a meshed namespace gets a sidecar.

    Pods in the host's network get none, since their redirection would redirect the whole node.
    """
    if annotations_of(pod).get(names.STATUS_ANNOTATION) == names.INJECTED:
        return False
    if labels_of(pod).get(names.INJECT_LABEL) == "disabled":
        return False
    return not pod.get("spec", {}).get("hostNetwork", False)


def patch(pod: Object, sidecar: SidecarTemplate) -> Patch:
    """The JSON patch (RFC 6902) that adds the sidecar to a pod; empty for a pod without one."""
    if not is_wanted(pod):
        return []
    spec = pod.get("spec", {})
    metadata = pod.get("metadata", {})
    init_containers = [_init(sidecar, udp_ports_of(pod)), _sidecar(sidecar), *spec.get("initContainers", ())]
    volumes = [*spec.get("volumes", ()), *_volumes()]
    annotations = {**(metadata.get("annotations") or {}), names.STATUS_ANNOTATION: names.INJECTED}
    return [
        {"op": "add", "path": "/spec/initContainers", "value": init_containers},
        {"op": "add", "path": "/spec/volumes", "value": volumes},
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
    ]


def review(document: Mapping[str, Any], sidecar: SidecarTemplate) -> dict[str, Any]:
    """The response to an AdmissionReview. Raises KeyError or TypeError for any other document."""
    request = document["request"]
    response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
    operations = patch(request["object"], sidecar)
    if operations:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"apiVersion": document["apiVersion"], "kind": "AdmissionReview", "response": response}


def _init(sidecar: SidecarTemplate, udp: Iterable[int]) -> dict[str, Any]:
    return {
        "name": INIT,
        "image": sidecar.image,
        "imagePullPolicy": sidecar.pull_policy,
        "command": ["python3", "-S", "-m", "smi_reference_mesh.sidecar.interception"],
        "env": [
            {"name": "XTABLES_LOCKFILE", "value": f"{names.DIRECTORY}/xtables.lock"},
            {"name": names.UDP_PORTS_VARIABLE, "value": " ".join(map(str, udp))},
            *_own_traffic(sidecar),
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "securityContext": {
            "runAsUser": 0,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": _STATE_VOLUME, "mountPath": names.DIRECTORY}],
    }


def _sidecar(sidecar: SidecarTemplate) -> dict[str, Any]:
    return {
        "name": SIDECAR,
        "image": sidecar.image,
        "imagePullPolicy": sidecar.pull_policy,
        "restartPolicy": "Always",
        "command": ["python3", "-m", "smi_reference_mesh.sidecar"],
        "env": [
            _from_field("SMI_REFERENCE_POD", "metadata.name"),
            _from_field("SMI_REFERENCE_NAMESPACE", "metadata.namespace"),
            {"name": "SMI_REFERENCE_NODE", "value": "$(SMI_REFERENCE_NAMESPACE)/$(SMI_REFERENCE_POD)"},
            {"name": "SMI_REFERENCE_TRUST", "value": sidecar.trust_bundle},
            *_own_traffic(sidecar),
        ],
        "ports": [{"name": "smi-ready", "containerPort": names.READINESS_PORT}],
        # The application starts after this hook, so its first request finds a configured sidecar.
        "lifecycle": {"postStart": {"exec": {"command": wait_command(names.DIRECTORY)}}},
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": names.READINESS_PORT},
            "periodSeconds": 1,
            # A late response on a busy node must not remove the pod from its Services.
            "timeoutSeconds": 5,
            "failureThreshold": 5,
        },
        "resources": {"requests": {"cpu": _SIDECAR_CPU, "memory": "64Mi"}},
        "securityContext": {
            "runAsUser": names.SIDECAR_UID,
            "runAsGroup": names.SIDECAR_UID,
            "runAsNonRoot": True,
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": _STATE_VOLUME, "mountPath": names.DIRECTORY},
            {"name": _TOKEN_VOLUME, "mountPath": names.TOKEN_DIRECTORY, "readOnly": True},
        ],
    }


def _own_traffic(sidecar: SidecarTemplate) -> list[dict[str, Any]]:
    # `uid` is the default.
    return [] if sidecar.own_traffic == "uid" else [{"name": VARIABLE, "value": sidecar.own_traffic}]


def _from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _volumes() -> list[dict[str, Any]]:
    token = {"audience": names.AUDIENCE, "expirationSeconds": _TOKEN_LIFETIME_S, "path": "token"}
    return [
        {"name": _STATE_VOLUME, "emptyDir": {"medium": "Memory"}},
        # Readable for the sidecar's user with any fsGroup of the pod: the kubelet gives projected tokens to
        # the containers' user only if all containers share one.
        {
            "name": _TOKEN_VOLUME,
            "projected": {"defaultMode": 0o444, "sources": [{"serviceAccountToken": token}]},
        },
    ]
