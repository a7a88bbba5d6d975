"""Judgements that need no evidence, and those derived from other judgements."""

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
    """The evidence allows no conclusion; ``reason`` says why."""
    return Judgement(Verdict.INCONCLUSIVE, reason, hint=hint)


@judge(aside="never passes")
def unavailable(what: str, hint: str = "") -> Judgement:
    """The subject of the requirement could not be observed at all."""
    return Judgement(Verdict.INCONCLUSIVE, f"could not be observed: {what}", hint=hint)


@judge(aside="never passes")
def stands_on(basic: str, failure: str) -> Judgement:
    """The test did not run: its requirement stands on a basic requirement, which failed in the same run.

    ``failure`` is the summary of that failure.
    """
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"stands on {basic}, which failed",
        hint=f"mend that first: {failure}",
    )


@judge(aside="takes its pass from another judgement")
def presumes(judgement: Judgement, basic: str, failure: str) -> Judgement:
    """A failure that the violation of another requirement may explain is inconclusive; a pass stays a pass.

    ``judgement`` is the test's own; ``failure`` is the summary of the other requirement's failure.
    """
    if judgement.verdict is not Verdict.FAIL:
        return judgement
    return replace(
        judgement,
        verdict=Verdict.INCONCLUSIVE,
        summary=f"stands on {basic}, which failed; seen here: {judgement.summary}",
        hint=f"mend that first: {failure}",
    )


@judge(own_control="compares one change under calls and at rest")
def taken_up_under_calls(change: Convergence) -> Judgement:
    """A change shows while its service is called.

    ``change`` is any change that a scenario waited for; it fails if it showed only after the clients rested.
    """
    expected = "a change takes effect while its service is called"
    if not change.rested_s or not change.converged:
        return Judgement(Verdict.INCONCLUSIVE, "no change needed a rest", expected=expected)
    return Judgement(
        Verdict.FAIL,
        f"{change.what}: not seen within {number(change.within_s)} s of steady calls, but after the clients "
        f"had rested for {number(change.rested_s)} s",
        expected=expected,
        hint="a proxy that looks for changes only while it is idle; or a mesh that takes longer than "
        "converge.within_s of its profile. All other requirements were judged after rests",
    )


@judge(aside="never passes")
def not_claimed(reason: str) -> Judgement:
    """The mesh does not claim the subject of the requirement."""
    return Judgement(Verdict.NOT_CLAIMED, reason)


@judge(aside="never passes")
def not_applicable(reason: str) -> Judgement:
    """The API version in use cannot express the subject of the requirement."""
    return Judgement(Verdict.NOT_CLAIMED, f"not applicable: {reason}")


@judge(aside="takes its pass from another judgement")
def conditional_on(control: Judgement, judgement: Judgement, lacking: str) -> Judgement:
    """The judgement if its control passed, else inconclusive; ``lacking`` names what is then missing.

    The control's own requirement reports the control's failure.
    """
    if control.passed:
        return judgement
    return Judgement(Verdict.INCONCLUSIVE, f"{lacking}: {control.summary}", hint=control.hint)


@register(aside="only as good as its parts")
def all_of(**parts: Judgement) -> Judgement:
    """Several judgements as one: the worst verdict, with the texts of the parts that decided it.

    Shares of all parts are kept. The basis holds the bases of the parts, under their names. Raises
    ValueError for no part, a part without a judge (it could not be recomputed), or more than SAMPLES random
    samples (the error rate of a requirement would not hold).
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
    """The portion of a sample's error rate that a part may use: all, unless several samples share it."""
    shared = part.basis.arguments.get("samples_sharing_alpha") if part.basis is not None else None
    return Fraction(1, shared if isinstance(shared, int) else 1)


def _basis(name: str, part: Judgement) -> Basis:
    if part.basis is None:
        raise ValueError(f"{name!r} comes from no judge, so it could not be recomputed")
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
