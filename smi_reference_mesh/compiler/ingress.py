"""The ingress: routes traffic from outside the mesh to services by Ingress objects, through the same splits.

Supported of networking.k8s.io/v1 Ingress: rules of the class `reference` whose one path is `/` of type
Prefix, in plaintext. Everything else becomes a problem of the object. Of two rules for a host the older one
wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON, Configuration, file_name
from smi_reference_mesh.compiler.mesh import Mesh, Port, Service, mesh_of
from smi_reference_mesh.compiler.outbound import outbound_of
from smi_reference_mesh.compiler.splits import http_routes, splits_by_root
from smi_reference_mesh.kube.objects import Object, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.names import INGRESS, INGRESS_CLASS, INGRESS_PORT
from smi_reference_mesh.smi.model import Problem

_EVERY_HOST = "*"


class _Unserved(Exception):
    """An unsupported rule; the text says why."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule of an Ingress object."""

    ingress: Object
    host: str
    source: Mapping[str, Any]

    def problem(self, message: str) -> Problem:
        return Problem("Ingress", namespace_of(self.ingress), name_of(self.ingress), message)


def ingress_of(snapshot: ClusterSnapshot, xds_directory: str) -> Configuration:
    """Compile the configuration of the ingress, limited to the destinations of Ingress objects."""
    mesh, outbound = mesh_of(snapshot), outbound_of(snapshot, xds_directory)
    splits = splits_by_root(mesh)
    hosts: dict[str, list[JSON]] = {}
    problems: set[Problem] = set()
    for rule in _rules(snapshot.of("ingresses")):
        try:
            service, port = _destination(mesh, rule)
        except _Unserved as error:
            problems.add(rule.problem(str(error)))
            continue
        if rule.host in hosts:
            problems.add(rule.problem(f"an older rule has the host {rule.host}"))
            continue
        hosts[rule.host] = http_routes(mesh, service, port, splits.get((service.namespace, service.name), ()))
    wanted = {name for routes in hosts.values() for name in _clusters(routes)}
    return Configuration(
        listeners=(_listener(xds_directory),),
        clusters=tuple(each for each in outbound.clusters if each["name"] in wanted),
        routes={INGRESS: _route_configuration(hosts)},
        problems=tuple(sorted(problems)),
    )


def _rules(ingresses: Iterable[Object]) -> Iterator[_Rule]:
    """The rules of the mesh's class, oldest first."""
    own = [each for each in ingresses if each.get("spec", {}).get("ingressClassName") == INGRESS_CLASS]
    for ingress in sorted(own, key=_age):
        for source in ingress["spec"].get("rules") or ():
            yield _Rule(ingress, source.get("host") or _EVERY_HOST, source)


def _age(ingress: Object) -> tuple[str, str, str]:
    created = str(ingress["metadata"].get("creationTimestamp") or "")
    return created, namespace_of(ingress), name_of(ingress)


def _destination(mesh: Mesh, rule: _Rule) -> tuple[Service, Port]:
    """The destination of a rule. Raises _Unserved."""
    paths: list[Mapping[str, Any]] = (rule.source.get("http") or {}).get("paths") or []
    asked = [(path.get("path", "/"), path.get("pathType")) for path in paths]
    if asked != [("/", "Prefix")]:
        raise _Unserved("a rule is served that has one path, / of type Prefix")
    if rule.ingress["spec"].get("tls"):
        raise _Unserved("TLS is not served")
    backend = paths[0].get("backend", {}).get("service") or {}
    if not backend.get("name"):
        raise _Unserved("a rule is served that leads to a service")
    name, wanted = str(backend["name"]), backend.get("port") or {}
    service = mesh.services.get((namespace_of(rule.ingress), name))
    if service is None:
        raise _Unserved(f"service {name} does not exist in a meshed namespace")
    for port in service.ports:
        # Ingress rules are HTTP, whatever the port's declared protocol.
        if port.number == wanted.get("number") or (port.name and port.name == wanted.get("name")):
            return service, port
    raise _Unserved(f"service {name} does not expose the port")


def _clusters(routes: Iterable[JSON]) -> Iterator[str]:
    """The clusters that routes forward to."""
    for each in routes:
        action = each.get("route", {})
        shares = action.get("weighted_clusters", {}).get("clusters", ())
        yield from (share["name"] for share in shares)
        if "cluster" in action:
            yield action["cluster"]


def _route_configuration(hosts: Mapping[str, list[JSON]]) -> JSON:
    return {
        "name": INGRESS,
        "virtual_hosts": [
            {"name": host, "domains": [host], "routes": routes} for host, routes in sorted(hosts.items())
        ],
        "ignore_port_in_host_matching": True,
        "validate_clusters": False,
    }


def _listener(xds_directory: str) -> JSON:
    handler = envoy.http("out", INGRESS, f"{xds_directory}/{file_name('rds', INGRESS)}")
    return {
        "name": INGRESS,
        "traffic_direction": "OUTBOUND",
        "address": envoy.address("0.0.0.0", INGRESS_PORT),  # noqa: S104 - clients must reach it
        "filter_chains": [{"name": INGRESS, "filters": [handler]}],
    }
