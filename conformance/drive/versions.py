"""Renders fixtures, written in the newest stable API versions, in the versions that a mesh claims."""

from __future__ import annotations

from collections.abc import Mapping
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


def render(item: Object, versions: Mapping[str, str]) -> dict[str, Any]:
    """The object in the version of its group (``versions``: short group name → version).

    Raises NotExpressible when that version cannot say it; objects of other groups are returned as they are.
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
    if short == "access" and wanted == "v1alpha2" and _names_udp(item):
        raise NotExpressible("TrafficTarget v1alpha2 has no UDPRoute rules")
    if short == "specs" and item["kind"] == "UDPRoute":
        raise NotExpressible(f"{group}/{wanted} has no UDPRoute")
    if short == "specs" and item["kind"] == "TCPRoute" and item["spec"].get("matches"):
        raise NotExpressible(f"TCPRoute {wanted} has no ports")
    return {**item, "apiVersion": f"{group}/{wanted}"}


def _names_udp(target: Object) -> bool:
    return any(rule["kind"] == "UDPRoute" for rule in target["spec"].get("rules", ()))
