"""The fault campaign: each fault of the reference mesh in turn, and whether it is blamed rightly."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass

import pytest

from conformance import catalogue, plugin, suites_index
from conformance.catalogue import GROUPS, CatalogueError
from conformance.clusters import Cluster, ClusterError, Object
from conformance.clusters.kubernetes import refusal
from conformance.doctor import preflight
from conformance.drive import version_sets
from conformance.drive.reading import METRICS, served_kinds
from conformance.drive.rests import Rests
from conformance.drive.scenario import all_may_come
from conformance.drive.wait import NotSeen
from conformance.near import meant
from conformance.outcomes import Outcome
from conformance.profiles import Converge, Profile
from conformance.record import void
from conformance.session import Session
from conformance.verdict import Verdict, merge
from reference import faults
from reference.faults import Change, Fault
from reference.spoiler import Faithful

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
CONVERGE = Converge(within_s=3.0, stable_s=0.5, quiet_s=3.0)
"""Shorter than the profile allows: under a fault the change often never comes, and is waited for in full."""

PATIENCE_S = 1.5
"""How long it is waited at least: of what was changed a moment ago the mesh may not have heard yet."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """Which faults are switched on, and what runs under each.

    ``also`` adds every scenario whose file's path contains it to those that a fault concerns.
    """

    chosen: Sequence[Fault]
    profile: Profile
    image: str
    also: str | None = None

    def parts_left(self) -> dict[str, set[str]]:
        """By fault: the parts of the arena that it and those after it need."""
        needed: dict[str, set[str]] = {}
        left: set[str] = set()
        for fault in reversed(self.chosen):
            left = left.union(parts_of(fault, self.also))
            needed[fault.id] = left
        return needed


def run(cluster: Cluster, campaign: Campaign, turn: Iterable[Fault]) -> Iterator[Outcome]:
    """What becomes of each fault of the campaign whose turn it is, as it ends.

    Raises ClusterError when the cluster or the reference mesh fails.
    """
    session = Session(
        campaign.profile.model_copy(update={"converge": CONVERGE}), cluster, image=campaign.image
    )
    problem = preflight(session, _spoken(session, campaign))
    if problem is not None:
        raise ClusterError(str(problem))
    if cluster.request("GET", "/api/v1/namespaces/smi-reference").status != 200:
        raise ClusterError("the reference mesh is not installed; smi-conformance reference install")
    parts_left = campaign.parts_left()
    try:
        for fault in turn:
            entries, parts = concerned(fault, campaign.also), parts_of(fault, campaign.also)
            # Each sidecar that is there is told of each change, whether it is needed or not.
            session.arena.keep(parts_left[fault.id])
            session.arena.prepare(parts)
            # Not those of the next as well: what they say of the pods' ports may hide the fault.
            session.provide(entry.scenario.folder for entry in entries)
            session.arena.ready(parts)
            yield _judge(session, fault, campaign.also)
    finally:
        cluster.delete([SWITCH_OBJECT])
        session.arena.remove()


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
        hint = meant(unknown[0], faults.FAULTS)
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


def _wish(session: Session, fault: Fault) -> version_sets.Wish:
    return version_sets.parse_wish(fault.versions, session.profile.claims.by_group())


def _spoken(session: Session, campaign: Campaign) -> dict[str, set[str]]:
    """The versions, by group, that the scenarios of a campaign speak."""
    spoken: dict[str, set[str]] = {}
    for fault in campaign.chosen:
        session.wish = _wish(session, fault)
        for entry in concerned(fault, campaign.also):
            for one in session.version_sets(entry.scenario.groups, every=entry.scenario.every_version):
                for group in entry.scenario.groups:
                    spoken.setdefault(group, set()).add(one[group])
    return spoken


def concerned(fault: Fault, also: str | None = None) -> list[suites_index.TestEntry]:
    """The tests of every scenario that judges something the fault breaks, their other tests included.

    And those of every scenario whose file's path contains ``also``.
    """
    files = {
        entry.file
        for entry in suites_index.index()
        if entry.requirement in fault.concerns or (also is not None and also in entry.file)
    }
    return [entry for entry in suites_index.index() if entry.file in files]


def parts_of(fault: Fault, also: str | None = None) -> list[str]:
    """The parts of the arena that the scenarios of a fault need."""
    return sorted({part for entry in concerned(fault, also) for part in entry.scenario.arena})


def _judge(session: Session, fault: Fault, also: str | None) -> Outcome:
    start = session.clock.now()
    session.conclusions.clear()
    session.absent.clear()
    session.header_forms.forget()
    session.rests = Rests(CONVERGE.quiet_s)
    session.hopeless = all_may_come if fault.patient else _nothing_more(session.cluster)
    session.wish = _wish(session, fault)
    with switched_on(session, fault):
        run_tests(session, concerned(fault, also))
    verdicts = {
        one: merge(conclusion.verdict for conclusion in conclusions)
        for one, conclusions in session.conclusions.items()
    }
    said = {
        one: tuple(
            each.summary for each in conclusions if one in fault.concerns or each.verdict is not Verdict.PASS
        )
        for one, conclusions in session.conclusions.items()
    }
    starved = frozenset(
        one for one, conclusions in session.conclusions.items() if any(map(void, conclusions))
    )
    return Outcome(fault, verdicts, said, session.clock.now() - start, _readings(session), starved)


def _nothing_more(cluster: Cluster) -> Callable[[float], bool]:
    return lambda waited_s: waited_s >= PATIENCE_S and _is_settled(cluster)


def _readings(session: Session) -> dict[str, frozenset[str]]:
    """The readings that were seen, by requirement: "question: letter", "question: unacceptable"."""
    return {
        one: frozenset(
            f"{reading.question}: {word}"
            for conclusion in conclusions
            for reading in conclusion.readings
            for word in (reading.word, *(["unacceptable"] if reading.finding else []))
        )
        for one, conclusions in session.conclusions.items()
    }


def run_tests(session: Session, entries: Sequence[suites_index.TestEntry]) -> None:
    """Run these tests on the session's arena. Raises ClusterError when pytest itself breaks down."""
    files = sorted({str(suites_index.SUITES / entry.file) for entry in entries})
    said = io.StringIO()
    with redirect_stdout(said):
        code = pytest.main(
            [*files, "--mesh", session.profile.name, "--assert=plain", "-q"],
            plugins=[plugin.Given(session=session)],
        )
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise ClusterError(
            f"the suites broke down (pytest exit code {int(code)}):\n{said.getvalue()[-2000:]}"
        )


