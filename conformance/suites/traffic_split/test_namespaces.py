"""A split applies to Services of its own namespace, whatever the names elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from conformance.suite import (
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    Traffic,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario("traffic-split/namespaces", arena=("main", "peer"), groups=("split",))

SERVERS = ["main/v1", "main/v2", "main/v3", "main/v4", "peer/peer", "peer/p1", "peer/p2"]
CLIENTS = ("main/client", "peer/peer")
WEIGHTS = {"v2": 75, "v3": 25}
FEW = 300


@dataclass(frozen=True)
class Namespaces:
    """A split in one namespace, by client, and other traffic meanwhile; then splits of one name in both."""

    split: Mapping[str, Effect]
    namesake: list[Traffic]
    other: list[Traffic]
    twins: Mapping[str, Effect]


@drives_scenario
def namespaces(scenario: Scenario) -> Namespaces:
    scenario.create_services()
    divided = [
        ExpectedResponders.by_weight(scenario.call(client, "main/shared"), WEIGHTS) for client in CLIENTS
    ]
    split = scenario.apply_and_sample(divided, "1-one.yaml", servers=SERVERS)
    namesake = [scenario.call(client, "peer/shared", requests=FEW) for client in CLIENTS]
    other = [scenario.call(client, "main/v4", requests=FEW) for client in CLIENTS]
    meanwhile = scenario.send(*namesake, *other, servers=SERVERS)
    wanted = [
        ExpectedResponders(scenario.call("main/client", "main/mirror", requests=FEW), frozenset({"v3"})),
        ExpectedResponders(scenario.call("main/client", "peer/mirror", requests=FEW), frozenset({"p2"})),
    ]
    twins = scenario.apply_and_sample(wanted, "2-both.yaml", servers=SERVERS)
    return Namespaces(
        dict(zip(CLIENTS, split, strict=True)),
        meanwhile[: len(CLIENTS)],
        meanwhile[len(CLIENTS) :],
        dict(zip(("main", "peer"), twins, strict=True)),
    )


@pytest.mark.requirement("split-namespace-scoping", presumes=("split-weighted-distribution",))
def test_a_split_applies_to_services_of_its_own_namespace_only(
    namespaces: Namespaces, verdict: Conclude
) -> None:
    near, far = (namespaces.split[client] for client in CLIENTS)
    here = judge.weights_followed(near, WEIGHTS)
    verdict(
        judge.all_of(
            from_its_own_namespace=here,
            from_another=judge.weights_followed(far, WEIGHTS),
            root_of_that_name_elsewhere=judge.preserved(here, namespaces.namesake, "p1"),
            other_service=judge.preserved(here, namespaces.other, "v4"),
        )
    )


@pytest.mark.requirement(
    "common-crds-are-namespaced", presumes=("split-namespace-scoping", "split-zero-weight-gets-nothing")
)
def test_splits_of_one_name_in_two_namespaces_hold_side_by_side(
    namespaces: Namespaces, verdict: Conclude
) -> None:
    main, peer = namespaces.twins["main"], namespaces.twins["peer"]
    verdict(
        judge.all_of(
            main=judge.everything_reaches(main, "v3"),
            peer=judge.everything_reaches(peer, "p2"),
        )
    )
