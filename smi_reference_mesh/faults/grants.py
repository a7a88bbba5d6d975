"""Faults of the routes in targets: lost parts of matches, ports, routes that no target refers to."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.compiler.datagrams import datagrams_of
from smi_reference_mesh.compiler.mesh import mesh_of, selects
from smi_reference_mesh.faults.building_blocks import FaultyObjects, FaultySnapshot, edited
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import EditedConfiguration
from smi_reference_mesh.kube.objects import Object, Workload, account_of, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.smi.conversion import KEPT

Match = dict[str, Any]
_NOWHERE = 1
"""A port without a listening workload."""
_RAW = 9000
"""The workloads' port for raw TCP."""
_FIRST = 8080
"""The first port of each workload."""


def _without_headers_alone(group: dict[str, Any]) -> None:
    matches = group["spec"].get("matches") or ()
    group["spec"]["matches"] = [one for one in matches if one.get("pathRegex") or one.get("methods")]


def _headers_apart(group: dict[str, Any]) -> None:
    """Splits each match with a path in two: its route, and its headers for any route."""
    matches: list[Match] = []
    for match in group["spec"].get("matches") or ():
        if match.get("headers") and match.get("pathRegex"):
            matches.append({key: value for key, value in match.items() if key != "headers"})
            # With the same name, so that a rule that names the match names both.
            matches.append({"name": match["name"], "headers": match["headers"]})
        else:
            matches.append(match)
    group["spec"]["matches"] = matches


def _is_anything(match: Match) -> bool:
    return (
        match.get("pathRegex", ".*") == ".*"
        and match.get("methods", ["*"]) == ["*"]
        and not match.get("headers")
    )


def _without_anything(group: dict[str, Any]) -> None:
    matches = group["spec"].get("matches") or []
    narrow = [match for match in matches if not _is_anything(match)]
    group["spec"]["matches"] = narrow or matches


def _granted_by_name(
    snapshot: ClusterSnapshot, routes: Iterable[Object], kind: str, **limit: int
) -> ClusterSnapshot:
    """Each route grants everybody access to the account of its name, on one port if given."""
    callers: dict[str, set[str]] = {}
    for pod in snapshot.of("pods"):
        callers.setdefault(namespace_of(pod), set()).add(account_of(pod))
    made: list[Object] = []
    for route in routes:
        namespace, name = namespace_of(route), name_of(route)
        subjects = [
            {"kind": "ServiceAccount", "name": one, "namespace": namespace}
            for one in sorted(callers.get(namespace, ()))
        ]
        made.append(
            {
                "apiVersion": "access.smi-spec.io/v1alpha3",
                "kind": "TrafficTarget",
                "metadata": {"namespace": namespace, "name": f"by-name-{name}"},
                "spec": {
                    "destination": {"kind": "ServiceAccount", "name": name, "namespace": namespace, **limit},
                    "rules": [{"kind": kind, "name": name}],
                    "sources": subjects,
                },
            }
        )
    return snapshot.replacing("traffictargets", [*snapshot.of("traffictargets"), *made])