@contextmanager
def switched_on(session: Session, fault: Fault) -> Iterator[None]:
    """The fault is in force within the block, and gone after it. Raises ClusterError if it does not take."""
    with ExitStack() as stack:
        if fault.change:
            stack.enter_context(_changed(session, fault.change))
        if fault.adds:
            stack.enter_context(_added(session, fault.adds))
        if fault.without:
            stack.enter_context(_lacking(session, fault.without))
        if fault.spoiler is Faithful:
            yield
            return
        _switch(session, fault.id)
        try:
            yield
        finally:
            _switch(session, "")


def _switch(session: Session, fault: str) -> None:
    session.cluster.apply([{**SWITCH_OBJECT, "data": {"fault": fault}}])

    def active() -> bool:
        read = session.cluster.request("GET", SWITCH)
        annotations = read.body["metadata"].get("annotations", {}) if read.status == 200 else {}
        return bool(annotations.get(ACTIVE) == fault)

    because = f"fault {fault or '(none)'} in force; see the log of deployment smi-reference"
    _until(session, active, because)


@contextmanager
def _changed(session: Session, change: Change) -> Iterator[None]:
    cluster = session.cluster
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
        _until(session, lambda: cluster.request("GET", METRICS).status == 200, "metrics served")


@contextmanager
def _added(session: Session, objects: Sequence[Object]) -> Iterator[None]:
    try:
        session.cluster.apply(objects)
        yield
    finally:
        session.cluster.delete(objects)


@contextmanager
def _lacking(session: Session, groups: Sequence[str]) -> Iterator[None]:
    """The cluster has no definitions of these groups within the block, and the profile claims none."""
    cluster, profile = session.cluster, session.profile
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
            session,
            lambda: not served() and all(cluster.request("GET", path).status == 404 for path in paths),
            "definitions gone",
        )
        # The mesh hears of it by itself, and later.
        _until(session, lambda: plurals <= _missed(cluster), "the mesh without them")
        session.profile = profile.model_copy(update={"claims": claims})
        yield
    finally:
        session.profile = profile
        cluster.apply(definitions)
        _until(session, lambda: before <= served(), f"{', '.join(sorted(names))} served")
        _until(session, lambda: plurals.isdisjoint(_missed(cluster)), "the mesh with them")


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


def _until(session: Session, check: Callable[[], bool], because: str) -> None:
    try:
        session.waiter.until(check, within=SWITCHED_WITHIN_S, because=because)
    except NotSeen as error:
        raise ClusterError(str(error)) from error


def _put(cluster: Cluster, path: str, body: Object) -> None:
    answer = cluster.request("PUT", path, body)
    if answer.status >= 400:
        raise refusal(answer)
