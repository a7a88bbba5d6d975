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
from conformance.drive.polling import Sight, sight
from conformance.drive.rests import Rests
from conformance.drive.timing import Phases
from conformance.drive.traffic import PATIENT_S, Driver, Manner, Steady
from conformance.drive.wait import NotSeen, Waiter
from conformance.model.evidence import AccessTable, Attempt, Call, Cell, Effect, RoundTrip, Settling, Traffic
from conformance.profiles import Profile

POLL = Manner(per_connection=3, concurrency=20)
"""Polling while waiting: sixty requests on twenty connections, or as many in proportion."""
APART = replace(POLL, per_connection=1)
"""Polling on a connection for each request: where a mesh, or the network without it, chooses once for each
connection, twenty of them miss one of four pods once in three hundred times, sixty never."""
POLL_REQUESTS = 60
PEEK_REQUESTS = 15
"""Of a poll that is to show no more than that something is not there yet."""
LATE_REQUESTS = 500
"""Of what did not come about in time, which fails whatever its shares are: enough to show what is there."""

SERVICES = "services.yaml"
"""The file of a scenario's folder with the services that it adds to the arena."""
ENOUGH_WITHIN_S = 20.0
"""So long steady traffic has to amount to something, however slow it is on a busy machine."""
DRIVING_S = 60.0
"""What is done between the waits of a scenario, such as drawing a sample, may take so long in all."""
LOOK_AGAIN_S = 2.0
"""What shows after a rest of the clients is there at the first look; the looks themselves take a moment."""
TWIN = "outside/outsider"
"""The server outside the mesh that is asked the same where a denial has no other positive control."""
TWINS = {"tcp": f"{TWIN}-tcp", "udp": f"{TWIN}-udp"}
"""Its services for other protocols than HTTP."""
ASKS = 10
"""Requests for each ask of an access scenario, spread over the stable window."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A call and whether access control should let it through to ``server``.

    ``twin`` is the same call to a server outside the mesh: the positive control of a denial beside which
    nothing is granted.
    """

    name: str
    expect: Literal["granted", "denied"]
    call: Call
    server: str
    twin: Call | None = None


@dataclass(frozen=True, slots=True)
class Division:
    """A call and the workloads among which it is to be divided.

    ``among_seen`` are those that must have been seen before the sample is drawn: where a change makes a
    workload appear and silences nobody, its appearance is what shows that the change is in force.
    ``dead_before``: without the change nothing answers the call, which is not waited for then.
    """

    call: Call
    among: frozenset[str]
    among_seen: frozenset[str] = frozenset()
    dead_before: bool = False


def all_may_come(_waited_s: float) -> bool:
    """Of what a mesh may change yet nothing is known."""
    return False


class _NothingMore(Exception):
    """What is waited for cannot come any more."""


