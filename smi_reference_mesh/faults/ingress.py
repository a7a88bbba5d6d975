"""Faults of the ingress."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from smi_reference_mesh.compiler import compile as compile_
from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.faults.building_blocks import FaultyObjects
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import DefaultHooks
from smi_reference_mesh.kube.objects import Workload, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.membership import is_ingress


class _IngressSees(DefaultHooks):
    """Compiles the ingress's configuration from another snapshot than all others."""

    def __init__(self, edit: Callable[[ClusterSnapshot], ClusterSnapshot]) -> None:
        self._edit = lru_cache(maxsize=2)(edit)

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        place = workload.namespace, workload.name
        pods = (pod for pod in snapshot.of("pods") if (namespace_of(pod), name_of(pod)) == place)
        if not any(is_ingress(pod) for pod in pods):
            return configuration
        return compile_(self._edit(snapshot), workload)


def _without_splits(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    return snapshot.replacing("trafficsplits", ())


def _as_often(split: dict[str, Any]) -> None:
    for backend in split["spec"]["backends"]:
        backend["weight"] = min(backend["weight"], 1)


FAULTS = (
    Fault(
        "ingress-to-root-endpoints",
        "The ingress balances over the endpoints of the root itself, whatever its split says.",
        frozenset({"split-ingress-client"}),
        lambda: _IngressSees(_without_splits),
    ),
    Fault(
        "ingress-takes-turns",
        "The ingress sends to the backends of a split in turn, whatever their weights.",
        frozenset({"split-ingress-client"}),
        lambda: _IngressSees(FaultyObjects("trafficsplits", _as_often).snapshot),
    ),
)
