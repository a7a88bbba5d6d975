"""Causes before symptoms: failed requirements, and the requirements that stand on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.catalogue.foundations import GRANT, SPLIT
from conformance.model.verdict import Verdict
from conformance.report.document import Conclusion, Report, RequirementRecord

NO_EFFECT = {
    GRANT: "no TrafficTarget took effect",
    SPLIT: "no TrafficSplit took effect",
}
"""Meaning of a basic requirement's failure without any effect."""
NOT_DRIVEN = "stands_on"
"""Judge of requirements whose scenarios were not driven for that reason."""
BLOCKING_JUDGES = {NOT_DRIVEN, "presumes"}
"""The former, and the judge of a failure beside that of a presumed requirement."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A failed requirement, the meaning of its failure, and the ids of the requirements that stand on it."""

    basic: str
    text: str
    dependents: tuple[str, ...]

    @property
    def extent(self) -> str:
        """The number of requirements that stand on it, in words."""
        count = len(self.dependents)
        return "1 requirement stands on it" if count == 1 else f"{count} requirements stand on it"

    @property
    def sentence(self) -> str:
        """The cause and its extent in one line."""
        return f"{self.text} ({self.basic}); {self.extent}"


def causes(report: Report) -> list[Cause]:
    """The failed requirements on which others stand, by number of these, largest first."""
    found = []
    for record in report.requirements:
        dependents = tuple(other.id for other in report.requirements if record.id in blocked_by(other))
        if record.verdict is Verdict.FAIL and dependents:
            without_effect = any(_not_driven(other, record.id) for other in report.requirements)
            text = NO_EFFECT[record.id] if without_effect else _title(record)
            found.append(Cause(record.id, text, dependents))
    return sorted(found, key=lambda cause: -len(cause.dependents))


def _not_driven(record: RequirementRecord, basic: str) -> bool:
    """Whether a requirement's scenario was not driven because a basic requirement failed without effect."""
    bases = [test.basis for test in record.tests if test.basis is not None]
    return any(basis.judge == NOT_DRIVEN and basis.arguments["basic"] == basic for basis in bases)


def _title(record: RequirementRecord) -> str:
    """The failure in words: the title of the failed test, negated."""
    title = next(test.title for test in record.tests if test.verdict is Verdict.FAIL)
    return f"does not hold: {title[:1].lower()}{title[1:]}"


def blocked_by(record: RequirementRecord) -> set[str]:
    """The failed requirements that are the only reason why this requirement is inconclusive."""
    if record.verdict is not Verdict.INCONCLUSIVE:
        return set()
    found = [set(_basics(test)) for test in record.tests if test.verdict is Verdict.INCONCLUSIVE]
    return set().union(*found) if all(found) else set()


def _basics(test: Conclusion) -> Iterator[str]:
    if test.basis is not None and test.basis.judge in BLOCKING_JUDGES:
        yield str(test.basis.arguments["basic"])
