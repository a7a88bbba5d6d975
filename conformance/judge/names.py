"""Whether kinds have the names of the reference CRDs, and lists the column that these define."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.judge.phrasing import listed, pluralize, sentences, short
from conformance.judge.registry import judge
from conformance.model.evidence import ApiRead
from conformance.model.verdict import Judgement, Verdict

NAMES: Mapping[str, tuple[str, str]] = {
    "TrafficSplit": ("trafficsplits", "ts"),
    "TrafficTarget": ("traffictargets", "tt"),
    "HTTPRouteGroup": ("httproutegroups", "htr"),
    "TCPRoute": ("tcproutes", "tr"),
    "UDPRoute": ("udproutes", "ur"),
}
"""Plural and short name by kind. Source: smi-sdk-go crds/*.yaml."""

COLUMN = "Service"


@judge(api_only="reads discovery and a list of splits; without CRDs they show nothing")
def names_and_columns(resources: Sequence[ApiRead], table: ApiRead | None, root: str) -> Judgement:
    """Each kind in discovery has plural and short name of the reference CRDs; a split's root has a column.

    ``table`` is the list of splits as a table, including a split whose root service is ``root``; None if no
    split can be created.
    """
    expected = "plurals and short names of the reference CRDs, and a column Service with the root of a split"
    entries = [entry for read in resources for entry in _entries(read) if entry.get("kind") in NAMES]
    findings = [finding for entry in entries for finding in _differences(entry)]
    if table is not None and table.status == 200:
        findings += _column(table.body, root)
    if findings:
        return Judgement(
            Verdict.FAIL,
            sentences(dict.fromkeys(findings)),
            expected=expected,
            hint="see names and additionalPrinterColumns of the CRDs; RBAC rules and tools rely on them",
        )
    if not entries or (table is not None and table.status != 200):
        return Judgement(
            Verdict.INCONCLUSIVE, "discovery or the list of splits gave no answer", expected=expected
        )
    kinds = {str(entry["kind"]) for entry in entries}
    return Judgement(
        Verdict.PASS, f"{pluralize(len(kinds), 'kind')}: {listed(sorted(kinds))}", expected=expected
    )


def _entries(read: ApiRead) -> Iterator[Mapping[str, Any]]:
    listing = read.body.get("resources") if read.status == 200 and isinstance(read.body, Mapping) else None
    for entry in listing if isinstance(listing, list) else ():
        # Subresources such as trafficsplits/status carry the kind as well.
        if isinstance(entry, Mapping) and "/" not in str(entry.get("name")):
            yield entry


def _differences(entry: Mapping[str, Any]) -> Iterator[str]:
    kind = str(entry["kind"])
    plural, abbreviation = NAMES[kind]
    if entry.get("name") != plural:
        yield f"{kind} is called {short(entry.get('name'))}, not {plural!r}"
    shorts = entry.get("shortNames")
    if not isinstance(shorts, list) or abbreviation not in shorts:
        yield f"{kind} has no short name {abbreviation!r}"


def _column(body: Any, root: str) -> list[str]:
    columns = body.get("columnDefinitions") if isinstance(body, Mapping) else None
    named = [one.get("name") if isinstance(one, Mapping) else None for one in columns or ()]
    if COLUMN not in named:
        return [f"lists of TrafficSplits have no column {COLUMN}"]
    position = named.index(COLUMN)
    rows = [row.get("cells") for row in body.get("rows") or () if isinstance(row, Mapping)]
    shown = [cells[position] for cells in rows if isinstance(cells, list) and len(cells) > position]
    return [] if root in shown else [f"the column {COLUMN} does not show the root {root!r}: {short(shown)}"]
