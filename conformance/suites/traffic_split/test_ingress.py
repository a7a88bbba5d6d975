"""An ingress that belongs to the mesh applies splits to clients outside the mesh.

The client is the workload outside the mesh, which calls the Service of the ingress controller with the host
of an Ingress object. A client outside the cluster makes no difference: the controller applies the split, and
sees only a host name and a connection from outside the mesh. The null control is the traffic before the
split, when the Ingress leads to the root's own endpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import (
    POLL_REQUESTS,
    POLL_REUSED,
    Call,
    Conclude,
    Convergence,
    Effect,
    ExpectedResponders,
    Ingress,
    Scenario,
    drives_scenario,
    granted,
    judge,
    load,
    with_ingress_class,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/ingress",
    arena=("main", "outside"),
    groups=("split",),
    presumes=(
        "split-weighted-distribution",
        "split-client-in-other-namespace",
    ),
)

WEIGHTS = {"v2": 20, "v3": 80}
TAKEN_UP_WITHIN_S = 60.0
"""How long a controller may take for an Ingress object. SMI sets no limit, so a longer time is no failure."""


@dataclass(frozen=True)
class Entered:
    """The time until the Ingress leads to the root (``ready``), and then the effect of the split."""

    ready: Convergence
    effect: Effect | None


@drives_scenario
def entered(scenario: Scenario) -> Entered:
    ingress = scenario.profile.ingress
    if ingress is None:
        pytest.skip("the profile names no ingress that takes part in the mesh")
    permits = _permits(scenario, ingress)
    scenario.create_services()
    scenario.apply_objects(permits)
    (item,) = (with_ingress_class(one, ingress) for one in scenario.objects("1-ingress.yaml"))
    scenario.apply_objects([item])
    service = ingress.service
    call = Call(
        "outside/outsider",
        scenario.profile.ordinary_host(service.name, service.namespace),
        service.port,
        requests=POLL_REQUESTS,
        headers={"host": item["spec"]["rules"][0]["host"]},
    )
    ready = _wait_for_root(scenario, call)
    if not ready.converged:
        return Entered(ready, None)
    division = ExpectedResponders.by_weight(call, WEIGHTS)
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    (effect,) = scenario.apply_and_sample([division], "2-split.yaml", servers=servers)
    return Entered(ready, effect)


def _permits(scenario: Scenario, ingress: Ingress) -> list[dict[str, object]]:
    """TrafficTargets for calls of the ingress to the sample workloads, where the mesh requires them."""
    if not scenario.profile.requires_targets:
        return []
    account = ingress.account
    if account is None:
        pytest.skip("nothing goes through without a grant, and the profile names no account of the ingress")
    targets = [granted(item, account) for item in load(f"{scenario.folder}/permits.yaml")]
    return list(scenario.writer.write(targets))


def _wait_for_root(scenario: Scenario, call: Call) -> Convergence:
    """Wait until all calls to the host of the Ingress are answered by pods of the root."""

    def check() -> bool:
        (seen,) = scenario.driver.send([call], POLL_REUSED)
        return seen.answers == seen.sent

    return scenario.until(check, "the ingress leads to the root", within_s=TAKEN_UP_WITHIN_S)


@pytest.mark.requirement("split-ingress-client")
def test_requests_through_the_ingress_are_divided_by_weight(entered: Entered, verdict: Conclude) -> None:
    if entered.effect is None:
        within = f"{entered.ready.within_s:g} s"
        hint = "is the controller running, and is what the profile says of it (ingress) right?"
        verdict(judge.unavailable(f"the Ingress did not lead to the root within {within}", hint))
        return
    verdict(judge.weights_followed(entered.effect, WEIGHTS))
