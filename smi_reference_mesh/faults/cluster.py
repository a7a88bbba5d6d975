"""Faults of the installed objects: the definitions of SMI's kinds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from smi_reference_mesh.faults.building_blocks import FaultyObjects
from smi_reference_mesh.faults.fault import Change, Fault

Document = dict[str, Any]
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_CRUD = "common-crud-with-standard-tools"


def _definition(name: str, edit: Callable[[Document], None]) -> Change:
    """A change of one definition; `edit` gets a copy of its spec."""

    def changed(crd: Document) -> Document:
        copied = copy.deepcopy(crd)
        edit(copied["spec"])
        return copied

    return Change(f"{_CRDS}/{name}", changed)


def schemas(name: str, edit: Callable[[Document], None], *versions: str) -> Change:
    """A change of a definition's schemas, in these versions or all; `edit` gets the whole schema."""

    def each(spec: Document) -> None:
        for version in spec["versions"]:
            if not versions or version["name"] in versions:
                edit(version["schema"]["openAPIV3Schema"])

    return _definition(name, each)


_SPLITS, GROUPS = "trafficsplits.split.smi-spec.io", "httproutegroups.specs.smi-spec.io"
_TCP, _UDP = "tcproutes.specs.smi-spec.io", "udproutes.specs.smi-spec.io"


def _not_served(spec: Document) -> None:
    for version in spec["versions"]:
        version["served"] = False


def _without_matches(schema: Document) -> None:
    schema["properties"]["spec"]["properties"].pop("matches", None)


