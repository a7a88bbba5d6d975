"""Variants with other readings of what the specification leaves open, many of them at once."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON
from smi_reference_mesh.compiler.splits import outbound_name
from smi_reference_mesh.faults import FAULTS
from smi_reference_mesh.faults.backends import addresses_by_service, backends_of, copied_splits
from smi_reference_mesh.faults.building_blocks import FaultyObjects, FaultySnapshot, every
from smi_reference_mesh.hooks import MeshHooks
from smi_reference_mesh.kube.objects import Object, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.variants.building_blocks import EditedParts, Together
from smi_reference_mesh.variants.variant import Variant


def as_under(*faults: str) -> list[MeshHooks]:
    """The hooks of these faults, each of which produces an equally valid reading."""
    return [FAULTS[one].hooks() for one in faults]


def _backends(split: Object) -> list[dict[str, Any]]:
    return (split.get("spec") or {}).get("backends") or []


def _without_the_dead(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """Leaves out backends without endpoints, except those of another namespace."""
    alive = addresses_by_service(snapshot)
    splits = copied_splits(snapshot)
    for split in splits:
        if _backends(split):
            split["spec"]["backends"] = [
                one
                for one, name in zip(_backends(split), list(backends_of(split)), strict=True)
                if alive.get(name) or "." in one["service"]
            ]
    return snapshot.replacing("trafficsplits", splits)


def _void_with_all_zero(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A split whose weights are all zero is void: the root responds."""
    kept = [
        split
        for split in snapshot.of("trafficsplits")
        if not _backends(split) or any(float(backend["weight"]) for backend in _backends(split))
    ]
    return snapshot.replacing("trafficsplits", kept)


