"""Judgements that need no evidence, and the one that joins others."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from conformance.judge.phrasing import number, sentences
from conformance.judge.registry import judge, register
from conformance.judge.statistics import SAMPLES
from conformance.model.evidence import Convergence
from conformance.model.verdict import Basis, Judgement, Share, Verdict, merge


@judge(aside="never passes")
def inconclusive(reason: str, hint: str = "") -> Judgement:
    """What was seen allows no conclusion; ``reason`` says why."""
    return Judgement(Verdict.INCONCLUSIVE, reason, hint=hint)


@judge(aside="never passes")
def unavailable(what: str, hint: str = "") -> Judgement:
    """Something that the requirement is about could not be observed at all."""
    return Judgement(Verdict.INCONCLUSIVE, f"could not be observed: {what}", hint=hint)


@judge(aside="never passes")
def stands_on(basic: str, failure: str) -> Judgement:
    """Nothing was looked at: the requirement stands on a basic one, which failed in the same run.

    ``failure`` is what was said of that one.
    """
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"stands on {basic}, which failed",
        hint=f"mend that first: {failure}",
    )


@judge(aside="takes a pass from the judgement that it is given")
def presumes(judgement: Judgement, basic: str, failure: str) -> Judgement:
    """A failure beside that of a requirement whose violation may be all that brings it about.

    ``judgement`` is what was seen; ``failure`` is what was said of the other. A pass stays one.
    """
    if judgement.verdict is not Verdict.FAIL:
        return judgement
    return replace(
        judgement,
        verdict=Verdict.INCONCLUSIVE,
        summary=f"stands on {basic}, which failed; seen here: {judgement.summary}",
        hint=f"mend that first: {failure}",
    )


@judge(aside="never passes")
def taken_up_under_calls(change: Convergence) -> Judgement:
    """A change shows while its service is called.

    ``change`` is one that a basic or any other scenario waited for; it fails where the clients had to rest.
    """
    expected = "a change takes effect while the service that it is about is called"
    if not change.rested_s or not change.converged:
        return Judgement(Verdict.INCONCLUSIVE, "no change was seen that needed a rest", expected=expected)
    return Judgement(
        Verdict.FAIL,
        f"{change.what}: not seen within {number(change.within_s)} s of steady calls, but after the clients "
        f"had rested for {number(change.rested_s)} s",
        expected=expected,
        hint="a proxy that looks for changes only where it is not called for a while; or a mesh that takes "
        "longer than converge.within_s of its profile. All other requirements were judged after rests",
    )


@judge(aside="never passes")
def not_claimed(reason: str) -> Judgement:
    """The mesh does not claim what the requirement is about."""
    return Judgement(Verdict.NOT_CLAIMED, reason)


@judge(aside="never passes")
def not_applicable(reason: str) -> Judgement:
    """The version that is spoken has no words for what the requirement is about."""
    return Judgement(Verdict.NOT_CLAIMED, f"not applicable: {reason}")


@judge(aside="takes a pass from the judgement that it is given")
def conditional_on(control: Judgement, judgement: Judgement, lacking: str) -> Judgement:
    """The judgement, where its control passed; ``lacking`` says in words what there is not without it.

    What the control is about is for requirements of its own to fail.
    """
    if control.passed:
        return judgement
    return Judgement(Verdict.INCONCLUSIVE, f"{lacking}: {control.summary}", hint=control.hint)


@register(aside="as good as its parts")
def all_of(**parts: Judgement) -> Judgement:
    """Several judgements as one: the worst verdict, with the words of the parts that brought it about.

    Shares of all parts are kept. The basis holds the bases of the parts, under their names. Raises
    ValueError when there is no part, one that no judge made (it could not be recomputed), or more than
    SAMPLES random samples (the error rate of a requirement would not hold).
    """
    drawn = [part for part in parts.values() if any(0 < share.expected < 1 for share in part.shares)]
    if sum(map(_sample, drawn)) > SAMPLES:
        raise ValueError(f"{len(drawn)} samples in one requirement: its error rate allows for {SAMPLES}")
    verdict = merge(part.verdict for part in parts.values())
    decisive = {name: part for name, part in parts.items() if part.verdict is verdict}
    return Judgement(
        verdict,
        _named(decisive, "summary"),
        expected=_named(decisive, "expected"),
        hint=sentences(dict.fromkeys(part.hint for part in decisive.values())),
        shares=_shares(parts),
        basis=Basis("all_of", {name: _basis(name, part) for name, part in parts.items()}),
    )


def _sample(part: Judgement) -> Fraction:
    """What of a sample's error rate a part may use up: all of it, unless several samples share it."""
    shared = part.basis.arguments.get("samples_sharing_alpha") if part.basis is not None else None
    return Fraction(1, shared if isinstance(shared, int) else 1)


def _basis(name: str, part: Judgement) -> Basis:
    if part.basis is None:
        raise ValueError(f"{name!r} was not concluded by a judge, so nobody could recompute it")
    return part.basis


def _named(parts: dict[str, Judgement], field: str) -> str:
    texts = {name: getattr(part, field) for name, part in parts.items()}
    return sentences(f"{_title(name)}: {text}" for name, text in texts.items() if text)


def _shares(parts: dict[str, Judgement]) -> tuple[Share, ...]:
    sharing = {name: part for name, part in parts.items() if part.shares}
    if len(sharing) == 1:
        return next(iter(sharing.values())).shares
    return tuple(
        replace(share, server=f"{share.server} ({_title(name)})")
        for name, part in sharing.items()
        for share in part.shares
    )


def _title(name: str) -> str:
    return name.replace("_", " ")
