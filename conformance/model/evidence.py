"""What was seen: the frozen values that driving makes and judging reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Call:
    """What a client was told to send: one kind of request, as often as ``requests`` says.

    ``protocol`` is http (HTTP/1.1), http2 (in cleartext with prior knowledge), grpc, tcp, udp, or greeting
    (tcp, where the server speaks first). Calls of gRPC are always made by POST.
    """

    client: str
    host: str
    port: int
    requests: int
    protocol: str = "http"
    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        what = {
            "http": f"{self.method} {self.path}",
            "http2": f"HTTP/2 {self.method} {self.path}",
            "grpc": f"gRPC {self.path}",
            "greeting": "tcp, server first",
        }.get(self.protocol, self.protocol)
        headers = "".join(f" {name}: {value}" for name, value in self.headers.items())
        return f"{self.client} → {self.host}:{self.port} {what}{headers}"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What became of one batch of requests.

    ``answered`` counts the clients' view: answers by the workload that gave them; ``ports`` the same by
    "workload:port". ``statuses`` counts HTTP status codes, and "grpc-7" and the like for calls of gRPC that
    failed with that code; ``failures`` counts what failed without a usable answer (closed, refused, reset,
    timeout, dns, unreachable, protocol, mismatch). ``received`` is the servers' view, read from their
    ledgers: how many distinct requests of the batch each workload saw. ``foreign`` has a few samples of what
    came instead of a workload's answer, with the number of requests that came to exactly that: the beginning
    of an answer by somebody else ("HTTP/1.1 403 Forbidden …"), the first bytes of what is not of the
    protocol, the words of the resolver or the kernel ("resolver: …"). Strangers said it: here it is
    bounded and printable.
    ``connections`` is how many connections carried two answers or more, ``uniform_connections`` on how many
    of those one single server gave all of them. Latencies are in microseconds. ``windows`` is there of
    steady traffic: ``answered`` of each so many requests in a row, in the order in which they were made.
    ``expired`` of steady traffic says that it was over before it was stopped.
    """

    call: Call
    sent: int
    answered: Mapping[str, int]
    ports: Mapping[str, int]
    statuses: Mapping[str, int]
    failures: Mapping[str, int]
    received: Mapping[str, int]
    connections: int = 0
    uniform_connections: int = 0
    new_connections: bool = False
    latency_p50_us: int = 0
    latency_p99_us: int = 0
    windows: tuple[Mapping[str, int], ...] = ()
    expired: bool = False
    foreign: Mapping[str, int] = field(default_factory=dict)

    @property
    def served(self) -> int:
        """Requests that some server's ledger holds."""
        return sum(self.received.values())

    @property
    def answers(self) -> int:
        """Requests that were answered by a sample workload."""
        return sum(self.answered.values())


@dataclass(frozen=True, slots=True)
class Convergence:
    """How long a change took to show: ``took_s`` is None when it did not within ``within_s`` seconds.

    ``rested_s``: seconds of it in which the clients sent nothing, as the change had not shown while they did;
    none where it showed under calls.
    """

    what: str
    within_s: float
    took_s: float | None
    rested_s: float = 0.0

    @property
    def converged(self) -> bool:
        return self.took_s is not None


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change did: the same traffic ``baseline`` and under it, and how long it took to show.

    ``baseline`` is the baseline, or null control: without it nothing shows that the change had an effect.
    """

    baseline: Traffic
    sample: Traffic
    convergence: Convergence


@dataclass(frozen=True, slots=True)
class AccessResult:
    """One entry of an access table: who calls whom, and whether that call is to go through.

    ``baseline`` is the same call without the grants; ``server`` the workload that is called. ``convergence``
    is since when this call alone is granted or denied as expected, whatever becomes of others. ``control`` is
    what the same client could do at the same moment where nothing is enforced, such as the same call to a
    twin server outside the mesh; it is needed for a denial where the table grants that client nothing there.
    """

    name: str
    expect: Literal["granted", "denied"]
    baseline: Traffic | None
    traffic: Traffic
    server: str
    convergence: Convergence
    control: Traffic | None = None


@dataclass(frozen=True, slots=True)
class AccessTable:
    """The cells that were asked of one access policy; each has its own null control."""

    results: Sequence[AccessResult]

    def select(self, *names: str) -> AccessTable:
        """A table of the cells of these names. Raises KeyError for a name that is not there."""
        by_name = {cell.name: cell for cell in self.results}
        return AccessTable(tuple(by_name[name] for name in names))


@dataclass(frozen=True, slots=True)
class ApiRead:
    """One read of the Kubernetes API and what it answered; ``reader`` says with whose rights.

    ``unavailable_s`` are the seconds for which it had been asked before and had answered 503.
    """

    reader: str
    path: str
    status: int
    body: Any
    at_s: float = 0.0
    unavailable_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """An SMI object as sent, as read back, and which verbs the API server carried out on it."""

    api_version: str
    kind: str
    sent: Mapping[str, Any]
    read: Mapping[str, Any]
    verbs: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class AdmissionAttempt:
    """A document put to the API server for an answer only, and what it answered.

    ``expect`` says what the requirement asks of the API server; *either* is only told. ``returned`` is the
    object as it would be stored, empty where it was not accepted.
    """

    name: str
    expect: Literal["accepted", "refused", "either"]
    sent: Mapping[str, Any]
    status: int
    message: str = ""
    returned: Mapping[str, Any] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        return self.status == 201

    @property
    def refused(self) -> bool:
        """Whether the document was refused for what it says.

        400 and 422 are the API server's own judgement (Kubernetes API conventions, HTTP status codes), 403 is
        what an admission webhook may choose. That a client may not create such objects at all is 403 too;
        documents that are accepted rule it out.
        """
        return self.status in {400, 403, 422}


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit under steady traffic: the workload that answers by the old state, and by the new one.

    ``since`` is how many answers there were at most when the API server had accepted the edit, so that the
    requests of all later ones were sent after it; ``until`` how many requests servers had seen when the next
    edit was asked for.
    """

    old: str
    new: str
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class EditTimeline:
    """Steady traffic over several edits: who gave the answers, in the order in which they were asked for.

    ``windows`` counts answers in a row by one workload; ``unanswered`` requests are not among them.
    ``rate_per_s`` is how many requests were sent in a second, one after another. ``cut_short``: the last edit
    was not seen for as long as it should, so no more were made.
    """

    call: Call
    rate_per_s: float
    runs: tuple[tuple[str, int], ...]
    edits: tuple[Edit, ...]
    unanswered: int = 0
    cut_short: bool = False


