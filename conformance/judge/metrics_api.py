"""Whether the metrics API is served: aggregated, discoverable, complete in form, guarded by RBAC."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

from conformance.judge.malformed import fail_on_malformed, judge_findings
from conformance.judge.metrics_parser import MalformedAnswer, TrafficMetrics, body_of_kind, parse_any
from conformance.judge.phrasing import listed, pluralize, sentences, short
from conformance.judge.registry import judge
from conformance.model.evidence import ApiRead
from conformance.model.verdict import Judgement, Verdict

GROUP, VERSION = "metrics.smi-spec.io", "v1alpha1"
_KIND = re.compile(r"[a-z0-9-]{1,63}")
_NAME = re.compile(r"[a-z0-9-]{1,63}(/[a-z0-9-]{1,63})?")
CLUSTER_SCOPED = frozenset({"namespaces", "nodes"})
REFUSED = frozenset({401, 403})
REQUIRED_KINDS = ("deployments", "namespaces", "pods")
"""Kinds that an implementation must offer: metrics-discovery-kinds in the catalogue."""
_BUSY = frozenset({*REQUIRED_KINDS, "nodes", "replicasets", "services"})
"""Kinds that have objects with traffic whenever a deployment behind a service has some."""


@judge(api_only="reads an object and an answer of the API server; their existence is the claim")
@fail_on_malformed
def apiservice(apiservice: ApiRead, group_version: ApiRead) -> Judgement:
    """The API is served through aggregation: an available APIService points to a service of the mesh."""
    body = body_of_kind(apiservice, "APIService")
    spec = _mapping(body.get("spec"))
    service = _mapping(spec.get("service"))
    name = _mapping(body.get("metadata")).get("name")
    target = f"{short(service.get('name'))} in {short(service.get('namespace'))}"
    list_kind = _mapping(group_version.body).get("kind")
    return judge_findings(
        [
            _differs("metadata.name", name, f"{VERSION}.{GROUP}"),
            _differs("spec.group", spec.get("group"), GROUP),
            _differs("spec.version", spec.get("version"), VERSION),
            ""
            if service.get("name") and service.get("namespace")
            else "spec.service names no service: the API is not aggregated",
            _availability(_mapping(body.get("status")).get("conditions")),
            ""
            if group_version.status == 200 and list_kind == "APIResourceList"
            else f"{group_version.path} answered {group_version.status}, kind {short(list_kind)}",
        ],
        f"APIService {VERSION}.{GROUP} is Available and its service answers through the API server",
        f"the APIService points at {target}, is Available and answers",
        hint="kubectl get apiservice says why it is not available",
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _differs(field: str, value: Any, due: str) -> str:
    return "" if value == due else f"{field} is {short(value)}, not {due!r}"


def _availability(conditions: Any) -> str:
    entries = conditions if isinstance(conditions, list) else []
    available = [entry for entry in map(_mapping, entries) if entry.get("type") == "Available"]
    if not available:
        return "the APIService has no Available condition"
    if available[0].get("status") == "True":
        return ""
    reason, message = available[0].get("reason"), available[0].get("message")
    return f"the APIService is not Available: {short(reason)}, {short(message, 160)}"


@judge(api_only="reads the API server's lists; without the API they do not exist")
@fail_on_malformed
def discovery(read: ApiRead, offered: Sequence[ApiRead] = ()) -> Judgement:
    """Discovery lists TrafficMetrics resources with get and list, scoped as their kinds.

    ``offered`` are lists of the advertised resources: each must answer. The answer to a list whose objects
    have no traffic is left open: a server error is accepted, 404 is not. Sub-resources such as ``pods/edges``
    may be listed or not.
    """
    resources = body_of_kind(read, "APIResourceList").get("resources")
    if not isinstance(resources, list) or not resources:
        raise MalformedAnswer(f"{read.path} lists no resources: {short(resources)}")
    findings = [_resource(entry, index) for index, entry in enumerate(resources)]
    findings += [_unanswered(each) for each in offered]
    kinds = advertised(read)
    if missing := [kind for kind in REQUIRED_KINDS if kind not in kinds]:
        findings.append(f"{listed(missing)} not offered")
    expected = (
        "each entry has kind TrafficMetrics, verbs get and list, and namespaced true except for "
        "cluster-scoped kinds, and answers"
    )
    judged = judge_findings(findings, expected, f"{pluralize(len(kinds), 'kind')} offered: {listed(kinds)}")
    untried = sorted({*kinds} - {_kind_listed(each) for each in offered})
    if judged.passed and untried:
        return Judgement(Verdict.INCONCLUSIVE, f"not tried: {listed(untried)}", expected=expected)
    return judged


def advertised(read: ApiRead) -> list[str]:
    """The kinds that a discovery document names, each once and sorted; none for an unreadable document."""
    entries = _mapping(read.body).get("resources")
    names = [_mapping(entry).get("name") for entry in (entries if isinstance(entries, list) else [])]
    return sorted({name for name in names if isinstance(name, str) and _KIND.fullmatch(name)})


def _kind_listed(read: ApiRead) -> str:
    return read.path.rpartition("/")[2]


def _unanswered(read: ApiRead) -> str:
    without_traffic = read.status >= 500 and _kind_listed(read) not in _BUSY
    if read.status == 200 or without_traffic:
        return ""
    return f"{read.path} is advertised but answered {read.status}"


def _resource(entry: Any, index: int) -> str:
    found = _mapping(entry)
    name = found.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"resources[{index}] has the name {short(name)}"
    verbs = found.get("verbs")
    given = {verb for verb in verbs if isinstance(verb, str)} if isinstance(verbs, list) else set()
    parent, _, sub = name.partition("/")
    kinds = ("TrafficMetrics", "TrafficMetricsList") if sub else ("TrafficMetrics",)
    missing = ({"get", "list"} if not sub else set()) - given
    namespaced = parent not in CLUSTER_SCOPED
    return sentences(
        (
            "" if found.get("kind") in kinds else f"{name} has kind {short(found.get('kind'))}",
            f"{name} lacks the verbs {', '.join(sorted(missing))}" if missing else "",
            f"{name} offers neither get nor list" if sub and not given & {"get", "list"} else "",
            ""
            if found.get("namespaced") is namespaced
            else f"{name} is {'not ' if namespaced else ''}namespaced (namespaced: "
            f"{short(found.get('namespaced'))})",
        )
    )


@judge(api_only="reads the form of answers; without the API there are none")
@fail_on_malformed
def object_fields(reads: Sequence[ApiRead]) -> Judgement:
    """Every TrafficMetrics, from get or list, has all fields and the five metrics, in their forms."""
    objects = [figures for read in reads for figures in parse_any(read)]
    expected = (
        "kind, resource, edge {direction, side, resource}, timestamp, window and the five metrics, as "
        "quantities; latencies with a unit of time, counts without"
    )
    unnamed = [str(index) for index, figures in enumerate(objects) if not _names_an_object(figures)]
    if not objects:
        return Judgement(Verdict.INCONCLUSIVE, "no TrafficMetrics was returned to look at", expected=expected)
    return judge_findings(
        [f"resource names no object in {', '.join(unnamed)}" if unnamed else ""],
        expected,
        f"{pluralize(len(objects), 'object')} of {pluralize(len(reads), 'answer')} are complete",
    )


def _names_an_object(figures: TrafficMetrics) -> bool:
    found = figures.resource
    return bool(found.kind and found.name and (found.namespace or found.kind in ("Namespace", "Node")))


@judge(api_only="compares denied with allowed reads, all by the suite's own accounts")
def rbac(
    reads: Mapping[str, ApiRead], expected: Mapping[str, int], idle: Sequence[str] | Set[str] = ()
) -> Judgement:
    """Permissions on the metrics API are those of Kubernetes RBAC: each case gets its expected status.

    A refusal counts only while an allowed case answers 200. The cases in ``idle`` are allowed reads of one
    object without traffic, whose answer is left open: they must not be refused, and all get the same answer.
    """
    wanted = ", ".join(f"{case}: {status}" for case, status in expected.items())
    missing = [case for case in expected if case not in reads]
    open_to = {reads[case].status for case in idle if case in reads} - REFUSED
    alike = open_to if len(open_to) == 1 else set()
    findings = [
        f"{case} ({reads[case].reader}, {reads[case].path}) answered {reads[case].status}, not {status}"
        for case, status in expected.items()
        if case in reads and reads[case].status not in {status, *(alike if case in idle else ())}
    ]
    allowed = [case for case, status in expected.items() if status == 200 and case not in (*missing, *idle)]
    if findings or not (missing or not allowed):
        return judge_findings(
            findings, wanted, f"all {pluralize(len(expected), 'case')} answered as their rights say"
        )
    reason = f"not tried: {', '.join(missing)}" if missing else "refusals without positive control"
    return Judgement(Verdict.INCONCLUSIVE, reason, expected=wanted)
