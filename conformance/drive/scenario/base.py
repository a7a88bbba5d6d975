"""The objects and calls of a scenario: what it applies to the arena and deletes again, and what it sends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

from conformance.clusters import Cluster, Object
from conformance.drive.api_reads import Reader, round_trips
from conformance.drive.api_trials import Change, attempt, changed
from conformance.drive.arena import OUTSIDE, Arena
from conformance.drive.fixture_writer import Writer
from conformance.drive.manifests import SERVICES, load
from conformance.drive.rest_history import RestHistory
from conformance.drive.timing import Phases
from conformance.drive.traffic import Driver, SendOptions
from conformance.drive.wait import Waiter
from conformance.model.evidence import AdmissionAttempt, Call, Convergence, RoundTrip, Traffic
from conformance.profiles import Profile


def never_known_idle(_waited_s: float) -> bool:
    """Never assume that a mesh is idle: the default for a mesh under test."""
    return False


@dataclass(slots=True)
class ScenarioBase:
    """A scenario's folder on the arena of a run. `delete_applied` removes all objects at its end.

    ``seed`` is the source of random choices. ``prefetched`` is the evidence of a scenario that was driven
    ahead of its tests. ``mesh_is_idle`` is asked, after so many seconds of waiting, whether the mesh has
    nothing left to do. ``questions`` are the open questions to try, in the catalogue's words; None tries all.
    ``touched`` names every object that was applied. ``unsettled``: some change never showed. ``rested`` are
    the waits whose change showed only once the clients had rested.
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
    rests: RestHistory = field(default_factory=lambda: RestHistory(quiet_s=10.0))
    questions: frozenset[str] | None = None
    unsettled: bool = False
    rested: list[Convergence] = field(default_factory=list)
    _changed: bool = False
    _writes_before: int = 0

    @property
    def versions(self) -> Mapping[str, str]:
        """The API version of each group (short name) in which the scenario writes objects."""
        return self.writer.versions

    def carries(self, protocol: str) -> bool:
        """Whether the mesh carries a protocol between its pods."""
        return protocol in self.profile.carried

    def wants(self, questions: Set[str]) -> bool:
        """Whether the run tries any of these open questions."""
        return self.questions is None or not self.questions.isdisjoint(questions)

    def objects(self, name: str) -> list[dict[str, Any]]:
        """The objects of a file of the scenario, as this run writes them; raises as `Writer.write`."""
        return self.writer.write(load(f"{self.folder}/{name}"))

    def objects_for_version(self, name: str) -> list[dict[str, Any]]:
        """The objects of a file that exist in the scenario's versions."""
        return self.writer.objects_for_version(load(f"{self.folder}/{name}"))

    def round_trips(self, items: Iterable[Object]) -> list[RoundTrip]:
        """Each object created, read, changed and deleted, as written."""
        with self.phases.phase("traffic"):
            return round_trips(self.cluster, self.waiter, items)

    def dry_run_variants(
        self, item: Object, changes: Mapping[str, Change], expect: Literal["refused", "either"] = "refused"
    ) -> list[AdmissionAttempt]:
        """A dry run of an object of a fixture with each of the changes, by the changes' names."""
        with self.phases.phase("traffic"):
            return [
                attempt(self.cluster, self.writer.write([changed(item, change)])[0], name, expect)
                for name, change in changes.items()
            ]

    def dry_run(self, item: Object) -> AdmissionAttempt:
        """A dry run of an unchanged object of a fixture: the control of `dry_run_variants`."""
        return attempt(self.cluster, self.writer.write([item])[0], "without a violation")

    def create_services(self) -> None:
        """Create the Services that the scenario calls.

        A run does so while the scenario before is under way, so that the cluster knows the Services when
        they are used, and deletes them when the scenario is over.
        """
        self.cluster.apply(self.objects(SERVICES))
        self.rests.record_write()

    def delete_services(self) -> None:
        """Delete these Services."""
        self.cluster.delete(self.objects(SERVICES))
        self.rests.record_write()

    def apply(self, *names: str) -> None:
        """Apply files of the scenario's folder; an object that was applied before is edited."""
        for name in names:
            self.apply_objects(self.objects(name))

    def apply_objects(self, objects: Iterable[Object]) -> None:
        """Apply objects, one after the other."""
        for item in objects:
            with self.phases.phase("setup"):
                self.cluster.apply([item])
            self.rests.record_write()
            self._changed = True
            self.touched.append(f"{item['kind']} {item['metadata']['name']}")
            if not self.has_applied(item):
                self.applied.append(dict(item))

    def has_applied(self, item: Object) -> bool:
        """Whether an object of this kind and name is applied, so that applying it is an edit."""
        return _identity(item) in [_identity(each) for each in self.applied]

    def delete(self, *names: str) -> None:
        """Delete the objects of these files."""
        self.delete_objects([item for name in names for item in self.objects(name)])

    def delete_objects(self, objects: Iterable[Object]) -> None:
        """Delete objects that were applied."""
        gone = list(objects)
        self.cluster.delete(gone)
        self.rests.record_write()
        self._changed = True
        identities = [_identity(item) for item in gone]
        self.applied = [item for item in self.applied if _identity(item) not in identities]

    def delete_applied(self) -> None:
        """Delete all objects that are still applied, the newest first."""
        self.cluster.delete(reversed(self.applied))
        self.rests.record_write()
        self.applied = []

    def call(self, client: str, service: str, *, requests: int = 1, port: int = 8080, **what: Any) -> Call:
        """A call of a client (``main/client``) to a Service (``main/root``).

        The host is the name that the mesh knows, or the ordinary name where either end is outside the mesh.
        Raises NotClaimed where the mesh does not carry the port's protocol.
        """
        part, _, name = service.partition("/")
        outside = OUTSIDE in (part, client.partition("/")[0])
        if not outside:
            self.writer.check_call(part, name, port, what.get("protocol", "http"))
        host = self.profile.ordinary_host if outside else self.profile.host
        return Call(client, host(name, self.arena.namespace(part)), port, requests=requests, **what)

    def send(
        self,
        *calls: Call,
        servers: Iterable[str],
        options: SendOptions = SendOptions(),  # noqa: B008
    ) -> list[Traffic]:
        """Send calls at the same moment, and read the ledgers of the workloads in ``servers``."""
        return self.driver.send(calls, options, ledgers=servers)


def _identity(item: Object) -> tuple[str, str, str, str]:
    metadata = item["metadata"]
    group = str(item["apiVersion"]).partition("/")[0]
    return group, str(item["kind"]), metadata.get("namespace", ""), metadata["name"]
