"""What the API server takes and what it refuses, by documents that were put to it for trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.judge.phrasing import listed, pluralize, sentences
from conformance.judge.registry import judge
from conformance.model.evidence import AdmissionAttempt
from conformance.model.verdict import Judgement, Reading, Verdict

FORMS = "form of header filters"
"""The question that `header_form` is about, in the catalogue's words."""

_LETTERS = {"map": "a", "list": "b", "list+map": "c"}


@judge(api_only="judges refusals beside the same documents without a violation, which are accepted")
def refusals(repaired: Sequence[AdmissionAttempt], violations: Sequence[AdmissionAttempt]) -> Judgement:
    """Every violation is refused as invalid, while the same document without a violation is accepted.

    ``repaired`` are the controls: where one of them is refused as well, a refusal says nothing. Violations
    that are expected to be *either* are only told of.
    """
    required = [one for one in violations if one.expect == "refused"]
    expected = f"refused as invalid: {listed(_title(one) for one in required)}"
    taken = [_title(one) for one in required if one.accepted]
    if taken:
        return Judgement(
            Verdict.FAIL,
            f"accepted: {listed(taken)}",
            expected=expected,
            hint="compare the schema of the CRD with the reference CRD of the specification",
        )
    invalid_baseline = [one.name for one in repaired if not one.accepted]
    odd = [f"{_title(one)} (HTTP {one.status})" for one in required if not one.refused]
    if not required or not repaired or invalid_baseline or odd:
        return Judgement(
            Verdict.INCONCLUSIVE,
            sentences(
                (
                    f"documents without a violation are refused as well: {listed(invalid_baseline)}"
                    if invalid_baseline
                    else "",
                    f"not refused as invalid but otherwise: {listed(odd)}" if odd else "",
                    "" if required and repaired else "nothing was put to the API server",
                )
            ),
            expected=expected,
        )
    optional = [_describe_outcome(one) for one in violations if one.expect == "either"]
    return Judgement(
        Verdict.PASS,
        sentences((f"all {pluralize(len(required), 'violation')} are refused", *optional)),
        expected=expected,
    )


def _title(one: AdmissionAttempt) -> str:
    return f"{one.sent.get('kind', 'object')} with {one.name}"


def _describe_outcome(one: AdmissionAttempt) -> str:
    return f"{_title(one)} is {'accepted' if one.accepted else f'refused (HTTP {one.status})'}"


@judge(api_only="tells what the API server makes of documents; a reading, which blames nobody")
def header_form(attempts: Sequence[AdmissionAttempt]) -> Judgement:
    """A reading, for a requirement that is observed: which forms of header filters the cluster takes.

    Never fails: the specification's documents and its reference CRDs contradict each other.
    """
    if not attempts:
        return Judgement(Verdict.INCONCLUSIVE, "no header filter was put to the API server")
    optional = sentences(f"as a {one.name}: {_describe_storage(one)}" for one in attempts)
    taken = "+".join(sorted(one.name for one in attempts if kept(one)))
    finding = "" if taken else "header filters can be written in neither form"
    answer = Reading(FORMS, _LETTERS.get(taken, ""), optional, finding)
    return Judgement(
        Verdict.PASS, optional, expected="one form, in which filters are written then", readings=(answer,)
    )


@judge(aside="never passes")
def headers_refused(attempts: Sequence[AdmissionAttempt]) -> Judgement:
    """Header filters can be written in neither form, so the mesh does not support them."""
    expected = "header filters are accepted, as a map or as a list of one-key maps, and kept"
    if any(kept(one) for one in attempts) or not attempts:
        return Judgement(Verdict.INCONCLUSIVE, "header filters are accepted after all", expected=expected)
    return Judgement(
        Verdict.FAIL,
        f"no support of header filters: {sentences(f'as a {one.name}: {_describe_storage(one)}' for one in attempts)}",
        expected=expected,
        hint="the schema of HTTPRouteGroup does not know headers, or in another form than either",
    )


def kept(one: AdmissionAttempt) -> bool:
    """Whether a group with header filters was accepted, and its filters with it."""
    return one.accepted and _header_filters(one.returned) == _header_filters(one.sent)


def _header_filters(group: object) -> object:
    """The header filters of a group's first match, wherever its version has the matches."""
    body = group.get("spec", group) if isinstance(group, Mapping) else {}
    matches = body.get("matches") if isinstance(body, Mapping) else None
    first = matches[0] if isinstance(matches, list) and matches else None
    return first.get("headers") if isinstance(first, Mapping) else None


def _describe_storage(one: AdmissionAttempt) -> str:
    if kept(one):
        return "accepted"
    return "accepted, and dropped" if one.accepted else f"refused (HTTP {one.status})"
