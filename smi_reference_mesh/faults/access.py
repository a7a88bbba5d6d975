"""Faults of access control."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.compiler.mesh import addresses_of, identity_of
from smi_reference_mesh.faults.building_blocks import (
    FaultyObjects,
    FaultySnapshot,
    edited,
    every,
    with_listeners,
    with_routes,
)
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import EditedConfiguration
from smi_reference_mesh.kube.objects import Object, Workload, account_of, labels_of, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot


def _rules(
    edit: Callable[[JSON], None],
) -> Callable[[Configuration, ClusterSnapshot, Workload], Configuration]:
    """An edit of all RBAC rules of a workload's inbound half."""

    def faulty(configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload) -> Configuration:
        def in_listener(listener: JSON) -> None:
            if listener["name"] == "inbound":
                for holder in every(listener, "policies"):
                    edit(holder)

        def in_routes(name: str, routes: JSON) -> None:
            for holder in every(routes, "policies"):
                edit(holder)

        return with_listeners(with_routes(configuration, "inbound|", in_routes), in_listener)

    return faulty


def _open_without_policies(rules: JSON) -> None:
    if not rules["policies"]:
        rules["policies"] = {"everybody": {"permissions": [{"any": True}], "principals": [{"any": True}]}}


def _first_matching_target_decides(rules: JSON) -> None:
    """Each target keeps only requests that no earlier target matches, regardless of the earlier sources."""
    earlier: list[JSON] = []
    for policy in rules["policies"].values():
        own = policy["permissions"]
        if earlier:
            of_earlier = {"or_rules": {"rules": list(earlier)}}
            alone = [{"or_rules": {"rules": own}}, {"not_rule": of_earlier}]
            policy["permissions"] = [{"and_rules": {"rules": alone}}]
        earlier += own


