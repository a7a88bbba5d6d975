"""The definition of a variant, and the scenarios that variants name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from smi_reference_mesh.hooks import DefaultHooks, MeshHooks

ACCESS: Final = frozenset(
    f"traffic_access/test_{name}.py" for name in ("default_deny", "sources", "enforced_at_server", "revoke")
)
"""Scenarios of access control: denials and grants."""
ROUTES: Final = frozenset({"traffic_specs/test_method.py", "traffic_specs/test_both_versions.py"})
"""Scenarios of route matching."""
SHARES: Final = frozenset({"traffic_split/test_weighted_distribution.py"})
"""The scenario with most judgements of shares."""
EDITS: Final = frozenset({"traffic_split/test_moved.py", "traffic_split/test_delete.py"})
"""Scenarios that edit and delete splits."""
ROLLOUT: Final = frozenset({"traffic_split/test_canary.py"})
"""The scenario in which endpoints change under steady traffic."""
CHAIN: Final = frozenset({"traffic_metrics/test_chain.py"})
"""The scenario whose traffic is checked in TrafficMetrics."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant: how the mesh differs, and the part of the suite that this could upset.

    `at_risk` are requirements, or parts of the paths of scenarios' files. `profile` is merged into the
    profile of the reference mesh, where None removes a key. `expected_readings` are the readings of ambiguous
    requirements that the suite must observe, several separated by "; ". `real_meshes` are real meshes with
    the same difference.
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
        """The requirements and scenarios to run under it."""
        return self.at_risk.union(self.expected_readings)