def _groups_granted_by_name(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    return _granted_by_name(snapshot, snapshot.of("httproutegroups"), "HTTPRouteGroup")


def _unused_groups_granted_by_name(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    used = {
        (namespace_of(target), rule["name"])
        for target in snapshot.of("traffictargets")
        for rule in target["spec"].get("rules") or ()
        if rule["kind"] == "HTTPRouteGroup"
    }
    groups = snapshot.of("httproutegroups")
    unused = [group for group in groups if (namespace_of(group), name_of(group)) not in used]
    return _granted_by_name(snapshot, unused, "HTTPRouteGroup")


def _tcp_granted_by_name(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    return _granted_by_name(snapshot, snapshot.of("tcproutes"), "TCPRoute", port=_RAW)


def _udp_granted_by_name(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    return _granted_by_name(snapshot, snapshot.of("udproutes"), "UDPRoute")


def _ports(route: Object) -> list[int]:
    listed: list[int] = ((route.get("spec") or {}).get("matches") or {}).get("ports") or []
    return listed


def _no_ports_are_none(route: dict[str, Any]) -> None:
    if not _ports(route):
        route["spec"] = {"matches": {"ports": [_NOWHERE]}}


def _listed_udp_ports_only(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    return _listed_ports_only(snapshot, "udproutes", "UDPRoute")


def _all_ports(route: dict[str, Any]) -> None:
    route["spec"] = {"matches": {"ports": []}}


def _udp_by_tcp_routes(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A grant of raw TCP also grants UDP on the same ports."""
    routes = [
        {**route, "kind": "UDPRoute", "metadata": {**route["metadata"], "name": f"tcp-{name_of(route)}"}}
        for route in snapshot.of("tcproutes")
    ]

    def also_udp(target: dict[str, Any]) -> None:
        rules = target["spec"].get("rules") or []
        rules += [
            {"kind": "UDPRoute", "name": f"tcp-{rule['name']}"}
            for rule in rules
            if rule["kind"] == "TCPRoute"
        ]

    return edited(
        snapshot.replacing("udproutes", [*snapshot.of("udproutes"), *routes]), "traffictargets", also_udp
    )


def _udp_let_through(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    mesh = mesh_of(snapshot)
    pod = mesh.pods.get((workload.namespace, workload.name))
    if pod is None:
        return configuration
    datagrams = list(datagrams_of(mesh, pod, None))
    names = {each.cluster["name"] for each in datagrams}
    return replace(
        configuration,
        listeners=(
            *(one for one in configuration.listeners if one["name"] not in names),
            *(each.listener for each in datagrams),
        ),
        clusters=(
            *(one for one in configuration.clusters if one["name"] not in names),
            *(each.cluster for each in datagrams),
        ),
    )


def _listed_ports_only(
    snapshot: ClusterSnapshot, plural: str = "tcproutes", kind: str = "TCPRoute"
) -> ClusterSnapshot:
    """Collects the ports of all routes of a target into one list, to which 'all' adds nothing."""
    listed = {(namespace_of(route), name_of(route)): _ports(route) for route in snapshot.of(plural)}

    def limit(target: dict[str, Any]) -> None:
        rules = target["spec"].get("rules") or []
        raw = [rule for rule in rules if rule["kind"] == kind]
        limited = [rule for rule in raw if listed.get((namespace_of(target), rule["name"]))]
        if limited:
            target["spec"]["rules"] = [rule for rule in rules if rule not in raw or rule in limited]

    return edited(snapshot, "traffictargets", limit)


def _granted_by_port(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A target with listed ports only grants its access at every account of its namespace."""
    accounts = {(namespace_of(pod), account_of(pod)) for pod in snapshot.of("pods")}
    listed = {(namespace_of(route), name_of(route)) for route in snapshot.of("tcproutes") if _ports(route)}
    made: list[Object] = []
    for target in snapshot.of("traffictargets"):
        namespace, rules = namespace_of(target), target["spec"].get("rules") or []
        if all(rule["kind"] == "TCPRoute" and (namespace, rule["name"]) in listed for rule in rules):
            for name in sorted(name for space, name in accounts if space == namespace):
                copied: dict[str, Any] = copy.deepcopy(dict(target))
                copied["metadata"]["name"] = f"{name_of(target)}-at-{name}"
                copied["spec"]["destination"]["name"] = name
                made.append(copied)
    return snapshot.replacing("traffictargets", [*snapshot.of("traffictargets"), *made])


def _ports_ignored_beside_routes(target: dict[str, Any]) -> None:
    """HTTP routes are open on every port, regardless of TCPRoutes beside them."""
    rules = target["spec"].get("rules") or []
    if any(rule["kind"] == "HTTPRouteGroup" for rule in rules):
        target["spec"]["rules"] = [rule for rule in rules if rule["kind"] != "TCPRoute"]


def _first_port_beside_routes(target: dict[str, Any]) -> None:
    """Beside HTTP routes a TCPRoute opens the destination's first port, regardless of its listed ones."""
    kinds = {rule["kind"] for rule in target["spec"].get("rules") or []}
    if kinds >= {"HTTPRouteGroup", "TCPRoute"}:
        _ports_ignored_beside_routes(target)
        _limit(target, _FIRST)


def _tcp_to_everybody(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A TCPRoute opens raw TCP to all accounts: its sources apply to HTTP only."""
    accounts = sorted({(namespace_of(pod), account_of(pod)) for pod in snapshot.of("pods")})
    everybody = [{"kind": "ServiceAccount", "name": name, "namespace": space} for space, name in accounts]

    def open_to_all(target: dict[str, Any]) -> None:
        if {rule["kind"] for rule in target["spec"].get("rules") or []} == {"TCPRoute"}:
            target["spec"]["sources"] = everybody

    return edited(snapshot, "traffictargets", open_to_all)


def _kept(target: dict[str, Any]) -> dict[str, Any]:
    """The fields that a stored target keeps of versions with more fields, such as its port."""
    kept: dict[str, Any] = json.loads((target["metadata"].get("annotations") or {}).get(KEPT, "{}"))
    return kept


def _limit(target: dict[str, Any], port: int | None) -> None:
    """Gives a stored target a port, as in versions that have one, or none."""
    rest = {key: value for key, value in _kept(target).items() if key != "port"}
    kept = rest if port is None else {**rest, "port": port}
    annotations = {**(target["metadata"].get("annotations") or {}), KEPT: json.dumps(kept, sort_keys=True)}
    target["metadata"]["annotations"] = annotations


def _port_ignored(target: dict[str, Any]) -> None:
    _limit(target, None)


def _first_port_unless_told(target: dict[str, Any]) -> None:
    _limit(target, _kept(target).get("port", _FIRST))


def _numbers_exposed(snapshot: ClusterSnapshot) -> dict[tuple[str, str], set[int]]:
    """The numeric target ports of services, by the account of the pods that they select."""
    found: dict[tuple[str, str], set[int]] = {}
    for pod in snapshot.of("pods"):
        numbers = found.setdefault((namespace_of(pod), account_of(pod)), set())
        for service in snapshot.of("services"):
            selector = service["spec"].get("selector")
            if selector and namespace_of(service) == namespace_of(pod) and selects(selector, pod):
                numbers |= {
                    port.get("targetPort", port["port"])
                    for port in service["spec"].get("ports") or ()
                    if isinstance(port.get("targetPort", port["port"]), int)
                }
    return found


def _numeric_ports_only(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """Drops a target with a port that is no numeric target port of its destination's services."""
    exposed = _numbers_exposed(snapshot)
    routes = {(namespace_of(route), name_of(route)): _ports(route) for route in snapshot.of("tcproutes")}
    kept = []
    for target in snapshot.of("traffictargets"):
        spec, namespace = target["spec"], namespace_of(target)
        destination = spec["destination"]
        ports = {
            port
            for rule in spec.get("rules") or ()
            if rule["kind"] == "TCPRoute"
            for port in routes.get((namespace, rule["name"]), ())
        } | ({destination["port"]} if destination.get("port") else set())
        account = (destination.get("namespace") or namespace, destination["name"])
        if ports <= exposed.get(account, set()):
            kept.append(target)
    return snapshot.replacing("traffictargets", kept)


FAULTS = (
    Fault(
        "headers-only-match-lost",
        "A match of headers alone is lost, for lack of a path.",
        frozenset({"http-omitted-path-and-methods"}),
        lambda: FaultyObjects("httproutegroups", _without_headers_alone),
        real_defects=("headers-only-match-rejected",),
    ),
    Fault(
        "header-filters-by-themselves",
        "The header filters of a match suffice, whatever the path and the method.",
        frozenset({"http-path-method-header-conjunction"}),
        lambda: FaultyObjects("httproutegroups", _headers_apart),
        also_fails=frozenset({"http-header-filter", "http-headers-and"}),
    ),
    Fault(
        "wildcard-alternative-lost",
        "A match of everything adds no condition, so beside a narrower one it is lost.",
        frozenset({"http-matches-or"}),
        lambda: FaultyObjects("httproutegroups", _without_anything),
        real_defects=("wildcard-alternative-vanishes-from-or",),
    ),
    Fault(
        "route-groups-grant-by-name",
        "A route group opens the account of its name to all callers of the namespace.",
        frozenset({"http-group-inert-alone"}),
        lambda: FaultySnapshot(_groups_granted_by_name),
    ),
    Fault(
        "unused-route-groups-grant-by-name",
        "Until a target refers to a route group, it opens the account of its name to all callers.",
        frozenset({"http-group-inert-alone"}),
        lambda: FaultySnapshot(_unused_groups_granted_by_name),
    ),
    Fault(
        "tcp-routes-grant-by-name",
        "A TCPRoute opens the account of its name to raw TCP of all callers of the namespace.",
        frozenset({"http-group-inert-alone"}),
        lambda: FaultySnapshot(_tcp_granted_by_name),
    ),
    Fault(
        "tcp-granted-by-port-alone",
        "A grant of raw TCP is compiled to its port alone: it holds for every destination of the namespace.",
        frozenset({"access-default-deny"}),
        lambda: FaultySnapshot(_granted_by_port),
    ),
    Fault(
        "tcp-no-ports-are-none",
        "A TCPRoute without ports matches nothing.",
        frozenset({"l4-empty-ports-match-all"}),
        lambda: FaultyObjects("tcproutes", _no_ports_are_none),
        expected_readings={"l4-ports-omitted": "an empty spec: b"},
    ),
    Fault(
        "tcp-listed-ports-hide-all",
        "Next to a TCPRoute that lists ports, one that stands for all of them adds nothing.",
        frozenset({"l4-empty-ports-match-all"}),
        lambda: FaultySnapshot(_listed_ports_only),
    ),
    Fault(
        "tcp-granted-to-everybody",
        "Where raw TCP is opened to somebody, it is open to everybody.",
        frozenset({"access-tcproute-allows-tcp"}),
        lambda: FaultySnapshot(_tcp_to_everybody),
        real_defects=("tcp-sources-unchecked",),
    ),
    Fault(
        "ports-ignored-beside-routes",
        "Beside HTTP routes the ports of a TCPRoute are not looked at.",
        frozenset({"access-l4-rule-constrains-l7"}),
        lambda: FaultyObjects("traffictargets", _ports_ignored_beside_routes),
    ),
    Fault(
        "ports-open-the-first",
        "Whichever port is said beside HTTP routes, the first port of the destination is opened.",
        frozenset({"access-l4-rule-constrains-l7"}),
        lambda: FaultyObjects("traffictargets", _first_port_beside_routes),
        real_defects=("port-of-a-grant-opens-another",),
    ),
    Fault(
        "target-port-ignored",
        "The port of a target is not looked at.",
        frozenset({"access-v1alpha1-destination-port"}),
        lambda: FaultyObjects("traffictargets", _port_ignored),
        versions="access=v1alpha2",
    ),
    Fault(
        "target-without-port-opens-the-first",
        "A target without a port opens the first port of its destination.",
        frozenset({"access-v1alpha1-destination-port"}),
        lambda: FaultyObjects("traffictargets", _first_port_unless_told),
        versions="access=v1alpha2",
    ),
    Fault(
        "ports-compared-with-numbers",
        "The port of a grant is compared with numbers alone: where target ports are named it is dropped.",
        frozenset({"common-named-target-ports"}),
        lambda: FaultySnapshot(_numeric_ports_only),
        real_defects=("destination-port-compared-with-numeric-target-port",),
    ),
    Fault(
        "udp-let-through",
        "Only TCP is intercepted: UDP goes through, whatever targets say.",
        frozenset({"access-udproute-ports"}),
        lambda: EditedConfiguration(_udp_let_through),
        also_fails=frozenset({"http-group-inert-alone", "l4-empty-ports-match-all"}),
    ),
    Fault(
        "udp-opened-by-tcp-routes",
        "A TCPRoute opens its ports to UDP as well.",
        frozenset({"access-udproute-ports"}),
        lambda: FaultySnapshot(_udp_by_tcp_routes),
    ),
    Fault(
        "udp-ports-ignored",
        "A UDPRoute opens all ports, whichever it lists.",
        frozenset({"access-udproute-ports"}),
        lambda: FaultyObjects("udproutes", _all_ports),
    ),
    Fault(
        "udp-no-ports-are-none",
        "A UDPRoute without ports matches nothing.",
        frozenset({"l4-empty-ports-match-all"}),
        lambda: FaultyObjects("udproutes", _no_ports_are_none),
    ),
    Fault(
        "udp-listed-ports-hide-all",
        "Next to a UDPRoute that lists ports, one that stands for all of them adds nothing.",
        frozenset({"l4-empty-ports-match-all"}),
        lambda: FaultySnapshot(_listed_udp_ports_only),
    ),
    Fault(
        "udp-routes-grant-by-name",
        "A UDPRoute opens the account of its name to UDP of all callers of the namespace.",
        frozenset({"http-group-inert-alone"}),
        lambda: FaultySnapshot(_udp_granted_by_name),
    ),
    Fault(
        "tcp-portless-is-none",
        "A TCPRoute of a version without ports matches nothing.",
        frozenset({"tcp-portless-covers-all"}),
        lambda: FaultyObjects("tcproutes", _no_ports_are_none),
        versions="access=v1alpha2,specs=v1alpha3",
    ),
)
