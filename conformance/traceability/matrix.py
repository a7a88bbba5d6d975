"""The requirements with their tests and faults, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conformance import catalogue
from conformance.catalogue import Requirement
from conformance.profiles import Profile
from conformance.traceability import applicability, fault_index, index
from conformance.traceability.index import TestEntry


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement with its tests and faults."""

    requirement: Requirement
    tests: tuple[TestEntry, ...]
    faults: tuple[str, ...]
    untested: str = ""
    """Why it has no test; empty if it has one."""
    not_claimed: str = ""
    """Why it does not apply to the mesh; empty if it does, or without a profile."""

    def as_json(self) -> dict[str, Any]:
        return {
            **self.requirement.model_dump(mode="json"),
            "tests": [test.nodeid for test in self.tests],
            "faults": list(self.faults),
            "untested": self.untested,
            **({"not_claimed": self.not_claimed} if self.not_claimed else {}),
        }


def rows(profile: Profile | None = None) -> list[Row]:
    """All requirements, in the catalogue's order; with a profile, those that do not apply are marked."""
    tests, faults = index.by_requirement(), fault_index.faults_by_requirement()
    return [
        Row(
            entry,
            tuple(tests.get(entry.id, ())),
            tuple(faults.get(entry.id, ())),
            index.untested().get(entry.id, ""),
            _not_claimed(profile, entry, tests.get(entry.id, ())) if profile else "",
        )
        for entry in catalogue.load().values()
    ]


def _not_claimed(profile: Profile, one: Requirement, tests: Sequence[TestEntry]) -> str:
    """Why none of a requirement's tests applies to a mesh; empty if one does."""
    marks = {test.scenario for test in tests}
    reasons = [applicability.why_not(profile, one, mark.groups, mark) for mark in marks]
    return min(filter(None, reasons), default="") if all(reasons) else ""


def table(found: Sequence[Row], *, reasons: bool = False) -> str:
    """The rows as text, by API; ``reasons``: with the reasons of untested requirements."""
    lines: list[str] = []
    for api in catalogue.APIS:
        mine = [row for row in found if row.requirement.api == api]
        if not mine:
            continue
        tested = sum(1 for row in mine if row.tests)
        counted = f"{len(mine)} without a test" if reasons else f"{len(mine)} requirements, {tested} tested"
        lines += [f"{api} ({counted})", ""]
        for row in mine:
            one = row.requirement
            how = f"tests: {len(row.tests)}, faults: {len(row.faults)}" if row.tests else "untested"
            lines.append(f"  {one.id:<44} {one.level:<10} {how:<22} {', '.join(one.versions)}")
            lines += [f"    not claimed: {row.not_claimed}"] if row.not_claimed else []
            lines += [f"    {row.untested}"] if reasons and row.untested else []
        lines.append("")
    return "\n".join(lines).rstrip()
