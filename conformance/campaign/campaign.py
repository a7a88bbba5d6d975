"""A campaign: runs the affected scenarios under each case, and collects the suite's verdicts.

Under a fault exactly the requirements that it breaks must fail; under a variant none may fail.
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
"""The minimum wait, in seconds: the mesh may not have received a recent change yet."""


def run(cluster: Cluster, campaign: Campaign, turn: Iterable[Case]) -> Iterator[Result]:
    """The results of the cases in ``turn``, each as it ends.

    Raises ClusterError if the cluster or the reference mesh fails.
    """
    parts_left = campaign.parts_left()
    context: RunContext | None = None
    current_key = ""
    try:
        for case in turn:
            if context is None or current_key != campaign.arena_key(case):
                if context is not None:
                    context.arena.remove()
                context, current_key = _opened(cluster, campaign, case), campaign.arena_key(case)
            # Every sidecar receives every change, also in parts that no later case needs.
            context.arena.delete_except(parts_left[case.id])
            renewed = _renewed(context, campaign, case)
            if isinstance(case, Fault):
                # Under a fault pods may never get ready; a variant must be in force from the beginning.
                _prepare(renewed, case, campaign.also)
            yield _judge(renewed, case, campaign.also)
    finally:
        cluster.delete([SWITCH_OBJECT])
        if context is not None:
            context.arena.remove()


def _opened(cluster: Cluster, campaign: Campaign, case: Case) -> RunContext:
    """A context for a case and all cases that share its arena. Raises ClusterError if preflight fails."""
    context = RunContext.open(campaign.profile_of(case), cluster, image=campaign.image)
    alike = [one for one in campaign.chosen if campaign.arena_key(one) == campaign.arena_key(case)]
    problem = preflight(context, _written_versions(context, replace(campaign, chosen=alike)))
    if problem is not None:
        raise ClusterError(str(problem))
    if cluster.request("GET", "/api/v1/namespaces/smi-reference").status != 200:
        raise ClusterError("the reference mesh is not installed; run `smi-conformance reference install`")
    return context


def _prepare(context: RunContext, case: Case, also: str | None) -> None:
    """Create the parts of the arena that a case needs, and wait until they are ready."""
    parts = parts_of(case, also)
    context.arena.create(parts)
    if not _staged(case, also):
        context.create_services(entry.scenario.folder for entry in affected_tests(case, also))
    context.arena.wait_ready(parts)


def _staged(case: Case, also: str | None) -> bool:
    """Whether Services are created and deleted with their scenarios, as in a run.

    A fault has few scenarios, and the Services of all of them exist from its beginning: the ports in the
    Services of other scenarios could hide the fault. More Services at once would be a load on every proxy.
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
        # Trying all open questions would take most of a campaign's time.
        questions=frozenset(shown.rpartition(": ")[0] for shown in case.expected_readings.values()),
        mesh_is_idle=never_known_idle if case.late_changes else _idle_when_settled(context.cluster),
    )


def _written_versions(context: RunContext, campaign: Campaign) -> dict[str, set[str]]:
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
    summaries = {
        one: tuple(
            each.summary for each in conclusions if one in case.affected or each.verdict is not Verdict.PASS
        )
        for one, conclusions in results.conclusions.items()
    }
    starved = frozenset(
        one for one, conclusions in results.conclusions.items() if any(map(does_not_count, conclusions))
    )
    seconds, readings = context.clock.now() - start, _readings(results)
    if isinstance(case, Fault):
        return FaultOutcome(case, verdicts, summaries, seconds, readings, starved)
    findings = tuple(finding.text for finding in results.findings)
    return VariantOutcome(case, verdicts, summaries, seconds, readings, starved, findings)


def _idle_when_settled(cluster: Cluster) -> Callable[[float], bool]:
    return lambda waited_s: waited_s >= PATIENCE_S and mesh_is_settled(cluster)


def _readings(results: RunResults) -> dict[str, frozenset[str]]:
    """The observed readings, by requirement: "question: letter", "question: unacceptable"."""
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

    Raises ClusterError if pytest itself fails.
    """
    files = sorted({str(index.SUITES / entry.file) for entry in entries})
    output = io.StringIO()
    with redirect_stdout(output):
        code = pytest.main(
            [*files, "--smi-mesh", context.profile.name, "--assert=plain", "-q"],
            plugins=[plugin.RunRequest(context=context, results=results, staged=staged)],
        )
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise ClusterError(
            f"the suites could not be run (pytest exit code {int(code)}):\n{output.getvalue()[-2000:]}"
        )
