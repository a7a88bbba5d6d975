"""Readings observed in a run, a row for each open question of the specification, to compare meshes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from conformance.model.verdict import Reading, Verdict
from conformance.report.document import Conclusion, RequirementRecord

NO_READING = "none of the readings"
NOT_OBSERVED = "not observed"


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """A question of an ambiguous requirement: the observed reading in words, and the others.

    ``letter`` is empty without a matching reading, ``versions`` if all versions agree; ``observed`` is false
    if the question could not be observed.
    """

    requirement: str
    question: str
    letter: str
    answer: str
    others: tuple[str, ...]
    seen: str
    finding: str
    versions: str = ""
    observed: bool = True


def observed_readings(test: Conclusion) -> list[Reading]:
    """The readings of the questions that a test could observe."""
    return [one for one in test.readings if one.observed]


def unobserved_questions(questions: Iterable[str], tests: Iterable[Conclusion]) -> list[str]:
    """The questions that no test could observe."""
    seen = {one.question for test in tests for one in observed_readings(test)}
    return [one for one in questions if one not in seen]


def all_reading_rows(
    records: Iterator[RequirementRecord] | tuple[RequirementRecord, ...],
) -> list[ReadingRow]:
    """The rows of all requirements, in their order."""
    return [row for record in records for row in reading_rows(record)]


def reading_rows(record: RequirementRecord) -> list[ReadingRow]:
    """The rows of a requirement; versions with equal observations share a row."""
    found: dict[_Key, ReadingRow] = {}
    spoken: dict[_Key, list[str]] = {}
    for test in record.tests:
        versions = ", ".join(f"{group} {version}" for group, version in test.versions.items())
        nothing = test.verdict is Verdict.INCONCLUSIVE and not test.readings
        for one in _unobserved_readings(record, test.summary) if nothing else test.readings:
            key = (one.question, one.letter, one.finding, "" if one.letter else one.seen)
            spoken.setdefault(key, []).append(versions)
            found.setdefault(key, _row(record, one))
    varying = {key[0] for key in found if sum(1 for other in found if other[0] == key[0]) > 1}
    return [
        replace(row, versions="; ".join(dict.fromkeys(spoken[key])) if key[0] in varying else "")
        for key, row in found.items()
    ]


_Key = tuple[str, str, str, str]


def _row(record: RequirementRecord, one: Reading) -> ReadingRow:
    options = record.readings.get(one.question, {})
    answer = f"({one.letter}) {options[one.letter]}" if one.letter in options else NO_READING
    return ReadingRow(
        record.id,
        one.question,
        one.letter,
        answer if one.observed else NOT_OBSERVED,
        tuple(f"({letter}) {text}" for letter, text in options.items() if letter != one.letter),
        one.seen,
        one.finding,
        observed=one.observed,
    )


def _unobserved_readings(record: RequirementRecord, why: str) -> list[Reading]:
    return [Reading(question, "", why, observed=False) for question in record.readings]
