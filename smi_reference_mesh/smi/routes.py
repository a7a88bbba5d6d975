"""HTTPRouteGroup, TCPRoute and UDPRoute of all versions.

Sources: apis/traffic-specs of the specification. Where it is silent: an expression covers the whole path or
header value, an absent condition does not constrain, and an invalid match never matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from smi_reference_mesh.kube.objects import Object, name_of, namespace_of
from smi_reference_mesh.smi.model import Match, PortRoute, RouteGroup
from smi_reference_mesh.smi.parsing import Report, Unreadable, entries, listing, mapping, port, regex, text

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def route_group(source: Object, report: Report) -> RouteGroup:
    """An HTTPRouteGroup; before v1alpha3 the matches are at top level. Raises Unreadable."""
    body = mapping(source, "spec") if "spec" in source else source
    matches = []
    for position, entry in enumerate(entries(body, "matches")):
        try:
            matches.append(_match(entry))
        except Unreadable as odd:
            report(f"matches[{position}] never matches: {odd}")
    return RouteGroup(namespace_of(source), name_of(source), tuple(matches))


def _match(entry: Mapping[str, Any]) -> Match:
    path = entry.get("pathRegex")
    if path == "":
        raise Unreadable("an empty pathRegex covers no path")
    return Match(
        name=text(entry, "name"),
        path=None if path is None else regex(path),
        methods=_methods(listing(entry, "methods")),
        headers=tuple(sorted(_headers(entry.get("headers")))),
    )


def _methods(given: object) -> tuple[str, ...] | None:
    methods = tuple(given) if isinstance(given, list | tuple) else ()
    odd = [method for method in methods if method != "*" and method not in METHODS]
    if odd:
        raise Unreadable(f"{odd[0]!r} is not a method")
    return None if not methods or "*" in methods else tuple(sorted(set(methods)))


def _headers(given: object) -> Iterator[tuple[str, str]]:
    # The specification has a single map; its reference CRD and SDK have a list of maps with one key each.
    maps = given if isinstance(given, list | tuple) else [given or {}]
    for entry in maps:
        if not isinstance(entry, Mapping):
            raise Unreadable("headers is neither a map nor a list of maps")
        for name, pattern in entry.items():
            if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
                raise Unreadable(f"{name!r} is not a header name")
            yield name.lower(), regex(pattern)


def port_route(source: Object, report: Report) -> PortRoute:
    """A TCPRoute or UDPRoute. An absent and an empty list of ports both mean all ports. Raises Unreadable."""
    given = listing(mapping(mapping(source, "spec"), "matches"), "ports")
    ports = set()
    for value in given:
        try:
            ports.add(port(value))
        except Unreadable as odd:
            report(str(odd))
    # By the given list: a list of invalid ports only must not become all ports.
    return PortRoute(namespace_of(source), name_of(source), frozenset(ports) if given else None)
