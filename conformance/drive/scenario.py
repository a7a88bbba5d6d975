"""A scenario: SMI resources applied to the arena, and the traffic driven before, under and after them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from conformance.clusters import Cluster, Object
from conformance.drive.api_reads import Reader, round_trips
from conformance.drive.api_trials import Change, attempt, changed
from conformance.drive.arena import OUTSIDE, Arena
from conformance.drive.fixture_writer import Writer
from conformance.drive.manifests import load
from conformance.drive.polling import PollResult, classify_poll
from conformance.drive.rests import Rests
from conformance.drive.timing import Phases
from conformance.drive.traffic import PATIENT_S, BackgroundTraffic, Driver, SendOptions
from conformance.drive.wait import NotSeen, Waiter
from conformance.model.evidence import (
    AccessResult,
    AccessTable,
    AdmissionAttempt,
    Call,
    Convergence,
    Effect,
    RoundTrip,
    Traffic,
)
from conformance.profiles import Profile

POLL_REUSED = SendOptions(per_connection=3, concurrency=20)
"""Polling while waiting: sixty requests on twenty connections, or as many in proportion."""
POLL_FRESH = replace(POLL_REUSED, per_connection=1)
"""Polling on a connection for each request: where a mesh, or the network without it, chooses once for each
connection, twenty of them miss one of four pods once in three hundred times, sixty never."""
POLL_REQUESTS = 60
SMALL_POLL_REQUESTS = 15
"""Of a poll that is to show no more than that something is not there yet."""
FAILED_SAMPLE_REQUESTS = 500
"""Of what did not come about in time, which fails whatever its shares are: enough to show what is there."""

SERVICES = "services.yaml"
"""The file of a scenario's folder with the services that it adds to the arena."""
ENOUGH_WITHIN_S = 20.0
"""So long steady traffic has to amount to something, however slow it is on a busy machine."""
DRIVING_S = 60.0
"""What is done between the waits of a scenario, such as drawing a sample, may take so long in all."""
LOOK_AGAIN_S = 2.0
"""What shows after a rest of the clients is there at the first look; the looks themselves take a moment."""
UNMESHED_SERVER = "outside/outsider"
"""The server outside the mesh that is asked the same where a denial has no other positive control."""
UNMESHED_SERVERS = {"tcp": f"{UNMESHED_SERVER}-tcp", "udp": f"{UNMESHED_SERVER}-udp"}
"""Its services for other protocols than HTTP."""
CHECK_REQUESTS = 10
"""Requests for each ask of an access scenario, spread over the stable window."""


@dataclass(frozen=True, slots=True)
class AccessCheck:
    """A call and whether access control should let it through to ``server``.

    ``control_call`` is the same call to a server outside the mesh: the positive control of a denial beside
    which nothing is granted.
    """

    name: str
    expect: Literal["granted", "denied"]
    call: Call
    server: str
    control_call: Call | None = None


@dataclass(frozen=True, slots=True)
class ExpectedResponders:
    """A call and the workloads among which it is to be divided.

    ``must_appear`` are those that must have been seen before the sample is drawn: where a change makes a
    workload appear and silences nobody, its appearance is what shows that the change is in force.
    ``unreachable_before``: without the change nothing answers the call, which is not waited for then.
    """

    call: Call
    responders: frozenset[str]
    must_appear: frozenset[str] = frozenset()
    unreachable_before: bool = False


def never_known_idle(_waited_s: float) -> bool:
    """Of what a mesh may change yet nothing is known."""
    return False


class _NothingMore(Exception):
    """What is waited for cannot come any more."""


