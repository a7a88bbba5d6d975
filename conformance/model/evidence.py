"""Evidence: the frozen values that driving produces and judging reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Call:
    """The order for a client: ``requests`` identical requests.

    ``protocol`` is http (HTTP/1.1), http2 (in cleartext with prior knowledge), grpc, tcp, udp, or greeting
    (tcp, server speaks first). gRPC calls always use POST.
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
class Look:
    """The first ``sent`` requests of a batch, in the order of sending; ``answered`` counts by workload."""

    sent: int
    answered: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Traffic:
    """The outcome of one batch of requests.

    The clients' view: ``answered`` counts answers by workload, ``ports`` by "workload:port"; ``statuses``
    counts HTTP status codes, and gRPC calls that failed as "grpc-7" and the like; ``failures`` counts
    requests without a usable answer (closed, refused, reset, timeout, tls, dns, unreachable, protocol,
    mismatch). The servers' view: ``received`` counts distinct requests of the batch by workload, from the
    ledgers. ``foreign`` has a few samples of what came instead of a workload's answer, each with its number
    of requests: the beginning of an answer from elsewhere ("HTTP/1.1 403 Forbidden …"), the first bytes of
    another protocol, the error message of the resolver or the kernel ("resolver: …"). These are untrusted;
    here they are bounded and printable.
    ``connections`` counts connections that carried two answers or more, ``uniform_connections`` those of them
    with all answers from a single server. Latencies are in microseconds. ``windows``, for steady traffic:
    ``answered`` of each window of consecutive requests, in order. ``expired``, for steady traffic: it ended
    before it was stopped. ``arrivals`` describes one request of the batch in each workload's ledger: by which
    port and path it came, and from which address. ``looks``, for a sample of shares that may end early: what
    was known at each look at it.
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
    arrivals: Mapping[str, str] = field(default_factory=dict)
    looks: tuple[Look, ...] = ()

    @property
    def served(self) -> int:
        """Requests in the servers' ledgers."""
        return sum(self.received.values())

    @property
    def answers(self) -> int:
        """Requests that a sample workload answered."""
        return sum(self.answered.values())


@dataclass(frozen=True, slots=True)
class Convergence:
    """The time until a change showed: ``took_s`` is None if it did not within ``within_s`` seconds.

    ``rested_s``: seconds of it in which the clients sent nothing, as the change had not shown under calls; 0
    if it showed under calls.
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
    """The effect of a change: the same traffic before (``baseline``) and under it (``sample``).

    ``baseline`` is the null (negative) control, without which nothing proves that the change had an effect.
    """

    baseline: Traffic
    sample: Traffic
    convergence: Convergence


@dataclass(frozen=True, slots=True)
class AccessResult:
    """One cell of an access table: client, server, and whether the call is expected to go through.

    ``baseline`` is the same call without the grants; ``server`` the called workload. ``convergence`` is the
    time until this call was granted or denied as expected, independently of other cells. ``control`` is
    simultaneous traffic of the same client where nothing is enforced, such as the same call to a twin server
    outside the mesh; a denial needs it if the table grants that client no call to the server.
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
    """The cells of one access policy; each has its own baseline."""

    results: Sequence[AccessResult]

    def select(self, *names: str) -> AccessTable:
        """A table of the cells with these names. Raises KeyError for an unknown name."""
        by_name = {cell.name: cell for cell in self.results}
        return AccessTable(tuple(by_name[name] for name in names))


@dataclass(frozen=True, slots=True)
class ApiRead:
    """One read of the Kubernetes API and its answer; ``reader`` is the account used.

    ``unavailable_s``: seconds of earlier attempts that answered 503.
    """

    reader: str
    path: str
    status: int
    body: Any
    at_s: float = 0.0
    unavailable_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """An SMI object as sent and as read back, and whether each verb worked on it."""

    api_version: str
    kind: str
    sent: Mapping[str, Any]
    read: Mapping[str, Any]
    verbs: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class AdmissionAttempt:
    """A document sent to the API server as a dry run, and the answer.

    ``expect`` is the expectation of the requirement; *either* is only reported. ``returned`` is the object as
    it would be stored, empty if it was not accepted.
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
        """Whether the document was refused for its content.

        400 and 422 come from the API server itself (Kubernetes API conventions, HTTP status codes), 403 is
        open to admission webhooks. A client without the permission to create such objects gets 403 too;
        accepted documents rule that out.
        """
        return self.status in {400, 403, 422}


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit under steady traffic: the workloads that answer in the ``old`` and in the ``new`` state.

    ``since`` is an upper bound of the answers given when the API server had accepted the edit, so the
    requests of all later answers were sent after it; ``until`` is the number of requests that servers had
    received when the next edit was sent.
    """

    old: str
    new: str
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class EditTimeline:
    """Steady traffic over several edits: the answering workloads, in the order of their requests.

    ``runs`` are consecutive answers by one workload, with their number; ``unanswered`` requests are not among
    them. ``rate_per_s`` is the rate of requests, sent one after another. ``cut_short``: the last edit was
    observed for less time than required, so no further edit was made.
    """

    call: Call
    rate_per_s: float
    runs: tuple[tuple[str, int], ...]
    edits: tuple[Edit, ...]
    unanswered: int = 0
    cut_short: bool = False


Reads = Literal["", "same", "either", "renamed", "changed", "alone"]
"""How an object reads in another version: with the same meaning (*either* if nothing had to be converted),
as written (*renamed*), with another meaning (*changed*), or not, as no other version is served (*alone*)."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """An object ``sent`` in one version of its kind and ``read`` in another, with that HTTP status.

    ``meant`` is the object with the same meaning in the version that was read. ``read_in`` is empty if no
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
"""How edits propagate under steady traffic: before any request sent after the API server accepted them, after
some of these, with the old state back after the new one had held, or not all of them."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The expected behaviour under one reading of an open question.

    Exactly the workloads of ``answered_by`` answer; if there are none, every request fails. If ``failing``,
    some requests fail besides. ``refused``: the API server refuses the object, so there is no traffic. An
    empty ``letter`` is a behaviour outside the catalogue's readings; several letters are readings that
    behave alike here, of which the first counts unless another trial distinguishes them. ``finding`` says
    what is not acceptable about it. If set, ``majority`` is the workload with more than half of the answers,
    and ``field_stored`` whether the stored object has the field in question. ``reads`` is how an object reads
    in another version, ``propagation`` how edits propagate; each of these is a whole behaviour by itself.
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
    """One trial of a question that the specification leaves open, and its outcome.

    ``question`` is the question in the catalogue's words, ``name`` the name of the trial, ``looks`` the
    behaviours that it may show. ``baseline`` and ``sample`` are the same call without and under the object in
    question; ``refusal`` is the API server's refusal of the object, instead of a sample. For a field that the
    object's version does not define, ``field`` is its path and ``stored`` the object as stored; for a
    question about versions, ``conversion`` is the object as written and read; for one about time,
    ``timeline`` is the traffic. ``object_name`` is the name of the object, ``unrelated_edit`` the convergence
    of an unrelated edit while the object existed. ``recovery`` is that of the next edit after the object's
    deletion, if it did not show in time. ``unasked`` says why there was no trial, or no conclusive one.
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
    """Latency and failures of the probes' requests to themselves: the first sign of a starved node."""

    control_p99_us: int = 0
    control_failures: int = 0
