"""Which collected tests a run judges, in which order, and why it skips the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pytest

from conformance import catalogue
from conformance.catalogue import Requirement
from conformance.drive.version_selection import VersionChoice
from conformance.model.verdict import Judgement
from conformance.report.document import Finding
from conformance.run.collection import (
    function_of,
    order_in_run,
    requirement_of,
    scenario_folder,
    scenario_of,
    scheduled_of,
    version_mismatch_reason,
    versions_of,
)
from conformance.run.context import RunContext
from conformance.run.options import RunOptions
from conformance.run.results import RunResults
from conformance.traceability import applicability, index


class JudgedTests:
    """The tests of one run: ``pending`` maps the node ids of tests not judged yet to requirements.

    ``disclaimed`` maps the node ids of tests that run without counting to the reason in the profile: their
    scenarios are driven anyway, and a disclaimed requirement that holds is a finding.
    """

    def __init__(
        self, context: RunContext, results: RunResults, options: RunOptions, *, filtered: bool
    ) -> None:
        """``filtered``: the user selects tests by pytest's own means, such as ``-k``."""
        self._context, self._results, self._options = context, results, options
        self._filtered = filtered
        self.pending: dict[str, str] = {}
        self.disclaimed: dict[str, str] = {}
        self._of_disclaimed: dict[str, dict[str, Judgement]] = {}
        self._not_claimed: set[str] = set()
        self._version_mismatch: dict[str, str] = {}

    def in_versions(self, items: Iterable[pytest.Item]) -> list[pytest.Item]:
        """The items whose requirements apply to their scenarios' versions, and other projects' tests."""
        known = catalogue.load()
        return [
            item
            for item in items
            if (requirement := requirement_of(item)) is None or not self._mismatches(item, known[requirement])
        ]

    def _mismatches(self, item: pytest.Item, requirement: Requirement) -> bool:
        reason = version_mismatch_reason(self._context, item, requirement)
        if reason:
            self._version_mismatch[requirement.id] = reason
        return bool(reason)

    def wanted(self, items: Iterable[pytest.Item]) -> list[pytest.Item]:
        """The items that the options of the run select."""
        levels, wanted, known = self._options.levels, self._options.requirements, catalogue.load()
        return [
            item
            for item in items
            if (one := requirement_of(item)) is None
            or not ((levels and known[one].level not in levels) or (wanted and one not in wanted))
        ]

    def ordered(self, candidates: Sequence[pytest.Item], chosen: list[pytest.Item]) -> list[pytest.Item]:
        """The chosen items in the order of the run, after the tests of the requirements that they stand on.

        Such tests are added from ``candidates`` if the user did not choose them.
        """
        basics = [item for item in candidates if self._is_basic_for(item, chosen)]
        others = [item for item in chosen if item not in basics]
        return [*basics, *sorted(others, key=order_in_run)]

    def _is_basic_for(self, basic: pytest.Item, chosen: list[pytest.Item]) -> bool:
        """Whether a test judges a basic requirement, and is chosen or is what a chosen test stands on."""
        if not scenario_folder(basic).startswith(index.BASIC_SUITES):
            return False
        requirement = requirement_of(basic)
        return basic in chosen or any(
            requirement in self._context.stands_on(scenario_of(item))
            for item in chosen
            if requirement_of(item)
        )

    def settle(self, items: Iterable[pytest.Item]) -> list[pytest.Item]:
        """Sort the items into judged ones (returned), ones that run without counting, and skipped ones."""
        known = catalogue.load()
        judged: list[pytest.Item] = []
        disclaimed: list[tuple[pytest.Item, str]] = []
        for item in items:
            requirement = requirement_of(item)
            if requirement is None:
                continue
            mark = scenario_of(item)
            reason = self._context.not_claimed_reason(known[requirement], mark.groups, mark)
            if not reason:
                self.pending[item.nodeid] = requirement
                judged.append(item)
                continue
            self._results.skipped_requirements[requirement] = ("not claimed", reason)
            self._not_claimed.add(function_of(item.nodeid))
            if applicability.is_only_disclaimed(self._context.profile, known[requirement], mark):
                disclaimed.append((item, reason))
            else:
                item.add_marker(pytest.mark.skip(reason=reason))
        driven = {scheduled_of(item)[0] for item in judged}
        for item, reason in disclaimed:
            if scheduled_of(item)[0] in driven:
                self.disclaimed[item.nodeid] = reason
            else:
                item.add_marker(pytest.mark.skip(reason=reason))
        self._skip_unselected()
        return judged

    def _skip_unselected(self) -> None:
        chosen, skipped = set(self.pending.values()), self._results.skipped_requirements
        for requirement in index.by_requirement():
            if requirement in chosen or requirement in skipped:
                continue
            reason = self._version_mismatch.get(requirement)
            if reason is None or self._user_selects(requirement):
                skipped[requirement] = ("not selected", reason or "its tests were not selected")
            else:
                skipped[requirement] = ("in other versions", reason)

    def _user_selects(self, requirement: str) -> bool:
        """Whether the user's options, not the versions of the mesh, exclude a requirement."""
        options, level = self._options, catalogue.load()[requirement].level
        return bool(
            self._context.version_choice != VersionChoice()
            or self._filtered
            or (options.levels and level not in options.levels)
            or (options.requirements and requirement not in options.requirements)
        )

    def versions(self, judged: Iterable[pytest.Item]) -> dict[str, set[str]]:
        """The versions of each group in which the scenarios of these items write objects."""
        found: dict[str, set[str]] = {}
        for item in judged:
            mine: Mapping[str, str] = versions_of(self._context, item) or {}
            for group in scenario_of(item).groups:
                if group in mine:
                    found.setdefault(group, set()).add(mine[group])
        return found

    def left_out(self, requirement: str) -> list[str]:
        """The tests of a requirement that did not run at all."""
        ran = self._ran(requirement)
        entries = index.by_requirement()[requirement]
        return [entry.nodeid for entry in entries if not any(name.endswith(entry.nodeid) for name in ran)]

    def _ran(self, requirement: str) -> set[str]:
        """The tests of a requirement that ran, and unclaimed tests, which are not missing."""
        found = self._results.conclusions.get(requirement, ())
        return {function_of(test.nodeid) for test in found} | self._not_claimed

    def record_disclaimed(self, item: pytest.Item, judgement: Judgement) -> None:
        """Keep the judgement of a test that runs without counting."""
        self._of_disclaimed.setdefault(requirement_of(item) or "", {})[item.nodeid] = judgement

    def _disclaimed_that_hold(self) -> Iterator[str]:
        """The disclaimed requirements of which every test ran and passed; ambiguous ones cannot hold."""
        for requirement, judgements in self._of_disclaimed.items():
            ran = {function_of(nodeid) for nodeid in judgements}
            tests = index.by_requirement()[requirement]
            whole = all(any(name.endswith(test.nodeid) for name in ran) for test in tests)
            judged = catalogue.load()[requirement].level != "ambiguous"
            if whole and judged and all(judgement.passed for judgement in judgements.values()):
                yield requirement

    def close(self) -> None:
        """Add the tests that the run did not reach to its results."""
        for requirement in self._disclaimed_that_hold():
            text = f"{requirement} holds, but the profile disclaims it"
            remedy = "claim it: remove it from disclaims in the profile"
            self._results.findings.append(Finding(severity="warning", text=text, remedy=remedy))
        unreached: dict[str, list[str]] = {}
        for nodeid, requirement in self.pending.items():
            unreached.setdefault(requirement, []).append(nodeid)
        self.pending.clear()
        for requirement in unreached:
            note = "" if requirement in self._results.conclusions else "the run ended before its tests"
            self._results.skipped_requirements[requirement] = ("not reached", note)
        for requirement in index.by_requirement():
            # A test may have run in one set of versions and be missing in another.
            ran = self._ran(requirement)
            partly = [nodeid for nodeid in unreached.get(requirement, ()) if function_of(nodeid) in ran]
            self._results.skipped_tests[requirement] = [*self.left_out(requirement), *partly]
