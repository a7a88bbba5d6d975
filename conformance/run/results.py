"""The results of one run: conclusions, findings and diagnostics, and the report of them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from conformance import catalogue, judge
from conformance.catalogue import Requirement
from conformance.clusters import ClusterError
from conformance.drive.version_selection import VersionSet
from conformance.model.evidence import Environment, Traffic
from conformance.model.verdict import Judgement, Verdict
from conformance.report import assemble
from conformance.report.assemble import UnjudgedStatus
from conformance.report.conclusions import conclude
from conformance.report.document import (
    ClusterInfo,
    Conclusion,
    Diagnostic,
    Finding,
    MeshRecord,
    NodeRecord,
    Report,
    RequirementRecord,
    Run,
    Timing,
)
from conformance.run import mesh_version
from conformance.run.context import RunContext
from conformance.traceability import index
from conformance.traceability.index import ScenarioMark


@dataclass(frozen=True, slots=True)
class JudgedTest:
    """A judged test: its requirement, its title as a sentence, and the versions of its scenario.

    ``presumes`` are the requirements whose failure may be the whole cause of a failure of this test.
    """

    requirement: str
    nodeid: str
    title: str
    versions: VersionSet = field(default_factory=dict)
    presumes: tuple[str, ...] = ()
    duration_s: float = 0.0


@dataclass(slots=True)
class RunResults:
    """The results that a run collects, most of them by requirement.

    ``skipped_requirements`` has the reasons of requirements that were not judged, ``skipped_tests`` the tests
    of a requirement that did not run. ``mesh_images`` are the images of the mesh's control plane.
    """

    conclusions: dict[str, list[Conclusion]] = field(default_factory=dict)
    skipped_requirements: dict[str, tuple[UnjudgedStatus, str]] = field(default_factory=dict)
    skipped_tests: dict[str, list[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    interrupted: bool = False
    mesh_images: Mapping[str, str] = field(default_factory=dict)

    def record(self, test: JudgedTest, judgement: Judgement, environment: Environment) -> Judgement:
        """Add a judgement to the results; returns it as recorded.

        Every verdict is recorded here, and weakened if the run does not support it: no judge with a null
        control decided it, the machine was starved (``environment`` is that of the scenario), or another
        failed requirement may be the whole cause.
        """
        recorded = self._unless_caused(test, supported(judgement, environment))
        self.conclusions.setdefault(test.requirement, []).append(
            conclude(test.nodeid, test.title, recorded, test.duration_s, versions=test.versions)
        )
        return recorded

    def _unless_caused(self, test: JudgedTest, judgement: Judgement) -> Judgement:
        """The judgement, unless it is a failure that a presumed requirement's failure may explain.

        Conclusions in the test's own versions take precedence.
        """
        for presumed in test.presumes if judgement.verdict is Verdict.FAIL else ():
            found = self.conclusions.get(presumed, [])
            alike = [each for each in found if _in_versions(each, test.versions)]
            for conclusion in alike or found:
                cause = _cause(presumed, conclusion)
                if cause is not None and cause[0] != test.requirement:
                    return judge.presumes(judgement, *cause)
        return judgement

    def failure_of(self, basic: str) -> str:
        """The summary of a basic requirement that failed without any effect; empty if it did not.

        If a change had an effect, even a wrong one, other requirements may still hold.
        """
        own = [each for each in self.conclusions.get(basic, ()) if index.BASIC_SUITES in each.nodeid]
        failed = [each for each in own if each.verdict is Verdict.FAIL and not _took_effect(each)]
        return next((each.summary for each in failed), "")

    def unfounded(self, context: RunContext, mark: ScenarioMark) -> Judgement | None:
        """The judgement of all tests of a scenario that stands on a failed basic requirement, or None."""
        for basic in context.stands_on(mark):
            if failure := self.failure_of(basic):
                return judge.stands_on(basic, failure)
        return None

    def identify_mesh(self, context: RunContext) -> None:
        """Read the images of the control plane; adds a finding if they contradict the stated version."""
        self.mesh_images = mesh_version.images(context.cluster, context.profile)
        found = mesh_version.contradiction(context.mesh_version, context.profile, self.mesh_images)
        self.findings += [found] if found else []

    def report(self, context: RunContext, faults: Mapping[str, Sequence[str]]) -> Report:
        """The report of the results so far; ``faults`` maps requirements to the faults that they catch."""
        spent = context.phases.spent()
        total = context.phases.total()
        named = {f"{phase}_s": round(seconds, 3) for phase, seconds in spent.items()}
        other = round(max(total - sum(spent.values()), 0.0), 3)
        return assemble.build(
            suite_version=importlib.metadata.version("smi-conformance"),
            run=Run(
                id=context.run_id,
                started=context.started,
                finished=datetime.now(UTC),
                command=context.command,
                seed=context.seed,
                interrupted=self.interrupted,
            ),
            mesh=MeshRecord(
                profile=context.profile.name,
                description=context.profile.description,
                versions=mesh_version.versions(context.mesh_version, context.profile, self.mesh_images),
                claims=context.profile.claims.in_words(),
                header_forms=context.header_forms.known(),
            ),
            cluster=cluster_info(context),
            timing=Timing.model_validate({"total_s": round(total, 3), "other_s": other, **named}),
            requirements=[
                self._requirement(entry, faults.get(entry.id, ())) for entry in catalogue.load().values()
            ],
            findings=self.findings,
            diagnostics=self.diagnostics,
        )

    def _requirement(self, entry: Requirement, faults: Sequence[str]) -> RequirementRecord:
        untested: tuple[UnjudgedStatus, str] = ("untested", index.untested().get(entry.id, ""))
        tests = self.conclusions.get(entry.id, ())
        # If some tests of a requirement ran, the user's selection excluded the others.
        default: tuple[UnjudgedStatus, str] = ("not selected", "") if tests else untested
        otherwise, note = self.skipped_requirements.get(entry.id, default)
        return assemble.requirement_record(
            entry,
            tests,
            otherwise=otherwise,
            note=note,
            faults=faults,
            missing=self.skipped_tests.get(entry.id, ()),
        )


def cluster_info(context: RunContext) -> ClusterInfo:
    """Version and nodes of the cluster, as far as they can be read."""
    cluster, images = context.cluster, (context.image,)
    try:
        version = cluster.request("GET", "/version").body.get("gitVersion", "unknown")
        nodes = tuple(_node(item) for item in cluster.list("v1", "Node"))
    except (ClusterError, AttributeError, KeyboardInterrupt):
        # A user who interrupts this read loses these lines and not the report.
        return ClusterInfo(context=cluster.name, kubernetes="unknown", images=images)
    return ClusterInfo(context=cluster.name, kubernetes=version, nodes=nodes, images=images)


def _node(item: Mapping[str, Any]) -> NodeRecord:
    info = item["status"]["nodeInfo"]
    return NodeRecord(
        name=item["metadata"]["name"],
        architecture=info["architecture"],
        os=info["osImage"],
        kernel=info["kernelVersion"],
        runtime=info["containerRuntimeVersion"],
    )


def supported(judgement: Judgement, environment: Environment) -> Judgement:
    """The judgement, as far as a judge with a null control made it and the machine kept up."""
    return _unless_starved(_unless_baseless(judgement), environment)


def _unless_baseless(judgement: Judgement) -> Judgement:
    """The judgement, unless it is a pass or a failure that no judge with a null control decided."""
    if judgement.verdict not in {Verdict.PASS, Verdict.FAIL} or judge.is_founded(judgement):
        return judgement
    summary = f"an error of the suite: no judge with a null control came to this: {judgement.summary}"
    return Judgement(Verdict.INCONCLUSIVE, summary, hint="see CONTRIBUTING.md on judges")


def _unless_starved(judgement: Judgement, environment: Environment) -> Judgement:
    """The judgement, discounted if the machine was starved while the scenario's traffic was sent."""
    return judge.discount_if_starved(judgement, environment) if judge.starved(environment) else judgement


def _in_versions(conclusion: Conclusion, versions: VersionSet) -> bool:
    """Whether a conclusion's versions agree with these, in the groups that both have."""
    return all(versions.get(group, own) == own for group, own in conclusion.versions.items())


def _cause(requirement: str, conclusion: Conclusion) -> tuple[str, str] | None:
    """The requirement whose failure a conclusion shows, its own or a presumed one, with its summary."""
    if conclusion.verdict is Verdict.FAIL:
        return requirement, conclusion.summary
    if conclusion.basis is not None and conclusion.basis.judge == judge.presumes.__name__:
        return str(conclusion.basis.arguments["basic"]), str(conclusion.basis.arguments["failure"])
    return None


def _took_effect(conclusion: Conclusion) -> bool:
    """Whether traffic after a change differed from the baseline; False if either is missing."""
    seen = {each.name: each.value for each in conclusion.evidence}
    baseline, sample = seen.get("baseline"), seen.get("sample")
    if not isinstance(baseline, Traffic) or not isinstance(sample, Traffic):
        return False
    return sample.answers < sample.sent or not set(sample.answered) <= set(baseline.answered)
