"""Faults that depend on the grants at a split's backends, or extend them."""

from __future__ import annotations

import pytest
from compiler_snapshots import rule, snapshot, split, target, workload

from smi_reference_mesh.compiler import compile as compile_
from smi_reference_mesh.faults import load
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.smi.policies import policies_of

HALF = split("web", {"v1": 1, "v2": 1})
TO_V1 = target("v1", ["client"], [rule("HTTPRouteGroup", "any")])


def clusters(fault: str, shown: ClusterSnapshot, client: str = "client") -> dict[str, int]:
    """The weighted clusters of a client's split under a fault."""
    hooks, one = load(fault), workload(client)
    configuration = hooks.configuration(compile_(shown, one), shown, one)
    (route,) = [
        route
        for routes in configuration.routes.values()
        for host in routes["virtual_hosts"]
        for route in host["routes"]
        if route["name"].startswith("split/")
    ]
    weighted = route.get("route", {}).get("weighted_clusters", {}).get("clusters", ())
    alone = route.get("route", {}).get("cluster")
    return {one["name"]: one["weight"] for one in weighted} or ({alone: 1} if alone else {})


@pytest.mark.parametrize(
    ("fault", "left"),
    [("split-lost-without-all-grants", []), ("split-among-the-granted", ["outbound|shop|v1|8080"])],
)
def test_a_client_that_is_granted_one_backend_gets(fault: str, left: list[str]) -> None:
    assert [name for name, weight in clusters(fault, snapshot(HALF, TO_V1)).items() if weight] == left


@pytest.mark.parametrize("fault", ["split-lost-without-all-grants", "split-among-the-granted"])
def test_nothing_changes_where_everything_is_granted(fault: str) -> None:
    both = snapshot(HALF, TO_V1, target("v2", ["client"], [rule("HTTPRouteGroup", "any")], name="to-v2"))
    assert len(clusters(fault, both)) == len(clusters(fault, snapshot(HALF, permissive=True))) == 2


def test_a_grant_at_one_backend_applies_to_the_others() -> None:
    faulty = load("split-backends-granted-together").snapshot(snapshot(HALF, TO_V1))
    granted = {one.destination.name for one in policies_of(faulty).targets.values()}
    assert granted == {"v1", "v2"}
