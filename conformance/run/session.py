"""One run of the suite: what it needs, what it found, and the report that comes of it."""

from __future__ import annotations

import importlib.metadata
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from conformance import catalogue, judge
from conformance.catalogue import Requirement, foundations
from conformance.clusters import Cluster, ClusterError
from conformance.drive import version_selection
from conformance.drive.api_reads import Reader
from conformance.drive.api_trials import HeaderForms
from conformance.drive.arena import Arena
from conformance.drive.fixture_writer import Writer
from conformance.drive.house_rules import NO_RULES, HouseRules
from conformance.drive.manifests import STOCK_IMAGE, Placement, has
from conformance.drive.rendering import pick
from conformance.drive.rests import Rests
from conformance.drive.scenario import SERVICES, Scenario, never_known_idle
from conformance.drive.timing import Phases
from conformance.drive.traffic import Driver
from conformance.drive.version_selection import VersionSet, Wish
from conformance.drive.wait import Clock, SystemClock, Waiter
from conformance.model.evidence import Traffic
from conformance.model.verdict import Judgement, Verdict
from conformance.profiles import Profile
from conformance.report import assemble
from conformance.report.document import (
    ClusterInfo,
    Conclusion,
    Diagnostic,
    Finding,
    Mesh,
    Node,
    Report,
    RequirementRecord,
    Run,
    Timing,
)
from conformance.run import mesh_version
from conformance.traceability import applicability, index
from conformance.traceability.index import ScenarioMark

Absent = Literal["not claimed", "in other versions", "not selected", "not reached", "untested"]


