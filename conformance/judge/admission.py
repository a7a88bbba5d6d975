"""Which documents the API server accepts and refuses, by dry-run requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.judge.phrasing import listed, pluralize, sentences
from conformance.judge.registry import judge
from conformance.model.evidence import AdmissionAttempt
from conformance.model.verdict import Judgement, Reading, Verdict

FORMS = "form of header filters"
"""The question that `header_form` answers, in the catalogue's words."""

_LETTERS = {"map": "a", "list": "b", "list+map": "c"}


@judge(api_only="judges refusals beside the same documents without a violation, which are accepted")
def refusals(repaired: Sequence[AdmissionAttempt], violations: Sequence[AdmissionAttempt]) -> Judgement:
    """Every violation is refused as invalid, while the same document without the violation is accepted.

    ``repaired`` are the controls: if one of them is refused as well, a refusal proves nothing. Violations
    expected to be *either* are only reported.
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
                    "" if required and repaired else "no document was sent to the API server",
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


def _title(attempt: AdmissionAttempt) -> str:
    return f"{attempt.sent.get('kind', 'object')} with {attempt.name}"


def _describe_outcome(attempt: AdmissionAttempt) -> str:
    return f"{_title(attempt)} is {'accepted' if attempt.accepted else f'refused (HTTP {attempt.status})'}"


@judge(api_only="reports how the API server treats documents: a reading, never a failure")
def header_form(attempts: Sequence[AdmissionAttempt]) -> Judgement:
    """The reading of an observed requirement: which forms of header filters the cluster accepts.

    Never fails: the specification's documents and its reference CRDs contradict each other.
    """
    if not attempts:
        return Judgement(Verdict.INCONCLUSIVE, "no header filter was sent to the API server")
    optional = sentences(f"as a {one.name}: {_describe_storage(one)}" for one in attempts)
    taken = "+".join(sorted(one.name for one in attempts if kept(one)))
    finding = "" if taken else "header filters can be written in neither form"
    answer = Reading(FORMS, _LETTERS.get(taken, ""), optional, finding)
    return Judgement(
        Verdict.PASS, optional, expected="one accepted form, which the suite then uses", readings=(answer,)
    )


@judge(own_control="compares both forms of one document, which are refused alike")
def headers_refused(attempts: Sequence[AdmissionAttempt]) -> Judgement:
    """Header filters can be written in neither form, so the mesh does not support them."""
    expected = "header filters are accepted, as a map or as a list of one-key maps, and kept"
    if any(kept(one) for one in attempts) or not attempts:
        return Judgement(Verdict.INCONCLUSIVE, "header filters are accepted after all", expected=expected)
    told = sentences(f"as a {one.name}: {_describe_storage(one)}" for one in attempts)
    return Judgement(
        Verdict.FAIL,
        f"no support of header filters: {told}",
        expected=expected,
        hint="the schema of HTTPRouteGroup has no headers, or has them in a third form",
    )


def kept(attempt: AdmissionAttempt) -> bool:
    """Whether a group with header filters was accepted, and its filters stored."""
    return attempt.accepted and _header_filters(attempt.returned) == _header_filters(attempt.sent)


def _header_filters(group: object) -> object:
    """The header filters of a group's first match, wherever its API version puts the matches."""
    body = group.get("spec", group) if isinstance(group, Mapping) else {}
    matches = body.get("matches") if isinstance(body, Mapping) else None
    first = matches[0] if isinstance(matches, list) and matches else None
    return first.get("headers") if isinstance(first, Mapping) else None


def _describe_storage(attempt: AdmissionAttempt) -> str:
    if kept(attempt):
        return "accepted"
    return "accepted, and dropped" if attempt.accepted else f"refused (HTTP {attempt.status})"
