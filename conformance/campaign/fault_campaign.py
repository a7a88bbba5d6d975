"""Campaigns: each fault of the reference mesh in turn, and whether it is blamed rightly; variants likewise.

A case is a fault or a variant: a way to make the mesh different, with the scenarios that it concerns. Under
a fault exactly what it breaks is to fail, under a variant nothing is.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, replace

import pytest

from conformance import catalogue, plugin
from conformance.campaign.results import Outcome, void
from conformance.campaign.variant_campaign import Conformity
from conformance.catalogue import GROUPS, CatalogueError
from conformance.clusters import Cluster, ClusterError, Object
from conformance.clusters.kubernetes import refusal
from conformance.drive import version_selection
from conformance.drive.api_reads import METRICS, served_kinds
from conformance.drive.scenario import never_known_idle
from conformance.drive.wait import NotSeen
from conformance.model.verdict import Verdict, merge
from conformance.profiles import Converge, Profile
from conformance.profiles.overlay import overlaid
from conformance.run.context import RunContext
from conformance.run.preflight import preflight
from conformance.run.results import RunResults
from conformance.text.suggest import did_you_mean
from conformance.traceability import index
from smi_reference_mesh import faults, variants
from smi_reference_mesh.faults import Change, Fault
from smi_reference_mesh.spoiler import Faithful
from smi_reference_mesh.variants import Variant

Case = Fault | Variant
Result = Outcome | Conformity

SWITCH = "/api/v1/namespaces/smi-reference/configmaps/fault"
ACTIVE = "reference.smi-conformance.dev/active-fault"
SWITCH_OBJECT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"namespace": "smi-reference", "name": "fault"},
}
HEALTH = "/api/v1/namespaces/smi-reference/services/https:smi-reference:control/proxy/healthz"
SWITCHED_WITHIN_S = 30.0
_DEFINITIONS, _DEFINITION = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
CONVERGE = Converge(within_s=8.0, stable_s=0.5, quiet_s=3.0)
"""What never comes under a fault is waited for no longer than the mesh is at work (`PATIENCE_S`)."""

VARIANT_WITHIN_S = 30.0
"""Under a variant all that is waited for comes, if late where clusters share two processors."""

PATIENCE_S = 1.5
"""How long it is waited at least: of what was changed a moment ago the mesh may not have heard yet."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """Which cases are switched on, and what runs under each.

    ``also`` adds every scenario whose file's path contains it to those that a case concerns.
    """

    chosen: Sequence[Case]
    profile: Profile
    image: str
    also: str | None = None

    def parts_left(self) -> dict[str, set[str]]:
        """By case: the parts of the arena that it and those after it of the same profile need."""
        needed: dict[str, set[str]] = {}
        left: dict[str, set[str]] = {}
        for case in reversed(self.chosen):
            arena = self.arena_of(case)
            left[arena] = left.get(arena, set()).union(parts_of(case, self.also))
            needed[case.id] = left[arena]
        return needed

    def profile_of(self, case: Case) -> Profile:
        """The profile of the mesh as it is in a case."""
        if isinstance(case, Fault):
            return self.profile.model_copy(update={"converge": CONVERGE})
        profile = overlaid(self.profile, case.profile)
        patient = profile.converge.model_copy(
            update={"within_s": max(VARIANT_WITHIN_S, profile.converge.within_s)}
        )
        return profile.model_copy(update={"converge": patient})

    def arena_of(self, case: Case) -> str:
        """What in the profile an arena is made by; cases that have the same share one."""
        return self.profile_of(case).model_dump_json(exclude={"converge", "metrics", "disclaims", "ingress"})


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
            context.arena.keep(parts_left[case.id])
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
    context.arena.prepare(parts)
    if not _staged(case, also):
        context.create_services(entry.scenario.folder for entry in concerned(case, also))
    context.arena.ready(parts)


def _staged(case: Case, also: str | None) -> bool:
    """Whether services come and go with their scenarios, as in a run.

    A fault has few scenarios, and has the services of all of them from its beginning: what those of others
    say of the pods' ports could hide it. Many services at once are many for each proxy.
    """
    return also is not None or isinstance(case, Variant)


def switch_all_off(cluster: Cluster) -> None:
    """Take away what a campaign leaves in a cluster that it was killed in, but for changed definitions.

    Those are as they should be once the mesh is installed again. Raises ClusterError.
    """
    cluster.delete([SWITCH_OBJECT, *(one for fault in faults.FAULTS.values() for one in fault.adds)])


def choose(only: Sequence[str], apis: Sequence[str] = ()) -> list[Fault]:
    """The faults of these ids, or all; with ``apis``, of those the ones that concern these APIs alone.

    Raises CatalogueError for an unknown fault.
    """
    unknown = [one for one in only if one not in faults.FAULTS]
    if unknown:
        hint = did_you_mean(unknown[0], faults.FAULTS)
        raise CatalogueError(
            f"unknown fault {unknown[0]!r}{hint} (smi-conformance explain names those of a requirement)"
        )
    known = catalogue.load()
    return [
        fault
        for fault in faults.FAULTS.values()
        if (not only or fault.id in only)
        and (not apis or {known[one].api for one in fault.concerns} <= set(apis))
    ]


def choose_variants(only: Sequence[str]) -> list[Variant]:
    """The variants of these ids, or all. Raises CatalogueError for an unknown one."""
    unknown = [one for one in only if one not in variants.VARIANTS]
    if unknown:
        hint = did_you_mean(unknown[0], variants.VARIANTS)
        raise CatalogueError(f"unknown variant {unknown[0]!r}{hint} (see docs/variants.md)")
    return [one for one in variants.VARIANTS.values() if not only or one.id in only]


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
        questions=frozenset(shown.rpartition(": ")[0] for shown in case.shows.values()),
        mesh_is_idle=never_known_idle if case.patient else _nothing_more(context.cluster),
    )


def _spoken(context: RunContext, campaign: Campaign) -> dict[str, set[str]]:
    """The versions of each group in which the scenarios of a campaign write objects."""
    spoken: dict[str, set[str]] = {}
    for case in campaign.chosen:
        renewed = _renewed(context, campaign, case)
        for entry in concerned(case, campaign.also):
            for one in renewed.version_sets(entry.scenario.groups, every=entry.scenario.every_version):
                for group in entry.scenario.groups:
                    spoken.setdefault(group, set()).add(one[group])
    return spoken


def concerned(case: Case, also: str | None = None) -> list[index.TestEntry]:
    """The tests of every scenario that a case is about, their other tests included.

    For a fault those are the scenarios that judge something it breaks. And those whose file's path contains
    ``also``.
    """
    needs = case.concerns if isinstance(case, Fault) else case.needs
    paths = [one for one in needs if "/" in one] + ([] if also is None else [also])
    files = {
        entry.file
        for entry in index.index()
        if entry.requirement in needs or any(path in entry.file for path in paths)
    }
    return [entry for entry in index.index() if entry.file in files]


def parts_of(case: Case, also: str | None = None) -> list[str]:
    """The parts of the arena that the scenarios of a case need."""
    return sorted({part for entry in concerned(case, also) for part in entry.scenario.arena})


def _judge(context: RunContext, case: Case, also: str | None) -> Result:
    start, results = context.clock.now(), RunResults()
    with switched_on(context, case) as switched:
        if isinstance(case, Variant):
            _prepare(switched, case, also)
        run_tests(switched, results, concerned(case, also), staged=_staged(case, also))
    verdicts = {
        one: merge(conclusion.verdict for conclusion in conclusions)
        for one, conclusions in results.conclusions.items()
    }
    about = case.concerns if isinstance(case, Fault) else case.needs
    said = {
        one: tuple(each.summary for each in conclusions if one in about or each.verdict is not Verdict.PASS)
        for one, conclusions in results.conclusions.items()
    }
    starved = frozenset(
        one for one, conclusions in results.conclusions.items() if any(map(void, conclusions))
    )
    seconds, readings = context.clock.now() - start, _readings(results)
    if isinstance(case, Fault):
        return Outcome(case, verdicts, said, seconds, readings, starved)
    findings = tuple(finding.text for finding in results.findings)
    return Conformity(case, verdicts, said, seconds, readings, starved, findings)


def _nothing_more(cluster: Cluster) -> Callable[[float], bool]:
    return lambda waited_s: waited_s >= PATIENCE_S and _is_settled(cluster)


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


@contextmanager
def switched_on(context: RunContext, case: Case) -> Iterator[RunContext]:
    """The case is in force within the block, and gone after it; yields the context that fits it.

    Raises ClusterError if the mesh does not take the case up.
    """
    with ExitStack() as stack:
        if isinstance(case, Fault):
            if case.change:
                stack.enter_context(_changed(context, case.change))
            if case.adds:
                stack.enter_context(_added(context, case.adds))
            if case.without:
                context = stack.enter_context(_lacking(context, case.without))
        if case.spoiler is Faithful:
            yield context
            return
        _switch(context, case.id)
        try:
            yield context
        finally:
            _switch(context, "")


def _switch(context: RunContext, case: str) -> None:
    context.cluster.apply([{**SWITCH_OBJECT, "data": {"fault": case}}])

    def active() -> bool:
        read = context.cluster.request("GET", SWITCH)
        annotations = read.body["metadata"].get("annotations", {}) if read.status == 200 else {}
        return bool(annotations.get(ACTIVE) == case)

    because = f"{case or 'no fault'} in force; see the log of deployment smi-reference"
    _until(context, active, because)


@contextmanager
def _changed(context: RunContext, change: Change) -> Iterator[None]:
    cluster = context.cluster
    before = cluster.request("GET", change.path)
    if before.status != 200:
        raise refusal(before)
    _put(cluster, change.path, change.edit(before.body))
    try:
        yield
    finally:
        now = cluster.request("GET", change.path).body
        _put(cluster, change.path, {**now, "spec": before.body["spec"]})
        # What the API server serves follows its objects after a moment.
        _until(context, lambda: cluster.request("GET", METRICS).status == 200, "metrics served")


@contextmanager
def _added(context: RunContext, objects: Sequence[Object]) -> Iterator[None]:
    try:
        context.cluster.apply(objects)
        yield
    finally:
        context.cluster.delete(objects)


@contextmanager
def _lacking(context: RunContext, groups: Sequence[str]) -> Iterator[RunContext]:
    """The cluster has no definitions of these groups within the block, and the profile claims none."""
    cluster, profile = context.cluster, context.profile
    names = {GROUPS[group] for group in groups}

    def served() -> set[tuple[str, str, str]]:
        return {one for one in served_kinds(cluster) if one[0] in names}

    before = served()
    definitions = [
        {**_as_written(one), "apiVersion": _DEFINITIONS, "kind": _DEFINITION}
        for one in cluster.list(_DEFINITIONS, _DEFINITION)
        if one["spec"]["group"] in names
    ]
    plurals = {one["spec"]["names"]["plural"] for one in definitions}
    paths = [
        f"/apis/{_DEFINITIONS}/customresourcedefinitions/{one['metadata']['name']}" for one in definitions
    ]
    claims = profile.claims.model_copy(update=dict.fromkeys(groups, ()))
    try:
        cluster.delete(definitions)
        # One that is on its way out would take what is applied for a change of itself.
        _until(
            context,
            lambda: not served() and all(cluster.request("GET", path).status == 404 for path in paths),
            "definitions gone",
        )
        # The mesh hears of it by itself, and later.
        _until(context, lambda: plurals <= _missed(cluster), "the mesh without them")
        yield replace(context, profile=profile.model_copy(update={"claims": claims}))
    finally:
        cluster.apply(definitions)
        _until(context, lambda: before <= served(), f"{', '.join(sorted(names))} served")
        _until(context, lambda: plurals.isdisjoint(_missed(cluster)), "the mesh with them")


def _missed(cluster: Cluster) -> set[str]:
    """The kinds (plural) that the control plane of the reference mesh finds not served."""
    health = cluster.request("GET", HEALTH)
    if health.status != 200:
        raise refusal(health)
    return set(health.body["notServed"])


def _is_settled(cluster: Cluster) -> bool:
    """Whether every sidecar of the reference mesh has taken all that there is for it."""
    health = cluster.request("GET", HEALTH)
    return health.status == 200 and health.body["settled"] is True


def _as_written(item: Object) -> Object:
    """An object without what the API server made of it."""
    metadata = item["metadata"]
    kept = {key: metadata[key] for key in ("name", "labels", "annotations") if key in metadata}
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": kept}


def _until(context: RunContext, check: Callable[[], bool], because: str) -> None:
    try:
        context.waiter.until(check, within=SWITCHED_WITHIN_S, because=because)
    except NotSeen as error:
        raise ClusterError(str(error)) from error


def _put(cluster: Cluster, path: str, body: Object) -> None:
    answer = cluster.request("PUT", path, body)
    if answer.status >= 400:
        raise refusal(answer)
