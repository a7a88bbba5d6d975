"""The report: the verdicts of one run with their evidence, as one JSON document.

HTML, JUnit and the terminal's closing lines are pure functions of it. Every value is converted to JSON's
types (`conformance.report.json_safe`) on its way in, so that a written document reads back equal.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from conformance.catalogue import Api, Level
from conformance.model.evidence import AdmissionAttempt, ApiRead, Convergence, Environment, RoundTrip, Traffic
from conformance.model.exit_codes import OF_VERDICTS, ExitCode
from conformance.model.verdict import Reading, Share, Verdict
from conformance.report.json_safe import json_value, safe_text

Status = Literal[
    "judged",
    "observed",
    "not observed",
    "not claimed",
    "untested",
    "in other versions",
    "not selected",
    "not reached",
]
Outcome = Literal[
    "pass", "fail", "inconclusive",
    "observed", "not observed", "not claimed", "untested", "in other versions",
    "not selected", "not reached",
]  # fmt: skip
OUTCOMES: tuple[Outcome, ...] = (
    "pass", "fail", "inconclusive",
    "observed", "not observed", "not claimed", "untested", "in other versions",
    "not selected", "not reached",
)  # fmt: skip

Value = TypeVar("Value")
Text = Annotated[str, BeforeValidator(safe_text)]
Json = Annotated[JsonValue, BeforeValidator(json_value)]
Recorded = Annotated[Value, BeforeValidator(json_value)]
"""A value of evidence, from the live dataclass or from JSON."""


class DocumentModel(BaseModel):
    """Frozen, and strict: a document with fields unknown to the schema is invalid."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class TrafficEvidence(DocumentModel):
    type: Literal["traffic"] = "traffic"
    name: Text = ""
    value: Recorded[Traffic]


class ApiReadEvidence(DocumentModel):
    type: Literal["api read"] = "api read"
    name: Text = ""
    value: Recorded[ApiRead]


class RoundTripEvidence(DocumentModel):
    type: Literal["round trip"] = "round trip"
    name: Text = ""
    value: Recorded[RoundTrip]


class AttemptEvidence(DocumentModel):
    type: Literal["attempt"] = "attempt"
    name: Text = ""
    value: Recorded[AdmissionAttempt]


class EnvironmentEvidence(DocumentModel):
    type: Literal["environment"] = "environment"
    name: Text = ""
    value: Recorded[Environment]


Evidence = Annotated[
    TrafficEvidence | ApiReadEvidence | RoundTripEvidence | AttemptEvidence | EnvironmentEvidence,
    Field(discriminator="type"),
]


class BasisRecord(DocumentModel):
    """The judge's name and its arguments as JSON; `conformance.report.verify` calls it again."""

    judge: Text
    arguments: dict[Text, Json]


class Conclusion(DocumentModel):
    """A test's conclusion about its requirement, with its evidence; ``title`` is its claim about the mesh.

    ``versions`` are the API versions of its scenario, by group (short name).
    """

    nodeid: Text
    title: Text
    verdict: Verdict
    summary: Text
    expected: Text = ""
    hint: Text = ""
    shares: tuple[Recorded[Share], ...] = ()
    readings: tuple[Recorded[Reading], ...] = ()
    convergences: tuple[Recorded[Convergence], ...] = ()
    evidence: tuple[Evidence, ...] = ()
    basis: BasisRecord | None = None
    duration_s: float = Field(default=0.0, ge=0)
    versions: dict[Text, Text] = {}


