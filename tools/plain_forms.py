"""Plain forms: what a fixture is about stands in it alone; all else is written as most meshes know it.

A mesh that does not know a form which nothing asks for would fail requirements that it meets. So each form
that is out of the ordinary has the scenarios that may use it, with the reason; `python -m tools.lint`
fails where another does, and where none of these does any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

from conformance.clusters import Object
from conformance.drive.arena import OUTSIDE, UDP, WORKLOADS
from conformance.drive.manifests import folder, load

_UDP_PLACES = {WORKLOADS[UDP], WORKLOADS[OUTSIDE]}
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Folder:
    """The objects of one folder of fixtures, and the pods of the arena beside them."""

    name: str
    objects: Sequence[Object]
    arena: Sequence[Object] = field(default=())

    def of(self, kind: str) -> list[Object]:
        return [item for item in self.objects if item["kind"] == kind]

    def pods(self) -> list[Object]:
        """Namespace, labels and spec of each pod: those of the arena, and those that the folder adds."""
        found = [*self.arena, *self.objects]
        return [_pod(item) for item in found if item["kind"] in {"Pod", "Deployment"}]

    def behind(self, service: Object) -> list[Object]:
        """The pods that a service selects."""
        wanted, where = (service["spec"].get("selector") or {}).items(), _namespace(service)
        return [one for one in self.pods() if one["namespace"] == where and wanted <= one["labels"].items()]

    def services(self) -> dict[tuple[str, str], list[Object]]:
        """All services, by namespace and name; one that is edited stands there in each of its forms."""
        found: dict[tuple[str, str], list[Object]] = {}
        for item in [*self.arena, *self.objects]:
            if item["kind"] == "Service":
                found.setdefault((_namespace(item), item["metadata"]["name"]), []).append(item)
        return found


Form = Callable[[Folder], Iterator[str]]


def match_names(one: Folder) -> Iterator[str]:
    """A rule of a target names the matches of its route group."""
    for target in one.of("TrafficTarget"):
        for rule in (target.get("spec") or {}).get("rules") or ():
            if rule["kind"] == "HTTPRouteGroup" and not rule.get("matches"):
                yield f"TrafficTarget {_name(target)}: its rule {rule['name']} names no matches"


def whole_matches(one: Folder) -> Iterator[str]:
    """A match of a group that a target refers to has a path and methods."""
    used = {
        (_namespace(target), rule["name"])
        for target in one.of("TrafficTarget")
        for rule in (target.get("spec") or {}).get("rules") or ()
    }
    for group in one.of("HTTPRouteGroup"):
        if (_namespace(group), _name(group)) in used:
            for match in _matches(group):
                if not (match.get("pathRegex") and match.get("methods")):
                    yield f"HTTPRouteGroup {_name(group)}: match {match['name']} lacks a path or methods"


def distinct_values(one: Folder) -> Iterator[str]:
    """No expression for a header is part of another one for it: meshes differ in where they anchor."""
    found: dict[str, set[str]] = {}
    for group in one.of("HTTPRouteGroup"):
        for match in _matches(group):
            for name, value in (match.get("headers") or {}).items():
                found.setdefault(name.lower(), set()).add(value.strip("^$"))
    for name, values in found.items():
        for part, whole in permutations(sorted(values), 2):
            if part in whole:
                yield f"header {name}: {part!r} is part of {whole!r}"


def numeric_target_ports(one: Folder) -> Iterator[str]:
    """A service gives its target ports as numbers."""
    for service, port in _ports(one):
        if not isinstance(port.get("targetPort"), int):
            yield f"Service {_name(service)}: target port {port.get('targetPort')} is no number"


def one_protocol(one: Folder) -> Iterator[str]:
    """All ports of a service are of one protocol."""
    for service in one.of("Service"):
        spoken = {port.get("appProtocol") or port.get("protocol") for port in service["spec"]["ports"]}
        if len(spoken) > 1:
            yield f"Service {_name(service)}: its ports are of {' and '.join(sorted(map(str, spoken)))}"


def known_protocols(one: Folder) -> Iterator[str]:
    """A port is of http or tcp, or it is of UDP."""
    for service, port in _ports(one):
        told = port.get("appProtocol")
        if port.get("protocol") != "UDP" and told not in {"http", "tcp"}:
            yield f"Service {_name(service)}: appProtocol {told}"


def udp_apart(one: Folder) -> Iterator[str]:
    """UDP is in the part of the arena that is made only where it is governed, or outside the mesh."""
    for service, port in _ports(one):
        if port.get("protocol") == "UDP" and _namespace(service) not in _UDP_PLACES:
            yield f"Service {_name(service)}: a port of UDP in {_namespace(service)}"
    for pod in one.pods():
        ports = [port for container in pod["spec"]["containers"] for port in container["ports"]]
        if pod["namespace"] not in _UDP_PLACES and any(port.get("protocol") == "UDP" for port in ports):
            yield f"a pod with a port of UDP in {pod['namespace']}"


def declared_ports(one: Folder) -> Iterator[str]:
    """A target port is one that the containers behind the service declare."""
    for service, port in _ports(one):
        for pod in one.behind(service):
            ports = [each for container in pod["spec"]["containers"] for each in container["ports"]]
            if port.get("targetPort") not in {
                each[key] for each in ports for key in ("name", "containerPort")
            }:
                yield f"Service {_name(service)}: nobody declares port {port.get('targetPort')}"
                break


def one_account(one: Folder) -> Iterator[str]:
    """The pods behind a service run as one account."""
    for service in one.of("Service"):
        accounts = {pod["spec"]["serviceAccountName"] for pod in one.behind(service)}
        if len(accounts) > 1:
            yield f"Service {_name(service)}: {', '.join(sorted(accounts))} stand behind it"


def somebody_behind(one: Folder) -> Iterator[str]:
    """A service has a pod."""
    for service in one.of("Service"):
        if not one.behind(service):
            yield f"Service {_name(service)}: nobody stands behind it"


def cluster_ip(one: Folder) -> Iterator[str]:
    """A service has an address of the cluster, and no other."""
    for service in one.of("Service"):
        if service["spec"].get("type", "ClusterIP") != "ClusterIP" or "clusterIP" in service["spec"]:
            yield f"Service {_name(service)}: is not a plain ClusterIP"


def disjoint(one: Folder) -> Iterator[str]:
    """Of the splits of a scenario no root shares a pod with a backend."""
    services, splits = one.services(), _splits(one)
    for where in sorted({_namespace(split) for split in splits}):
        here = [split["spec"] for split in splits if _namespace(split) == where]
        roots = {str(spec["service"]) for spec in here}
        backends = {str(each["service"]) for spec in here for each in spec["backends"]}
        for root in sorted(roots):
            for backend in sorted(backends):
                both = _pods_of(one, services, where, root) & _pods_of(one, services, where, backend)
                if both:
                    yield f"root {root} and backend {backend} share {', '.join(sorted(both))}"


def whole_weights(one: Folder) -> Iterator[str]:
    """Weights are whole numbers, and a split has some."""
    for split in one.of("TrafficSplit"):
        backends = (split.get("spec") or {}).get("backends") or ()
        weights = [each.get("weight") for each in backends]
        if not all(isinstance(weight, int) and weight >= 0 for weight in weights) or not any(weights):
            yield f"TrafficSplit {_name(split)}: weights {', '.join(map(str, weights)) or 'none'}"


def plain_names(one: Folder) -> Iterator[str]:
    """Splits name services by their names alone."""
    for split in one.of("TrafficSplit"):
        spec = split.get("spec") or {}
        names = [spec.get("service", ""), *(each["service"] for each in spec.get("backends") or ())]
        for name in names:
            if not _LABEL.fullmatch(name):
                yield f"TrafficSplit {_name(split)}: {name!r} is no plain name of a service"


FORMS: Mapping[str, Form] = {
    form.__name__: form
    for form in (
        match_names,
        whole_matches,
        distinct_values,
        numeric_target_ports,
        one_protocol,
        known_protocols,
        udp_apart,
        declared_ports,
        one_account,
        somebody_behind,
        cluster_ip,
        disjoint,
        whole_weights,
        plain_names,
    )
}

DEPARTURES: Mapping[tuple[str, str], str] = {
    ("match_names", "traffic-access/match-names"): "asks what a rule without names stands for",
    (
        "match_names",
        "traffic-specs/odd-groups",
    ): "asks what a group without matches opens: there are no names",
    ("whole_matches", "traffic-specs/conjunction"): "asks for matches of headers alone",
    ("whole_matches", "traffic-specs/odd-groups"): "asks for matches that lack a field",
    ("numeric_target_ports", "traffic-access/named-target-ports"): "asks for named ones, under a target",
    ("numeric_target_ports", "traffic-split/named-target-ports"): "asks for named ones, under a split",
    ("known_protocols", "traffic-specs/declared-versions"): "asks for ports that declare the version of HTTP",
    ("known_protocols", "doctor"): "calls over each protocol that a profile says is carried",
    ("declared_ports", "traffic-split/root-targetport"): "asks for a root whose port nobody listens on",
    ("somebody_behind", "traffic-split/odd-splits-without-endpoints"): "asks for backends without pods",
    ("cluster_ip", "traffic-split/service-types"): "asks for backends of other types",
    ("disjoint", "traffic-split/overlap"): "asks for a root that selects its backends' pods",
    ("disjoint", "traffic-split/zero-weight"): "what is to get nothing must have got something before",
    ("disjoint", "traffic-split/nested"): "asks for a backend that is the root of another split",
    ("disjoint", "traffic-split/canary"): "the specification's workflow: the root selects all versions",
    ("disjoint", "traffic-split/canary-metrics"): "the same, where its steps are told by metrics",
    ("disjoint", "traffic-split/odd-splits"): "asks for a split that lists its own root",
    ("whole_weights", "traffic-split/odd-splits"): "asks for splits without backends",
    (
        "whole_weights",
        "traffic-split/odd-splits-weights",
    ): "asks for weights that add up to nothing, are halves or below 0",
    ("whole_weights", "traffic-split/quantity-weights"): "asks for weights that are quantities",
    ("whole_weights", "traffic-split/schemas"): "asks for the shapes of weights; nothing is sent",
    ("plain_names", "traffic-split/forms"): "asks for other forms of a root's name",
    ("plain_names", "traffic-split/odd-splits"): "asks for a root without a name, and a backend elsewhere",
}
"""By form and folder: why this scenario is not in it."""


def problems(
    folders: Iterable[Folder], departures: Mapping[tuple[str, str], str] = DEPARTURES
) -> Iterator[str]:
    """Departures from plain forms that no scenario may make, and permissions that none needs."""
    needed: set[tuple[str, str]] = set()
    for one in folders:
        for name, form in FORMS.items():
            found = list(dict.fromkeys(form(one)))
            if found and (name, one.name) in departures:
                needed.add((name, one.name))
                continue
            meant = str(form.__doc__).partition("\n")[0]
            yield from (f"fixtures/{one.name}: {problem} ({name}: {meant})" for problem in found)
    for name, where in departures:
        if (name, where) not in needed:
            yield f"plain_forms.py: {where} may depart from {name}, and does not"


def fixtures() -> list[Folder]:
    """All folders of fixtures."""
    root = Path(str(folder()))
    arena = [item for part in WORKLOADS for item in load(f"workloads/{part}.yaml")]
    by_folder: dict[str, list[Object]] = {}
    for path in sorted(root.rglob("*.yaml")):
        file = path.relative_to(root)
        by_folder.setdefault(str(file.parent), []).extend(load(str(file)))
    return [Folder(name, items, () if name == "workloads" else arena) for name, items in by_folder.items()]


def _pod(item: Object) -> dict[str, Any]:
    template = item["spec"]["template"] if item["kind"] == "Deployment" else item
    labels = template["metadata"].get("labels", {})
    name = item["metadata"]["name"]
    return {"namespace": _namespace(item), "name": name, "labels": labels, "spec": template["spec"]}


def _pods_of(
    one: Folder, services: Mapping[tuple[str, str], list[Object]], namespace: str, name: str
) -> set[str]:
    found = services.get((namespace, name), [])
    return {str(pod["name"]) for service in found for pod in one.behind(service)}


def _splits(one: Folder) -> list[Object]:
    """Those that have a root and backends."""
    specs = [(split, split.get("spec") or {}) for split in one.of("TrafficSplit")]
    return [split for split, spec in specs if spec.get("service") and spec.get("backends")]


def _ports(one: Folder) -> Iterator[tuple[Object, dict[str, Any]]]:
    for service in one.of("Service"):
        for port in service["spec"]["ports"]:
            yield service, port


def _matches(group: Object) -> list[dict[str, Any]]:
    return (group.get("spec") or {}).get("matches") or []


def _namespace(item: Object) -> str:
    return str(item["metadata"].get("namespace", ""))


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])
