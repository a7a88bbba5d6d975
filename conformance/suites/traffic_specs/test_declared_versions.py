"""HTTP/2 and gRPC on ports that declare them, of which the specification does not speak."""

from __future__ import annotations

import pytest

from conformance.suite import (
    AccessTrials,
    Conclude,
    DeclaredTrial,
    Scenario,
    TrialRegister,
    answered,
    drives_scenario,
    finding,
    judge,
    unanswered,
)

pytestmark = pytest.mark.scenario(
    "traffic-specs/declared-versions", arena=("access",), groups=("access", "specs"), alone=True
)

trials = TrialRegister(
    ["access/server", "access/other", "access/third"],
    {"client": "access/alpha", "requests": 10, "port": 8081, "method": "POST", "baseline_responders": ()},
)


@drives_scenario
def seen(scenario: Scenario) -> AccessTrials:
    scenario.create_services()
    states = {"/steady/first": "1-steady.yaml", "/steady/second": "3-steady.yaml"}
    return trials.run_beside_grants(scenario, states, judge.access_enforced, files=["2-declared.yaml"])


def calls(app_protocol: str, protocol: str, carried: str, service: str, server: str) -> list[DeclaredTrial]:
    """A call that the routes of a port grant, and a call that they do not."""
    port = trials.with_defaults(
        service=f"access/{service}",
        object_name=service,
        other_objects=("declared",),
        protocol=protocol,
        carried=carried,
    )
    question = f"a port of {app_protocol}"
    return [
        port.declare(
            f"{app_protocol}: granted",
            question,
            (answered("a", server), unanswered("b")),
            path="/pkg.Service/Echo",
        ),
        port.declare(
            f"{app_protocol}: not granted",
            question,
            (unanswered("ab"),),
            findings=[finding("what no route grants goes through on it", server)],
            path="/pkg.Service/Other",
        ),
    ]


H2C = calls("kubernetes.io/h2c", "http2", "h2c", "declared-h2c", "other")
GRPC = calls("grpc", "grpc", "grpc", "declared-grpc", "third")


@pytest.mark.requirement("http-declared-versions")
def test_routes_of_a_port_that_declares_its_http_version_follow_a_reading(
    seen: AccessTrials, verdict: Conclude
) -> None:
    verdict(seen.reading(*H2C, *GRPC))
