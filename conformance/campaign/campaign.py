"""A campaign: run the affected scenarios under each case, and collect what the suite makes of it.

Under a fault exactly the requirements that it breaks must fail; under a variant none may.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import replace

import pytest

from conformance import plugin
from conformance.campaign.cases import Campaign, Case, affected_tests, parts_of
from conformance.campaign.fault_results import FaultOutcome, does_not_count
from conformance.campaign.switching import SWITCH_OBJECT, mesh_is_settled, switched_on
from conformance.campaign.variant_results import VariantOutcome
from conformance.clusters import Cluster, ClusterError
from conformance.drive import version_selection
from conformance.drive.scenario import never_known_idle
from conformance.model.verdict import Verdict, merge
from conformance.run.context import RunContext
from conformance.run.preflight import preflight
from conformance.run.results import RunResults
from conformance.traceability import index
from smi_reference_mesh.faults import Fault
from smi_reference_mesh.variants import Variant

Result = FaultOutcome | VariantOutcome

PATIENCE_S = 1.5
"""How long it is waited at least: of what was changed a moment ago the mesh may not have heard yet."""


def run(cluster: Cluster, campaign: Campaign, turn: Iterable[Case]) -> Iterator[Result]:
    """What becomes of each case of the campaign whose turn it is, as it ends.

    Raises ClusterError when the cluster or the reference mesh fails.
    """
    parts_left = campaign.parts_left()
    context: RunContext | None = None
    made_for = ""
    try:
        for case in turn:
            if context is None or made_for != campaign.arena_of(case):
                if context is not None:
                    context.arena.remove()
                context, made_for = _opened(cluster, campaign, case), campaign.arena_of(case)
            # Each sidecar receives each change, also those in parts that no case needs any more.
            context.arena.delete_except(parts_left[case.id])
            renewed = _renewed(context, campaign, case)
            if isinstance(case, Fault):
                # Under a fault pods may never get ready; a variant is there from the beginning.
                _prepare(renewed, case, campaign.also)
            yield _judge(renewed, case, campaign.also)
    finally:
        cluster.delete([SWITCH_OBJECT])
        if context is not None:
            context.arena.remove()


def _opened(cluster: Cluster, campaign: Campaign, case: Case) -> RunContext:
    """A context for a case and those that share its arena. Raises ClusterError where there can be none."""
    context = RunContext.open(campaign.profile_of(case), cluster, image=campaign.image)
    alike = [one for one in campaign.chosen if campaign.arena_of(one) == campaign.arena_of(case)]
    problem = preflight(context, _spoken(context, replace(campaign, chosen=alike)))
    if problem is not None:
        raise ClusterError(str(problem))
    if cluster.request("GET", "/api/v1/namespaces/smi-reference").status != 200:
        raise ClusterError("the reference mesh is not installed; smi-conformance reference install")
    return context


def _prepare(context: RunContext, case: Case, also: str | None) -> None:
    """Make what of the arena a case needs, and wait for it."""
    parts = parts_of(case, also)
    context.arena.create(parts)
    if not _staged(case, also):
        context.create_services(entry.scenario.folder for entry in affected_tests(case, also))
    context.arena.wait_ready(parts)


def _staged(case: Case, also: str | None) -> bool:
    """Whether services come and go with their scenarios, as in a run.

    A fault has few scenarios, and has the services of all of them from its beginning: what those of others
    say of the pods' ports could hide it. Many services at once are many for each proxy.
    """
    return also is not None or isinstance(case, Variant)


def _renewed(context: RunContext, campaign: Campaign, case: Case) -> RunContext:
    """The context of one case: its profile, its versions, and only the open questions that it changes."""
    profile = campaign.profile_of(case)
    version_choice = version_selection.parse_version_choice(case.versions, profile.claims.by_group())
    if isinstance(case, Variant):
        return context.renewed(profile, version_choice=version_choice)
    return context.renewed(
        profile,
        version_choice=version_choice,
        # All open questions would take most of a campaign's time.
        questions=frozenset(shown.rpartition(": ")[0] for shown in case.expected_readings.values()),
        mesh_is_idle=never_known_idle if case.late_changes else _nothing_more(context.cluster),
    )


def _spoken(context: RunContext, campaign: Campaign) -> dict[str, set[str]]:
    """The versions of each group in which the scenarios of a campaign write objects."""
    spoken: dict[str, set[str]] = {}
    for case in campaign.chosen:
        renewed = _renewed(context, campaign, case)
        for entry in affected_tests(case, campaign.also):
            for one in renewed.version_sets(entry.scenario.groups, every=entry.scenario.every_version):
                for group in entry.scenario.groups:
                    spoken.setdefault(group, set()).add(one[group])
    return spoken


def _judge(context: RunContext, case: Case, also: str | None) -> Result:
    start, results = context.clock.now(), RunResults()
    with switched_on(context, case) as switched:
        if isinstance(case, Variant):
            _prepare(switched, case, also)
        run_tests(switched, results, affected_tests(case, also), staged=_staged(case, also))
    verdicts = {
        one: merge(conclusion.verdict for conclusion in conclusions)
        for one, conclusions in results.conclusions.items()
    }
    about = case.affected
    said = {
        one: tuple(each.summary for each in conclusions if one in about or each.verdict is not Verdict.PASS)
        for one, conclusions in results.conclusions.items()
    }
    starved = frozenset(
        one for one, conclusions in results.conclusions.items() if any(map(does_not_count, conclusions))
    )
    seconds, readings = context.clock.now() - start, _readings(results)
    if isinstance(case, Fault):
        return FaultOutcome(case, verdicts, said, seconds, readings, starved)
    findings = tuple(finding.text for finding in results.findings)
    return VariantOutcome(case, verdicts, said, seconds, readings, starved, findings)


def _nothing_more(cluster: Cluster) -> Callable[[float], bool]:
    return lambda waited_s: waited_s >= PATIENCE_S and mesh_is_settled(cluster)


def _readings(results: RunResults) -> dict[str, frozenset[str]]:
    """The readings that were seen, by requirement: "question: letter", "question: unacceptable"."""
    return {
        one: frozenset(
            f"{reading.question}: {word}"
            for conclusion in conclusions
            for reading in conclusion.readings
            for word in (reading.word, *(["unacceptable"] if reading.finding else []))
        )
        for one, conclusions in results.conclusions.items()
    }


def run_tests(
    context: RunContext, results: RunResults, entries: Sequence[index.TestEntry], *, staged: bool
) -> None:
    """Run these tests on the context's arena; ``staged`` as in `plugin.RunRequest`.

    Raises ClusterError when pytest itself breaks down.
    """
    files = sorted({str(index.SUITES / entry.file) for entry in entries})
    said = io.StringIO()
    with redirect_stdout(said):
        code = pytest.main(
            [*files, "--smi-mesh", context.profile.name, "--assert=plain", "-q"],
            plugins=[plugin.RunRequest(context=context, results=results, staged=staged)],
        )
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise ClusterError(
            f"the suites broke down (pytest exit code {int(code)}):\n{said.getvalue()[-2000:]}"
        )