def _schemaless(schema: Document) -> None:
    schema["properties"]["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema.pop("required", None)


def _backend(schema: Document) -> Document:
    backend: Document = schema["properties"]["spec"]["properties"]["backends"]["items"]["properties"]
    return backend


def _weight_as_text(schema: Document) -> None:
    _backend(schema)["weight"] = {"type": "string"}


def _weight_as_either(schema: Document) -> None:
    _backend(schema)["weight"] = {"x-kubernetes-int-or-string": True}


def _weight_as_any_number(schema: Document) -> None:
    _backend(schema)["weight"] = {"type": "number"}


ANY_NUMBER = schemas(_SPLITS, _weight_as_any_number, "v1alpha2", "v1alpha3", "v1alpha4")
"""Weights may be fractional or negative."""


def _match(schema: Document) -> Document:
    # Before v1alpha3 the matches are at top level.
    body = schema["properties"].get("spec", schema)
    match: Document = body["properties"]["matches"]["items"]
    return match


def _without_headers(schema: Document) -> None:
    _match(schema)["properties"].pop("headers", None)


def _headers_as_list(schema: Document) -> None:
    fields = _match(schema)["properties"]
    if "headers" in fields:
        one = {"type": "object", "additionalProperties": {"type": "string"}}
        fields["headers"] = {"type": "array", "items": one}


def _any_method(schema: Document) -> None:
    _match(schema)["properties"]["methods"]["items"] = {"type": "string"}


def _without_ports(schema: Document) -> None:
    schema["properties"]["spec"]["properties"]["matches"]["properties"].pop("ports")


def _ports_by_name(schema: Document) -> None:
    ports = schema["properties"]["spec"]["properties"]["matches"]["properties"]["ports"]
    ports["items"] = {"x-kubernetes-int-or-string": True}


def _ports_of_any_number(schema: Document) -> None:
    ports = schema["properties"]["spec"]["properties"]["matches"]["properties"]["ports"]
    ports["items"] = {"type": "integer"}


def _in_sixteen_bits(route: Document) -> None:
    matches = (route.get("spec") or {}).get("matches") or {}
    matches["ports"] = [port % 2**16 for port in matches.get("ports") or ()]


def _without_columns(spec: Document) -> None:
    for version in spec["versions"]:
        version.pop("additionalPrinterColumns", None)


FAULTS = (
    Fault(
        "crd-version-not-served",
        "The CRD of a claimed kind is installed, and no version of it is served.",
        frozenset({"common-api-groups-discoverable"}),
        change=_definition("identitybindings.access.smi-spec.io", _not_served),
    ),
    Fault(
        "crd-prunes-matches",
        "The schema of TrafficSplit does not know spec.matches, so the API server drops it.",
        frozenset({_CRUD, "split-schema-v1alpha3-v1alpha4"}),
        change=schemas(_SPLITS, _without_matches),
        real_defects=("split-matches-silently-dropped",),
    ),
    Fault(
        "crd-split-without-schema",
        "The CRD of TrafficSplit has no schema, so that any document is a split.",
        frozenset({"split-reject-schema-violations", "split-reject-wrong-types"}),
        change=schemas(_SPLITS, _schemaless, "v1alpha4"),
        real_defects=("malformed-weight-slips-through",),
    ),
    Fault(
        "crd-weight-takes-text",
        "Weights are still numbers or text, as when they were quantities.",
        frozenset({"split-reject-wrong-types"}),
        change=schemas(_SPLITS, _weight_as_either, "v1alpha2", "v1alpha3", "v1alpha4"),
    ),
    Fault(
        "crd-weight-takes-any-number",
        "The schema takes any number for a weight.",
        frozenset(),
        change=ANY_NUMBER,
        expected_readings={"split-weight-fraction-or-negative": "weight of a half: c"},
    ),
    Fault(
        "crd-v1alpha2-wants-quantities",
        "TrafficSplit v1alpha2 is v1alpha1 under another name: it wants weights as text.",
        frozenset({"split-schema-v1alpha2"}),
        change=schemas(_SPLITS, _weight_as_text, "v1alpha2"),
        versions="split=v1alpha2",
        also_fails=frozenset({"common-crud-with-standard-tools"}),
    ),
    Fault(
        "crd-without-service-column",
        "Lists of splits do not show the root service.",
        frozenset({"common-short-names-and-columns"}),
        change=_definition(_SPLITS, _without_columns),
    ),
    Fault(
        "crd-prunes-headers",
        "The schema of HTTPRouteGroup does not know headers, so the API server drops them.",
        frozenset({_CRUD, "http-schema-by-version"}),
        change=schemas(GROUPS, _without_headers),
        real_defects=("header-filter-shape-mismatch",),
        also_fails=frozenset({"http-header-filter", "http-headers-and"}),
    ),
    Fault(
        "crd-headers-as-list",
        "The schema of HTTPRouteGroup takes header filters as a list of maps, and in no other form.",
        frozenset(),
        change=schemas(GROUPS, _headers_as_list),
        expected_readings={"http-headers-wire-form": "form of header filters: b"},
    ),
    Fault(
        "crd-takes-any-method",
        "HTTPRouteGroup takes any text for a method, get in small letters too.",
        frozenset({"http-reject-schema-violations"}),
        change=schemas(GROUPS, _any_method),
    ),
    Fault(
        "crd-tcproute-prunes-ports",
        "The schema of TCPRoute does not know ports, so the API server drops them.",
        frozenset({_CRUD, "tcp-schema-by-version"}),
        change=schemas(_TCP, _without_ports, "v1alpha4"),
    ),
    Fault(
        "tcp-ports-of-sixteen-bits",
        "Any number is taken for a port of a TCPRoute, and cut down to sixteen bits: 74536 opens 9000.",
        frozenset({"l4-reject-bad-ports"}),
        lambda: FaultyObjects("tcproutes", _in_sixteen_bits),
        change=schemas(_TCP, _ports_of_any_number, "v1alpha4"),
    ),
    Fault(
        "crd-udproute-prunes-ports",
        "The schema of UDPRoute does not know ports, so the API server drops them.",
        frozenset({_CRUD, "udp-schema-v1alpha4"}),
        change=schemas(_UDP, _without_ports),
    ),
    Fault(
        "crd-ports-by-name",
        "TCPRoute takes the names of ports beside their numbers.",
        frozenset({"l4-reject-bad-ports"}),
        change=schemas(_TCP, _ports_by_name, "v1alpha4"),
    ),
)
