"""Faults in the interaction of APIs: splits that grant access like targets, or depend on grants."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from smi_reference_mesh.compiler import compile as compile_
from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.faults.building_blocks import FaultySnapshot, with_routes
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import DefaultHooks, EditedConfiguration
from smi_reference_mesh.kube.objects import Object, Workload, account_of, labels_of, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.membership import is_permissive

Account = tuple[str, str]


def _accounts(snapshot: ClusterSnapshot) -> dict[tuple[str, str], set[Account]]:
    """The accounts of the pods that each service selects."""
    found: dict[tuple[str, str], set[Account]] = {}
    for service in snapshot.of("services"):
        selector = service["spec"].get("selector") or {}
        found[namespace_of(service), name_of(service)] = {
            (namespace_of(pod), account_of(pod))
            for pod in snapshot.of("pods")
            if namespace_of(pod) == namespace_of(service)
            and selector
            and selector.items() <= labels_of(pod).items()
        }
    return found


def _behind(snapshot: ClusterSnapshot) -> Iterator[tuple[Object, set[Account], set[Account]]]:
    """Each split, with the accounts behind its root and behind its backends."""
    accounts = _accounts(snapshot)
    for split in snapshot.of("trafficsplits"):
        namespace, spec = namespace_of(split), split["spec"]
        backends = [accounts.get((namespace, one["service"]), set()) for one in spec["backends"]]
        yield split, accounts.get((namespace, spec["service"]), set()), set().union(*backends)


def _destination(target: Object) -> Account:
    destination = target["spec"]["destination"]
    return str(destination.get("namespace") or namespace_of(target)), str(destination["name"])


def _granted_with_the_root(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A caller of the root may call the backends of its split."""
    return _granted_with(snapshot, lambda roots, backends: roots)


