"""The doctor's traffic: do calls between joined pods go through, does a grant open, does a split divide?

It drives what the basic scenarios drive, by the same means, and says what in a profile may be wrong.
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
"""By protocol: the Service that is called, its port, how it is called, and the workload behind it."""
REQUESTS = 20
PARTS = ("main", "outside")


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: ``ok`` or not, what was looked at, what was seen, and what to do about it."""

    ok: bool
    what: str
    seen: str
    remedy: str = ""

    def __str__(self) -> str:
        return "; ".join(part for part in (self.seen, self.remedy) if part)


def parts(context: RunContext) -> list[str]:
    """The parts of the arena that the checks need."""
    claims = context.profile.claims
    return [*PARTS, *(["access"] if claims.access and claims.specs else [])]


def checks(context: RunContext) -> Iterator[Check]:
    """All checks, on an arena whose parts are ready; what one applies is withdrawn before the next."""
    yield outwards(context)
    carried = list(calls(context))
    yield from carried
    if not all(check.ok for check in carried[:1]):
        return
    claims = context.profile.claims
    if claims.access and claims.specs:
        yield grant(context)
    if claims.split:
        yield split(context)


def outwards(context: RunContext) -> Check:
    """Does a call from a joined pod to one outside go through, by its ordinary name?"""
    call = context.scenario("doctor").call("main/client", "outside/outsider", requests=REQUESTS)
    (traffic,) = context.driver.send([call])
    if traffic.answers == traffic.sent:
        seen = f"{traffic.answers} of {traffic.sent} calls from a joined pod were answered"
        return Check(True, "reachable", seen)
    remedy = "check the cluster's DNS and whether the mesh lets calls leave it"
    if traffic.failures.get("dns"):
        remedy = "check the cluster's DNS, and whether cluster_domain in the profile is the cluster's"
    return Check(False, "reachable", _unanswered(traffic), remedy)


def calls(context: RunContext) -> Iterator[Check]:
    """Do calls between two joined pods go through, by ``hosts.service``, over each protocol carried?"""
    profile = context.profile
    spoken = [one for one in CALLS if one in profile.carried]
    with _scenario(context, "doctor", {}) as scenario:
        scenario.create_services()
        sent = [_call(scenario, one) for one in spoken]
        servers = [CALLS[one][3] for one in spoken]
        scenario.wait_for_responders(
            sent,
            lambda position, seen: _by(servers[position], seen),
            [f"calls of {one} go through" for one in spoken],
        )
        found = context.driver.send(sent)
        scenario.delete_services()
    answered = {one for one, traffic in zip(spoken, found, strict=True) if traffic.answers == traffic.sent}
    for one, traffic in zip(spoken, found, strict=True):
        if one in answered:
            seen = f"{traffic.answers} of {traffic.sent} calls of {one} between joined pods were answered"
            yield Check(True, "calls", seen)
        else:
            seen = f"{one}: {_unanswered(traffic)}"
            yield Check(False, "calls", seen, _remedy(context, one, traffic, alone=bool(answered)))


def _call(scenario: Scenario, protocol: str) -> Call:
    service, port, how, _ = CALLS[protocol]
    return scenario.call("main/client", f"main/{service}", port=port, protocol=how, requests=REQUESTS)


def _by(server: str, seen: Traffic) -> PollResult:
    return PollResult.SATISFIED if seen.answered == {server: seen.sent} else PollResult.CONTRADICTED


def _unanswered(traffic: Traffic) -> str:
    parts = [f"{traffic.answers} of {traffic.sent} calls to {traffic.call.host} were answered"]
    statuses = {code: count for code, count in traffic.statuses.items() if code != "200"}
    if statuses:
        parts.append(f"statuses: {statuses}")
    if traffic.failures:
        parts.append(f"failures: {dict(traffic.failures)}")
    return "; ".join(parts)


