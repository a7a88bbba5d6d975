"""The fault or variant that a control plane was told of, by its name."""

from __future__ import annotations

from smi_reference_mesh.hooks import DefaultHooks, MeshHooks


def load(name: str) -> MeshHooks:
    """The spoiler of a fault or variant, the identity for the empty name. Raises KeyError."""
    if not name:
        return DefaultHooks()
    # Late, so that a mesh without faults does not even load them.
    from smi_reference_mesh import faults, variants

    return faults.load(name) if name in faults.FAULTS else variants.load(name)