@dataclass(slots=True)
class Scenario:
    """What a scenario's fixture works with. Everything it applies is withdrawn at its end.

    ``seed`` is the run's, for whatever is drawn at random; the report tells it. ``prefetched`` is what came
    of driving it where that was done ahead of its tests. ``mesh_is_idle`` says, of the seconds that something
    was waited for, whether the mesh is known to change nothing more; of a mesh under test that is not known.
    ``questions`` are the open questions that are asked, in the catalogue's words; all unless it is given.
    ``touched`` names all that was applied. ``unsettled``: a change was waited for in vain. ``rested`` are the
    waits at whose end a change showed only as the clients had rested.
    """

    folder: str
    cluster: Cluster
    arena: Arena
    driver: Driver
    waiter: Waiter
    phases: Phases
    profile: Profile
    reader: Reader
    writer: Writer
    seed: int
    applied: list[dict[str, Any]] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    prefetched: Future[Any] | None = None
    mesh_is_idle: Callable[[float], bool] = never_known_idle
    rests: Rests = field(default_factory=lambda: Rests(quiet_s=10.0))
    questions: frozenset[str] | None = None
    unsettled: bool = False
    rested: list[Convergence] = field(default_factory=list)
    _changed: bool = False
    _writes_before: int = 0

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions that the scenario speaks, by group (short name)."""
        return self.writer.versions

    def carries(self, protocol: str) -> bool:
        """Whether the mesh carries a protocol between its pods, so that calls by it can be asked about."""
        return protocol in self.profile.carried

    def wants(self, questions: Set[str]) -> bool:
        """Whether any of these open questions is asked."""
        return self.questions is None or not self.questions.isdisjoint(questions)

    def objects(self, name: str) -> list[dict[str, Any]]:
        """The objects of one of the scenario's files, as this run writes them; raises as `Writer.write`."""
        return self.writer.write(load(f"{self.folder}/{name}"))

    def objects_for_version(self, name: str) -> list[dict[str, Any]]:
        """Those objects of a file for which the versions that are spoken have words."""
        return self.writer.objects_for_version(load(f"{self.folder}/{name}"))

    def round_trips(self, items: Iterable[Object]) -> list[RoundTrip]:
        """Objects as they are written, each created, read, changed and deleted again."""
        with self.phases.phase("traffic"):
            return round_trips(self.cluster, self.waiter, items)

    def dry_run_variants(
        self, item: Object, changes: Mapping[str, Change], expect: Literal["refused", "either"] = "refused"
    ) -> list[AdmissionAttempt]:
        """An object of a fixture with each of the changes made, put to the API server for trial."""
        with self.phases.phase("traffic"):
            return [
                attempt(self.cluster, self.writer.write([changed(item, change)])[0], name, expect)
                for name, change in changes.items()
            ]

    def dry_run(self, item: Object) -> AdmissionAttempt:
        """An object of a fixture as it is, put to the API server for trial: the control of `tried`."""
        return attempt(self.cluster, self.writer.write([item])[0], "without a violation")

    def apply(self, *names: str) -> None:
        """Apply files of the scenario's folder; one that changes an object applied before is an edit."""
        for name in names:
            self.apply_objects(self.objects(name))

    def create_services(self) -> None:
        """Make the services that the scenario's calls are addressed to.

        A run makes those of a scenario while the one before it is under way, so that the cluster has taken
        them up when they are used, and takes them back when it is over.
        """
        self.cluster.apply(self.objects(SERVICES))
        self.rests.wrote()

    def delete_services(self) -> None:
        """Remove these services."""
        self.cluster.delete(self.objects(SERVICES))
        self.rests.wrote()

    def apply_objects(self, objects: Iterable[Object]) -> None:
        for item in objects:
            with self.phases.phase("setup"):
                self.cluster.apply([item])
            self.rests.wrote()
            self._changed = True
            self.touched.append(f"{item['kind']} {item['metadata']['name']}")
            if not self.has_applied(item):
                self.applied.append(dict(item))

    def has_applied(self, item: Object) -> bool:
        """Whether an object of this kind and name is applied, so that applying it is an edit."""
        return _identity(item) in [_identity(one) for one in self.applied]

    def delete(self, *names: str) -> None:
        """Delete the objects of these files."""
        self.delete_objects([item for name in names for item in self.objects(name)])

    def delete_objects(self, objects: Iterable[Object]) -> None:
        gone = list(objects)
        self.cluster.delete(gone)
        self.rests.wrote()
        self._changed = True
        identities = [_identity(item) for item in gone]
        self.applied = [item for item in self.applied if _identity(item) not in identities]

    def delete_applied(self) -> None:
        """Delete everything that is still applied, the newest first."""
        self.cluster.delete(reversed(self.applied))
        self.rests.wrote()
        self.applied = []

    def call(self, client: str, service: str, *, requests: int = 1, port: int = 8080, **what: Any) -> Call:
        """A call of a client (``main/client``) to a service (``main/root``).

        By the name that the mesh knows, or the ordinary one where an end of the call is outside the mesh.
        Raises NotClaimed where the mesh does not carry what the port speaks.
        """
        part, _, name = service.partition("/")
        outside = OUTSIDE in (part, client.partition("/")[0])
        if not outside:
            self.writer.check_call(part, name, port, what.get("protocol", "http"))
        host = self.profile.ordinary_host if outside else self.profile.host
        return Call(client, host(name, self.arena.namespace(part)), port, requests=requests, **what)

    def ask(
        self, name: str, client: str, service: str, *, granted: bool, server: str = "", **what: Any
    ) -> AccessCheck:
        """An ask with its twin: the same call to the server outside the mesh.

        ``server`` is the workload that is to answer, or would; that of the service's name unless given.
        """
        outside = UNMESHED_SERVERS.get(what.get("protocol", ""), UNMESHED_SERVER)
        call, twin = (self.call(client, one, **what) for one in (service, outside))
        return AccessCheck(
            name, "granted" if granted else "denied", call, server or service.partition("/")[2], twin
        )

    def send(
        self,
        *calls: Call,
        servers: Iterable[str],
        options: SendOptions = SendOptions(),  # noqa: B008
    ) -> list[Traffic]:
        """Send calls at the same moment; ``servers`` are the workloads whose ledgers are read."""
        return self.driver.send(calls, options, ledgers=servers)

    def until(self, check: Callable[[], bool], what: str, *, within_s: float | None = None) -> Convergence:
        """Wait until ``check`` holds. Not seeing it in time is evidence as well, so this does not raise."""
        within = self.profile.converge.within_s if within_s is None else within_s
        try:
            with self.phases.phase("waiting"):
                _, took = self.waiter.until(check, within=within, because=what)
        except NotSeen:
            return Convergence(what, within, None)
        return _in_time(what, within, took)

    def wait_for_propagation(
        self, check: Callable[[], bool], what: str, *, may_rest: bool = True, discover: bool = True
    ) -> Convergence:
        """Wait until what the mesh makes of objects is such that ``check`` holds, as `until` does.

        Not where it is known to change nothing more: what is waited for must hang on nothing else. What does
        not show in time is looked at once more after a rest of the clients, unless other traffic goes on that
        ``check`` looks at (``may_rest``), or something else may have kept it from showing, which passes by
        itself: then clients rest only if the mesh is known to need it (``discover``).
        """
        within, start = self.profile.converge.within_s, self.waiter.clock.now()
        self._writes_before = self.rests.writes
        came = False

        def look() -> bool:
            nonlocal came
            # Asked before the look: what came about during it, the look may have missed.
            nothing_more = self.mesh_is_idle(self.waiter.clock.now() - start)
            came = check()
            if nothing_more and not came:
                raise _NothingMore
            return came

        may_rest = may_rest and ((self._changed and discover) or self.rests.needed)
        rested_s = self._rest(what) if may_rest and self.rests.needed else 0.0
        try:
            convergence = self.until(look, what)
            # What came too late came under calls: no rest was needed for it.
            if not (convergence.converged or came or rested_s) and may_rest and self.rests.worth_trying:
                rested_s = self._rest(what)
                convergence = self.until(check, what, within_s=LOOK_AGAIN_S)
                if self._alone:
                    self.rests.tell(converged=convergence.converged)
        except _NothingMore:
            convergence = Convergence(what, within, None)
        self.unsettled |= self._changed and not convergence.converged
        if not convergence.converged or not rested_s:
            return replace(convergence, within_s=within, rested_s=rested_s)
        return self._after_rest(
            Convergence(what, within, round(self.waiter.clock.now() - start, 3), rested_s)
        )

    @property
    def _alone(self) -> bool:
        """Whether no scenario has written anything since the last wait began."""
        return self.rests.writes == self._writes_before

    def _after_rest(self, convergence: Convergence) -> Convergence:
        if self._alone:
            self.rested.append(convergence)
        return convergence

    def _each(
        self, whole: Convergence, what: Iterable[str], since: Iterable[float | None]
    ) -> list[Convergence]:
        """The settlings of the parts of one wait; each showed after so many seconds, or not at all."""
        parts = [
            _in_time(words, whole.within_s, took_s, whole.rested_s)
            for words, took_s in zip(what, since, strict=True)
        ]
        if not whole.converged:
            for part in parts:
                if self._alone and part.converged and part.rested_s and (part.took_s or 0.0) > whole.within_s:
                    self.rests.tell(converged=True)
                    self._after_rest(part)
        return parts

    def _rest(self, what: str) -> float:
        """Have the clients rest; returns the seconds."""
        with self.phases.phase("waiting"):
            self.waiter.rest(self.rests.quiet_s, because=f"clients rest: {what}")
        return self.rests.quiet_s

    def wait_for_volume(self, check: Callable[[], bool], what: str) -> Convergence:
        """Wait until steady traffic amounts to what ``check`` asks for, as `until` does."""
        return self.until(check, what, within_s=ENOUGH_WITHIN_S)

    def background_duration_s(self, waits: int, more_s: float = 0.0) -> float:
        """How long steady traffic has to last that is stopped after so many waits, in seconds.

        Each may take what the profile allows; ``more_s`` is what other waits may take. What has ended before
        a change shows has seen nothing of it.
        """
        return waits * self.profile.converge.within_s + more_s + DRIVING_S

    @contextmanager
    def background_traffic(
        self, call: Call, *, rate_per_s: float, duration_s: float
    ) -> Iterator[list[BackgroundTraffic]]:
        """Steady traffic on kept connections, and as much on new ones.

        What a change does to connections shows on those that were there before it; what it does for a moment
        shows, where a mesh chooses once for each connection, on those alone that are made meanwhile. What is
        answered late was not lost: SMI does not promise how fast, and pods may be started meanwhile.
        """
        with ExitStack() as stack:
            yield [
                stack.enter_context(
                    self.driver.start(
                        call,
                        SendOptions(new_connections=fresh, timeout_s=PATIENT_S),
                        rate_per_s=rate_per_s,
                        duration_s=duration_s,
                    )
                )
                for fresh in (False, True)
            ]

    def wait_for_responders(
        self,
        calls: Sequence[Call],
        by: Callable[[int, Traffic], PollResult],
        what: Sequence[str],
        ledgers: Sequence[str] = (),
        options: SendOptions = POLL_REUSED,
        *,
        discover: bool = True,
    ) -> tuple[list[Convergence], list[Traffic]]:
        """Wait until every call, polled, is answered as ``by`` (of its position and traffic) says.

        Each call has a settling of its own, which ``what`` says in words: one that never comes about says
        nothing of the others. Once a poll showed that something is not there yet the next ones are small,
        until one shows nothing of that kind; what is there then counts if a whole poll shows it as well. What
        is seen after the profile's time only has not settled. Returns the last whole poll, too, with what the
        ledgers of the given workloads hold of it.
        """
        start = self.waiter.clock.now()
        since: list[float | None] = [None for _ in calls]
        last: list[Traffic] = []
        whole, worth_it = False, True

        def check() -> bool:
            nonlocal whole, worth_it
            whole = worth_it
            requests = POLL_REQUESTS if whole else SMALL_POLL_REQUESTS
            polls = [replace(call, requests=requests) for call in calls]
            # What all of a poll shows was there when it began, however long it took on a busy machine.
            elapsed = self.waiter.clock.now() - start
            last[:] = self.driver.send(polls, options, ledgers=ledgers if whole else ())
            sights = [by(position, one) for position, one in enumerate(last)]
            for position, one in enumerate(sights):
                if one is not PollResult.SATISFIED:
                    since[position] = None
                elif since[position] is None:
                    since[position] = elapsed
            worth_it = PollResult.CONTRADICTED not in sights
            return whole and None not in since

        convergence = self.wait_for_propagation(check, "; ".join(dict.fromkeys(what)), discover=discover)
        if not whole:
            worth_it = True
            check()
        return self._each(convergence, what, since), last

    def apply_and_sample(
        self, wanted: Sequence[ExpectedResponders], *names: str, servers: Iterable[str]
    ) -> list[Effect]:
        """Drive, apply these files, wait until only the wanted workloads answer, and draw one sample of each.

        What is waited for is that everybody else goes quiet, which this change alone can bring about: no
        share is looked at before the sample, so waiting cannot make a wrong share right. What an earlier
        scenario withdrew may take a while to go, so somebody else is waited for first; where nobody comes,
        the null control says so. It is the last that was seen while waiting: of a service made just now a
        mesh hears before it hears of its endpoints, so what answers once may not a moment later. Everybody
        who is to go quiet has to be seen there, so each request has a connection of its own.
        """
        ledgers = list(servers)
        alive = [one for one in wanted if not one.unreachable_before]
        _, answered = self.wait_for_responders(
            [one.call for one in alive],
            lambda position, seen: _unsettled(alive[position], seen),
            ["the root answers as without the change" for _ in alive],
            ledgers,
            POLL_FRESH,
        )
        unanswered = iter(
            self.wait_until_unreachable([one.call for one in wanted if one.unreachable_before], ledgers)
        )
        others = iter(answered)
        baseline = [next(unanswered if one.unreachable_before else others) for one in wanted]
        self.apply(*names)
        return self.sample_once_converged(wanted, baseline, ledgers)

    def wait_until_unreachable(self, calls: Sequence[Call], ledgers: Sequence[str] = ()) -> list[Traffic]:
        """Wait until nobody answers these calls. Returns the last poll, as `wait_for_responders` does."""
        polls = [replace(call, requests=POLL_REQUESTS) for call in calls]
        last: list[Traffic] = []

        def check() -> bool:
            last[:] = self.driver.send(polls, POLL_REUSED, ledgers=ledgers)
            return not any(one.answers for one in last)

        if polls:
            self.wait_for_propagation(check, "nobody answers")
        return last

    def sample_once_converged(
        self, wanted: Sequence[ExpectedResponders], baseline: Sequence[Traffic], servers: Iterable[str]
    ) -> list[Effect]:
        """The second half of `apply_and_sample`, for a change that has been made already.

        Where it does not show in time the sample is a small one.
        """
        ledgers = list(servers)
        convergences, last = self.wait_for_responders(
            [one.call for one in wanted],
            lambda position, seen: _settled(wanted[position], seen),
            [f"only {', '.join(sorted(one.responders))} answer" for one in wanted],
        )
        drawn: list[Traffic] = []
        # One batch after the other: two at once would share a processor and a client's connections.
        for one, poll, convergence in zip(wanted, last, convergences, strict=True):
            most = one.call.requests if convergence.converged else FAILED_SAMPLE_REQUESTS
            call = replace(one.call, requests=min(one.call.requests, most))
            drawn += self.driver.send([call], sampling(poll), ledgers=ledgers)
        return [Effect(*each) for each in zip(baseline, drawn, convergences, strict=True)]

    def wait_for_access(
        self, asks: Sequence[AccessCheck], *, discover: bool = True
    ) -> dict[str, Convergence]:
        """Wait until every ask is served or not as it expects, from the clients' view.

        Each ask has a settling of its own, the time since which it has been as expected: one that never
        comes about says nothing of the others.
        """
        start = self.waiter.clock.now()
        since: dict[str, float | None] = {ask.name: None for ask in asks}

        def check() -> bool:
            polls = [replace(ask.call, requests=2) for ask in asks]
            # As for who answers; and a poll may last as long as a denial that is silence.
            elapsed = self.waiter.clock.now() - start
            seen = self.driver.send(polls, SendOptions(new_connections=True))
            for ask, one in zip(asks, seen, strict=True):
                as_expected = one.answered == ({ask.server: one.sent} if ask.expect == "granted" else {})
                if not as_expected:
                    since[ask.name] = None
                elif since[ask.name] is None:
                    since[ask.name] = elapsed
            return None not in since.values()

        granted = [ask.name for ask in asks if ask.expect == "granted"]
        what = f"{', '.join(granted) or 'nothing'} granted and nothing else"
        convergence = self.wait_for_propagation(check, what, discover=discover)
        each = self._each(convergence, [f"{ask.name} {ask.expect}" for ask in asks], since.values())
        return dict(zip(since, each, strict=True))

    def baseline(self, asks: Sequence[AccessCheck], servers: Iterable[str]) -> list[Traffic]:
        """The null control: drive the asks before the resources that they are about are applied.

        What an earlier scenario withdrew may take a while to go, so silence is waited for first; where it
        does not come, the null control says so.
        """
        polls = [replace(ask.call, requests=2) for ask in asks if ask.expect == "granted"]
        if polls:
            self.wait_for_propagation(
                lambda: (
                    not any(one.answers for one in self.driver.send(polls, SendOptions(new_connections=True)))
                ),
                "earlier grants are gone",
            )
        calls = [replace(ask.call, requests=3) for ask in asks]
        return self.driver.send(calls, SendOptions(new_connections=True), ledgers=servers)

    def access(
        self,
        asks: Sequence[AccessCheck],
        *names: str,
        servers: Iterable[str],
        baseline: Sequence[Traffic] | None = None,
    ) -> AccessTable:
        """Drive the asks, apply these files, wait until access is as asked, and drive the asks again.

        ``baseline`` is the null control of an earlier step, where this step only takes grants away.
        """
        ledgers = list(servers)
        earlier = self.baseline(asks, ledgers) if baseline is None else baseline
        self.apply(*names)
        return self.table(asks, earlier, ledgers)

    def table(
        self, asks: Sequence[AccessCheck], baseline: Sequence[Traffic], servers: Iterable[str]
    ) -> AccessTable:
        """The second half of `access`, for a change that has been made already."""
        convergences = self.wait_for_access(asks)
        return AccessTable(self.results(asks, baseline, servers, convergences))

    def results(
        self,
        asks: Sequence[AccessCheck],
        baseline: Sequence[Traffic],
        servers: Iterable[str],
        convergences: Mapping[str, Convergence],
    ) -> tuple[AccessResult, ...]:
        """Drive every ask on fresh connections over the profile's stable window, all at the same moment."""
        calls = [replace(ask.call, requests=CHECK_REQUESTS) for ask in asks]
        calls += [
            replace(ask.control_call, requests=CHECK_REQUESTS) for ask in asks if ask.control_call is not None
        ]
        options = SendOptions(new_connections=True, duration_s=self.profile.converge.stable_s)
        traffic = self.driver.send(calls, options, ledgers=servers)
        twins = iter(traffic[len(asks) :])
        return tuple(
            AccessResult(
                name=ask.name,
                expect=ask.expect,
                baseline=earlier,
                traffic=seen,
                server=ask.server,
                convergence=convergences[ask.name],
                control=next(twins) if ask.control_call is not None else None,
            )
            for ask, earlier, seen in zip(asks, baseline, traffic, strict=False)
        )