@dataclass(slots=True)
class Scenario:
    """What a scenario's fixture works with. Everything it applies is withdrawn at its end.

    ``seed`` is the run's, for whatever is drawn at random; the report tells it. ``brought`` is what came of
    driving it where that was done ahead of its tests. ``hopeless`` says, of the seconds that something was
    waited for, whether the mesh is known to change nothing more; of a mesh under test that is not known.
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
    brought: Future[Any] | None = None
    hopeless: Callable[[float], bool] = all_may_come
    rests: Rests = field(default_factory=lambda: Rests(quiet_s=10.0))
    questions: frozenset[str] | None = None
    unsettled: bool = False
    rested: list[Settling] = field(default_factory=list)
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

    def expressible(self, name: str) -> list[dict[str, Any]]:
        """Those objects of a file for which the versions that are spoken have words."""
        return self.writer.expressible(load(f"{self.folder}/{name}"))

    def there_and_back(self, items: Iterable[Object]) -> list[RoundTrip]:
        """Objects as they are written, each created, read, changed and deleted again."""
        with self.phases.phase("traffic"):
            return round_trips(self.cluster, self.waiter, items)

    def tried(
        self, item: Object, changes: Mapping[str, Change], expect: Literal["refused", "either"] = "refused"
    ) -> list[Attempt]:
        """An object of a fixture with each of the changes made, put to the API server for trial."""
        with self.phases.phase("traffic"):
            return [
                attempt(self.cluster, self.writer.write([changed(item, change)])[0], name, expect)
                for name, change in changes.items()
            ]

    def taken(self, item: Object) -> Attempt:
        """An object of a fixture as it is, put to the API server for trial: the control of `tried`."""
        return attempt(self.cluster, self.writer.write([item])[0], "without a violation")

    def apply(self, *names: str) -> None:
        """Apply files of the scenario's folder; one that changes an object applied before is an edit."""
        for name in names:
            self.apply_objects(self.objects(name))

    def provide(self) -> None:
        """Make the services that the scenario's calls are addressed to.

        A run makes those of a scenario while the one before it is under way, so that the cluster has taken
        them up when they are used, and takes them back when it is over.
        """
        self.cluster.apply(self.objects(SERVICES))
        self.rests.wrote()

    def take_back(self) -> None:
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

    def withdraw(self) -> None:
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
    ) -> Ask:
        """An ask with its twin: the same call to the server outside the mesh.

        ``server`` is the workload that is to answer, or would; that of the service's name unless given.
        """
        outside = TWINS.get(what.get("protocol", ""), TWIN)
        call, twin = (self.call(client, one, **what) for one in (service, outside))
        return Ask(name, "granted" if granted else "denied", call, server or service.partition("/")[2], twin)

    def send(
        self,
        *calls: Call,
        servers: Iterable[str],
        manner: Manner = Manner(),  # noqa: B008
    ) -> list[Traffic]:
        """Send calls at the same moment; ``servers`` are the workloads whose ledgers are read."""
        return self.driver.send(calls, manner, ledgers=servers)

    def until(self, check: Callable[[], bool], what: str, *, within_s: float | None = None) -> Settling:
        """Wait until ``check`` holds. Not seeing it in time is evidence as well, so this does not raise."""
        within = self.profile.converge.within_s if within_s is None else within_s
        try:
            with self.phases.phase("waiting"):
                _, took = self.waiter.until(check, within=within, because=what)
        except NotSeen:
            return Settling(what, within, None)
        return _in_time(what, within, took)

    def until_changed(
        self, check: Callable[[], bool], what: str, *, may_rest: bool = True, discover: bool = True
    ) -> Settling:
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
            nothing_more = self.hopeless(self.waiter.clock.now() - start)
            came = check()
            if nothing_more and not came:
                raise _NothingMore
            return came

        may_rest = may_rest and ((self._changed and discover) or self.rests.needed)
        rested_s = self._rest(what) if may_rest and self.rests.needed else 0.0
        try:
            settling = self.until(look, what)
            # What came too late came under calls: no rest was needed for it.
            if not (settling.settled or came or rested_s) and may_rest and self.rests.worth_trying:
                rested_s = self._rest(what)
                settling = self.until(check, what, within_s=LOOK_AGAIN_S)
                if self._alone:
                    self.rests.tell(settled=settling.settled)
        except _NothingMore:
            settling = Settling(what, within, None)
        self.unsettled |= self._changed and not settling.settled
        if not settling.settled or not rested_s:
            return replace(settling, within_s=within, rested_s=rested_s)
        return self._after_rest(Settling(what, within, round(self.waiter.clock.now() - start, 3), rested_s))

    @property
    def _alone(self) -> bool:
        """Whether no scenario has written anything since the last wait began."""
        return self.rests.writes == self._writes_before

    def _after_rest(self, settling: Settling) -> Settling:
        if self._alone:
            self.rested.append(settling)
        return settling

    def _each(self, whole: Settling, what: Iterable[str], since: Iterable[float | None]) -> list[Settling]:
        """The settlings of the parts of one wait; each showed after so many seconds, or not at all."""
        parts = [
            _in_time(words, whole.within_s, took_s, whole.rested_s)
            for words, took_s in zip(what, since, strict=True)
        ]
        if not whole.settled:
            for part in parts:
                if self._alone and part.settled and part.rested_s and (part.took_s or 0.0) > whole.within_s:
                    self.rests.tell(settled=True)
                    self._after_rest(part)
        return parts

    def _rest(self, what: str) -> float:
        """Have the clients rest; returns the seconds."""
        with self.phases.phase("waiting"):
            self.waiter.rest(self.rests.quiet_s, because=f"clients rest: {what}")
        return self.rests.quiet_s

    def until_enough(self, check: Callable[[], bool], what: str) -> Settling:
        """Wait until steady traffic amounts to what ``check`` asks for, as `until` does."""
        return self.until(check, what, within_s=ENOUGH_WITHIN_S)

    def lasting_s(self, waits: int, more_s: float = 0.0) -> float:
        """How long steady traffic has to last that is stopped after so many waits, in seconds.

        Each may take what the profile allows; ``more_s`` is what other waits may take. What has ended before
        a change shows has seen nothing of it.
        """
        return waits * self.profile.converge.within_s + more_s + DRIVING_S

    @contextmanager
    def steadily(self, call: Call, *, rate_per_s: float, duration_s: float) -> Iterator[list[Steady]]:
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
                        Manner(fresh=fresh, timeout_s=PATIENT_S),
                        rate_per_s=rate_per_s,
                        duration_s=duration_s,
                    )
                )
                for fresh in (False, True)
            ]

    def until_answered(
        self,
        calls: Sequence[Call],
        by: Callable[[int, Traffic], Sight],
        what: Sequence[str],
        ledgers: Sequence[str] = (),
        manner: Manner = POLL,
        *,
        discover: bool = True,
    ) -> tuple[list[Settling], list[Traffic]]:
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
            requests = POLL_REQUESTS if whole else PEEK_REQUESTS
            polls = [replace(call, requests=requests) for call in calls]
            # What all of a poll shows was there when it began, however long it took on a busy machine.
            elapsed = self.waiter.clock.now() - start
            last[:] = self.driver.send(polls, manner, ledgers=ledgers if whole else ())
            sights = [by(position, one) for position, one in enumerate(last)]
            for position, one in enumerate(sights):
                if one is not Sight.THERE:
                    since[position] = None
                elif since[position] is None:
                    since[position] = elapsed
            worth_it = Sight.AGAINST not in sights
            return whole and None not in since

        settling = self.until_changed(check, "; ".join(dict.fromkeys(what)), discover=discover)
        if not whole:
            worth_it = True
            check()
        return self._each(settling, what, since), last

    def effects(self, wanted: Sequence[Division], *names: str, servers: Iterable[str]) -> list[Effect]:
        """Drive, apply these files, wait until only the wanted workloads answer, and draw one sample of each.

        What is waited for is that everybody else goes quiet, which this change alone can bring about: no
        share is looked at before the sample, so waiting cannot make a wrong share right. What an earlier
        scenario withdrew may take a while to go, so somebody else is waited for first; where nobody comes,
        the null control says so. It is the last that was seen while waiting: of a service made just now a
        mesh hears before it hears of its endpoints, so what answers once may not a moment later. Everybody
        who is to go quiet has to be seen there, so each request has a connection of its own.
        """
        ledgers = list(servers)
        alive = [one for one in wanted if not one.dead_before]
        _, answered = self.until_answered(
            [one.call for one in alive],
            lambda position, seen: _unsettled(alive[position], seen),
            ["the root answers as without the change" for _ in alive],
            ledgers,
            APART,
        )
        unanswered = iter(self.until_dead([one.call for one in wanted if one.dead_before], ledgers))
        others = iter(answered)
        before = [next(unanswered if one.dead_before else others) for one in wanted]
        self.apply(*names)
        return self.samples(wanted, before, ledgers)

    def until_dead(self, calls: Sequence[Call], ledgers: Sequence[str] = ()) -> list[Traffic]:
        """Wait until nobody answers these calls. Returns the last poll, as `until_answered` does."""
        polls = [replace(call, requests=POLL_REQUESTS) for call in calls]
        last: list[Traffic] = []

        def check() -> bool:
            last[:] = self.driver.send(polls, POLL, ledgers=ledgers)
            return not any(one.answers for one in last)

        if polls:
            self.until_changed(check, "nobody answers")
        return last

    def samples(
        self, wanted: Sequence[Division], before: Sequence[Traffic], servers: Iterable[str]
    ) -> list[Effect]:
        """The second half of `effects`, for a change that has been made already.

        Where it does not show in time the sample is a small one.
        """
        ledgers = list(servers)
        settlings, last = self.until_answered(
            [one.call for one in wanted],
            lambda position, seen: _settled(wanted[position], seen),
            [f"only {', '.join(sorted(one.among))} answer" for one in wanted],
        )
        drawn: list[Traffic] = []
        # One batch after the other: two at once would share a processor and a client's connections.
        for one, poll, settling in zip(wanted, last, settlings, strict=True):
            most = one.call.requests if settling.settled else LATE_REQUESTS
            call = replace(one.call, requests=min(one.call.requests, most))
            drawn += self.driver.send([call], sampling(poll), ledgers=ledgers)
        return [Effect(*each) for each in zip(before, drawn, settlings, strict=True)]

    def until_access(self, asks: Sequence[Ask], *, discover: bool = True) -> dict[str, Settling]:
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
            seen = self.driver.send(polls, Manner(fresh=True))
            for ask, one in zip(asks, seen, strict=True):
                as_expected = one.answered == ({ask.server: one.sent} if ask.expect == "granted" else {})
                if not as_expected:
                    since[ask.name] = None
                elif since[ask.name] is None:
                    since[ask.name] = elapsed
            return None not in since.values()

        granted = [ask.name for ask in asks if ask.expect == "granted"]
        what = f"{', '.join(granted) or 'nothing'} granted and nothing else"
        settling = self.until_changed(check, what, discover=discover)
        each = self._each(settling, [f"{ask.name} {ask.expect}" for ask in asks], since.values())
        return dict(zip(since, each, strict=True))

    def before(self, asks: Sequence[Ask], servers: Iterable[str]) -> list[Traffic]:
        """The null control: drive the asks before the resources that they are about are applied.

        What an earlier scenario withdrew may take a while to go, so silence is waited for first; where it
        does not come, the null control says so.
        """
        polls = [replace(ask.call, requests=2) for ask in asks if ask.expect == "granted"]
        if polls:
            self.until_changed(
                lambda: not any(one.answers for one in self.driver.send(polls, Manner(fresh=True))),
                "earlier grants are gone",
            )
        calls = [replace(ask.call, requests=3) for ask in asks]
        return self.driver.send(calls, Manner(fresh=True), ledgers=servers)

    def access(
        self,
        asks: Sequence[Ask],
        *names: str,
        servers: Iterable[str],
        before: Sequence[Traffic] | None = None,
    ) -> AccessTable:
        """Drive the asks, apply these files, wait until access is as asked, and drive the asks again.

        ``before`` is the null control of an earlier step, where this step only takes grants away.
        """
        ledgers = list(servers)
        earlier = self.before(asks, ledgers) if before is None else before
        self.apply(*names)
        return self.table(asks, earlier, ledgers)

    def table(self, asks: Sequence[Ask], before: Sequence[Traffic], servers: Iterable[str]) -> AccessTable:
        """The second half of `access`, for a change that has been made already."""
        settlings = self.until_access(asks)
        return AccessTable(self.cells(asks, before, servers, settlings))

    def cells(
        self,
        asks: Sequence[Ask],
        before: Sequence[Traffic],
        servers: Iterable[str],
        settlings: Mapping[str, Settling],
    ) -> tuple[Cell, ...]:
        """Drive every ask on fresh connections over the profile's stable window, all at the same moment."""
        calls = [replace(ask.call, requests=ASKS) for ask in asks]
        calls += [replace(ask.twin, requests=ASKS) for ask in asks if ask.twin is not None]
        manner = Manner(fresh=True, duration_s=self.profile.converge.stable_s)
        traffic = self.driver.send(calls, manner, ledgers=servers)
        twins = iter(traffic[len(asks) :])
        return tuple(
            Cell(
                name=ask.name,
                expect=ask.expect,
                before=earlier,
                traffic=seen,
                server=ask.server,
                settling=settlings[ask.name],
                control=next(twins) if ask.twin is not None else None,
            )
            for ask, earlier, seen in zip(asks, before, traffic, strict=False)
        )


def sampling(poll: Traffic) -> Manner:
    """Kept connections, unless the mesh was seen to choose a backend once for each connection."""
    return Manner(fresh=bool(poll.connections) and poll.connections == poll.uniform_connections)


def _settled(wanted: Division, seen: Traffic) -> Sight:
    return sight(seen, only=wanted.among, all_of=wanted.among_seen)


def _unsettled(wanted: Division, seen: Traffic) -> Sight:
    """Of what is answered as without a change: whether it is not as with it."""
    if _settled(wanted, seen) is Sight.THERE:
        return Sight.AGAINST
    return sight(seen)


def _in_time(what: str, within_s: float, took_s: float | None, rested_s: float = 0.0) -> Settling:
    """The last look may end after the time that is allowed: what came about by then only came too late.

    What showed after a rest of the clients did so at the first look, whenever that was.
    """
    if took_s is None or (took_s > within_s and not rested_s):
        return Settling(what, within_s, None)
    return Settling(what, within_s, round(took_s, 3), rested_s)


def _identity(item: Object) -> tuple[str, str, str, str]:
    metadata = item["metadata"]
    group = str(item["apiVersion"]).partition("/")[0]
    return group, str(item["kind"]), metadata.get("namespace", ""), metadata["name"]
