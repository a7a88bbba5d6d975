"""The smoke test of ``doctor``: calls between meshed pods, a grant, and a split.

It drives the basic scenarios by the same means as a run, and points at likely mistakes in the profile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from conformance import judge
from conformance.clusters import ClusterError
from conformance.drive.polling import PollResult
from conformance.drive.rendering import NotInVersion
from conformance.drive.scenario import AccessCheck, ExpectedResponders, Scenario
from conformance.model.evidence import Call, Traffic
from conformance.model.verdict import Verdict
from conformance.run.context import RunContext

CALLS = {
    "http": ("over-http", 8080, "http", "v1"),
    "h2c": ("over-h2c", 8081, "http2", "v2"),
    "grpc": ("over-grpc", 8081, "grpc", "v3"),
    "tcp": ("over-tcp", 9000, "tcp", "v1"),
}
"""Protocol → the called Service, its port, the probe's protocol, and the workload behind the Service."""
REQUESTS = 20
PARTS = ("main", "outside")


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check: its name, its finding in detail, and the remedy if it is not ``ok``."""

    ok: bool
    name: str
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        return "; ".join(part for part in (self.detail, self.remedy) if part)


def parts(context: RunContext) -> list[str]:
    """The parts of the arena that the checks need."""
    claims = context.profile.claims
    return [*PARTS, *(["access"] if claims.access and claims.specs else [])]


def checks(context: RunContext) -> Iterator[Check]:
    """All checks, on an arena whose parts are ready; each check deletes the objects that it applied."""
    yield outbound(context)
    carried = list(calls(context))
    yield from carried
    if not all(check.ok for check in carried[:1]):
        return
    claims = context.profile.claims
    if claims.access and claims.specs:
        yield grant(context)
    if claims.split:
        yield split(context)


def outbound(context: RunContext) -> Check:
    """Calls from a meshed pod to a pod outside the mesh, by the cluster's DNS name."""
    call = context.scenario("doctor").call("main/client", "outside/outsider", requests=REQUESTS)
    (traffic,) = context.driver.send([call])
    if traffic.answers == traffic.sent:
        detail = f"{traffic.answers} of {traffic.sent} calls from a meshed pod to the outside were answered"
        return Check(True, "reachable", detail)
    remedy = "check the cluster's DNS and whether the mesh permits outbound calls"
    if traffic.failures.get("dns"):
        remedy = "check the cluster's DNS, and cluster_domain in the profile"
    return Check(False, "reachable", _unanswered(traffic), remedy)


def calls(context: RunContext) -> Iterator[Check]:
    """Calls between two meshed pods, by ``hosts.service``, over each protocol that the mesh carries."""
    profile = context.profile
    spoken = [one for one in CALLS if one in profile.carried]
    with _scenario(context, "doctor", {}) as scenario:
        scenario.create_services()
        sent = [_call(scenario, one) for one in spoken]
        servers = [CALLS[one][3] for one in spoken]
        scenario.wait_for_responders(
            sent,
            lambda position, traffic: _answered_only_by(servers[position], traffic),
            [f"{one} calls are answered" for one in spoken],
        )
        found = context.driver.send(sent)
        scenario.delete_services()
    answered = {one for one, traffic in zip(spoken, found, strict=True) if traffic.answers == traffic.sent}
    for one, traffic in zip(spoken, found, strict=True):
        if one in answered:
            detail = f"{traffic.answers} of {traffic.sent} {one} calls between meshed pods were answered"
            yield Check(True, "calls", detail)
        else:
            detail = f"{one}: {_unanswered(traffic)}"
            yield Check(False, "calls", detail, _remedy(context, one, traffic, alone=bool(answered)))


def _call(scenario: Scenario, protocol: str) -> Call:
    service, port, how, _ = CALLS[protocol]
    return scenario.call("main/client", f"main/{service}", port=port, protocol=how, requests=REQUESTS)


def _answered_only_by(server: str, traffic: Traffic) -> PollResult:
    return PollResult.SATISFIED if traffic.answered == {server: traffic.sent} else PollResult.CONTRADICTED


def _unanswered(traffic: Traffic) -> str:
    parts = [f"{traffic.answers} of {traffic.sent} calls to {traffic.call.host} were answered"]
    statuses = {code: count for code, count in traffic.statuses.items() if code != "200"}
    if statuses:
        parts.append(f"statuses: {statuses}")
    if traffic.failures:
        parts.append(f"failures: {dict(traffic.failures)}")
    return "; ".join(parts)


