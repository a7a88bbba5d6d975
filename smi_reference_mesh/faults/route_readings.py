"""Faults of routes in behaviour that the specification leaves open."""

from __future__ import annotations

import re
from typing import Any

from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.faults.building_blocks import FaultyObjects, every, with_listeners, with_routes
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import EditedConfiguration
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.smi.parsing import Unreadable, regex


def _matches(group: dict[str, Any]) -> list[dict[str, Any]]:
    return (group.get("spec") or {}).get("matches") or []


def _paths_go_on(group: dict[str, Any]) -> None:
    for match in _matches(group):
        if match.get("pathRegex"):
            match["pathRegex"] += ".*"


def _values_are_searched(group: dict[str, Any]) -> None:
    for match in _matches(group):
        for name, pattern in (match.get("headers") or {}).items():
            match["headers"][name] = f".*({pattern}).*"


def _methods_need_a_path(group: dict[str, Any]) -> None:
    for match in _matches(group):
        if not match.get("pathRegex"):
            match.pop("methods", None)


def _one_of_each_name(group: dict[str, Any]) -> None:
    if _matches(group):
        group["spec"]["matches"] = list({match["name"]: match for match in _matches(group)}.values())


def _none_is_any(group: dict[str, Any]) -> None:
    if not _matches(group):
        group["spec"]["matches"] = [{"name": "any"}]


def _compiles(match: dict[str, Any]) -> bool:
    try:
        regex(match.get("pathRegex", ""))
    except Unreadable:
        return False
    return True


def _dead_together(group: dict[str, Any]) -> None:
    if not all(_compiles(match) for match in _matches(group)):
        group["spec"]["matches"] = []


def _broken_is_any(group: dict[str, Any]) -> None:
    for match in _matches(group):
        if not _compiles(match):
            del match["pathRegex"]


def _look_aheads_left_out(group: dict[str, Any]) -> None:
    for match in _matches(group):
        if match.get("pathRegex"):
            match["pathRegex"] = re.sub(r"\(\?[=!][^)]*\)", "", match["pathRegex"])


def _paths_as_sent(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    def edit(listener: JSON) -> None:
        for settings in every(listener, "normalize_path"):
            settings["normalize_path"] = settings["merge_slashes"] = False

    return with_listeners(configuration, edit)


def _hosts_without_port(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """Conditions on the host apply only to hosts without a port."""
    bare = {"name": ":authority", "string_match": {"safe_regex": {"regex": "[^:]*"}}}

    def edit(part: JSON) -> None:
        for holder in every(part, "and_rules"):
            rules = holder["and_rules"]["rules"]
            if any(rule.get("header", {}).get("name") == ":authority" for rule in rules):
                rules.append({"header": bare})

    return with_listeners(with_routes(configuration, "inbound|", lambda _, routes: edit(routes)), edit)


FAULTS = (
    Fault(
        "path-expressions-go-on",
        "An expression covers every path that it covers the beginning of.",
        frozenset(),
        lambda: FaultyObjects("httproutegroups", _paths_go_on),
        expected_readings={"http-path-regex-end": "end of a path expression: a"},
    ),
    Fault(
        "header-values-searched",
        "An expression for a header is searched for in the value.",
        frozenset(),
        lambda: FaultyObjects("httproutegroups", _values_are_searched),
        expected_readings={"http-header-regex-details": "end of an expression for a header: a"},
    ),
    Fault(
        "host-condition-fails-on-port",
        "A condition on the Host header matches nothing where the header has a port.",
        frozenset(),
        lambda: EditedConfiguration(_hosts_without_port),
        real_defects=("host-header-match-fails-on-port-suffix",),
        expected_readings={"http-header-regex-details": "a Host header with a port: unacceptable"},
    ),
    Fault(
        "paths-compared-as-sent",
        "Rules are applied to paths as they were sent, dots and all.",
        frozenset(),
        lambda: EditedConfiguration(_paths_as_sent),
        real_defects=("path-normalisation-bypasses-rule",),
        expected_readings={"http-path-query-and-normalisation": "dots in a path: unacceptable"},
    ),
    Fault(
        "methods-alone-are-any",
        "Methods are only looked at where there is a path.",
        frozenset(),
        lambda: FaultyObjects("httproutegroups", _methods_need_a_path),
        expected_readings={
            "http-required-fields-contradiction": "what methods alone leave out: unacceptable"
        },
    ),
    Fault(
        "last-match-of-a-name-wins",
        "Of the matches of one name the last one counts.",
        frozenset(),
        lambda: FaultyObjects("httproutegroups", _one_of_each_name),
        expected_readings={"http-duplicate-or-empty-matches": "first of two matches of one name: b"},
    ),
    Fault(
        "group-without-matches-is-any",
        "A group without matches opens everything.",
        frozenset(),
        lambda: FaultyObjects("httproutegroups", _none_is_any),
        expected_readings={"http-duplicate-or-empty-matches": "an empty list of matches: unacceptable"},
    ),
    Fault(
        "broken-expression-kills-group",
        "A group with an expression that does not compile opens nothing.",
        frozenset(),
        lambda: FaultyObjects("httproutegroups", _dead_together),
        expected_readings={
            "http-regex-dialect-and-invalid": "a match beside an expression that does not compile: c",
        },
    ),
    Fault(
        "broken-expression-is-any",
        "An expression that does not compile is left out of its match.",
        frozenset(),
        lambda: FaultyObjects("httproutegroups", _broken_is_any),
        expected_readings={
            "http-regex-dialect-and-invalid": "an expression that does not compile: unacceptable"
        },
    ),
    Fault(
        "look-aheads-left-out",
        "What an expression says of what follows is left out of it.",
        frozenset(),
        lambda: FaultyObjects("httproutegroups", _look_aheads_left_out),
        expected_readings={"http-regex-dialect-and-invalid": "what a look-ahead excludes: unacceptable"},
    ),
)
