"""A client outside the mesh gets ordinary Service routing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import (
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    Traffic,
    classify_poll,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/unmeshed-client",
    arena=("main", "outside"),
    groups=("split",),
    presumes=("split-single-backend",),
)


@dataclass(frozen=True)
class Clients:
    """Traffic to a split root of a client in the mesh and one outside; ``untouched``: before the split."""

    meshed: Effect
    untouched: Traffic
    outsider: Traffic


@drives_scenario
def clients(scenario: Scenario) -> Clients:
    if scenario.profile.requires_targets:
        pytest.skip("access control refuses a client without identity, and the profile opens no namespace")
    scenario.create_services()
    servers = ["main/v1", "main/v2"]
    outside = scenario.call("outside/outsider", "main/seen", requests=400)
    _, (untouched,) = scenario.wait_for_responders(
        [outside], lambda _, seen: classify_poll(seen, only={"v1"}), ["the root answers outside the mesh"]
    )
    meshed = ExpectedResponders(scenario.call("main/client", "main/seen", requests=400), frozenset({"v2"}))
    (effect,) = scenario.apply_and_sample([meshed], "split.yaml", servers=servers)
    (outsider,) = scenario.send(outside, servers=servers)
    return Clients(effect, untouched, outsider)


@pytest.mark.requirement("split-unmeshed-client")
def test_a_client_outside_the_mesh_reaches_the_service_itself(clients: Clients, verdict: Conclude) -> None:
    if not clients.untouched.answers:
        # Servers that require mutual TLS refuse it with a split and without.
        verdict(judge.not_claimed("a client outside the mesh is refused by the service itself"))
        return
    if clients.untouched.answered != {"v1": clients.untouched.sent}:
        verdict(judge.inconclusive("v1 did not answer a client outside the mesh before the split either"))
        return
    in_force = judge.everything_reaches(clients.meshed, "v2")
    verdict(judge.all_of(meshed=in_force, outsider=judge.preserved(in_force, clients.outsider, "v1")))
