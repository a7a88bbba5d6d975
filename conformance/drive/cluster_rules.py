"""A cluster's rules for all objects: labels, pod placement, pull secrets, resources, NetworkPolicies.

They belong to the cluster and not to the mesh, so they are set by options and not by a profile.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.clusters import Object

PULL_SECRET = "smi-conformance-pull"  # noqa: S105 - its name
_LINUX = {"kubernetes.io/os": "linux"}
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class RuleError(ValueError):
    """The value of an option is invalid; the message has the reason."""


@dataclass(frozen=True, slots=True)
class ClusterRules:
    """The rules of one cluster.

    ``requests`` and ``limits`` replace those of the sample workloads, resource by resource. ``registries`` is
    the content of a Docker configuration, a secret that no report shows. ``open_network``: NetworkPolicies
    allow the sample workloads all traffic.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, str], ...] = ()
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    registries: str = field(default="", repr=False)
    open_network: bool = False

    def apply_to(self, item: dict[str, Any]) -> None:
        """Apply the rules to an object, in place."""
        self._add_metadata(item["metadata"])
        if item["kind"] == "Pod":
            self._constrain_pod(item["spec"])
        template = item.get("spec", {}).get("template")
        if item["kind"] == "Deployment" and isinstance(template, dict):
            self._add_metadata(template.setdefault("metadata", {}))
            self._constrain_pod(template["spec"])

    def namespace_objects(self, namespace: str) -> Iterator[Object]:
        """The objects that a namespace needs before its pods."""
        if self.registries:
            data = base64.b64encode(self.registries.encode()).decode("ascii")
            yield {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"namespace": namespace, "name": PULL_SECRET},
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": data},
            }
        if self.open_network:
            yield {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"namespace": namespace, "name": "smi-conformance-open"},
                "spec": {
                    "podSelector": {},
                    "policyTypes": ["Ingress", "Egress"],
                    "ingress": [{}],
                    "egress": [{}],
                },
            }

    def _add_metadata(self, metadata: dict[str, Any]) -> None:
        for kind, marks in (("labels", self.labels), ("annotations", self.annotations)):
            if marks:
                # The labels and annotations by which the suite finds its objects take precedence.
                metadata[kind] = {**marks, **metadata.get(kind, {})}

    def _constrain_pod(self, spec: dict[str, Any]) -> None:
        spec["nodeSelector"] = {**_LINUX, **spec.get("nodeSelector", {}), **self.node_selector}
        if self.tolerations:
            spec["tolerations"] = [*spec.get("tolerations", ()), *map(dict, self.tolerations)]
        if self.registries:
            spec["imagePullSecrets"] = [{"name": PULL_SECRET}]
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            for kind, amounts in (("requests", self.requests), ("limits", self.limits)):
                if amounts:
                    resources = container.setdefault("resources", {})
                    resources[kind] = {**resources.get(kind, {}), **amounts}


NO_RULES = ClusterRules()


def parse_pair(text: str) -> tuple[str, str]:
    """Key and value of ``KEY=VALUE``. Raises RuleError."""
    key, given, value = text.partition("=")
    if not (key and given):
        raise RuleError(f"{text!r} is not of the form KEY=VALUE")
    return key, value


def parse_toleration(text: str) -> Mapping[str, str]:
    """The toleration of a taint in kubectl's notation, KEY[=VALUE][:EFFECT], or of every taint for `all`.

    Raises RuleError. Source: kubectl's help of `taint`; Kubernetes' concept page on taints and tolerations.
    """
    if text == "all":
        return {"operator": "Exists"}
    named, _, effect = text.partition(":")
    key, given, value = named.partition("=")
    if not key or (effect and effect not in _EFFECTS):
        raise RuleError(f"{text!r} is not of the form KEY[=VALUE][:EFFECT]; effects: {', '.join(_EFFECTS)}")
    operator = {"operator": "Equal", "value": value} if given else {"operator": "Exists"}
    return {"key": key, **operator, **({"effect": effect} if effect else {})}


def read_registries(path: str) -> str:
    """The content of a Docker configuration with credentials for registries. Raises RuleError."""
    try:
        content = Path(path).expanduser().read_text(encoding="utf-8")
        document = json.loads(content)
    except (OSError, ValueError) as error:
        raise RuleError(f"{path} cannot be read as a Docker configuration: {error}") from error
    if not (isinstance(document, dict) and document.get("auths")):
        raise RuleError(f"{path} has no credentials: `docker login` stores them under 'auths'")
    # Credential helpers and other settings work only on the machine of the file.
    return json.dumps({"auths": document["auths"]})
