"""Faults and the ingress: faults of the ingress affect nothing else, and all faults support it."""

from __future__ import annotations

from typing import Any

import pytest
from compiler_snapshots import group, snapshot, split, workload
from ingress_snapshots import INGRESS_POD, ingress, ingress_pod

from smi_reference_mesh.compiler import compile
from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.faults import FAULTS
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot

JSON = dict[str, Any]
OWN = ["ingress-to-root-endpoints", "ingress-takes-turns"]


def entered(weights: dict[str, int]) -> ClusterSnapshot:
    pods = [*map(dict, snapshot().of("pods")), ingress_pod()]
    everything = group("everything", {"name": "all", "pathRegex": ".*", "methods": ["*"]})
    made = snapshot(split("web", weights), everything, pods=pods, ingresses=[ingress()])
    named = {
        plural: tuple(
            {**each, "metadata": {**each["metadata"], "uid": f"{plural}-{number}"}}
            for number, each in enumerate(objects)
        )
        for plural, objects in made.objects.items()
    }
    return ClusterSnapshot(named)


def under(fault: str, weights: dict[str, int], who: Workload) -> Configuration:
    hooks, shown = FAULTS[fault].hooks(), entered(weights)
    return hooks.configuration(compile(hooks.snapshot(shown), who), shown, who)


@pytest.mark.parametrize("fault", OWN)
def test_a_fault_of_the_ingress_affects_no_other_workload(fault: str) -> None:
    weights = {"v1": 9, "v2": 1}
    client = compile(entered(weights), workload("client"))
    assert under(fault, weights, workload("client")).files() == client.files()
    assert under(fault, weights, INGRESS_POD).files() != compile(entered(weights), INGRESS_POD).files()


def test_only_backends_of_positive_weight_take_turns() -> None:
    (host,) = under("ingress-takes-turns", {"v1": 9, "v2": 0}, INGRESS_POD).routes["ingress"]["virtual_hosts"]
    shares = host["routes"][0]["route"]["weighted_clusters"]["clusters"]
    assert [each["weight"] for each in shares] == [1, 0]


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_fault_supports_the_ingress_configuration(fault: str) -> None:
    configuration = under(fault, {"v1": 9, "v2": 1}, INGRESS_POD)
    assert [listener["name"] for listener in configuration.listeners] == ["ingress"]
    assert configuration.files()
