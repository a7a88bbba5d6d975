"""The report of a run from its results: verdicts merged, outcomes counted, the headline concluded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from conformance.catalogue import Level, Requirement
from conformance.judge.phrasing import listed, pluralize
from conformance.model.exit_codes import OF_VERDICTS
from conformance.model.verdict import Verdict, merge
from conformance.report.document import (
    OUTCOMES,
    ClusterInfo,
    Conclusion,
    Diagnostic,
    Finding,
    Headline,
    MeshRecord,
    Outcome,
    Report,
    RequirementRecord,
    Run,
    Status,
    Timing,
)
from conformance.report.readings import observed_readings, unobserved_questions

UnjudgedStatus = Literal["not claimed", "untested", "in other versions", "not selected", "not reached"]
"""Status of a requirement without a verdict."""

NOT_APPLICABLE = "not_applicable"
"""Judge of a requirement that an API version cannot express."""


def build(
    *,
    suite_version: str,
    run: Run,
    mesh: MeshRecord,
    cluster: ClusterInfo,
    timing: Timing,
    requirements: Iterable[RequirementRecord],
    findings: Iterable[Finding] = (),
    diagnostics: Iterable[Diagnostic] = (),
) -> Report:
    """The report of a run. Raises ValueError when two requirements share an id."""
    records = tuple(requirements)
    ids = [record.id for record in records]
    if len(set(ids)) != len(ids):
        raise ValueError(f"requirements twice in the report: {sorted({i for i in ids if ids.count(i) > 1})}")
    return Report(
        suite_version=suite_version,
        run=run,
        mesh=mesh,
        cluster=cluster,
        headline=headline(records, interrupted=run.interrupted),
        counts=count(records),
        timing=timing,
        requirements=records,
        findings=(*findings, *_unacceptable(records)),
        diagnostics=tuple(diagnostics),
    )


def _unacceptable(records: Iterable[RequirementRecord]) -> Iterator[Finding]:
    """Behaviour that no reading of the specification permits: findings, as no ambiguous requirement fails.

    One finding names all requirements with the same text, as when a mesh stopped working.
    """
    requirement_ids: dict[str, dict[str, None]] = {}
    for record in records:
        for reading in (one for test in record.tests for one in test.readings if one.finding):
            requirement_ids.setdefault(reading.finding, {})[record.id] = None
    return (
        Finding(severity="warning", text=f"{listed(ids)}: {text}") for text, ids in requirement_ids.items()
    )


def headline(records: Sequence[RequirementRecord], *, interrupted: bool) -> Headline:
    """The verdict on the mesh as a whole, from its core requirements alone.

    Fail (exit code 1): a core requirement failed, whatever else happened. Inconclusive (2): a core
    requirement is inconclusive or was not reached, the run was interrupted, or no core requirement was
    judged. Pass (0): all selected and claimed core requirements passed. The reason of a partial run gives
    its coverage.
    """
    core = [record for record in records if record.level == "core"]
    tally = count(core)
    judged = tally["pass"] + tally["fail"] + tally["inconclusive"]
    partial = tally["not selected"] > 0
    if tally["fail"]:
        reason = f"{tally['fail']} of {judged} core requirements failed"
        reason += ", and the run ended early" if interrupted else ""
        reason += f"; {_part(tally, judged)}" if partial else ""
        return _concluded(Verdict.FAIL, reason, partial)
    if interrupted or tally["not reached"]:
        missed = count(records)["not reached"]
        reason = f"the run ended early, {pluralize(missed, 'requirement')} not reached"
    elif not judged:
        reason = "no core requirement was judged"
    elif tally["inconclusive"]:
        reason = f"{tally['inconclusive']} of {judged} core requirements could not be judged"
    else:
        whole = f"all {judged} judged core requirements hold; {_coverage(tally)}"
        reason = f"{_part(tally, judged)}, all hold" if partial else whole
        return _concluded(Verdict.PASS, reason, partial)
    reason += f"; {_part(tally, judged)}" if partial else ""
    return _concluded(Verdict.INCONCLUSIVE, reason, partial)


def _concluded(verdict: Verdict, reason: str, partial: bool) -> Headline:
    return Headline(verdict=verdict, reason=reason, exit_code=OF_VERDICTS[verdict], partial=partial)


def _part(tally: Mapping[Outcome, int], judged: int) -> str:
    askable = judged + tally["not selected"] + tally["not reached"]
    return f"{judged} of {askable} core requirements tested"


def _coverage(tally: Mapping[Outcome, int]) -> str:
    """The core requirements that a pass does not cover."""
    total = sum(tally.values())
    rest: tuple[Outcome, ...] = ("untested", "not claimed", "in other versions")
    uncovered = {outcome: tally[outcome] for outcome in rest if tally[outcome]}
    if not uncovered:
        return "the catalogue has no others"
    parts = ", ".join(f"{number} {outcome}" for outcome, number in uncovered.items())
    return f"{sum(uncovered.values())} of {total} not judged ({parts})"


def count(records: Iterable[RequirementRecord]) -> dict[Outcome, int]:
    """The number of requirements by outcome, with all outcomes, also at zero."""
    counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
    for record in records:
        counts[record.outcome] += 1
    return counts


def requirement_record(
    entry: Requirement,
    tests: Iterable[Conclusion] = (),
    *,
    otherwise: UnjudgedStatus,
    note: str = "",
    faults: Iterable[str] = (),
    missing: Iterable[str] = (),
) -> RequirementRecord:
    """A catalogue entry with the conclusions of its tests; ``otherwise`` is its status if no test ran.

    An ambiguous requirement is observed, never judged, and *not observed* if none of its questions was; if
    only some were, the note names the others. The verdict merges those of all tests. While some of the
    requirement's tests did not run (``missing`` names them), the others can fail it but not pass it: the
    status is then ``otherwise``.
    """
    ran, left_out = tuple(tests), tuple(missing)
    status, verdict = merged(entry.level, ran) if ran else (otherwise, None)
    if ran and left_out and verdict is Verdict.PASS:
        status, verdict = otherwise, None
        note = note or f"{len(left_out)} of its {len(ran) + len(left_out)} tests did not run"
    if status == "observed" and not note and (others := unobserved_questions(entry.readings, ran)):
        note = f"{len(others)} of its {len(entry.readings)} questions not observed: {'; '.join(others)}"
    return RequirementRecord(
        **entry.model_dump(include={"id", "api", "level", "versions", "statement", "source", "readings"}),
        status=status,
        verdict=verdict,
        note=note,
        tests=ran,
        faults=tuple(faults),
    )


def merged(level: Level, tests: Sequence[Conclusion]) -> tuple[Status, Verdict | None]:
    """Status and verdict of a requirement from all its tests. Raises ValueError without tests.

    Tests in a version that cannot express the requirement count only if no other test ran.
    """
    applicable = [test for test in tests if not (test.basis and test.basis.judge == NOT_APPLICABLE)]
    verdict = merge(test.verdict for test in applicable or tests)
    if verdict is Verdict.NOT_CLAIMED:
        return "not claimed", None
    if level != "ambiguous":
        return "judged", verdict
    return ("observed" if any(observed_readings(test) for test in applicable) else "not observed"), None