def _granted_with_one_another(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A caller of one backend of a split may call the other backends."""
    return _granted_with(snapshot, lambda roots, backends: backends)


def _granted_with(
    snapshot: ClusterSnapshot, whose: Callable[[set[Account], set[Account]], set[Account]]
) -> ClusterSnapshot:
    """Grants at certain accounts of a split apply to all of its backends."""
    targets = list(snapshot.of("traffictargets"))
    made: list[Object] = []
    for split, roots, backends in _behind(snapshot):
        granted = whose(roots, backends)
        for target in targets:
            for namespace, name in sorted(backends) if _destination(target) in granted else ():
                copied: dict[str, Any] = copy.deepcopy(dict(target))
                copied["metadata"]["name"] = f"{name_of(target)}-{name_of(split)}-{name}"
                copied["spec"]["destination"].update(namespace=namespace, name=name)
                made.append(copied)
    return snapshot.replacing("traffictargets", [*targets, *made])


def _granted_to_everybody(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A grant at a backend of a split applies to every account of its namespace."""
    targets: list[dict[str, Any]] = copy.deepcopy([dict(target) for target in snapshot.of("traffictargets")])
    for split, _, backends in _behind(snapshot):
        here = namespace_of(split)
        accounts = sorted({account_of(pod) for pod in snapshot.of("pods") if namespace_of(pod) == here})
        for target in targets:
            if _destination(target) in backends:
                target["spec"]["sources"] = [
                    {"kind": "ServiceAccount", "name": one, "namespace": here} for one in accounts
                ]
    return snapshot.replacing("traffictargets", targets)


Backends = list[dict[str, Any]]


class _ByWhatTheCallerMay(DefaultHooks):
    """Gives a client other backends of a split if it may not call all of them.

    `left` computes them from all backends and from those granted to the client.
    """

    def __init__(self, left: Callable[[Backends, Backends], Backends]) -> None:
        self._left = left
        self._shown = lru_cache(maxsize=64)(self._to)

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        accounts = {(namespace_of(pod), name_of(pod)): account_of(pod) for pod in snapshot.of("pods")}
        caller = (workload.namespace, accounts.get((workload.namespace, workload.name), ""))
        return compile_(self._shown(snapshot, caller), workload)

    def _to(self, snapshot: ClusterSnapshot, caller: Account) -> ClusterSnapshot:
        behind = _accounts(snapshot)
        granted = {_destination(one) for one in snapshot.of("traffictargets") if caller in set(_sources(one))}
        open_to_all = {name_of(one) for one in snapshot.of("namespaces") if is_permissive(one)}
        splits: list[dict[str, Any]] = copy.deepcopy([dict(split) for split in snapshot.of("trafficsplits")])
        for split in splits:
            here, backends = namespace_of(split), (split.get("spec") or {}).get("backends") or []
            may = [one for one in backends if behind.get((here, one["service"]), set()) <= granted]
            if here not in open_to_all and len(may) < len(backends):
                split["spec"]["backends"] = self._left(backends, may)
        return snapshot.replacing("trafficsplits", splits)


def _sources(target: Object) -> Iterator[Account]:
    for source in target["spec"].get("sources") or ():
        yield str(source.get("namespace") or namespace_of(target)), str(source["name"])


def _none_unless_all(backends: Backends, may: Backends) -> Backends:
    return [{**one, "weight": 0} for one in backends]


def _those_granted(backends: Backends, may: Backends) -> Backends:
    return may or backends


def _granted_by_conditions(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """The conditions of a split are also rules of the targets of its backends."""
    targets: list[dict[str, Any]] = copy.deepcopy([dict(target) for target in snapshot.of("traffictargets")])
    for split, _, backends in _behind(snapshot):
        groups = [
            {"kind": "HTTPRouteGroup", "name": one["name"]} for one in split["spec"].get("matches") or ()
        ]
        for target in targets:
            if _destination(target) in backends and namespace_of(target) == namespace_of(split):
                target["spec"]["rules"] = [*(target["spec"].get("rules") or ()), *groups]
    return snapshot.replacing("traffictargets", targets)


def _granted_on_conditions(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A target's grant at a backend is limited to requests that a split on that backend selects."""
    groups = {(namespace_of(group), name_of(group)): group for group in snapshot.of("httproutegroups")}
    conditions: dict[Account, list[Any]] = {}
    for split, _, backends in _behind(snapshot):
        for one in split["spec"].get("matches") or ():
            group = groups.get((namespace_of(split), one["name"]))
            for account in backends:
                conditions.setdefault(account, []).extend(group["spec"]["matches"] if group else ())
    targets: list[dict[str, Any]] = copy.deepcopy([dict(target) for target in snapshot.of("traffictargets")])
    made: list[Object] = []
    for target in targets:
        for rule in target["spec"].get("rules") or () if _destination(target) in conditions else ():
            group = groups.get((namespace_of(target), rule["name"]))
            if rule["kind"] == "HTTPRouteGroup" and group:
                rule["name"] = f"{name_of(target)}-{name_of(group)}"
                made.append(_with_headers(group, rule["name"], conditions[_destination(target)]))
    routed = snapshot.replacing("httproutegroups", [*snapshot.of("httproutegroups"), *made])
    return routed.replacing("traffictargets", targets)


def _with_headers(group: Object, name: str, conditions: Iterable[Any]) -> Object:
    """A group under another name, whose matches also require the headers of a condition."""
    copied: dict[str, Any] = copy.deepcopy(dict(group))
    copied["metadata"].update(name=name, uid=name)
    copied["spec"]["matches"] = [
        {**match, "headers": {**(match.get("headers") or {}), **(one.get("headers") or {})}}
        for match in group["spec"]["matches"]
        for one in conditions
    ]
    return copied


def _granted_paths(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """Each path granted to a client leads to one backend of a split: the first that grants it."""
    accounts = {(namespace_of(pod), name_of(pod)): account_of(pod) for pod in snapshot.of("pods")}
    caller = (workload.namespace, accounts.get((workload.namespace, workload.name), ""))
    groups = {(namespace_of(group), name_of(group)): group for group in snapshot.of("httproutegroups")}
    paths: dict[str, list[Account]] = {}
    for target in sorted(snapshot.of("traffictargets"), key=name_of):
        for rule in target["spec"].get("rules") or () if caller in set(_sources(target)) else ():
            group = groups.get((namespace_of(target), rule["name"])) or {}
            for match in (group.get("spec") or {}).get("matches") or ():
                paths.setdefault(match.get("pathRegex") or ".*", []).append(_destination(target))
    behind = _accounts(snapshot)

    def bound(route: JSON) -> Iterator[JSON]:
        shares = route.get("route", {}).get("weighted_clusters", {}).get("clusters", ())
        owners: dict[Account, str] = {}
        for cluster in (share["name"] for share in shares):
            _, namespace, service, _ = cluster.split("|")
            owners.update((account, cluster) for account in behind.get((namespace, service), ()))
        for path, destinations in paths.items() if len(owners) > 1 else ():
            first = next((owners[account] for account in destinations if account in owners), None)
            if first:
                match = {"safe_regex": {"regex": path}, "headers": route["match"].get("headers", [])}
                yield envoy.route(route["name"], match, envoy.to_cluster(first))
        yield route

    def edit(name: str, routes: JSON) -> None:
        for host in routes["virtual_hosts"]:
            host["routes"] = [one for route in host["routes"] for one in bound(route)]

    return with_routes(configuration, "outbound|", edit)


def _none_without_access(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """Like a control plane that waits for all watched kinds before it starts."""
    return snapshot if "traffictargets" in snapshot.objects else snapshot.replacing("trafficsplits", ())


FAULTS = (
    Fault(
        "split-opens-its-backends",
        "Who may call the root of a split may call its backends.",
        frozenset({"interact-split-access-on-backend-identity"}),
        lambda: FaultySnapshot(_granted_with_the_root),
        expected_readings={
            "interact-split-partial-authorisation": "split with a backend that is not granted: unacceptable"
        },
    ),
    Fault(
        "split-backends-granted-to-everybody",
        "Once somebody may call a backend of a split, every account of the namespace may.",
        frozenset({"interact-split-access-on-backend-identity"}),
        lambda: FaultySnapshot(_granted_to_everybody),
    ),
    Fault(
        "split-backends-granted-together",
        "Who may call one of the backends of a split may call all of them.",
        frozenset(),
        lambda: FaultySnapshot(_granted_with_one_another),
        expected_readings={
            "interact-split-partial-authorisation": "split with a backend that is not granted: unacceptable"
        },
    ),
    Fault(
        "split-lost-without-all-grants",
        "A client that may not call all backends of a split gets none of them.",
        frozenset(),
        lambda: _ByWhatTheCallerMay(_none_unless_all),
        expected_readings={
            "interact-split-partial-authorisation": "split with a backend that is not granted: b"
        },
    ),
    Fault(
        "split-among-the-granted",
        "A split is divided among those of its backends that the client may call.",
        frozenset(),
        lambda: _ByWhatTheCallerMay(_those_granted),
        expected_readings={
            "interact-split-partial-authorisation": "split with a backend that is not granted: c"
        },
    ),
    Fault(
        "split-decided-by-granted-path",
        "A client's routes come from its grants, so that each path leads to one of a split's backends.",
        frozenset({"interact-split-access-on-backend-identity"}),
        lambda: EditedConfiguration(_granted_paths),
        real_defects=("split-decided-per-access-route",),
        expected_readings={
            "interact-split-partial-authorisation": "split with a backend that is not granted: c"
        },
    ),
    Fault(
        "split-conditions-grant",
        "What selects requests for a split is granted at its backends.",
        frozenset({"interact-split-matches-with-target-routes"}),
        lambda: FaultySnapshot(_granted_by_conditions),
    ),
    Fault(
        "split-conditions-limit-grants",
        "What is granted at a backend of a split is granted only to requests that the split selects.",
        frozenset({"interact-split-matches-with-target-routes"}),
        lambda: FaultySnapshot(_granted_on_conditions),
    ),
    Fault(
        "split-needs-access-definitions",
        "Nothing is split in a cluster that has no definitions of TrafficAccess and TrafficSpecs.",
        frozenset({"common-independent-api-claims"}),
        lambda: FaultySnapshot(_none_without_access),
        removed_groups=("access", "specs"),
    ),
)