Reads = Literal["", "same", "either", "renamed", "changed", "alone"]
"""How an object reads in another version: with the same meaning, also where nothing had to be converted
(*either*), as it was written, with another meaning, or not at all for want of another version (*alone*)."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """An object as it was ``sent`` in one version of its kind and ``read`` in another, with that HTTP status.

    ``meant`` is the same meaning as the version has it in which it was read. ``read_in`` is empty where no
    other version is served; then nothing was written.
    """

    kind: str
    written_in: str
    read_in: str = ""
    sent: Mapping[str, Any] = field(default_factory=dict)
    meant: Mapping[str, Any] = field(default_factory=dict)
    read: Mapping[str, Any] = field(default_factory=dict)
    status: int = 0


Propagation = Literal["", "at once", "later", "flapping", "never"]
"""How edits arrive under steady traffic: before any request that was sent after the API server had accepted
them, after some, with the old state back after the new one had held, or not all of them."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one reading of an open question looks in traffic.

    Exactly the workloads of ``answered_by`` answer; where there are none, every request fails. Beside them
    requests fail if ``failing``. ``refused``: the API server does not take the object, so there is no
    traffic. An empty ``letter`` is a behaviour that is none of the catalogue's readings; several letters are
    readings that look alike here, of which the first is meant unless another trial tells them apart.
    ``finding`` says what is not acceptable about it. Where that is part of the look, ``majority`` is who
    answers more than half of what is answered, and ``field_stored`` whether the field in question is there in
    the object as it was stored. ``reads`` is how an object reads in another version, ``propagation`` how
    edits do; these are looks by themselves.
    """

    letter: str
    answered_by: tuple[str, ...] = ()
    failing: bool = False
    refused: bool = False
    finding: str = ""
    majority: str = ""
    field_stored: bool | None = None
    reads: Reads = ""
    propagation: Propagation = ""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial of a question that the specification leaves open, and what came of it.

    ``question`` is the question in the catalogue's words, ``name`` what was tried. ``baseline`` and
    ``sample`` are the same call without and under the object in question; ``refusal`` is there where the API
    server did not take it, and there is no sample then. Where the question is about a field that the object's
    version does not define, ``field`` is its path and ``stored`` what the API server made of the object;
    where it is about versions, ``conversion`` is what was written and read; where it is about time,
    ``timeline`` is the traffic. ``object_name`` is the name of the object, and ``unrelated_edit`` how long an
    unrelated edit took to show that was made while it was there. ``recovery`` is there where the next one did
    not show in time once the object was deleted: how long that took. ``unasked`` says why nothing was tried,
    or could be told.
    """

    name: str
    question: str
    looks: tuple[Behaviour, ...]
    baseline: Traffic | None = None
    sample: Traffic | None = None
    refusal: AdmissionAttempt | None = None
    stored: AdmissionAttempt | None = None
    field: str = ""
    conversion: Conversion | None = None
    timeline: EditTimeline | None = None
    unrelated_edit: Convergence | None = None
    object_name: str = ""
    recovery: Convergence | None = None
    unasked: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """How the control request of the arena fared beside the traffic: a starved node shows here first."""

    control_p99_us: int = 0
    control_failures: int = 0
