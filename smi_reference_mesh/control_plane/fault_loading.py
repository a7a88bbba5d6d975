"""Loads a fault or variant by its id."""

from __future__ import annotations

from smi_reference_mesh.hooks import DefaultHooks, MeshHooks


def load(name: str) -> MeshHooks:
    """The hooks of a fault or variant; the default hooks for an empty name. Raises KeyError."""
    if not name:
        return DefaultHooks()
    # Late, so that a mesh without faults does not load them.
    from smi_reference_mesh import faults, variants

    return faults.load(name) if name in faults.FAULTS else variants.load(name)
