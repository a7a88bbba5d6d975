"""What a run saw of the questions that the specification leaves open, a row each, to compare meshes by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.report.document import RequirementRecord
from conformance.verdict import Reading, Verdict

NONE = "none of the readings"


@dataclass(frozen=True, slots=True)
class Row:
    """One question of an ambiguous requirement: the reading seen, in words, and the others.

    ``letter`` is empty where none was seen, ``versions`` where all versions agree.
    """

    requirement: str
    question: str
    letter: str
    answer: str
    others: tuple[str, ...]
    seen: str
    finding: str
    versions: str = ""


def rows(records: Iterator[RequirementRecord] | tuple[RequirementRecord, ...]) -> list[Row]:
    """The rows of all requirements, in their order."""
    return [row for record in records for row in readings_of(record)]


def readings_of(record: RequirementRecord) -> list[Row]:
    """The rows of one requirement; one for all versions in which the same was seen."""
    found: dict[tuple[str, str, str, str], Row] = {}
    spoken: dict[tuple[str, str, str, str], list[str]] = {}
    for test in record.tests:
        versions = ", ".join(f"{group} {version}" for group, version in test.versions.items())
        unseen = test.verdict is Verdict.INCONCLUSIVE and not test.readings
        for one in _unobserved(record, test.summary) if unseen else test.readings:
            options = record.readings.get(one.question, {})
            key = (one.question, one.letter, one.finding, "" if one.letter else one.seen)
            spoken.setdefault(key, []).append(versions)
            answer = f"({one.letter}) {options[one.letter]}" if one.letter in options else NONE
            answer = "not observed" if unseen else answer
            others = tuple(f"({key}) {text}" for key, text in options.items() if key != one.letter)
            found.setdefault(
                key, Row(record.id, one.question, one.letter, answer, others, one.seen, one.finding)
            )
    several = {key[0] for key in found if sum(1 for other in found if other[0] == key[0]) > 1}
    return [
        Row(
            row.requirement,
            row.question,
            row.letter,
            row.answer,
            row.others,
            row.seen,
            row.finding,
            "; ".join(dict.fromkeys(spoken[key])) if key[0] in several else "",
        )
        for key, row in found.items()
    ]


def _unobserved(record: RequirementRecord, why: str) -> list[Reading]:
    return [Reading(question, "", why) for question in record.readings]