class RequirementRecord(DocumentModel):
    """An entry of the catalogue with its outcome in this run.

    ``status``: *judged* (the only status with a verdict), *observed* (an ambiguous requirement; its tests
    hold the observed readings), *not observed* (an ambiguous requirement without an observed reading), *not
    claimed* by the profile, *untested* (the suite has no test of it), *in other versions* than those of this
    run, *not selected* by the user, *not reached* before the run ended.
    ``readings`` are the catalogue's, by question and letter. ``note`` is the reason for a missing verdict.
    ``faults`` are the faults of the reference mesh that the requirement's tests detect.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)+$")
    api: Api
    level: Level
    versions: tuple[Text, ...]
    statement: Text
    source: Text
    readings: dict[Text, dict[Text, Text]] = {}
    status: Status
    verdict: Verdict | None = None
    note: Text = ""
    tests: tuple[Conclusion, ...] = ()
    faults: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _is_possible(self) -> RequirementRecord:
        if (self.status == "judged") != (self.verdict is not None):
            raise ValueError(f"{self.id}: {self.status} with verdict {self.verdict}")
        if self.status in {"judged", "observed", "not observed"} and not self.tests:
            raise ValueError(f"{self.id}: {self.status} without a test")
        if self.status == "untested" and self.tests:
            raise ValueError(f"{self.id}: {self.status}, but {self.tests[0].nodeid} ran")
        if self.verdict is Verdict.NOT_CLAIMED:
            raise ValueError(f"{self.id}: not claimed is a status of its own, not a judged verdict")
        return self

    @property
    def outcome(self) -> Outcome:
        """The verdict if the requirement was judged, else the status."""
        if self.verdict is not None:
            outcome: Outcome = self.verdict.value
            return outcome
        assert self.status != "judged"  # noqa: S101 - the validator ensures it
        return self.status


class Run(DocumentModel):
    """A call of the suite; ``command`` is its command line, from which the caller removed secrets."""

    id: Text
    started: AwareDatetime
    finished: AwareDatetime
    command: tuple[Text, ...]
    seed: int
    interrupted: bool = False


MESH = "mesh"
"""Key in ``Mesh.versions`` of the mesh as a whole; every other key is the repository of an image."""


class MeshRecord(DocumentModel):
    """The mesh as its profile describes it; ``versions`` are those of the *mesh* and of its images.

    ``header_forms`` is the form of header filters in this run, by version of specs: *map*, *list* (of one-key
    maps), or *neither* if the cluster accepts none.
    """

    profile: Text
    description: Text = ""
    versions: dict[Text, Text] = {}
    claims: dict[Text, tuple[Text, ...]] = {}
    header_forms: dict[Text, Text] = {}

    @property
    def title(self) -> str:
        """The profile's name, with the mesh's version if known."""
        return " ".join([self.profile, *filter(None, [self.versions.get(MESH)])])


class NodeRecord(DocumentModel):
    name: Text
    architecture: Text
    os: Text
    kernel: Text
    runtime: Text


class ClusterInfo(DocumentModel):
    """The cluster of the run; ``context`` is that of the kubeconfig, or *embedded*."""

    context: Text
    kubernetes: Text
    nodes: tuple[NodeRecord, ...] = ()
    images: tuple[Text, ...] = ()


class Timing(DocumentModel):
    """The run's time by phase: ``waiting_s`` is the mesh's convergence, the rest is the suite's own time."""

    total_s: float = Field(ge=0)
    setup_s: float = 0.0
    waiting_s: float = 0.0
    traffic_s: float = 0.0
    judging_s: float = 0.0
    cleanup_s: float = 0.0
    other_s: float = 0.0


class Finding(DocumentModel):
    """An observation beside the requirements, such as a claim that does not hold or a starved node."""

    severity: Literal["info", "warning", "error"]
    text: Text
    remedy: Text = ""


class Diagnostic(DocumentModel):
    """A log, event list or object collected at the moment of a failure; truncated by its collector."""

    name: Text
    text: Text


class Headline(DocumentModel):
    """The verdict on the mesh, its reason in a sentence, and the exit code of the command.

    ``partial``: the user left out core requirements that have tests, so that the run certifies nothing.
    """

    verdict: Verdict
    reason: Text
    exit_code: ExitCode
    partial: bool = False

    @property
    def word(self) -> str:
        """The verdict, or *partial* for a pass of a partial run."""
        return "partial" if self.partial and self.verdict is Verdict.PASS else self.verdict.value

    @model_validator(mode="after")
    def _agrees(self) -> Headline:
        if OF_VERDICTS.get(self.verdict) != self.exit_code:
            raise ValueError(f"verdict {self.verdict.value} with exit code {self.exit_code}")
        return self


class Report(DocumentModel):
    """The document. `conformance.report.assemble.build` derives headline and counts from the requirements.

    ``schema_version`` is raised when a reader of the previous version would misread a document.
    """

    schema_version: Literal[3] = 3
    suite_version: Text
    run: Run
    mesh: MeshRecord
    cluster: ClusterInfo
    headline: Headline
    counts: dict[Outcome, int]
    timing: Timing
    requirements: tuple[RequirementRecord, ...]
    findings: tuple[Finding, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
