"""Variants: the reference mesh in different, equally correct forms, as real meshes differ.

Under each variant every claimed requirement passes, without findings. Like faults, variants use the hooks of
`smi_reference_mesh.hooks`, and the mesh itself has no branch for any of them. A variant may need another
profile, since the profile tells the suite how to judge a mesh.
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
"""All variants by id, grouped by topic."""


def known(variant: str) -> Variant:
    """The variant of an id. Raises KeyError for an unknown one."""
    return VARIANTS[variant]


def load(variant: str) -> MeshHooks:
    """New hooks of a variant. Raises KeyError for an unknown one."""
    return known(variant).hooks()


# A variant's functions cannot be pickled, but the other process has them too.
copyreg.pickle(Variant, lambda variant: (known, (variant.id,)))
