"""TrafficMetrics is reached through API aggregation, under Kubernetes RBAC."""

from __future__ import annotations

import pytest

from conformance.suite import METRICS, REFUSED, Account, ApiRead, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("traffic-metrics/rbac", arena=("metrics",), groups=("metrics",))

APISERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.metrics.smi-spec.io"
EXPECTED = {
    "all resources: pods": 200,
    "all resources: edges of a pod": 200,
    "all resources: another namespace": 403,
    "only pods/edges: edges of a pod": 200,
    "only pods/edges: pods": 403,
    "only pods/edges: edges of a deployment": 403,
    "only pods/edges: all namespaces": 403,
    "nothing: pods": 403,
    "nothing: edges of a pod": 403,
}
IDLE = ("all resources: edges of a pod", "only pods/edges: edges of a pod")
"""Reads of a pod without traffic: any answer is acceptable but a refusal."""


@drives_scenario
def answers(scenario: Scenario) -> dict[str, ApiRead]:
    scenario.apply("readers.yaml")
    own, other = scenario.arena.namespace("metrics"), "default"
    pod = scenario.arena.pod("metrics/server").name
    everything, edges, nothing = (
        Account(own, name) for name in ("reads-all", "reads-edges", "reads-nothing")
    )
    read = scenario.reader.metrics
    # Once the roles show, the denials beside them are of the same moment.
    scenario.until(
        lambda: (
            read(own, "pods", account=everything).status == 200
            and read(own, "pods", pod, edges=True, account=edges).status not in REFUSED
        ),
        "the readers' roles are in force",
    )
    return {
        "all resources: pods": read(own, "pods", account=everything),
        "all resources: edges of a pod": read(own, "pods", pod, edges=True, account=everything),
        "all resources: another namespace": read(other, "pods", account=everything),
        "only pods/edges: edges of a pod": read(own, "pods", pod, edges=True, account=edges),
        "only pods/edges: pods": read(own, "pods", account=edges),
        "only pods/edges: edges of a deployment": read(
            own, "deployments", "server", edges=True, account=edges
        ),
        "only pods/edges: all namespaces": scenario.reader.read(f"{METRICS}/pods", edges),
        "nothing: pods": read(own, "pods", account=nothing),
        "nothing: edges of a pod": read(own, "pods", pod, edges=True, account=nothing),
    }


@pytest.mark.requirement("metrics-apiservice")
def test_an_available_apiservice_points_to_the_mesh(scenario: Scenario, verdict: Conclude) -> None:
    verdict(judge.apiservice(scenario.reader.read(APISERVICE), scenario.reader.read(METRICS)))


@pytest.mark.requirement("metrics-rbac", presumes=("metrics-apiservice",))
def test_each_account_reads_what_its_role_allows(answers: dict[str, ApiRead], verdict: Conclude) -> None:
    verdict(judge.rbac(answers, EXPECTED, IDLE))
