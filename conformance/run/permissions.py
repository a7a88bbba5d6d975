"""The permissions that a run needs, as in docs/rbac.yaml; checked before anything is created."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from conformance.catalogue import GROUPS
from conformance.clusters import Cluster, ClusterError
from conformance.drive.cluster_rules import NO_RULES, ClusterRules

_APPLY_VERBS = ("create", "patch")
"""Server-side apply needs both: its patch creates an object that does not exist."""
_LIFECYCLE_VERBS = (*_APPLY_VERBS, "delete")
_ALL_VERBS = ("get", "list", *_LIFECYCLE_VERBS, "update", "watch")
"""All verbs on the SMI kinds, since the tests try each verb that the specification promises."""


@dataclass(frozen=True, slots=True)
class Permission:
    """A verb on a resource, cluster-wide, since a run creates its namespaces itself."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''}"


_CORE: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "namespaces"): ("list", *_LIFECYCLE_VERBS),
    ("", "nodes"): ("list",),
    ("", "events"): ("list",),
    ("", "pods"): ("list", *_APPLY_VERBS),
    ("", "pods/exec"): ("get", "create"),
    ("", "pods/log"): ("get",),
    ("", "services"): ("get", *_LIFECYCLE_VERBS),
    ("", "serviceaccounts"): _LIFECYCLE_VERBS,
    ("", "configmaps"): _APPLY_VERBS,
    ("apps", "deployments"): _LIFECYCLE_VERBS,
}
_INGRESS: dict[tuple[str, str], tuple[str, ...]] = {("networking.k8s.io", "ingresses"): _LIFECYCLE_VERBS}
_BY_RULE: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {
    "registries": {("", "secrets"): _APPLY_VERBS},
    "open network": {("networking.k8s.io", "networkpolicies"): _APPLY_VERBS},
}
_BY_GROUP: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {
    "split": {(GROUPS["split"], "trafficsplits"): _ALL_VERBS},
    "access": {(GROUPS["access"], "traffictargets"): _ALL_VERBS},
    "specs": {
        (GROUPS["specs"], "httproutegroups"): _ALL_VERBS,
        (GROUPS["specs"], "tcproutes"): _ALL_VERBS,
        (GROUPS["specs"], "udproutes"): _ALL_VERBS,
    },
    "metrics": {
        ("", "serviceaccounts/token"): ("create",),
        ("rbac.authorization.k8s.io", "roles"): _LIFECYCLE_VERBS,
        ("rbac.authorization.k8s.io", "rolebindings"): _LIFECYCLE_VERBS,
        ("apiregistration.k8s.io", "apiservices"): ("get",),
        (GROUPS["metrics"], "*"): ("get", "list"),
    },
}


def needed(groups: Iterable[str], *, ingress: bool, rules: ClusterRules = NO_RULES) -> Iterator[Permission]:
    """The permissions of a run that works with these SMI groups (short names).

    ``ingress``: the mesh has an ingress, and the run tries splits through it. ``rules`` of the cluster may
    need more.
    """
    spoken = list(groups)
    tables = [_CORE, *[_BY_GROUP[group] for group in spoken]]
    tables += [_BY_RULE["registries"]] if rules.registries else []
    tables += [_BY_RULE["open network"]] if rules.open_network else []
    if ingress and "split" in spoken:
        tables.append(_INGRESS)
    for table in tables:
        for (group, resource), verbs in table.items():
            for verb in verbs:
                yield Permission(verb, group, resource)


def missing(
    cluster: Cluster,
    groups: Iterable[str],
    *,
    ingress: bool,
    without: Iterable[str] = (),
    rules: ClusterRules = NO_RULES,
) -> list[Permission]:
    """The needed permissions that the API server denies to the user. Raises ClusterError.

    ``without`` are the resources of kinds that the mesh does not claim.
    """
    unused, all_needed = set(without), needed(groups, ingress=ingress, rules=rules)
    required = [permission for permission in all_needed if permission.resource not in unused]
    return [permission for permission in required if not _allowed(cluster, permission)]


def _allowed(cluster: Cluster, permission: Permission) -> bool:
    resource, _, subresource = permission.resource.partition("/")
    attributes = {
        "verb": permission.verb,
        "group": permission.group,
        "resource": resource,
        "subresource": subresource,
    }
    answer = cluster.request(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        },
    )
    if answer.status >= 400:
        raise ClusterError(f"the API server does not tell the user's permissions (HTTP {answer.status})")
    return bool(answer.body["status"].get("allowed"))
