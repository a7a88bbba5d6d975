"""Causes before symptoms: the basic requirements that failed, and what stands on each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.report.document import Conclusion, Report, RequirementRecord
from conformance.suites_index import GRANT, SPLIT
from conformance.verdict import Verdict

NEVER = {
    GRANT: "no TrafficTarget was seen to take effect",
    SPLIT: "no TrafficSplit was seen to take effect",
}
"""What the failure of a basic requirement means."""
STANDS_ON = "stands_on"
"""The judge of what was not driven for that reason."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A basic requirement that failed: what that means, and the ids of what stands on it."""

    basic: str
    text: str
    standing: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The cause and its extent in one line."""
        return f"{self.text} ({self.basic}): 1 failure, {len(self.standing)} requirements stand on it"


def causes(report: Report) -> list[Cause]:
    """The basic requirements that failed in a run, in the order of the catalogue."""
    failed = [one.id for one in report.requirements if one.verdict is Verdict.FAIL and one.id in NEVER]
    return [
        Cause(basic, NEVER[basic], tuple(one.id for one in report.requirements if basic in founded_on(one)))
        for basic in failed
    ]


def founded_on(record: RequirementRecord) -> set[str]:
    """The basic requirements for whose failure this one was not driven."""
    return {basic for test in record.tests for basic in _basics(test)}


def _basics(test: Conclusion) -> Iterator[str]:
    if test.basis is not None and test.basis.judge == STANDS_ON:
        yield str(test.basis.arguments["basic"])