def _remedy(context: RunContext, protocol: str, traffic: Traffic, *, alone: bool) -> str:
    """The remedy of failed calls; ``alone``: calls of other protocols were answered."""
    profile = context.profile
    if traffic.failures.get("dns"):
        return f"the name does not resolve: correct hosts.service ({profile.hosts.service}) in the profile"
    if alone:
        return (
            f"name in services.{protocol} the labels or annotations that declare a Service as {protocol}, "
            "or list in protocols only the protocols that the mesh carries"
        )
    if not profile.claims.access or profile.access.default == "allow":
        return (
            "no call is answered without a TrafficTarget: if the mesh denies by default, claim access and "
            "set access: {default: deny}; otherwise see the mesh's log and check hosts.service"
        )
    if profile.access.open is not None:
        return (
            "check that access.open exempts a namespace from access control, or remove it, so that "
            "TrafficTargets permit the calls; see the mesh's log"
        )
    return "the TrafficTargets of fixtures/permits grant these calls: see the mesh's log about them"


def grant(context: RunContext) -> Check:
    """A server denies calls without a TrafficTarget, and a TrafficTarget grants them."""
    sets = context.version_sets(("access", "specs"))
    if not sets:
        detail = "no claimed versions of access and specs are compatible"
        return Check(False, "grant", detail, "claim compatible versions (docs/profiles.md, Versions)")
    with _scenario(context, "basic/grant", sets[0]) as scenario:
        call = scenario.call("access/alpha", "access/server", path="/plain")
        ask = AccessCheck("a call that a target allows", "granted", call, "server")
        try:
            objects = scenario.objects("1-target.yaml")
        except NotInVersion as error:
            return Check(True, "grant", f"not tried: {error}")
        baseline = scenario.baseline([ask], ["access/server"])
        if baseline[0].answers:
            return _open_by_default(context, baseline[0])
        scenario.apply_objects(objects)
        table = scenario.table([ask], baseline, ["access/server"])
        if context.profile.access.default == "allow":
            detail = (
                "a server denies calls without a TrafficTarget, but the profile has access: default: allow"
            )
            return Check(False, "grant", detail, "set access: {default: deny} in the profile")
        judgement = judge.access_enforced(table)
    if judgement.verdict is Verdict.PASS:
        took_s = table.results[0].convergence.took_s or 0.0
        detail = f"denied without a TrafficTarget, granted {took_s:.1f} s after a TrafficTarget was applied"
        return Check(True, "grant", detail)
    remedy = "see the mesh's log; changes may take longer than converge.within_s in the profile"
    return Check(False, "grant", judgement.summary, remedy)


def _open_by_default(context: RunContext, baseline: Traffic) -> Check:
    detail = f"open without a TrafficTarget: {baseline.answers} of {baseline.sent} calls were answered"
    if context.profile.access.default == "allow":
        return Check(True, "grant", f"{detail}, as the profile says; a grant would have no visible effect")
    remedy = (
        "check that the mesh's access control is on, that these pods are in the mesh (join), and that their "
        "calls go through it (hosts.service); if the mesh allows by default, set access: {default: allow}"
    )
    return Check(False, "grant", detail, remedy)


def split(context: RunContext) -> Check:
    """A TrafficSplit redirects the calls to its root."""
    with _scenario(context, "basic/split", context.version_sets(("split",))[0]) as scenario:
        scenario.create_services()
        wanted = ExpectedResponders(
            scenario.call("main/client", "main/plain", requests=200), frozenset({"v2"})
        )
        servers = ("main/v1", "main/v2", "main/v3")
        (effect,) = scenario.apply_and_sample([wanted], "1-split.yaml", servers=servers)
        scenario.delete_services()
    judgement = judge.everything_reaches(effect, "v2")
    if judgement.verdict is Verdict.PASS:
        return Check(True, "split", f"followed after {effect.convergence.took_s or 0:.1f} s")
    remedy = (
        "see the mesh's log, and check that calls by hosts.service go through the mesh; changes may take "
        "longer than converge.within_s in the profile"
    )
    return Check(False, "split", judgement.summary, remedy)


@contextmanager
def _scenario(context: RunContext, folder: str, versions: dict[str, str]) -> Iterator[Scenario]:
    scenario = context.scenario(folder, versions or None)
    try:
        yield scenario
    finally:
        scenario.delete_applied()


def trouble(error: ClusterError, context: RunContext) -> Check:
    """The failed check, with a remedy, of sample pods that did not get ready or did not join."""
    text = str(error)
    remedy = "check the profile's join section, and run the mesh's own installation check"
    if "PodSecurity" in text:
        remedy = (
            "set the Pod Security level that the mesh's containers need in join.namespace: labels: "
            "{pod-security.kubernetes.io/enforce: privileged}"
        )
    elif "nodes are available" in text or "Insufficient" in text:
        remedy = "free capacity on the nodes, or add a node: a run has about twenty small pods"
    elif "Image" in text:
        remedy = "name an image with Python 3.9 or later that the nodes can pull: --image"
    return Check(False, "joined", text, remedy)
