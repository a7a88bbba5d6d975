"""Forms that the specification leaves open: of a root's name, of a call to it, and of the unit divided."""

from __future__ import annotations

import pytest

from conformance.suite import (
    ORDINARY_HOST,
    Conclude,
    Scenario,
    SendOptions,
    SplitTrials,
    TrialRegister,
    answered,
    by_cluster_ip,
    by_host,
    drives_scenario,
    finding,
    judge,
    refused,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/forms", arena=("main", "metrics"), groups=("split",), alone=True
)

ROOT, BACKEND = "v1", "v2"
trials = TrialRegister(
    ["main/v1", "main/v2", "main/v3"], {"client": "main/client", "baseline_responders": (ROOT,)}
)


@drives_scenario
def seen(scenario: Scenario) -> SplitTrials:
    scenario.create_services()
    if scenario.profile.requires_targets:
        scenario.apply_objects(scenario.objects_for_version("permits-tcp.yaml"))
    return trials.run_beside_split(
        scenario,
        scenario.call("main/client", "main/usual", requests=200),
        {"v2": "1-steady.yaml", "v3": "3-steady.yaml"},
        lambda effect: judge.everything_reaches(effect, "v2"),
        files=["2-odd.yaml"],
    )


FORMS = {
    "short name": "{service}",
    "name and namespace": "{service}.{namespace}",
    "name up to svc": "{service}.{namespace}.svc",
    "full name": ORDINARY_HOST,
}
BYPASS = "calls of this usual form go past the split"
HOSTS = [
    trials.declare(
        form,
        form,
        (answered("a", BACKEND), answered("b", ROOT, finding=BYPASS)),
        split="named",
        adapt=by_host(host, "main/named"),
    )
    for form, host in FORMS.items()
]
# A mesh may route no call to an address at all: without the split any workload may answer, or none.
ADDRESS = trials.declare(
    "address of the root",
    "address of the root",
    (answered("a", BACKEND), answered("b", ROOT)),
    split="named",
    baseline_responders=None,
    adapt=by_cluster_ip("main/named"),
)
# The split of the other root is for v3.
ADDRESS_OF_ANOTHER = trials.declare(
    "address of the root with the host of another",
    "address of the root with the host of another",
    (answered("c", "v3"), answered("d", BACKEND)),
    split="named",
    baseline_responders=None,
    adapt=by_cluster_ip("main/named", host_of="main/usual"),
)


@pytest.mark.requirement("split-addressing-forms")
def test_each_form_of_address_of_a_root_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(*HOSTS, ADDRESS, ADDRESS_OF_ANOTHER))


UNDERSTOOD = (answered("a", ROOT), refused("a"), answered("b", BACKEND))
LOCAL = answered("b", BACKEND, finding="the service of that name in the split's own namespace is split")
DOTTED = trials.declare("dotted", "root with its namespace", UNDERSTOOD)
QUALIFIED = trials.declare("qualified", "root with its full name", UNDERSTOOD)
FOREIGN = trials.declare("victim", "root of another namespace", (answered("a", ROOT), refused("a"), LOCAL))


@pytest.mark.requirement("split-root-name-form")
def test_each_form_of_a_roots_name_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(DOTTED, QUALIFIED, FOREIGN))


BY_REQUEST = (answered("a", "v2", "v3"), answered("b", "v2"), answered("b", "v3"))
KEPT = trials.declare(
    "one kept connection",
    "one kept connection",
    BY_REQUEST,
    split="units",
    options=SendOptions(one_connection=True),
)
HTTP2 = trials.declare(
    "one connection of HTTP/2",
    "one connection of HTTP/2",
    BY_REQUEST,
    findings=[finding("HTTP/2 goes past the split", ROOT), finding("HTTP/2 gets nowhere")],
    split="units",
    protocol="http2",
    options=SendOptions(one_connection=True),
)
BY_CONNECTION = (answered("a", "v2", "v3"), answered("b", ROOT))
TCP = trials.declare(
    "connections of raw TCP",
    "connections of raw TCP",
    BY_CONNECTION,
    findings=[finding("raw TCP gets nowhere")],
    split="units-tcp",
    carried="tcp",
    protocol="tcp",
    port=9000,
    options=SendOptions(new_connections=True),
)
# A mesh that waits for the client's first byte may do so without a split as well.
SERVER_FIRST = trials.declare(
    "connections to a server that speaks first",
    "connections to a server that speaks first",
    BY_CONNECTION,
    findings=[
        finding("connections to a server that speaks first get nowhere"),
        finding("connections to a server that speaks first get lost", "v2", "v3", failing=True),
    ],
    split="units-greeting",
    carried="tcp",
    protocol="greeting",
    port=9010,
    options=SendOptions(new_connections=True),
    baseline_responders=None,
)


@pytest.mark.requirement("split-unit-of-division")
def test_the_unit_that_is_divided_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(KEPT, HTTP2, TCP, SERVER_FIRST))
