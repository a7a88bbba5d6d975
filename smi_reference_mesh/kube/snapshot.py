"""A snapshot of all Kubernetes objects that determine the mesh's behaviour, as one immutable value.

The control plane keeps a snapshot current; the compiler's only input is a snapshot. Objects stay plain JSON,
as the API server returns them, so that tests can write snapshots and faults can edit them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from smi_reference_mesh.kube.objects import Object


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object in a snapshot, in the version that the API server stores."""

    plural: str
    group: str
    version: str
    namespaced: bool = True

    @property
    def key(self) -> str:
        """The key of its objects in `ClusterSnapshot.objects`."""
        return self.plural

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its manifests."""
        return f"{self.group}/{self.version}" if self.group else self.version


KINDS: tuple[Kind, ...] = (
    Kind("namespaces", "", "v1", namespaced=False),
    Kind("pods", "", "v1"),
    Kind("services", "", "v1"),
    Kind("endpointslices", "discovery.k8s.io", "v1"),
    Kind("ingresses", "networking.k8s.io", "v1"),
    Kind("trafficsplits", "split.smi-spec.io", "v1alpha4"),
    Kind("traffictargets", "access.smi-spec.io", "v1alpha3"),
    Kind("identitybindings", "access.smi-spec.io", "v1alpha4"),
    Kind("httproutegroups", "specs.smi-spec.io", "v1alpha4"),
    Kind("tcproutes", "specs.smi-spec.io", "v1alpha4"),
    Kind("udproutes", "specs.smi-spec.io", "v1alpha4"),
)


@dataclass(frozen=True, slots=True, eq=False)
class ClusterSnapshot:
    """All objects at one moment, by plural name; no key where the API server does not serve the kind.

    Compared by identity, since snapshots are large and immutable, and values derived from them are cached.
    """

    objects: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)

    def of(self, plural: str) -> tuple[Object, ...]:
        """The objects of one kind, in the given order."""
        return self.objects.get(plural, ())

    def replacing(self, plural: str, objects: Iterable[Object]) -> ClusterSnapshot:
        """The snapshot with other objects of one kind."""
        return ClusterSnapshot({**self.objects, plural: tuple(objects)})