def _addresses_believed(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """A source is also any caller from its pods' addresses, according to request headers."""
    addresses: dict[str, list[str]] = {}
    for pod in snapshot.of("pods"):
        addresses.setdefault(identity_of(pod), []).extend(addresses_of(pod))

    def believe(rules: JSON) -> None:
        for policy in rules["policies"].values():
            named = [one["principal_name"]["exact"] for one in every(policy, "principal_name")]
            # Envoy's remote_ip is the last address in x-forwarded-for, if that header exists.
            policy["principals"] += [
                {"remote_ip": envoy.exactly(ip)} for name in named for ip in addresses.get(name, ())
            ]

    return _rules(believe)(configuration, snapshot, workload)


def _principals(edit: Callable[[str], JSON]) -> Callable[[JSON], None]:
    def each(rules: JSON) -> None:
        for holder in every(rules, "principal_name"):
            holder["principal_name"] = edit(holder["principal_name"]["exact"])

    return each


def _whole_namespace(identity: str) -> JSON:
    return {"prefix": identity.rpartition("/sa/")[0] + "/"}


def _any_namespace(identity: str) -> JSON:
    trust_domain, _, rest = identity.partition("/ns/")
    account = rest.partition("/sa/")[2]
    return {"safe_regex": {"regex": f"{re.escape(trust_domain)}/ns/[^/]+/sa/{re.escape(account)}"}}


def _any_route(rules: JSON) -> None:
    for policy in rules["policies"].values():
        policy["permissions"] = [{"any": True}]


def _without_match_names(target: dict[str, Any]) -> None:
    for rule in target["spec"].get("rules") or ():
        rule.pop("matches", None)


def _first_match_only(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    first = {
        (namespace_of(group), name_of(group)): group["spec"]["matches"][0]["name"]
        for group in snapshot.of("httproutegroups")
        if group["spec"].get("matches")
    }

    def limit(target: dict[str, Any]) -> None:
        for rule in target["spec"].get("rules") or ():
            name = first.get((namespace_of(target), rule["name"]))
            if rule["kind"] == "HTTPRouteGroup" and not rule.get("matches") and name:
                rule["matches"] = [name]

    return edited(snapshot, "traffictargets", limit)


def _newest_target_only(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    newest: dict[tuple[str, str], Object] = {}
    for target in sorted(snapshot.of("traffictargets"), key=_age):
        destination = target["spec"]["destination"]
        newest[destination.get("namespace", ""), destination["name"]] = target
    return snapshot.replacing("traffictargets", newest.values())


def _age(target: Object) -> tuple[str, int]:
    # Creation times have a resolution of seconds; resource versions break ties.
    return target["metadata"]["creationTimestamp"], int(target["metadata"]["resourceVersion"])


def _identity_by_labels(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    pods = snapshot.of("pods")

    def alike(source: Object) -> list[Object]:
        worn = [
            labels_of(pod)
            for pod in pods
            if (namespace_of(pod), account_of(pod)) == (source.get("namespace"), source["name"])
        ]
        others = {
            account_of(pod)
            for pod in pods
            if namespace_of(pod) == source.get("namespace") and labels_of(pod) in worn
        }
        return [{**source, "name": name} for name in sorted({source["name"], *others})]

    def also_alike(target: dict[str, Any]) -> None:
        sources = target["spec"].get("sources") or []
        target["spec"]["sources"] = [one for source in sources for one in alike(source)]

    return edited(snapshot, "traffictargets", also_alike)


class _NeverWithdrawn(FaultySnapshot):
    """Keeps every grant ever made, under a name of its own for each edit of a target."""

    def __init__(self) -> None:
        super().__init__(self._faulty)
        self._seen: dict[tuple[str, str, str], Object] = {}

    def _faulty(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        for target in snapshot.of("traffictargets"):
            version = f"{target['metadata'].get('uid', '')}-{target['metadata'].get('generation', 0)}"
            kept: dict[str, Any] = copy.deepcopy(dict(target))
            kept["metadata"]["name"] = f"{name_of(target)}-{version}"
            self._seen.setdefault((namespace_of(target), name_of(target), version), kept)
        return snapshot.replacing("traffictargets", self._seen.values())


class _RulesKept(FaultySnapshot):
    """Merges each edit of a target's rules into the former rules, and removes nothing."""

    def __init__(self, merge: Callable[[list[JSON], list[JSON]], list[JSON]]) -> None:
        super().__init__(self._faulty)
        self._merge = merge
        self._rules: dict[tuple[str, str, str], list[JSON]] = {}

    def _faulty(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        targets = []
        for target in snapshot.of("traffictargets"):
            copied: dict[str, Any] = copy.deepcopy(dict(target))
            one = namespace_of(target), name_of(target), target["metadata"].get("uid", "")
            copied["spec"]["rules"] = self._merge(self._rules.get(one, []), copied["spec"].get("rules") or [])
            self._rules[one] = copied["spec"]["rules"]
            targets.append(copied)
        return snapshot.replacing("traffictargets", targets)


def _every_rule(earlier: list[JSON], rules: list[JSON]) -> list[JSON]:
    now = {_route(rule) for rule in rules}
    return [*rules, *(rule for rule in earlier if _route(rule) not in now)]


def _every_match_name(earlier: list[JSON], rules: list[JSON]) -> list[JSON]:
    names = {_route(rule): rule.get("matches") or [] for rule in earlier}
    return [
        {**rule, "matches": list(dict.fromkeys([*names.get(_route(rule), ()), *rule["matches"]]))}
        if rule.get("matches")
        else rule
        for rule in rules
    ]


def _route(rule: JSON) -> tuple[str, str]:
    return rule["kind"], rule["name"]


def _plaintext_admitted(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    clusters = {cluster["name"] for cluster in configuration.clusters}

    def admit(listener: JSON) -> None:
        if listener["name"] != "inbound":
            return
        known = {chain.get("name") for chain in listener["filter_chains"]}
        for name in sorted(clusters):
            port = name.removeprefix("inbound|")
            if name.startswith("inbound|") and port.isdigit() and f"{name}|plaintext" not in known:
                proxy = {
                    "name": "envoy.filters.network.tcp_proxy",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                        "stat_prefix": "admitted",
                        "cluster": name,
                    },
                }
                match = {"destination_port": int(port), "transport_protocol": "raw_buffer"}
                chain = {"name": f"{name}|admitted", "filter_chain_match": match, "filters": [proxy]}
                listener["filter_chains"].append(chain)

    return with_listeners(configuration, admit)


FAULTS = (
    Fault(
        id="targets-never-taken-up",
        summary="No TrafficTarget has any effect",
        breaks=frozenset({"access-named-match-opens"}),
        hooks=lambda: FaultySnapshot(lambda snapshot: snapshot.replacing("traffictargets", [])),
    ),
    Fault(
        "access-open-until-first-target",
        "A workload that no target names is open to every meshed client.",
        frozenset({"access-default-deny"}),
        lambda: EditedConfiguration(_rules(_open_without_policies)),
        real_defects=("rules-missing-opens-everything",),
    ),
    Fault(
        "access-grants-the-whole-namespace",
        "A grant to one account holds for all accounts of its namespace.",
        frozenset({"access-identity-not-labels", "access-only-listed-sources"}),
        lambda: EditedConfiguration(_rules(_principals(_whole_namespace))),
    ),
    Fault(
        "access-routes-ignored",
        "Only sources are looked at, not routes.",
        frozenset({"access-deny-unlisted-route", "access-match-subset"}),
        lambda: EditedConfiguration(_rules(_any_route)),
        real_defects=("routes-granted-to-others-usable",),
    ),
    Fault(
        "access-match-names-ignored",
        "A rule that names matches grants the whole group.",
        frozenset({"access-match-subset"}),
        lambda: FaultyObjects("traffictargets", _without_match_names),
    ),
    Fault(
        "access-first-match-only",
        "A rule without match names grants the first match of its group only.",
        frozenset({"access-matches-omitted-means-all"}),
        lambda: FaultySnapshot(_first_match_only),
    ),
    Fault(
        "access-newest-target-wins",
        "Of several targets for one destination only the newest counts.",
        frozenset({"access-additive-union"}),
        lambda: FaultySnapshot(_newest_target_only),
        also_fails=frozenset({"access-default-deny"}),
    ),
    Fault(
        "access-first-matching-target-decides",
        "Of several targets whose routes a request matches, the first alone is asked for its sources.",
        frozenset({"access-additive-overlapping-routes"}),
        lambda: EditedConfiguration(_rules(_first_matching_target_decides)),
        real_defects=("overlapping-targets-first-match-wins",),
    ),
    Fault(
        "access-identity-by-labels",
        "A pod that wears the labels of an allowed pod is taken for it.",
        frozenset({"access-identity-not-labels"}),
        lambda: FaultySnapshot(_identity_by_labels),
    ),
    Fault(
        "access-believes-forwarded-addresses",
        "Whoever says in a header that it calls for an allowed pod's address is taken for that pod.",
        frozenset({"access-identity-not-labels"}),
        lambda: EditedConfiguration(_addresses_believed),
        real_defects=("source-address-from-a-header",),
    ),
    Fault(
        "access-account-of-any-namespace",
        "A grant to an account holds for accounts of that name in every namespace.",
        frozenset({"access-identity-includes-namespace"}),
        lambda: EditedConfiguration(_rules(_principals(_any_namespace))),
        real_defects=("same-named-account-elsewhere-admitted",),
    ),
    Fault(
        "access-never-withdrawn",
        "Grants outlive the edits and deletions that withdraw them.",
        frozenset({"access-delete-and-narrow-revoke", "common-dynamic-reconfiguration"}),
        _NeverWithdrawn,
        real_defects=("destination-edit-or-missed-delete-leaves-grant",),
    ),
    Fault(
        "access-rules-only-added",
        "An edit of a target adds rules and takes none away.",
        frozenset({"access-delete-and-narrow-revoke", "common-dynamic-reconfiguration"}),
        lambda: _RulesKept(_every_rule),
    ),
    Fault(
        "access-match-names-only-added",
        "An edit of a target adds names of matches to its rules and takes none away.",
        frozenset({"access-delete-and-narrow-revoke"}),
        lambda: _RulesKept(_every_match_name),
    ),
    Fault(
        "access-plaintext-admitted",
        "Whoever comes without identity is let through to the application.",
        frozenset({"access-enforced-at-server"}),
        lambda: EditedConfiguration(_plaintext_admitted),
        real_defects=("out-of-mesh-pod-admitted",),
    ),
)
