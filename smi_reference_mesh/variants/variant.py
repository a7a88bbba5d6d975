"""What a variant is, and scenarios that variants name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from smi_reference_mesh.hooks import DefaultHooks, MeshHooks

ACCESS: Final = frozenset(
    f"traffic_access/test_{name}.py" for name in ("default_deny", "sources", "enforced_at_server", "revoke")
)
"""Scenarios of access control: what is denied and granted."""
ROUTES: Final = frozenset({"traffic_specs/test_method.py", "traffic_specs/test_both_versions.py"})
"""Scenarios of what routes select."""
SHARES: Final = frozenset({"traffic_split/test_weighted_distribution.py"})
"""The scenario that most is judged in by shares."""
EDITS: Final = frozenset({"traffic_split/test_moved.py", "traffic_split/test_delete.py"})
"""Scenarios that edit splits and take them away."""
ROLLOUT: Final = frozenset({"traffic_split/test_canary.py"})
"""The scenario in which endpoints change under steady traffic."""
CHAIN: Final = frozenset({"traffic_metrics/test_chain.py"})
"""The scenario whose traffic is read in TrafficMetrics."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant: how the mesh differs, and which part of the suite that could upset.

    ``at_risk`` are requirements, or parts of the paths of scenarios' files; what it ``expected_readings`` is
    looked at as well. ``profile`` is laid over the profile of the reference mesh; what is None there takes a
    key away. ``expected_readings`` names readings of ambiguous requirements that are seen under it, several
    parted by "; ". ``real_meshes`` are real meshes that differ so.
    """

    id: str
    summary: str
    at_risk: frozenset[str]
    hooks: Callable[[], MeshHooks] = DefaultHooks
    profile: Mapping[str, Any] = field(default_factory=dict)
    expected_readings: Mapping[str, str] = field(default_factory=dict)
    real_meshes: tuple[str, ...] = ()
    versions: str = "newest"

    @property
    def affected(self) -> frozenset[str]:
        """The requirements and scenarios that are run under it."""
        return self.at_risk.union(self.expected_readings)