def _remedy(context: RunContext, protocol: str, traffic: Traffic, *, alone: bool) -> str:
    """What in the profile may make calls fail; ``alone``: those of other protocols go through."""
    profile = context.profile
    if traffic.failures.get("dns"):
        return f"the name does not resolve: correct hosts.service ({profile.hosts.service}) in the profile"
    if alone:
        return (
            f"say in services.{protocol} by which labels or annotations a Service is taken for {protocol}, "
            "or name in protocols what the mesh carries"
        )
    if not profile.claims.access or profile.access.default == "allow":
        return (
            "without a target nothing seems to go through: if the mesh denies by default, claim access "
            "and say access: {default: deny}; else see its log, and whether hosts.service is the name to call"
        )
    if profile.access.open is not None:
        return (
            "see that access.open takes a namespace out of access control, or leave it out, so that the "
            "calls are permitted by TrafficTargets; see the mesh's log"
        )
    return "the TrafficTargets of fixtures/permits grant these calls: see what the mesh's log says of them"


def grant(context: RunContext) -> Check:
    """Is a server closed without a target, and does one open it?"""
    sets = context.version_sets(("access", "specs"))
    if not sets:
        seen = "no claimed versions of access and specs are said to work together"
        return Check(False, "grant", seen, "claim some that do (docs/profiles.md, Versions)")
    with _scenario(context, "basic/grant", sets[0]) as scenario:
        call = scenario.call("access/alpha", "access/server", path="/plain")
        ask = AccessCheck("a call that a target allows", "granted", call, "server")
        try:
            objects = scenario.objects("1-target.yaml")
        except NotInVersion as error:
            return Check(True, "grant", f"not tried: {error}")
        baseline = scenario.baseline([ask], ["access/server"])
        if baseline[0].answers:
            return _opened(context, baseline[0])
        scenario.apply_objects(objects)
        table = scenario.table([ask], baseline, ["access/server"])
        if context.profile.access.default == "allow":
            seen = "the profile says that all is open without a TrafficTarget, and a server is closed"
            return Check(False, "grant", seen, "correct access: {default: deny} in the profile")
        judgement = judge.access_enforced(table)
    if judgement.verdict is Verdict.PASS:
        took_s = table.results[0].convergence.took_s or 0.0
        seen = f"closed without a TrafficTarget, opened by one after {took_s:.1f} s"
        return Check(True, "grant", seen)
    remedy = "see the mesh's log; a change may take longer than converge.within_s in the profile"
    return Check(False, "grant", judgement.summary, remedy)


def _opened(context: RunContext, baseline: Traffic) -> Check:
    seen = f"open without a TrafficTarget: {baseline.answers} of {baseline.sent} calls were answered"
    if context.profile.access.default == "allow":
        return Check(True, "grant", f"{seen}, as the profile says; what one opens cannot be told")
    remedy = (
        "see that access control of the mesh is on, that these pods are in the mesh (join), and that their "
        "calls go through it (hosts.service); if it lets through what no target names, say "
        "access: {default: allow}"
    )
    return Check(False, "grant", seen, remedy)


def split(context: RunContext) -> Check:
    """Is a root divided by a split?"""
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
        "see the mesh's log, and whether calls go through it by hosts.service; a change may take longer than "
        "converge.within_s in the profile"
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
    """What is to be done where the sample pods do not get there."""
    text = str(error)
    remedy = "see the profile's join section and the mesh's own installation check"
    if "PodSecurity" in text:
        remedy = (
            "set the level that the mesh's containers need in join.namespace: labels: "
            "{pod-security.kubernetes.io/enforce: privileged}"
        )
    elif "nodes are available" in text or "Insufficient" in text:
        remedy = "make room on the nodes, or add one: a run has about twenty small pods"
    elif "Image" in text:
        remedy = "name an image that the nodes can pull, with Python 3.9 or later: --image"
    return Check(False, "joined", text, remedy)
