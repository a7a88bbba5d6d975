"""Renders fixtures, written in the newest stable API versions, in the versions that a mesh claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from conformance.catalogue import GROUPS
from conformance.clusters import Object

NEWEST_STABLE = {"split": "v1alpha4", "access": "v1alpha3", "specs": "v1alpha4", "metrics": "v1alpha1"}
"""SPEC_LATEST_STABLE.md, § Technical Overview."""

_SAME_SHAPE = {
    "split": {"v1alpha2", "v1alpha3", "v1alpha4"},
    "access": {"v1alpha2", "v1alpha3", "v1alpha4"},
    "specs": {"v1alpha3", "v1alpha4"},
}
_SHORT = {group: short for short, group in GROUPS.items()}


class NotExpressible(ValueError):
    """An object whose meaning the wanted version has no words for; the message says which field."""


def pick(group: str, claimed: tuple[str, ...]) -> str | None:
    """The version to speak to a mesh: the newest stable one if it is claimed, else the newest claimed."""
    if NEWEST_STABLE[group] in claimed:
        return NEWEST_STABLE[group]
    return max(claimed, default=None)


def ports(objects: Iterable[Object]) -> dict[str, tuple[int, ...]]:
    """The ports that TCPRoutes list, by the route's name."""
    return {
        str(item["metadata"]["name"]): tuple(item["spec"]["matches"]["ports"])
        for item in objects
        if item["kind"] == "TCPRoute" and item.get("spec", {}).get("matches")
    }


def render(
    item: Object, versions: Mapping[str, str], listed: Mapping[str, tuple[int, ...]] = MappingProxyType({})
) -> dict[str, Any]:
    """The object in the version of its group (``versions``: short group name → version).

    ``listed`` are the ports of the TCPRoutes that it may refer to: before specs v1alpha4 they stand in the
    target. Raises NotExpressible when the version cannot say it; objects of other groups stay as they are.
    """
    group, _, version = str(item["apiVersion"]).partition("/")
    short = _SHORT.get(group)
    wanted = versions.get(short) if short else None
    if short is None or wanted is None or wanted == version:
        return dict(item)
    if wanted not in _SAME_SHAPE.get(short, ()):
        raise NotExpressible(f"{item['kind']}: fixtures are not rendered as {group}/{wanted} yet")
    if short == "split" and wanted == "v1alpha2" and item["spec"].get("matches"):
        raise NotExpressible("TrafficSplit v1alpha2 has no matches")
    rendered = {**item, "apiVersion": f"{group}/{wanted}"}
    if short == "access" and wanted == "v1alpha2":
        return {**rendered, "spec": _with_port(item["spec"], listed)}
    if short == "specs" and item["kind"] == "UDPRoute":
        raise NotExpressible(f"{group}/{wanted} has no UDPRoute")
    if short == "specs" and item["kind"] == "TCPRoute" and item["spec"].get("matches"):
        if versions.get("access") != "v1alpha2":
            raise NotExpressible(f"TCPRoute {wanted} has no ports")
        return {**rendered, "spec": {}}
    return rendered


def _with_port(spec: Object, listed: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """A target's spec as access v1alpha2 has it: the port that its TCPRoutes list is the destination's.

    Source: apis/traffic-access/v1alpha2/traffic-access.md, § TrafficTarget.
    """
    rules = spec["rules"]
    if any(rule["kind"] == "UDPRoute" for rule in rules):
        raise NotExpressible("TrafficTarget v1alpha2 has no UDPRoute rules")
    routes = [listed[rule["name"]] for rule in rules if rule["kind"] == "TCPRoute" and rule["name"] in listed]
    numbers = {number for route in routes for number in route}
    if not numbers:
        return dict(spec)
    if len(numbers) > 1:
        raise NotExpressible("TrafficTarget v1alpha2 has one port")
    # Beside HTTP routes a TCPRoute only says on which port they are open; alone it opens the port.
    http = [rule for rule in rules if rule["kind"] == "HTTPRouteGroup"]
    return {**spec, "destination": {**spec["destination"], "port": numbers.pop()}, "rules": http or rules}