def sampling(poll: Traffic) -> SendOptions:
    """Kept connections, unless the mesh was seen to choose a backend once for each connection."""
    return SendOptions(
        new_connections=bool(poll.connections) and poll.connections == poll.uniform_connections
    )


def _settled(wanted: ExpectedResponders, seen: Traffic) -> PollResult:
    return classify_poll(seen, only=wanted.responders, all_of=wanted.must_appear)


def _unsettled(wanted: ExpectedResponders, seen: Traffic) -> PollResult:
    """Of what is answered as without a change: whether it is not as with it."""
    if _settled(wanted, seen) is PollResult.SATISFIED:
        return PollResult.CONTRADICTED
    return classify_poll(seen)


def _in_time(what: str, within_s: float, took_s: float | None, rested_s: float = 0.0) -> Convergence:
    """The last look may end after the time that is allowed: what came about by then only came too late.

    What showed after a rest of the clients did so at the first look, whenever that was.
    """
    if took_s is None or (took_s > within_s and not rested_s):
        return Convergence(what, within_s, None)
    return Convergence(what, within_s, round(took_s, 3), rested_s)


def _identity(item: Object) -> tuple[str, str, str, str]:
    metadata = item["metadata"]
    group = str(item["apiVersion"]).partition("/")[0]
    return group, str(item["kind"]), metadata.get("namespace", ""), metadata["name"]
