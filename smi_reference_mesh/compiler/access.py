"""Access control: TrafficTargets as grants; everything else is denied.

Requests are judged individually, by RBAC rules in the route configuration. Raw TCP connections are judged in
the TLS handshake, by the identities that it accepts: network RBAC would wait for the caller's first byte, too
late for a server that speaks first. Datagrams are judged by their source address.

Where the specification is silent: ports are those that the pod listens on; a TCPRoute alone opens its ports
to HTTP as well; an HTTPRouteGroup alone applies to every port; together, the HTTP routes apply to the
TCPRoute's ports and raw TCP is denied, since it could carry any request. Only UDPRoutes open UDP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON
from smi_reference_mesh.compiler.mesh import Mesh, Name, addresses_of, identity_of, selects
from smi_reference_mesh.compiler.request_matching import permission
from smi_reference_mesh.kube.objects import Object, account_of, namespace_of
from smi_reference_mesh.membership import is_meshed
from smi_reference_mesh.names import spiffe_id
from smi_reference_mesh.smi.model import Binding, Match, PortRoute, Problem, Rule, Subject, Target

_ANY: JSON = {"any": True}


@dataclass(frozen=True, slots=True)
class Ports:
    """A union of port sets, of which `None` is all ports, and then contains the port `None` too."""

    parts: tuple[frozenset[int] | None, ...]

    def named(self) -> frozenset[int]:
        """The ports listed by number."""
        return frozenset(number for part in self.parts for number in part or ())

    def __contains__(self, port: int | None) -> bool:
        return any(part is None or port in part for part in self.parts)

    def within(self, limit: int | None) -> Ports:
        """The ports within a limit; all of them without one."""
        if limit is None:
            return self
        return Ports((frozenset({limit}),) if limit in self else ())


@dataclass(frozen=True, slots=True)
class Caller:
    """An allowed client: an identity, at any address or at the given one."""

    identity: str
    ip: str | None = None

    def principal(self) -> JSON:
        """The caller as an RBAC principal."""
        authenticated = {"authenticated": {"principal_name": {"exact": self.identity}}}
        if self.ip is None:
            return authenticated
        return {"and_ids": {"ids": [authenticated, {"direct_remote_ip": envoy.exactly(self.ip)}]}}


@dataclass(frozen=True, slots=True)
class Grant:
    """The access that one target grants to a workload: matching HTTP requests, raw TCP and UDP, by port."""

    name: str
    callers: tuple[Caller, ...]
    matches: tuple[Match, ...]
    http: Ports
    raw: Ports
    datagrams: Ports

    def http_permissions(self, port: int) -> list[JSON]:
        """Alternative conditions on requests to a port."""
        if port in self.raw:
            return [_ANY]
        return [permission(match) for match in self.matches] if port in self.http else []


def grants(mesh: Mesh, pod: Object) -> tuple[Grant, ...]:
    """The grants of all targets whose destination is a pod."""
    found = (
        _grant(mesh, target)
        for target in mesh.policies.targets.values()
        if _is(mesh, target.destination, pod)
    )
    return tuple(grant for grant in found if grant.callers)


def _grant(mesh: Mesh, target: Target) -> Grant:
    tcp, udp, http = (
        [rule for rule in target.rules if rule.kind == kind]
        for kind in ("TCPRoute", "UDPRoute", "HTTPRouteGroup")
    )
    listed = _ports(target, tcp, mesh.policies.tcp_routes)
    everywhere = Ports((None,)).within(target.port)
    return Grant(
        name=f"{target.namespace}/{target.name}",
        callers=tuple(caller for source in target.sources for caller in _callers(mesh, source)),
        matches=tuple(match for rule in http for match in _matches(mesh, target, rule)),
        http=listed if tcp else everywhere,
        raw=Ports(()) if http else listed,
        datagrams=_ports(target, udp, mesh.policies.udp_routes),
    )


def _ports(target: Target, rules: Iterable[Rule], routes: Mapping[Name, PortRoute]) -> Ports:
    found = (routes.get((target.namespace, rule.name)) for rule in rules)
    return Ports(tuple(route.ports for route in found if route is not None)).within(target.port)


def _matches(mesh: Mesh, target: Target, rule: Rule) -> Iterator[Match]:
    group = mesh.policies.groups.get((target.namespace, rule.name))
    for match in group.matches if group else ():
        if rule.matches is None or match.name in rule.matches:
            yield match


def _binding(mesh: Mesh, subject: Subject) -> Binding | None:
    return mesh.policies.bindings.get((subject.namespace, subject.name))


def _is(mesh: Mesh, subject: Subject, pod: Object) -> bool:
    """Whether a subject refers to a pod."""
    if subject.kind == "ServiceAccount":
        return (subject.namespace, subject.name) == (namespace_of(pod), account_of(pod))
    binding = _binding(mesh, subject)
    if binding is None or binding.namespace != namespace_of(pod):
        return False
    return (
        binding.account == account_of(pod)
        or identity_of(pod) in binding.spiffe_ids
        or any(selects(labels, pod) for labels in binding.selectors)
    )


def _callers(mesh: Mesh, subject: Subject) -> Iterator[Caller]:
    """The callers that a subject refers to."""
    if subject.kind == "ServiceAccount":
        yield Caller(spiffe_id(subject.namespace, subject.name))
        return
    binding = _binding(mesh, subject)
    if binding is None:
        return
    if binding.account is not None:
        yield Caller(spiffe_id(binding.namespace, binding.account))
    for identity in binding.spiffe_ids:
        yield Caller(identity)
    for pod in mesh.pods.values():
        here = namespace_of(pod) == binding.namespace and is_meshed(pod)
        if here and any(selects(labels, pod) for labels in binding.selectors):
            for ip in addresses_of(pod):
                yield Caller(identity_of(pod), ip)


def http_rules(granted: Iterable[Grant], port: int) -> JSON:
    """RBAC rules for requests on a port."""
    policies = {}
    for grant in granted:
        permissions = grant.http_permissions(port)
        if permissions:
            principals = [caller.principal() for caller in grant.callers]
            policies[grant.name] = {"permissions": permissions, "principals": principals}
    return {"action": "ALLOW", "policies": policies}


def raw_callers(granted: Iterable[Grant], port: int | None) -> frozenset[Caller]:
    """The callers that may connect to a port; None stands for undeclared ports."""
    return frozenset(caller for grant in granted if port in grant.raw for caller in grant.callers)


def datagram_addresses(mesh: Mesh, granted: Iterable[Grant], port: int) -> frozenset[str]:
    """The addresses of the pods that may send datagrams to a port."""
    callers = {caller for grant in granted if port in grant.datagrams for caller in grant.callers}
    anywhere = {caller.identity for caller in callers if caller.ip is None}
    found = {
        ip
        for pod in mesh.pods.values()
        if is_meshed(pod) and identity_of(pod) in anywhere
        for ip in addresses_of(pod)
    }
    return frozenset(found | {caller.ip for caller in callers if caller.ip is not None})


ANYONE: JSON = {"action": "ALLOW", "policies": {"anyone": {"permissions": [_ANY], "principals": [_ANY]}}}
"""RBAC rules without access control."""


def problems(mesh: Mesh, pod: Object) -> Iterator[Problem]:
    """References to missing objects in the targets of a workload."""
    for target in mesh.policies.targets.values():
        if _is(mesh, target.destination, pod):
            for message in _complaints(mesh, target):
                yield Problem("TrafficTarget", target.namespace, target.name, message)


def _complaints(mesh: Mesh, target: Target) -> Iterator[str]:
    policies = mesh.policies
    kinds = {
        "HTTPRouteGroup": policies.groups,
        "TCPRoute": policies.tcp_routes,
        "UDPRoute": policies.udp_routes,
    }
    for rule in target.rules:
        if (target.namespace, rule.name) not in kinds[rule.kind]:
            yield f"{rule.kind} {rule.name} does not exist and opens nothing"
        elif rule.kind == "HTTPRouteGroup":
            known = {match.name for match in policies.groups[target.namespace, rule.name].matches}
            for name in sorted(set(rule.matches or ()) - known):
                yield f"HTTPRouteGroup {rule.name} has no match {name}"
    for source in target.sources:
        if source.kind == "IdentityBinding" and _binding(mesh, source) is None:
            yield f"IdentityBinding {source.namespace}/{source.name} does not exist and is nobody"