@dataclass(slots=True)
class Session:
    """A run under way. Made before the first test, closed after the last."""

    profile: Profile
    cluster: Cluster
    command: tuple[str, ...] = ()
    image: str = STOCK_IMAGE
    rules: HouseRules = NO_RULES
    wish: Wish = field(default_factory=Wish)
    mesh_version: str = ""
    clock: Clock = field(default_factory=SystemClock)
    seed: int = field(default_factory=lambda: secrets.randbelow(2**32))
    run_id: str = field(default_factory=lambda: secrets.token_hex(3))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    conclusions: dict[str, list[Conclusion]] = field(default_factory=dict)
    absent: dict[str, tuple[Absent, str]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    interrupted: bool = False
    mesh_images: Mapping[str, str] = field(default_factory=dict)
    provided: set[str] = field(default_factory=set)
    questions: frozenset[str] | None = None
    mesh_is_idle: Callable[[float], bool] = never_known_idle
    phases: Phases = field(init=False)
    waiter: Waiter = field(init=False)
    arena: Arena = field(init=False)
    driver: Driver = field(init=False)
    header_forms: HeaderForms = field(init=False)
    rests: Rests = field(init=False)
    _providing: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.phases = Phases(self.clock)
        self.waiter = Waiter(self.clock)
        placement = Placement(self.run_id, self.image, self.profile.cluster_domain, self.rules)
        self.arena = Arena(self.cluster, self.profile, placement, self.waiter, self.api_versions())
        self.driver = Driver(self.cluster, self.arena, self.phases)
        self.header_forms = HeaderForms(self.cluster)
        self.rests = Rests(self.profile.converge.quiet_s)

    def api_versions(self) -> dict[str, str]:
        """The version of each claimed group that the arena's own objects are written in."""
        claims = self.profile.claims.by_group()
        picked = {group: pick(group, claimed) for group, claimed in claims.items()}
        together = next(iter(version_selection.sets(claims, ("access", "specs"))), {})
        return {group: version for group, version in {**picked, **together}.items() if version}

    def version_sets(self, groups: Sequence[str], *, every: bool = False) -> list[dict[str, str]]:
        """The versions that a scenario of these groups is run in, as this run was asked for.

        ``every``: in all that are claimed, unless others than the newest were asked for.
        """
        wish = Wish("all") if every and self.wish.kind == "newest" else self.wish
        return version_selection.sets(self.profile.claims.by_group(), groups, wish)

    def scenario(
        self,
        folder: str,
        versions: VersionSet | None = None,
        *,
        driver: Driver | None = None,
        waiter: Waiter | None = None,
    ) -> Scenario:
        """A scenario with the fixtures of a folder on this run's arena; in its versions unless given.

        One that is driven beside another has a driver and a waiter of its own.
        """
        spoken = self.api_versions() if versions is None else versions
        driven_by, waits = driver or self.driver, waiter or self.waiter
        return Scenario(
            folder=folder,
            cluster=self.cluster,
            arena=self.arena,
            driver=driven_by,
            waiter=waits,
            phases=driven_by.phases,
            profile=self.profile,
            reader=Reader(self.cluster, waits),
            writer=Writer(folder, self.arena, spoken, self.header_forms),
            seed=self.seed,
            mesh_is_idle=self.mesh_is_idle,
            rests=self.rests,
            questions=self.questions,
        )

    def create_services(self, folders: Iterable[str], kept: Iterable[str] = ()) -> None:
        """Make the services of these scenarios, of those that have any, and take back those of others.

        Those of scenarios in ``kept`` stay where they are there already: they are still to be driven, and a
        service that goes and comes again is one that the cluster has to take up again. Called one scenario
        ahead, so that it has done so when they are used; with no more than that, for a mesh tells every
        service to all of its proxies.
        """
        with self._providing:
            wanted = {name for name in folders if has(f"{name}/{SERVICES}")}
            for name in sorted(wanted - self.provided):
                self.scenario(name).create_services()
            for name in sorted(self.provided - wanted - set(kept)):
                self.scenario(name).delete_services()
            self.provided = wanted | (self.provided & set(kept))

    def unclaimed(
        self, requirement: Requirement, groups: Sequence[str], mark: ScenarioMark | None = None
    ) -> str | None:
        """Why a requirement is not asked of this mesh, or None when it is; ``mark`` is its scenario's."""
        return applicability.why_not(self.profile, requirement, groups, mark)

    def unspoken(self, requirement: Requirement, versions: VersionSet | None) -> str | None:
        """Why a requirement is not asked in what a scenario speaks, or None when it is.

        ``versions`` are None where what was wished for works together with nothing that is claimed.
        """
        if versions is None:
            return "the versions asked for work together with none that is claimed"
        if version_selection.holds_for(requirement, versions):
            return None
        return (
            f"it is about {', '.join(requirement.versions)}, and this run speaks "
            f"{version_selection.in_words(versions)}; --versions tells it which to speak"
        )

    def stands_on(self, mark: index.ScenarioMark) -> tuple[str, ...]:
        """The basic requirements that a scenario stands on, with this mesh.

        Where nothing goes through without a grant and no namespace is taken out of that, everything stands on
        grants.
        """
        granted = [foundations.GRANT] if self.arena.groups(mark.arena) else []
        return tuple(dict.fromkeys([*granted, *mark.stands_on]))

    def failure_of(self, basic: str) -> str:
        """What was said of a basic requirement of which nothing took effect.

        Empty where it holds, where it was not judged, and where a change was seen, if not the one that was
        asked for: then others may hold.
        """
        own = [one for one in self.conclusions.get(basic, ()) if index.BASIC_SUITES in one.nodeid]
        failed = [one for one in own if one.verdict is Verdict.FAIL and not _took_effect(one)]
        return next((one.summary for one in failed), "")

    def unfounded(self, mark: index.ScenarioMark) -> Judgement | None:
        """The judgement of all that a scenario is about where something that it stands on failed."""
        for basic in self.stands_on(mark):
            if failure := self.failure_of(basic):
                return judge.stands_on(basic, failure)
        return None

    def founded(self, judgement: Judgement, test: index.TestEntry, spoken: VersionSet) -> Judgement:
        """The judgement of a test, unless it is a failure that another failed requirement may have caused.

        ``spoken`` are the versions in which it was seen: where what the test presumes was judged in these,
        what became of that in others says nothing.
        """
        for one in test.presumes if judgement.verdict is Verdict.FAIL else ():
            found = self.conclusions.get(one, [])
            alike = [each for each in found if _spoke(each, spoken)]
            for conclusion in alike or found:
                cause = _cause(one, conclusion)
                if cause is not None and cause[0] != test.requirement:
                    return judge.presumes(judgement, *cause)
        return judgement

    def conclude(self, requirement_id: str, conclusion: Conclusion) -> None:
        """Record what a test concluded about a requirement."""
        self.conclusions.setdefault(requirement_id, []).append(conclusion)

    def report(self, faults: Mapping[str, Sequence[str]]) -> Report:
        """The report of what was found so far; ``faults`` maps requirements to the faults they catch."""
        spent = self.phases.spent()
        total = self.phases.total()
        named = {f"{phase}_s": round(seconds, 3) for phase, seconds in spent.items()}
        other = round(max(total - sum(spent.values()), 0.0), 3)
        records = [self._record(entry, faults.get(entry.id, ())) for entry in catalogue.load().values()]
        return assemble.build(
            suite_version=importlib.metadata.version("smi-conformance"),
            run=Run(
                id=self.run_id,
                started=self.started,
                finished=datetime.now(UTC),
                command=self.command,
                seed=self.seed,
                interrupted=self.interrupted,
            ),
            mesh=Mesh(
                profile=self.profile.name,
                description=self.profile.description,
                versions=mesh_version.versions(self.mesh_version, self.profile, self.mesh_images),
                claims=self.profile.claims.in_words(),
                header_forms=self.header_forms.known(),
            ),
            cluster=self.cluster_info(),
            timing=Timing.model_validate({"total_s": round(total, 3), "other_s": other, **named}),
            requirements=records,
            findings=self.findings,
            diagnostics=self.diagnostics,
        )

    def identify_mesh(self) -> None:
        """See which images the control plane runs, and tell where it is another version than is said."""
        self.mesh_images = mesh_version.images(self.cluster, self.profile)
        found = mesh_version.contradiction(self.mesh_version, self.profile, self.mesh_images)
        self.findings += [found] if found else []

    def _record(self, entry: Requirement, faults: Sequence[str]) -> RequirementRecord:
        untested: tuple[Absent, str] = ("untested", index.untested().get(entry.id, ""))
        tests = self.conclusions.get(entry.id, ())
        missing = self.missing.get(entry.id, ())
        # Where only some of the tests ran, the others were left out by the user's selection.
        partly: tuple[Absent, str] = ("not selected", "") if tests else untested
        otherwise, note = self.absent.get(entry.id, partly)
        return assemble.requirement_record(
            entry, tests, otherwise=otherwise, note=note, faults=faults, missing=missing
        )

    def cluster_info(self) -> ClusterInfo:
        """What is known about the cluster; what cannot be read is left out."""
        try:
            version = self.cluster.request("GET", "/version").body.get("gitVersion", "unknown")
            nodes = tuple(_node(item) for item in self.cluster.list("v1", "Node"))
        except (ClusterError, AttributeError, KeyboardInterrupt):
            # Whoever cannot wait for the answer loses these few words, not the report.
            return ClusterInfo(context=self.cluster.name, kubernetes="unknown", images=(self.image,))
        return ClusterInfo(context=self.cluster.name, kubernetes=version, nodes=nodes, images=(self.image,))


def _node(item: Mapping[str, Any]) -> Node:
    info = item["status"]["nodeInfo"]
    return Node(
        name=item["metadata"]["name"],
        architecture=info["architecture"],
        os=info["osImage"],
        kernel=info["kernelVersion"],
        runtime=info["containerRuntimeVersion"],
    )


def _spoke(conclusion: Conclusion, spoken: VersionSet) -> bool:
    """Whether a conclusion was come to in these versions, as far as it is about their groups."""
    return all(spoken.get(group, own) == own for group, own in conclusion.versions.items())


def _cause(requirement: str, conclusion: Conclusion) -> tuple[str, str] | None:
    """The requirement whose failure a conclusion tells of, and what was said of it: its own, or another's."""
    if conclusion.verdict is Verdict.FAIL:
        return requirement, conclusion.summary
    if conclusion.basis is not None and conclusion.basis.judge == judge.presumes.__name__:
        return str(conclusion.basis.arguments["basic"]), str(conclusion.basis.arguments["failure"])
    return None


def _took_effect(conclusion: Conclusion) -> bool:
    """Whether traffic went otherwise after a change than before it, as far as both were looked at."""
    seen = {one.name: one.value for one in conclusion.evidence}
    baseline, sample = seen.get("baseline"), seen.get("sample")
    if not isinstance(baseline, Traffic) or not isinstance(sample, Traffic):
        return False
    return sample.answers < sample.sent or not set(sample.answered) <= set(baseline.answered)
