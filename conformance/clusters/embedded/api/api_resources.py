"""The API resources of the embedded cluster, and the discovery documents that list them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

VERSION = "v1.34.0"
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
"""The store's key of custom resource definitions; each is named by the key of its resource."""
_CRUD = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource at a version. ``names`` are its short names."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    names: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _CRUD
    subresources: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The store's key of its objects, independent of the version: ``pods``, ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def _core(plural: str, kind: str, *, namespaced: bool = True, **more: Any) -> Resource:
    return Resource("", "v1", plural, kind, namespaced, **more)


_REVIEW: Mapping[str, Any] = {"verbs": ("create",)}
_RBAC = "rbac.authorization.k8s.io"

BUILT_IN: tuple[Resource, ...] = (
    _core("namespaces", "Namespace", namespaced=False, names=("ns",), subresources=("status", "finalize")),
    _core("nodes", "Node", namespaced=False, names=("no",), subresources=("status",)),
    _core("pods", "Pod", names=("po",), subresources=("status", "log", "exec")),
    _core("services", "Service", names=("svc",), subresources=("proxy",)),
    _core("serviceaccounts", "ServiceAccount", names=("sa",), subresources=("token",)),
    _core("configmaps", "ConfigMap", names=("cm",)),
    _core("secrets", "Secret"),
    _core("events", "Event", names=("ev",)),
    _core("replicationcontrollers", "ReplicationController", names=("rc",)),
    Resource("apps", "v1", "deployments", "Deployment", True, ("deploy",), subresources=("status",)),
    Resource("apps", "v1", "replicasets", "ReplicaSet", True, ("rs",), subresources=("status",)),
    Resource("apps", "v1", "daemonsets", "DaemonSet", True, ("ds",)),
    Resource("apps", "v1", "statefulsets", "StatefulSet", True, ("sts",)),
    Resource("batch", "v1", "jobs", "Job", True),
    Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True),
    Resource("networking.k8s.io", "v1", "ingresses", "Ingress", True, ("ing",)),
    # Stored but not enforced: all pods reach each other.
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True, ("netpol",)),
    Resource(_RBAC, "v1", "roles", "Role", True),
    Resource(_RBAC, "v1", "rolebindings", "RoleBinding", True),
    Resource(_RBAC, "v1", "clusterroles", "ClusterRole", False),
    Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", False),
    Resource(
        "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False,
        ("crd",), subresources=("status",),
    ),
    Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", False, subresources=("status",)),
    Resource(
        "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration", False,
    ),
    Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False, **_REVIEW),
    Resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", False, **_REVIEW),
    Resource(
        "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False, **_REVIEW
    ),
)  # fmt: skip


def custom(definition: Mapping[str, Any]) -> list[Resource]:
    """The resources of a CustomResourceDefinition, one for each served version."""
    spec, names = definition["spec"], definition["spec"]["names"]
    return [
        Resource(
            spec["group"],
            version["name"],
            names["plural"],
            names["kind"],
            spec["scope"] == "Namespaced",
            tuple(names.get("shortNames") or ()),
            subresources=("status",) if "status" in (version.get("subresources") or {}) else (),
        )
        for version in spec["versions"]
        if version["served"]
    ]


def groups(resources: Iterable[Resource], others: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Versions by group, the most mature first; ``others`` are (group, version) of aggregated APIs."""
    found: dict[str, list[str]] = {}
    for group, version in [*((each.group, each.version) for each in resources), *others]:
        if group and version not in found.setdefault(group, []):
            found[group].append(version)
    return {group: sorted(versions, key=_maturity, reverse=True) for group, versions in found.items()}


def _maturity(version: str) -> tuple[int, str]:
    # Among versions of this project's APIs: v1 before v1alpha4 before v1alpha3.
    return (0 if "alpha" in version else 1, version)


def group_document(group: str, versions: Iterable[str]) -> dict[str, Any]:
    """An APIGroup."""
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"kind": "APIGroup", "apiVersion": "v1", "name": group, "versions": listed,
            "preferredVersion": listed[0]}  # fmt: skip


def resource_list(api_version: str, resources: Iterable[Resource]) -> dict[str, Any]:
    """An APIResourceList."""
    entries: list[dict[str, Any]] = []
    for each in resources:
        entry = {"name": each.plural, "singularName": each.kind.lower(), "namespaced": each.namespaced,
                 "kind": each.kind, "verbs": list(each.verbs)}  # fmt: skip
        entries.append({**entry, "shortNames": list(each.names)} if each.names else entry)
        for name in each.subresources:
            entries.append(
                {"name": f"{each.plural}/{name}", "singularName": "", "namespaced": each.namespaced,
                 "kind": each.kind, "verbs": ["get", "patch", "update"]}
            )  # fmt: skip
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": entries}
