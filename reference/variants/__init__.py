"""Variants: named ways in which the reference mesh is different and still right, as real meshes differ.

Under each of them every claimed requirement passes and nothing is found. Like faults they take hold by the
hooks of `reference.spoiler`, and the mesh itself has no branch for any of them; what the suite must know of a
mesh to judge it rightly stands in its profile, so a variant may need another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from reference.spoiler import Faithful, Spoiler

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

    ``concerns`` are requirements, or parts of the paths of scenarios' files; what it ``shows`` is looked at
    as well. ``profile`` is laid over the profile of the reference mesh; what is None there takes a key away.
    ``shows`` names readings of ambiguous requirements that are seen under it, several parted by "; ".
    ``likewise`` are real meshes that differ so.
    """

    id: str
    summary: str
    concerns: frozenset[str]
    spoiler: Callable[[], Spoiler] = Faithful
    profile: Mapping[str, Any] = field(default_factory=dict)
    shows: Mapping[str, str] = field(default_factory=dict)
    likewise: tuple[str, ...] = ()
    versions: str = "newest"

    @property
    def needs(self) -> frozenset[str]:
        """The requirements and scenarios that are run under it."""
        return self.concerns.union(self.shows)

    def __reduce__(self) -> tuple[Callable[[str], Variant], tuple[str]]:
        # Its functions cannot be sent to another process, which has them anyway.
        return known, (self.id,)


def _all() -> dict[str, Variant]:
    from reference.variants import (
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

    found: dict[str, Variant] = {}
    modules = (identity, denial, balancing, timing, proxies, cluster, metrics, readings, meshes)
    for module in modules:
        for variant in module.VARIANTS:
            if variant.id in found:
                raise ValueError(f"two variants are called {variant.id}")
            found[variant.id] = variant
    return found


def __getattr__(name: str) -> Mapping[str, Variant]:
    # Made when first asked for: the modules of the variants need the class above.
    if name == "VARIANTS":
        globals()["VARIANTS"] = found = _all()
        return found
    raise AttributeError(name)


VARIANTS: Mapping[str, Variant]
"""All variants by id, in the order of what they are about."""


def known(variant: str) -> Variant:
    """The variant of an id. Raises KeyError for an unknown one."""
    return _all()[variant]


def load(variant: str) -> Spoiler:
    """A fresh spoiler for a variant. Raises KeyError for an unknown one."""
    return known(variant).spoiler()
