"""Whether the Kubernetes API serves and stores SMI objects."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from typing import Any

from conformance.judge.phrasing import listed, pluralize, sentences, short
from conformance.judge.quantity import parse_quantity
from conformance.judge.registry import judge
from conformance.model.evidence import RoundTrip
from conformance.model.verdict import Judgement, Verdict

VERBS = ("create", "get", "list", "watch", "patch", "replace", "delete")
"""The verbs that generic Kubernetes clients use."""

Kind = tuple[str, str, str]
"""Group, version and kind."""

_ABSENT = object()


@judge(api_only="compares the profile with the API server's lists, which are empty without CRDs")
def groups_served(claimed: Sequence[Kind] | Set[Kind], served: Sequence[Kind] | Set[Kind]) -> Judgement:
    """Every kind that the profile claims is in the cluster's discovery."""
    wanted, there = {tuple(each) for each in claimed}, {tuple(each) for each in served}
    missing = sorted(wanted - there)
    if not wanted:
        return Judgement(Verdict.NOT_CLAIMED, "the profile claims no API")
    expected = f"discovery lists {listed(_format_kinds(sorted(wanted)))}"
    if missing:
        return Judgement(
            Verdict.FAIL,
            f"claimed but not served: {listed(_format_kinds(missing))}",
            expected=expected,
            hint=_other_versions(missing, there),
        )
    return Judgement(Verdict.PASS, f"all {pluralize(len(wanted), 'kind')} are served", expected=expected)


def _format_kinds(kinds: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"{group}/{version} {kind}" for group, version, kind in kinds]


def _other_versions(missing: Sequence[tuple[str, ...]], there: Collection[tuple[str, ...]]) -> str:
    kinds = {(group, kind) for group, _, kind in missing}
    others = sorted(each for each in there if (each[0], each[2]) in kinds)
    return f"served instead: {listed(_format_kinds(others))}" if others else "the CRDs are not installed"


@judge(api_only="writes its own objects and reads them back, which fails without CRDs")
def round_trips(trips: Sequence[RoundTrip]) -> Judgement:
    """Each object sent comes back with every field, and every verb works on it.

    Fields are compared by meaning: fields added by the server are ignored, null equals absent, and of the
    metadata only name, labels and annotations are compared.
    """
    expected = f"every field sent comes back; {', '.join(VERBS)} all work"
    findings = [finding for trip in trips for finding in _findings(trip)]
    untried = [
        f"{_title(trip)}: {', '.join(missing)}"
        for trip in trips
        if (missing := [verb for verb in VERBS if verb not in trip.verbs])
    ]
    if findings:
        return Judgement(
            Verdict.FAIL,
            sentences(findings),
            expected=expected,
            hint="a structural schema that does not name a field makes the API server drop it",
        )
    if not trips or untried:
        reason = f"not tried: {listed(untried)}" if trips else "no object was sent"
        return Judgement(Verdict.INCONCLUSIVE, reason, expected=expected)
    return Judgement(
        Verdict.PASS,
        f"{pluralize(len(trips), 'object')} came back whole: {listed(_title(trip) for trip in trips)}",
        expected=expected,
    )


def _title(trip: RoundTrip) -> str:
    return f"{trip.api_version} {trip.kind}"


def _findings(trip: RoundTrip) -> list[str]:
    refused = [verb for verb in VERBS if trip.verbs.get(verb) is False]
    quantities = trip.api_version.endswith("/v1alpha1")
    lost = list(differences(_sent_fields(trip.sent), trip.read, quantities=quantities))
    return [
        f"{_title(trip)}: {what}"
        for what in (f"did not {listed(refused)}" if refused else "", listed(lost) if lost else "")
        if what
    ]


def _sent_fields(sent: Mapping[str, Any]) -> dict[str, Any]:
    metadata = sent.get("metadata")
    if not isinstance(metadata, Mapping):
        return dict(sent)
    kept = {key: metadata[key] for key in ("name", "labels", "annotations") if key in metadata}
    return {**sent, "metadata": kept}


def differences(sent: Any, read: Any, path: str = "", *, quantities: bool = False) -> Iterator[str]:
    """The fields of ``sent`` that are missing or different in ``read``, with their paths; ignores additions.

    ``quantities``: weights are Kubernetes quantities, so '1', 1 and '1000m' are equal, as in TrafficSplit
    v1alpha1. In later versions they are whole numbers.
    """
    match sent:
        case None:
            return
        case Mapping() if isinstance(read, Mapping):
            for key, value in sent.items():
                inner = f"{path}.{key}".lstrip(".")
                yield from differences(value, read.get(key, _ABSENT), inner, quantities=quantities)
        case list() | tuple() if isinstance(read, list | tuple) and len(read) == len(sent):
            for index, (value, other) in enumerate(zip(sent, read, strict=True)):
                yield from differences(value, other, f"{path}[{index}]", quantities=quantities)
        case _ if read is _ABSENT:
            yield f"{path} is gone"
        case _ if not _same(sent, read, quantity=quantities and path.endswith(".weight")):
            yield f"{path} was {short(sent)}, came back as {short(read)}"


def _same(sent: Any, read: Any, *, quantity: bool) -> bool:
    if isinstance(sent, bool) or isinstance(read, bool):
        return sent is read
    if sent == read:
        return True
    if not quantity:
        return False
    try:
        return parse_quantity(sent) == parse_quantity(read)
    except ValueError:
        return False
