"""Renders fixtures, written in the newest stable API versions, in any other version of their group.

The versions are wire formats with the same meaning: rendering changes the place and the notation of a field,
never its meaning. A meaning that a version cannot express raises `NotInVersion`, with the reason.

Sources: apis/traffic-split, apis/traffic-specs and apis/traffic-access of the specification, each version's
own file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from conformance.catalogue import GROUPS
from conformance.clusters import Object

NEWEST_STABLE = {"split": "v1alpha4", "access": "v1alpha3", "specs": "v1alpha4", "metrics": "v1alpha1"}
"""SPEC_LATEST_STABLE.md, § Technical Overview."""

HeaderForm = Literal["map", "list"]
"""The form of header filters: a map in the documents, a list of one-key maps in the reference CRDs."""

_RENDERED = {
    "split": ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"),
    "access": ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"),
    "specs": ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"),
    "metrics": ("v1alpha1",),
}
_WRITTEN = {
    "split": {"v1alpha4"},
    "access": {"v1alpha3", "v1alpha4"},
    "specs": {"v1alpha4"},
    "metrics": {"v1alpha1"},
}
_SHORT = {group: short for short, group in GROUPS.items()}
_PORT_IN_TARGET = {"v1alpha1", "v1alpha2"}
"""Versions of access whose destination has a port; TCPRoutes have ports since specs v1alpha4."""


class NotInVersion(ValueError):
    """The wanted version cannot express an object; the message names the field."""


@dataclass(frozen=True, slots=True)
class WireFormat:
    """The wire format of a scenario's SMI objects.

    ``versions`` maps groups (short names) to versions; ``listed`` maps TCPRoutes that targets may refer to,
    by name, to their ports; ``headers`` is the form of header filters.
    """

    versions: Mapping[str, str]
    listed: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))
    headers: HeaderForm = "map"


def preference(group: str, claimed: Iterable[str]) -> list[str]:
    """The claimed versions of a group by preference: newest stable, then the others, newest first."""
    return sorted(claimed, key=lambda version: (version == NEWEST_STABLE[group], version), reverse=True)


def pick(group: str, claimed: tuple[str, ...]) -> str | None:
    """The default version of a group: the newest stable version if claimed, else the newest claimed."""
    return next(iter(preference(group, claimed)), None)


def ports(objects: Iterable[Object]) -> dict[str, tuple[int, ...]]:
    """TCPRoute name → its listed ports; empty for all ports."""
    return {
        str(item["metadata"]["name"]): tuple(item["spec"]["matches"]["ports"])
        for item in objects
        if item["kind"] == "TCPRoute" and item.get("spec", {}).get("matches")
    }


def render(
    item: Object,
    versions: Mapping[str, str],
    listed: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
    headers: HeaderForm = "map",
) -> dict[str, Any]:
    """The object in the version of its group (``versions``: short group name → version).

    ``listed`` are the ports of the TCPRoutes that it may refer to: before specs v1alpha4 the target has the
    port. ``headers`` is the form of header filters. Raises NotInVersion if the version cannot express the
    object or is unknown to this suite; objects of other groups stay as they are.
    """
    group, _, version = str(item["apiVersion"]).partition("/")
    short = _SHORT.get(group)
    if short is None:
        return dict(item)
    wanted = versions.get(short, version)
    if wanted not in _RENDERED[short]:
        raise NotInVersion(f"this suite does not write {group}/{wanted}")
    if version not in _WRITTEN[short]:
        if wanted != version:
            raise NotInVersion(f"{item['kind']} {item['metadata']['name']} is about {short} {version} only")
        return dict(item)
    rendered = {**item, "apiVersion": f"{group}/{wanted}"}
    return _KINDS[str(item["kind"])](rendered, wanted, WireFormat(versions, listed, headers))


def _split(item: Object, version: str, wire: WireFormat) -> dict[str, Any]:
    """Before v1alpha3 there are no matches; in v1alpha1 weights are Kubernetes quantities."""
    spec = item.get("spec") or {}
    if version in {"v1alpha1", "v1alpha2"} and spec.get("matches"):
        raise NotInVersion(f"TrafficSplit {version} has no matches")
    backends = spec.get("backends")
    if version != "v1alpha1" or not isinstance(backends, list):
        return dict(item)
    return {**item, "spec": {**spec, "backends": [_with_quantity(entry) for entry in backends]}}


def _with_quantity(backend: Any) -> Any:
    # As a string, like clients that know quantities; a bare 1 would mean the same.
    weight = backend.get("weight") if isinstance(backend, Mapping) else None
    if isinstance(weight, bool) or not isinstance(weight, int):
        return backend
    return {**backend, "weight": str(weight)}


def _route_group(item: Object, version: str, wire: WireFormat) -> dict[str, Any]:
    """Before v1alpha3 the matches are at top level; v1alpha1 has no header filters."""
    spec = item.get("spec") or {}
    matches = spec.get("matches")
    if isinstance(matches, list):
        if version == "v1alpha1" and any(isinstance(one, Mapping) and one.get("headers") for one in matches):
            raise NotInVersion("HTTPRouteGroup v1alpha1 has no header filters")
        spec = {**spec, "matches": [_with_headers(match, wire.headers) for match in matches]}
    if version in {"v1alpha1", "v1alpha2"}:
        return {**_headed(item), **spec}
    return {**item, "spec": spec} if "spec" in item else dict(item)


def _with_headers(match: Any, form: HeaderForm) -> Any:
    headers = match.get("headers") if isinstance(match, Mapping) else None
    if form == "map" or not isinstance(headers, Mapping):
        return match
    return {**match, "headers": [{name: value} for name, value in headers.items()]}


def _tcp_route(item: Object, version: str, wire: WireFormat) -> dict[str, Any]:
    """Ports begin with v1alpha4. Before, the target has the port, in versions of access with a port."""
    if version == "v1alpha4":
        return dict(item)
    if _lists_ports(item) and wire.versions.get("access") not in _PORT_IN_TARGET:
        raise NotInVersion(f"TCPRoute {version} has no ports")
    return {**_headed(item), "spec": {}} if version == "v1alpha3" else _headed(item)


def _lists_ports(item: Object) -> bool:
    return bool(((item.get("spec") or {}).get("matches") or {}).get("ports"))


def _udp_route(item: Object, version: str, wire: WireFormat) -> dict[str, Any]:
    """UDPRoute begins with v1alpha4."""
    if version != "v1alpha4":
        raise NotInVersion(f"specs.smi-spec.io/{version} has no UDPRoute")
    return dict(item)


def _target(item: Object, version: str, wire: WireFormat) -> dict[str, Any]:
    """IdentityBindings begin with v1alpha4, UDPRoute rules with v1alpha3.

    Up to v1alpha2 the destination has a port; v1alpha1 has the body at top level and calls the rules specs.
    """
    if version == "v1alpha4":
        return dict(item)
    spec = item.get("spec") or {}
    for subject in (spec.get("destination") or {}, *(spec.get("sources") or ())):
        if subject.get("kind") == "IdentityBinding" or subject.get("group"):
            raise NotInVersion(f"TrafficTarget {version} refers to ServiceAccounts only")
    if version == "v1alpha3":
        return dict(item)
    spec = _with_port(spec, version, wire.listed)
    if version == "v1alpha2":
        return {**item, "spec": spec} if "spec" in item else dict(item)
    return {**_headed(item), **{"specs" if key == "rules" else key: value for key, value in spec.items()}}


def _with_port(spec: Object, version: str, listed: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """A target's spec of access up to v1alpha2: the destination has the port of its TCPRoutes."""
    rules = spec.get("rules") or ()
    if any(rule.get("kind") == "UDPRoute" for rule in rules):
        raise NotInVersion(f"TrafficTarget {version} has no UDPRoute rules")
    names = [rule.get("name") for rule in rules if rule.get("kind") == "TCPRoute"]
    routes = [listed[name] for name in names if name in listed]
    numbers = {number for route in routes for number in route}
    if not all(routes):
        # A route without ports opens all ports, whatever the other routes list.
        numbers = set()
    if len(numbers) > 1:
        raise NotInVersion(f"TrafficTarget {version} has one port")
    if not numbers:
        return dict(spec)
    # Next to HTTP routes a TCPRoute only restricts their port; alone it opens the port.
    http = [rule for rule in rules if rule.get("kind") == "HTTPRouteGroup"]
    return {**spec, "destination": {**spec["destination"], "port": numbers.pop()}, "rules": http or rules}


def _binding(item: Object, version: str, wire: WireFormat) -> dict[str, Any]:
    """IdentityBinding begins with v1alpha4."""
    if version != "v1alpha4":
        raise NotInVersion(f"access.smi-spec.io/{version} has no IdentityBinding")
    return dict(item)


def _as_written(item: Object, version: str, wire: WireFormat) -> dict[str, Any]:
    return dict(item)


def _headed(item: Object) -> dict[str, Any]:
    """An object's apiVersion, kind and metadata."""
    return {key: item[key] for key in ("apiVersion", "kind", "metadata")}


_KINDS: Mapping[str, Callable[[Object, str, WireFormat], dict[str, Any]]] = {
    "TrafficSplit": _split,
    "HTTPRouteGroup": _route_group,
    "TCPRoute": _tcp_route,
    "UDPRoute": _udp_route,
    "TrafficTarget": _target,
    "IdentityBinding": _binding,
    "TrafficMetrics": _as_written,
}
