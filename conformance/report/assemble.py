"""From what a run found to its report: verdicts merged, requirements counted, the headline drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from conformance.catalogue import Level, Requirement
from conformance.judge.phrasing import listed
from conformance.model.exit_codes import OF_VERDICTS
from conformance.model.verdict import Verdict, merge
from conformance.report.document import (
    OUTCOMES,
    ClusterInfo,
    Conclusion,
    Diagnostic,
    Finding,
    Headline,
    Mesh,
    Outcome,
    Report,
    RequirementRecord,
    Run,
    Status,
    Timing,
)
from conformance.report.readings import observed_readings, unobserved_questions

UnjudgedStatus = Literal["not claimed", "untested", "in other versions", "not selected", "not reached"]
"""Why a requirement was not judged."""

NOT_APPLICABLE = "not_applicable"
"""The judge of what a version cannot express."""


def build(
    *,
    suite_version: str,
    run: Run,
    mesh: Mesh,
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
    """What no reading of the specification excuses. A finding: it does not fail an ambiguous requirement.

    What is the same of several requirements, as where a mesh has stopped, is told once.
    """
    said: dict[str, dict[str, None]] = {}
    for record in records:
        for reading in (one for test in record.tests for one in test.readings if one.finding):
            said.setdefault(reading.finding, {})[record.id] = None
    return (Finding(severity="warning", text=f"{listed(ids)}: {text}") for text, ids in said.items())


def headline(records: Sequence[RequirementRecord], *, interrupted: bool) -> Headline:
    """What may be said of the mesh as a whole: only core requirements speak.

    1 a core requirement failed, whatever else happened; 2 one is inconclusive or was not reached, the run
    was interrupted, or no core requirement was judged at all; 0 all that were selected and claimed passed.
    The reason tells how much was asked: of a part of what can be tested it says so first.
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
        reason = f"the run ended early, {missed} requirements were not reached"
    elif not judged:
        reason = "no core requirement was judged"
    elif tally["inconclusive"]:
        reason = f"{tally['inconclusive']} of {judged} core requirements could not be judged"
    else:
        whole = f"all {judged} core requirements judged hold; {_coverage(tally)}"
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
    """What a pass says nothing about."""
    rest = {
        "have no test in this edition": tally["untested"],
        "are not claimed": tally["not claimed"],
        "are about other versions": tally["in other versions"],
    }
    said = ", ".join(f"{number} {words}" for words, number in rest.items() if number)
    return f"of {sum(tally.values())} in the catalogue {said}" if said else "these are all in the catalogue"


def count(records: Iterable[RequirementRecord]) -> dict[Outcome, int]:
    """How many requirements came out how; every outcome is there, also at zero."""
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
    """A catalogue entry with what its tests found; ``otherwise`` is its status when none of them ran.

    An ambiguous requirement is observed, never judged, and *not observed* where none of its readings could be
    seen; where only some of its questions were, the note names the others. A verdict is the merge over all
    tests. Where some of the requirement's tests did not run (``missing`` names them), those that did can
    condemn but not acquit: the status is then ``otherwise``.
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
    """What the tests of a requirement make of it together. Raises ValueError when there is none.

    What a version has no words for does not count beside what was judged in another.
    """
    applicable = [test for test in tests if not (test.basis and test.basis.judge == NOT_APPLICABLE)]
    verdict = merge(test.verdict for test in applicable or tests)
    if verdict is Verdict.NOT_CLAIMED:
        return "not claimed", None
    if level != "ambiguous":
        return "judged", verdict
    return ("observed" if any(observed_readings(test) for test in applicable) else "not observed"), None
