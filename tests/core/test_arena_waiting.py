"""What the arena does about pods that do not get ready: it tells why, and waits as long as they still may."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.drive.arena import Arena
from conformance.drive.readiness import REFUSED_S, UNSCHEDULED_S, NotReady
from conformance.run.context import RunContext

from .fake_cluster import FakeCluster

NO_NODE = "0/1 nodes are available: 1 Insufficient cpu."
PEER = ("Pod", "smi-peer-r1", "peer")


def waiting(reason: str) -> dict[str, Any]:
    return {
        "phase": "Pending",
        "containerStatuses": [{"name": "probe", "state": {"waiting": {"reason": reason}}}],
    }


def unschedulable(message: str = NO_NODE) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [condition]}


@pytest.mark.parametrize(
    "reason",
    [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
    ],
)
def test_a_stuck_pod_is_given_up_at_once(
    context: RunContext, arena: Arena, cluster: FakeCluster, reason: str
) -> None:
    arena.create(["peer"])
    cluster.objects[PEER]["status"] = waiting(reason)
    begun = context.clock.now()
    with pytest.raises(
        NotReady, match=f"pods of smi-peer-r1 do not get ready; pod peer: probe: {reason}"
    ) as caught:
        arena.wait_ready(["peer"])
    assert context.clock.now() - begun < 1
    assert ("--image names another" in str(caught.value)) == ("Image" in reason)


def test_a_pod_whose_container_is_being_created_is_awaited(
    context: RunContext, arena: Arena, cluster: FakeCluster
) -> None:
    arena.create(["peer"])
    cluster.objects[PEER]["status"] = waiting("ContainerCreating")
    begun = context.clock.now()
    with pytest.raises(NotReady, match="not seen within 180 s"):
        arena.wait_ready(["peer"])
    assert context.clock.now() - begun >= 180


def test_an_unschedulable_pod_is_given_up_after_a_while(
    context: RunContext, arena: Arena, cluster: FakeCluster
) -> None:
    arena.create(["peer"])
    cluster.objects[PEER]["status"] = unschedulable()
    begun = context.clock.now()
    with pytest.raises(NotReady, match="1 Insufficient cpu"):
        arena.wait_ready(["peer"])
    assert UNSCHEDULED_S <= context.clock.now() - begun < UNSCHEDULED_S + 2
    with pytest.raises(NotReady, match="1 Insufficient cpu"):
        arena.wait_ready(["peer"])
    assert context.clock.now() - begun < UNSCHEDULED_S + 2


def test_the_wait_for_unschedulable_pods_is_common_to_all_namespaces(
    context: RunContext, arena: Arena, cluster: FakeCluster
) -> None:
    arena.create(["peer", "main"])
    for (kind, namespace, _), item in cluster.objects.items():
        if kind == "Pod" and namespace in {"smi-peer-r1", "smi-main-r1"}:
            item["status"] = unschedulable("1 node(s) had untolerated taint(s)")
    begun = context.clock.now()
    for part in ("peer", "main"):
        with pytest.raises(NotReady, match="--toleration names a taint that the workloads tolerate"):
            arena.wait_ready([part])
    assert UNSCHEDULED_S <= context.clock.now() - begun < UNSCHEDULED_S + 4


def test_a_pod_that_is_scheduled_late_is_awaited(
    context: RunContext, arena: Arena, cluster: FakeCluster
) -> None:
    arena.create(["peer"])
    ready, cluster.objects[PEER]["status"] = cluster.objects[PEER]["status"], unschedulable()
    begun = context.clock.now()

    def make_room(because: str, elapsed: float, within: float) -> None:
        if elapsed > 5:
            cluster.objects[PEER]["status"] = ready

    context.waiter.on_wait = make_room
    arena.wait_ready(["peer"])
    assert 5 <= context.clock.now() - begun < 7


def test_a_wait_reports_why_a_pod_is_not_ready(
    context: RunContext, arena: Arena, cluster: FakeCluster
) -> None:
    told: list[str] = []
    context.waiter.on_wait = lambda because, elapsed, within: told.append(because)
    arena.create(["peer"])
    cluster.objects[PEER]["status"] = unschedulable()
    with pytest.raises(NotReady):
        arena.wait_ready(["peer"])
    assert set(told) == {f"pods of smi-peer-r1 ready; Pending ({NO_NODE})"}


def test_refused_pods_are_reported_with_the_message_of_the_api_server(
    context: RunContext, arena: Arena, cluster: FakeCluster
) -> None:
    arena.create(["peer"])
    del cluster.objects[PEER]
    begun = context.clock.now()
    refused = {"reason": "FailedCreate", "message": "pods are forbidden: violates PodSecurity"}
    marks = {"namespace": "smi-peer-r1", "name": "e"}
    cluster.apply([{"apiVersion": "v1", "kind": "Event", "metadata": marks, **refused}])
    with pytest.raises(NotReady, match="pods are forbidden: violates PodSecurity"):
        arena.wait_ready(["peer"])
    # Within seconds, but not at once: a quota may still count terminating pods.
    assert REFUSED_S <= context.clock.now() - begun < REFUSED_S + 2


def test_a_stuck_workload_of_a_scenario_is_given_up_at_once(
    context: RunContext, arena: Arena, cluster: FakeCluster
) -> None:
    arena.wait_ready(["peer"])
    cluster.objects[PEER]["status"] = waiting("ImagePullBackOff")
    begun = context.clock.now()
    with pytest.raises(NotReady, match="peer/peer does not get ready; pod peer: probe: ImagePullBackOff"):
        arena.adopt("peer/peer")
    assert context.clock.now() - begun < 1
