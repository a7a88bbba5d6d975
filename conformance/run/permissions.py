"""The rights that a run needs, no more: as in docs/rbac.yaml, and asked for before anything is created."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from conformance.catalogue import GROUPS
from conformance.clusters import Cluster, ClusterError
from conformance.drive.house_rules import NO_RULES, HouseRules

_APPLIED = ("create", "patch")
"""Objects are applied, which takes both: a patch is what creates one that is not there."""
_MADE = (*_APPLIED, "delete")
_TRIED = ("get", "list", *_MADE, "update", "watch")
"""Of the kinds of SMI every verb is tried, as the specification promises them."""


@dataclass(frozen=True, slots=True)
class Permission:
    """A verb on a resource, cluster-wide: the namespaces of a run are its own."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''}"


_CORE: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "namespaces"): ("list", *_MADE),
    ("", "nodes"): ("list",),
    ("", "events"): ("list",),
    ("", "pods"): ("list", *_APPLIED),
    ("", "pods/exec"): ("get", "create"),
    ("", "pods/log"): ("get",),
    ("", "services"): ("get", *_MADE),
    ("", "serviceaccounts"): _MADE,
    ("", "configmaps"): _APPLIED,
    ("apps", "deployments"): _MADE,
}
_INGRESS: dict[tuple[str, str], tuple[str, ...]] = {("networking.k8s.io", "ingresses"): _MADE}
_BY_RULE: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {
    "registries": {("", "secrets"): _APPLIED},
    "open network": {("networking.k8s.io", "networkpolicies"): _APPLIED},
}
_BY_GROUP: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {
    "split": {(GROUPS["split"], "trafficsplits"): _TRIED},
    "access": {(GROUPS["access"], "traffictargets"): _TRIED},
    "specs": {
        (GROUPS["specs"], "httproutegroups"): _TRIED,
        (GROUPS["specs"], "tcproutes"): _TRIED,
        (GROUPS["specs"], "udproutes"): _TRIED,
    },
    "metrics": {
        ("", "serviceaccounts/token"): ("create",),
        ("rbac.authorization.k8s.io", "roles"): _MADE,
        ("rbac.authorization.k8s.io", "rolebindings"): _MADE,
        ("apiregistration.k8s.io", "apiservices"): ("get",),
        (GROUPS["metrics"], "*"): ("get", "list"),
    },
}


def needed(groups: Iterable[str], *, ingress: bool, rules: HouseRules = NO_RULES) -> Iterator[Permission]:
    """The rights of a run that works with these SMI groups (short names).

    ``ingress``: the mesh has one, which splits are tried through. ``rules`` of the cluster may need more.
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
    rules: HouseRules = NO_RULES,
) -> list[Permission]:
    """Which of the needed rights the API server says one does not have. Raises ClusterError.

    ``without`` are resources of kinds that the mesh does not claim.
    """
    unused = set(without)
    asked = [right for right in needed(groups, ingress=ingress, rules=rules) if right.resource not in unused]
    return [right for right in asked if not _allowed(cluster, right)]


def _allowed(cluster: Cluster, right: Permission) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {"verb": right.verb, "group": right.group, "resource": resource, "subresource": subresource}
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
        raise ClusterError(f"the API server does not say what one may do (HTTP {answer.status})")
    return bool(answer.body["status"].get("allowed"))
