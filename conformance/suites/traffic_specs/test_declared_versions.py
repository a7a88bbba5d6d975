"""What becomes of HTTP/2 and gRPC on ports that declare them, which the specification knows nothing of."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.suite import (
    AccessCheck,
    AccessTable,
    Behaviour,
    Conclude,
    Scenario,
    Trial,
    TrialPlan,
    TrialResults,
    drives_scenario,
    judge,
    observe_access,
)

pytestmark = pytest.mark.scenario(
    "traffic-specs/declared-versions", arena=("access",), groups=("access", "specs"), alone=True
)

SERVERS = ("access/server", "access/other", "access/third")
REQUESTS = 10
DECLARED = {
    "kubernetes.io/h2c": ("declared-h2c", "other", "http2"),
    "grpc": ("declared-grpc", "third", "grpc"),
}
"""By appProtocol: the service, who serves it, and what is spoken there."""
OPENED = "what no route grants goes through on it"


def trials(scenario: Scenario) -> list[Trial]:
    """Of each port a call that its routes grant, and one that they do not."""
    found = []
    carried = {one: what for one, what in DECLARED.items() if scenario.carries(one.rpartition("/")[2])}
    for declared, (service, server, protocol) in carried.items():
        granted, beyond = (
            scenario.call(
                "access/alpha",
                f"access/{service}",
                requests=REQUESTS,
                port=8081,
                protocol=protocol,
                method="POST",
                path=f"/pkg.Service/{method}",
            )
            for method in ("Echo", "Other")
        )
        looks = (Behaviour("a", (server,)), Behaviour("b"))
        closed = (Behaviour("ab"), Behaviour("", (server,), finding=OPENED))
        found += [
            Trial(
                f"{declared}: granted",
                f"a port of {declared}",
                granted,
                looks,
                baseline_responders=(),
                object_name=service,
            ),
            Trial(
                f"{declared}: not granted",
                f"a port of {declared}",
                beyond,
                closed,
                baseline_responders=(),
                object_name=service,
            ),
        ]
    return found


@drives_scenario
def seen(scenario: Scenario) -> TrialResults[AccessTable]:
    def steady(now: str, other: str) -> list[AccessCheck]:
        def call(path: str) -> Any:
            return scenario.call("access/alpha", "access/server", path=f"/steady/{path}")

        return [
            AccessCheck(now, "granted", call(now), "server"),
            AccessCheck(other, "denied", call(other), "server"),
        ]

    scenario.create_services()
    odd = TrialPlan(trials(scenario), ["2-declared.yaml"], SERVERS)
    first, second = steady("first", "second"), steady("second", "first")
    return observe_access(scenario, odd, (first, "1-steady.yaml"), (second, "3-steady.yaml"))


@pytest.mark.requirement("http-declared-versions")
def test_whether_routes_hold_for_ports_that_declare_the_version_of_http(
    seen: TrialResults[AccessTable], verdict: Conclude
) -> None:
    effect = judge.access_enforced(seen.effect)
    verdict(judge.reading(effect, seen.select(*seen.questions), effect))
