"""The fixed context of one run: mesh, cluster, options, and the objects that its scenarios share."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from conformance.catalogue import Requirement, foundations
from conformance.clusters import Cluster
from conformance.drive import version_selection
from conformance.drive.api_reads import Reader
from conformance.drive.api_trials import HeaderForms
from conformance.drive.arena import Arena
from conformance.drive.cluster_rules import NO_RULES, ClusterRules
from conformance.drive.fixture_writer import Writer
from conformance.drive.manifests import SERVICES, STOCK_IMAGE, RunScope, exists
from conformance.drive.rendering import pick
from conformance.drive.rest_history import RestHistory
from conformance.drive.scenario import Scenario, never_known_idle
from conformance.drive.timing import Phases
from conformance.drive.traffic import Driver
from conformance.drive.version_selection import VersionChoice, VersionSet
from conformance.drive.wait import Clock, SystemClock, Waiter
from conformance.profiles import Profile
from conformance.traceability import applicability
from conformance.traceability.index import ScenarioMark


@dataclass(frozen=True, slots=True)
class RunContext:
    """The inputs of a run, constant until its end; `RunResults` collects its results.

    ``seed`` is the source of every random choice. ``questions`` are the open questions to try, in the
    catalogue's words; None tries all. ``mesh_is_idle`` receives the seconds waited so far. `open` creates
    the objects that scenarios share: arena, driver, waiter and header forms.
    """

    profile: Profile
    cluster: Cluster
    command: tuple[str, ...]
    image: str
    rules: ClusterRules
    version_choice: VersionChoice
    mesh_version: str
    clock: Clock
    seed: int
    run_id: str
    started: datetime
    phases: Phases
    waiter: Waiter
    arena: Arena
    driver: Driver
    header_forms: HeaderForms
    rests: RestHistory
    questions: frozenset[str] | None = None
    mesh_is_idle: Callable[[float], bool] = never_known_idle
    services: ScenarioServices = field(default_factory=lambda: ScenarioServices())

    @classmethod
    def open(
        cls,
        profile: Profile,
        cluster: Cluster,
        *,
        command: tuple[str, ...] = (),
        image: str = STOCK_IMAGE,
        rules: ClusterRules = NO_RULES,
        version_choice: VersionChoice | None = None,
        mesh_version: str = "",
        clock: Clock | None = None,
        seed: int | None = None,
        run_id: str = "",
    ) -> RunContext:
        """The context of a new run; nothing is created in the cluster yet."""
        time, name = clock or SystemClock(), run_id or secrets.token_hex(3)
        phases, waiter = Phases(time), Waiter(time)
        scope = RunScope(name, image, profile.cluster_domain, rules)
        arena = Arena(cluster, profile, scope, waiter, api_versions(profile))
        return cls(
            profile=profile,
            cluster=cluster,
            command=command,
            image=image,
            rules=rules,
            version_choice=version_choice or VersionChoice(),
            mesh_version=mesh_version,
            clock=time,
            seed=secrets.randbelow(2**32) if seed is None else seed,
            run_id=name,
            started=datetime.now(UTC),
            phases=phases,
            waiter=waiter,
            arena=arena,
            driver=Driver(cluster, arena, phases),
            header_forms=HeaderForms(cluster),
            rests=RestHistory(profile.converge.quiet_s),
        )

    def renewed(
        self,
        profile: Profile,
        *,
        version_choice: VersionChoice,
        questions: frozenset[str] | None = None,
        mesh_is_idle: Callable[[float], bool] = never_known_idle,
    ) -> RunContext:
        """The context of another run on the same arena, without the knowledge about the mesh."""
        return replace(
            self,
            profile=profile,
            version_choice=version_choice,
            questions=questions,
            mesh_is_idle=mesh_is_idle,
            header_forms=HeaderForms(self.cluster),
            rests=RestHistory(profile.converge.quiet_s),
        )

    def api_versions(self) -> dict[str, str]:
        """The version of each claimed group in which the arena's own objects are written."""
        return api_versions(self.profile)

    def version_sets(self, groups: Sequence[str], *, every: bool = False) -> list[dict[str, str]]:
        """The sets of versions in which a scenario of these groups runs.

        ``every``: all claimed versions, unless the user selected others than the newest.
        """
        choice = self.version_choice
        if every and choice.kind == "newest":
            choice = VersionChoice("all")
        return version_selection.assignments(self.profile.claims.by_group(), groups, choice)

    def scenario(
        self,
        folder: str,
        versions: VersionSet | None = None,
        *,
        driver: Driver | None = None,
        waiter: Waiter | None = None,
    ) -> Scenario:
        """A scenario with the fixtures of a folder on this run's arena; ``versions``: by default the run's.

        A scenario that is driven alongside another needs its own driver and waiter.
        """
        spoken = self.api_versions() if versions is None else versions
        own_driver, own_waiter = driver or self.driver, waiter or self.waiter
        return Scenario(
            folder=folder,
            cluster=self.cluster,
            arena=self.arena,
            driver=own_driver,
            waiter=own_waiter,
            phases=own_driver.phases,
            profile=self.profile,
            reader=Reader(self.cluster, own_waiter),
            writer=Writer(folder, self.arena, spoken, self.header_forms),
            seed=self.seed,
            mesh_is_idle=self.mesh_is_idle,
            rests=self.rests,
            questions=self.questions,
        )

    def create_services(self, folders: Iterable[str], kept: Iterable[str] = ()) -> None:
        """Create the Services of these scenarios, and delete those of all others except ``kept``.

        Existing Services of scenarios in ``kept`` stay: deleting and creating a Service again costs the
        cluster time. A run calls this one scenario ahead, so that the Services are ready when they are
        used, and no earlier, since a mesh distributes every Service to all of its proxies.
        """
        self.services.provide(self.scenario, folders, kept)

    def not_claimed_reason(
        self, requirement: Requirement, groups: Sequence[str], mark: ScenarioMark | None = None
    ) -> str | None:
        """Why a requirement is not judged for the mesh, or None; ``mark`` is the scenario of its test."""
        return applicability.why_not(self.profile, requirement, groups, mark)

    def version_mismatch_reason(self, requirement: Requirement, versions: VersionSet | None) -> str | None:
        """Why a requirement does not apply to the versions of a scenario, or None if it does.

        ``versions`` is None if the selected versions are compatible with no claimed version.
        """
        if versions is None:
            return "the versions asked for work together with none that is claimed"
        if version_selection.requirement_applies(requirement, versions):
            return None
        return (
            f"it is about {', '.join(requirement.versions)}, and this run speaks "
            f"{version_selection.format_versions(versions)}; --versions tells it which to speak"
        )

    def stands_on(self, mark: ScenarioMark) -> tuple[str, ...]:
        """The basic requirements that a scenario stands on with this mesh.

        Every scenario stands on grants if the mesh denies by default and no namespace can be opened.
        """
        granted = [foundations.GRANT] if self.arena.required_groups(mark.arena) else []
        return tuple(dict.fromkeys([*granted, *mark.stands_on]))


def api_versions(profile: Profile) -> dict[str, str]:
    """The version of each claimed group in which the arena's own objects are written."""
    claims = profile.claims.by_group()
    picked = {group: pick(group, claimed) for group, claimed in claims.items()}
    together = next(iter(version_selection.assignments(claims, ("access", "specs"))), {})
    return {group: version for group, version in {**picked, **together}.items() if version}


@dataclass(slots=True)
class ScenarioServices:
    """The scenarios whose Services exist in the arena."""

    provided: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def provide(
        self, scenario: Callable[[str], Scenario], folders: Iterable[str], kept: Iterable[str]
    ) -> None:
        """Create and delete Services as `RunContext.create_services` does."""
        with self._lock:
            wanted = {name for name in folders if exists(f"{name}/{SERVICES}")}
            for name in sorted(wanted - self.provided):
                scenario(name).create_services()
            for name in sorted(self.provided - wanted - set(kept)):
                scenario(name).delete_services()
            self.provided = wanted | (self.provided & set(kept))
