"""An ingress that takes part in the mesh follows splits, for clients that know of no mesh.

The client is the workload outside the mesh, which calls the Service of the ingress controller with the host
of an Ingress object. That is as good as from outside the cluster: what applies the split is the controller,
and all that it sees of its client is a connection from no member of the mesh and a host name. Before the
split is there the Ingress leads to the root's own endpoints, which is the null control.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    sample_size,
    taken_up,
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
"""How long a controller may take for an Ingress object: SMI says nothing of that, so longer is no failure."""


@dataclass(frozen=True)
class Entered:
    """``led``: how long it took until the Ingress led to the root; ``effect`` is there if it ever did."""

    led: Convergence
    effect: Effect | None


@drives_scenario
def entered(scenario: Scenario) -> Entered:
    ingress = scenario.profile.ingress
    if ingress is None:
        pytest.skip("the profile names no ingress that takes part in the mesh")
    permits = _permits(scenario, ingress)
    scenario.create_services()
    scenario.apply_objects(permits)
    (item,) = (taken_up(one, ingress) for one in scenario.objects("1-ingress.yaml"))
    scenario.apply_objects([item])
    service = ingress.service
    call = Call(
        "outside/outsider",
        scenario.profile.ordinary_host(service.name, service.namespace),
        service.port,
        requests=sample_size(WEIGHTS),
        headers={"host": item["spec"]["rules"][0]["host"]},
    )
    led = _led(scenario, call)
    if not led.converged:
        return Entered(led, None)
    division = ExpectedResponders(call, frozenset(WEIGHTS))
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    (effect,) = scenario.apply_and_sample([division], "2-split.yaml", servers=servers)
    return Entered(led, effect)


def _permits(scenario: Scenario, ingress: Ingress) -> list[dict[str, object]]:
    """What lets the ingress call the sample workloads, where nothing goes through without."""
    if not scenario.profile.requires_targets:
        return []
    account = ingress.account
    if account is None:
        pytest.skip("nothing goes through without a grant, and the profile names no account of the ingress")
    targets = [granted(item, account) for item in load(f"{scenario.folder}/permits.yaml")]
    return list(scenario.writer.write(targets))


def _led(scenario: Scenario, call: Call) -> Convergence:
    """Wait until all calls to the Ingress' host are answered from behind the root."""
    poll = replace(call, requests=POLL_REQUESTS)

    def check() -> bool:
        (seen,) = scenario.driver.send([poll], POLL_REUSED)
        return seen.answers == seen.sent

    return scenario.until(check, "the ingress leads to the root", within_s=TAKEN_UP_WITHIN_S)


@pytest.mark.requirement("split-ingress-client")
def test_what_comes_in_by_the_ingress_is_divided_by_weight(entered: Entered, verdict: Conclude) -> None:
    if entered.effect is None:
        within = f"{entered.led.within_s:g} s"
        hint = "is the controller running, and is what the profile says of it (ingress) right?"
        verdict(judge.unavailable(f"the Ingress did not lead to the root within {within}", hint))
        return
    verdict(judge.weights_followed(entered.effect, WEIGHTS))
