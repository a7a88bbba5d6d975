"""Faults: named ways to make the reference mesh break requirements, as real meshes have broken them.

Each names the requirements that it breaks, and those that fail as a consequence. A fault edits the compiler's
input, a configuration, an object converted between versions, or a response of the metrics API; some instead
or also change an object of the cluster, or add objects. The mesh itself has no branch for any of them.
"""

from __future__ import annotations

import copyreg
from collections.abc import Mapping

from smi_reference_mesh.faults import (
    access,
    backends,
    cluster,
    conditions,
    grants,
    ingress,
    interactions,
    metrics,
    namespaces,
    protocols,
    readings,
    route_readings,
    routes,
    shapes,
    split_changes,
    splits,
    stops,
    versions,
)
from smi_reference_mesh.faults.fault import Change, Fault
from smi_reference_mesh.hooks import MeshHooks

__all__ = ["FAULTS", "Change", "Fault", "known", "load"]

_MODULES = (
    splits,
    backends,
    conditions,
    namespaces,
    ingress,
    split_changes,
    readings,
    routes,
    route_readings,
    protocols,
    access,
    grants,
    interactions,
    metrics,
    cluster,
    shapes,
    stops,
    versions,
)
FAULTS: Mapping[str, Fault] = {fault.id: fault for module in _MODULES for fault in module.FAULTS}
"""All faults by id, grouped by API."""


def known(fault: str) -> Fault:
    """The fault of an id. Raises KeyError for an unknown one."""
    return FAULTS[fault]


def load(fault: str) -> MeshHooks:
    """New hooks of a fault. Raises KeyError for an unknown one."""
    return known(fault).hooks()


# A fault's functions cannot be pickled, but the other process has them too.
copyreg.pickle(Fault, lambda fault: (known, (fault.id,)))