def _void_with_a_dead_one(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A split with a weighted backend without endpoints is void: the root responds."""
    alive = addresses_by_service(snapshot)
    kept = []
    for split in copied_splits(snapshot):
        weighty = (
            [
                name
                for one, name in zip(_backends(split), list(backends_of(split)), strict=True)
                if float(one["weight"])
            ]
            if _backends(split)
            else []
        )
        if all(alive.get(name) for name in weighty):
            kept.append(split)
    return snapshot.replacing("trafficsplits", kept)


def _void_without_matches(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A split with an empty list of matches selects nothing."""
    kept = [split for split in snapshot.of("trafficsplits") if (split.get("spec") or {}).get("matches") != []]
    return snapshot.replacing("trafficsplits", kept)


def _routes_without_spec_are_none(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    kept = [route for route in snapshot.of("tcproutes") if route.get("spec") is not None]
    return snapshot.replacing("tcproutes", kept)


def _whatever_case(group: dict[str, Any]) -> None:
    for match in (group.get("spec") or {}).get("matches") or ():
        if match.get("pathRegex"):
            match["pathRegex"] = f"(?i:{match['pathRegex']})"


def _headers_of_splits(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """Of a split's groups only the header conditions count."""
    named = {
        (namespace_of(split), each.get("name"))
        for split in snapshot.of("trafficsplits")
        for each in (split.get("spec") or {}).get("matches") or ()
    }
    made: list[Object] = []
    for group in snapshot.of("httproutegroups"):
        if (namespace_of(group), name_of(group)) in named:
            copied: dict[str, Any] = copy.deepcopy(dict(group))
            copied["metadata"]["name"] = f"{name_of(group)}{_OWN}"
            copied["metadata"]["uid"] = f"{copied['metadata'].get('uid', '')}{_OWN}"
            matches = (copied.get("spec") or {}).get("matches") or ()
            copied["spec"] = {"matches": list(_headers_alone(matches))}
            made.append(copied)
    splits = copied_splits(snapshot)
    for split in splits:
        for each in (split.get("spec") or {}).get("matches") or ():
            each["name"] = f"{each['name']}{_OWN}"
    together = snapshot.replacing("httproutegroups", [*snapshot.of("httproutegroups"), *made])
    return together.replacing("trafficsplits", splits)


_OWN = "-of-splits"


def _headers_alone(matches: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for match in matches:
        if match.get("headers"):
            yield {"name": match["name"], "headers": match["headers"]}


def _only_http_is_divided(listener: JSON) -> None:
    """Raw TCP goes to the root, regardless of its split."""
    for chain in listener.get("filter_chains", ()) if listener["name"] == "outbound" else ():
        filters = chain["filters"]
        if chain["name"].startswith("outbound|") and filters[0]["name"].endswith("tcp_proxy"):
            chain["filters"] = [envoy.tcp_proxy("out", {chain["name"]: 1})]


_ABROAD = "--of--"
"""Separates a backend's name from its namespace, if that is not the split's; occurs in no service name."""


def _named_abroad(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """Encodes a backend of another namespace as a name in the split's own namespace."""
    splits = copied_splits(snapshot)
    for split in splits:
        for each in _backends(split):
            name, dot, rest = each["service"].partition(".")
            namespace = rest.partition(".")[0]
            if dot and namespace != namespace_of(split):
                each["service"] = f"{name}{_ABROAD}{namespace}"
    return snapshot.replacing("trafficsplits", splits)


def _of_other_namespaces(routes: JSON) -> None:
    """Routes to such an encoded name lead to the service of the other namespace."""
    for holder in every(routes, "weighted_clusters"):
        for share in holder["weighted_clusters"]["clusters"]:
            share["name"] = _elsewhere(share["name"])
    for holder in every(routes, "cluster"):
        holder["cluster"] = _elsewhere(holder["cluster"])


def _elsewhere(cluster: str) -> str:
    if cluster.startswith("outbound|"):
        _, _, service, port = cluster.split("|")
        name, abroad, namespace = service.partition(_ABROAD)
        if abroad:
            return outbound_name(namespace, name, int(port))
    return cluster


def _with_query(routes: JSON) -> None:
    """Path expressions match path and query."""
    for holder in every(routes, "url_path"):
        expression = holder.pop("url_path")["path"]
        holder["header"] = {"name": ":path", "string_match": expression}


def _unsent_is_empty(routes: JSON) -> None:
    """A missing header matches like an empty one."""
    for holder in every(routes, "string_match"):
        if "name" in holder and not holder["name"].startswith(":"):
            holder["treat_missing_header_as_empty"] = True


def _slashes_as_sent(listener: JSON) -> None:
    for manager in every(listener, "merge_slashes"):
        manager["merge_slashes"] = False


def of_osm() -> list[MeshHooks]:
    """The observed readings of Open Service Mesh."""
    return [
        FaultySnapshot(_without_the_dead),
        FaultySnapshot(_headers_of_splits),
        FaultySnapshot(_named_abroad),
        EditedParts(listener=_only_http_is_divided, routes=_of_other_namespaces),
    ]


def of_traefik() -> list[MeshHooks]:
    """The observed readings of Traefik Mesh, except those that no reading permits."""
    return as_under(
        "split-bare-roots-only",
        "path-expressions-go-on",
        "header-values-searched",
        "split-lost-without-all-grants",
    )


def of_linkerd() -> list[MeshHooks]:
    """The readings of Linkerd with its SMI extension."""
    return [FaultySnapshot(_void_with_all_zero), *as_under("split-own-root-ignored")]


_ODD_SPLITS = "traffic_split/test_odd_splits"
_ODD_GROUPS = "traffic_specs/test_odd_groups"
_ODD_CONDITIONS = "traffic_split/test_odd_conditions"
_FORMS = "traffic_split/test_forms"

VARIANTS = (
    Variant(
        "readings-of-osm",
        "Open Service Mesh's readings: splits leave out backends without endpoints, only headers select "
        "their requests, only HTTP is divided, backends may be in other namespaces.",
        frozenset({_ODD_SPLITS, _ODD_CONDITIONS, _FORMS, "traffic_split/test_matches"}),
        lambda: Together(*of_osm()),
        expected_readings={
            "split-unavailable-backend": "backend whose service does not exist: a; "
            "backend without endpoints: a",
            "split-cross-namespace-backends": "backend of another namespace: b",
            "split-matches-path-and-method": "path of a match with headers: b; match without headers: c",
            "split-unit-of-division": "connections of raw TCP: b",
        },
        real_meshes=("Open Service Mesh",),
    ),
    Variant(
        "readings-of-traefik",
        "Traefik Mesh's readings: expressions may match part of a path or header, roots have no namespace, "
        "a client that may not call all backends of a split gets none.",
        frozenset({_ODD_SPLITS, _ODD_GROUPS, "traffic_specs/test_path", "common/test_partial_authorisation"}),
        lambda: Together(*of_traefik()),
        expected_readings={
            "split-root-name-form": "root with its namespace: a",
            "http-path-regex-end": "end of a path expression: a",
            "http-header-regex-details": "end of an expression for a header: a",
            "interact-split-partial-authorisation": "split with a backend that is not granted: b",
        },
        real_meshes=("Traefik Mesh",),
    ),
    Variant(
        "readings-of-linkerd",
        "Linkerd's readings: a split whose weights are all zero is void, and a root is no backend of its "
        "own.",
        frozenset({_ODD_SPLITS}),
        lambda: Together(*of_linkerd()),
        expected_readings={
            "split-all-weights-zero": "all weights zero: b; a lone backend of weight zero: b",
            "split-self-reference": "the root among its backends: b",
        },
        real_meshes=("Linkerd",),
    ),
    Variant(
        "readings-of-splits",
        "Other readings of splits: all zeros mean equal shares, a repeated backend counts once, several "
        "splits of a root merge, a backend takes part on all of the root's ports or on none.",
        frozenset({_ODD_SPLITS, _ODD_CONDITIONS, _FORMS}),
        lambda: Together(
            *as_under(
                "split-all-zero-means-equal",
                "split-last-of-the-same-wins",
                "split-several-merged",
                "split-all-ports-or-none",
                "split-groups-of-all-namespaces",
                "split-methods-not-looked-at",
            ),
            FaultySnapshot(_void_without_matches),
        ),
        expected_readings={
            "split-all-weights-zero": "all weights zero: c; a lone backend of weight zero: c",
            "split-degenerate-spec": "a backend listed twice: b",
            "split-two-splits-one-root": "two splits of one root: b",
            "split-port-matching-details": "backend with some of the root's ports: b",
            "split-matches-group-namespace": "group of another namespace: b",
            "split-matches-missing-or-empty": "an empty list of matches: b",
        },
    ),
    Variant(
        "readings-of-names",
        "Calls to a root's address bypass its split, and a split with a backend without endpoints is void.",
        frozenset({_ODD_SPLITS, _FORMS}),
        lambda: Together(
            *as_under("split-addresses-go-past"),
            FaultySnapshot(_void_with_a_dead_one),
        ),
        expected_readings={
            "split-addressing-forms": "address of the root: b",
            "split-unavailable-backend": "backend whose service does not exist: c; "
            "backend whose endpoints go: c",
        },
    ),
    Variant(
        "readings-of-routes",
        "Other readings of routes: the query counts, case does not, slashes stay, a missing header is "
        "empty, an invalid expression voids its group, a split divides among granted backends.",
        frozenset(
            {_ODD_GROUPS, "traffic_specs/test_path", "traffic_specs/test_ports", "traffic_specs/test_headers"}
        ),
        lambda: Together(
            *as_under(
                "last-match-of-a-name-wins", "broken-expression-kills-group", "split-among-the-granted"
            ),
            FaultyObjects("httproutegroups", _whatever_case),
            FaultySnapshot(_routes_without_spec_are_none),
            EditedParts(routes=_with_query),
            EditedParts(routes=_unsent_is_empty, listener=_slashes_as_sent),
        ),
        expected_readings={
            "http-path-query-and-normalisation": "query string: b; case of a path: b; slashes in a path: a",
            "http-header-regex-details": "a header that is not sent: a",
            "http-duplicate-or-empty-matches": "first of two matches of one name: b",
            "http-regex-dialect-and-invalid": "a match beside an expression that does not compile: c",
            "interact-split-partial-authorisation": "split with a backend that is not granted: c",
            "l4-ports-omitted": "no spec: b",
        },
    ),
)
