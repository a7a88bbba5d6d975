"""Faults of HTTP routes in TrafficTargets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smi_reference_mesh.faults.building_blocks import FaultyObjects
from smi_reference_mesh.faults.fault import Fault

Match = dict[str, Any]


def _matches(edit: Callable[[Match], None]) -> Callable[[], FaultyObjects]:
    def each(group: dict[str, Any]) -> None:
        for match in group["spec"].get("matches") or ():
            edit(match)

    return lambda: FaultyObjects("httproutegroups", each)


def _prefix(match: Match) -> None:
    if "pathRegex" in match:
        match["pathRegex"] = f"\\Q{match['pathRegex']}\\E.*"


def _contained(match: Match) -> None:
    if "pathRegex" in match:
        match["pathRegex"] = f".*({match['pathRegex']}).*"


def _head_with_get(match: Match) -> None:
    if "GET" in match.get("methods", ()):
        match["methods"] = [*match["methods"], "HEAD"]


def _common_methods(match: Match) -> None:
    if match.get("methods") == ["*"]:
        match["methods"] = ["GET", "HEAD", "POST", "PUT", "DELETE"]


def _without_headers(match: Match) -> None:
    match.pop("headers", None)


def _case_sensitive(match: Match) -> None:
    # Envoy knows lower-case names only, so other names become one that no client sends.
    headers = match.get("headers", {})
    match["headers"] = {
        name if name == name.lower() else f"{name}-unsent": value for name, value in headers.items()
    }


def _any_header(group: dict[str, Any]) -> None:
    group["spec"]["matches"] = [
        {**match, "headers": {name: value}} if name else match
        for match in group["spec"].get("matches") or ()
        for name, value in (match.get("headers") or {"": ""}).items()
    ]


def _pooled_methods(group: dict[str, Any]) -> None:
    matches = group["spec"].get("matches") or []
    pooled = sorted({method for match in matches for method in match.get("methods", ())})
    for match in matches:
        match["methods"] = ["*"] if "*" in pooled else pooled


FAULTS = (
    Fault(
        "path-regex-taken-for-prefix",
        "pathRegex is a literal prefix.",
        frozenset({"http-path-is-regex"}),
        _matches(_prefix),
        real_defects=("path-regex-treated-as-prefix",),
    ),
    Fault(
        "path-regex-unanchored",
        "pathRegex may stand anywhere in the path.",
        frozenset({"http-path-regex-anchored-at-start"}),
        _matches(_contained),
        real_defects=("path-regex-unanchored-at-start",),
    ),
    Fault(
        "method-get-implies-head",
        "A match of GET grants HEAD as well.",
        frozenset({"http-method-specific"}),
        _matches(_head_with_get),
    ),
    Fault(
        "method-wildcard-is-a-short-list",
        "The method * stands for GET, HEAD, POST, PUT and DELETE only.",
        frozenset({"http-method-wildcard"}),
        _matches(_common_methods),
    ),
    Fault(
        "header-filters-dropped",
        "Header filters are lost on the way, so their matches hold for everybody.",
        frozenset({"http-header-filter", "http-headers-and", "http-path-method-header-conjunction"}),
        _matches(_without_headers),
        real_defects=("header-filter-shape-mismatch",),
    ),
    Fault(
        "header-names-case-sensitive",
        "A header filter whose name has capitals never holds.",
        frozenset({"http-header-name-case-insensitive"}),
        _matches(_case_sensitive),
    ),
    Fault(
        "header-conditions-any",
        "One of several header filters of a match suffices.",
        frozenset({"http-headers-and", "split-matches-whole-group"}),
        lambda: FaultyObjects("httproutegroups", _any_header),
        real_defects=("header-conditions-joined-wrongly",),
    ),
    Fault(
        "methods-crossed-between-paths",
        "The methods of all matches of a group hold for each of its paths.",
        frozenset({"http-matches-or"}),
        lambda: FaultyObjects("httproutegroups", _pooled_methods),
        real_defects=("methods-crossed-between-paths",),
    ),
)
