"""Variants: named ways in which the reference mesh is different and still right, as real meshes differ.

Under each of them every claimed requirement passes and nothing is found. Like faults they take hold by the
hooks of `smi_reference_mesh.hooks`, and the mesh itself has no branch for any of them; what the suite must
know of a mesh to judge it rightly stands in its profile, so a variant may need another one.
"""

from __future__ import annotations

import copyreg
from collections.abc import Mapping

from smi_reference_mesh.hooks import MeshHooks
from smi_reference_mesh.variants import (
    balancing,
    cluster,
    denial,
    identity,
    meshes,
    metrics,
    proxies,
    readings,
    timing,
)
from smi_reference_mesh.variants.variant import Variant

__all__ = ["VARIANTS", "Variant", "known", "load"]

_MODULES = (identity, denial, balancing, timing, proxies, cluster, metrics, readings, meshes)
VARIANTS: Mapping[str, Variant] = {one.id: one for module in _MODULES for one in module.VARIANTS}
"""All variants by id, in the order of what they are about."""


def known(variant: str) -> Variant:
    """The variant of an id. Raises KeyError for an unknown one."""
    return VARIANTS[variant]


def load(variant: str) -> MeshHooks:
    """A fresh spoiler for a variant. Raises KeyError for an unknown one."""
    return known(variant).hooks()


# The functions of a variant cannot be sent to another process, which has them anyway.
copyreg.pickle(Variant, lambda variant: (known, (variant.id,)))
