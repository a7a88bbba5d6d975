"""The world: all Kubernetes objects that decide how the reference mesh behaves, as one immutable value.

The control plane keeps a world up to date; the compiler reads it and nothing else. Objects stay plain JSON,
as the API server delivers them, so that a world can be written down in a test, stored, and spoiled by a
fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from smi_reference_mesh.kube.objects import Object


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object that a world is made of, in the version that the API server stores."""

    plural: str
    group: str
    version: str
    namespaced: bool = True

    @property
    def key(self) -> str:
        """Its key in `ClusterSnapshot.objects`."""
        return self.plural

    @property
    def api_version(self) -> str:
        """As `apiVersion` is written in a manifest."""
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
    """All objects of one moment, by plural name. A missing key means that there are none of that kind.

    Worlds are compared by identity: they are large, never changed in place, and what is derived from one is
    cached.
    """

    objects: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)

    def of(self, plural: str) -> tuple[Object, ...]:
        """The objects of one kind, in the order in which they were given."""
        return self.objects.get(plural, ())

    def replacing(self, plural: str, objects: Iterable[Object]) -> ClusterSnapshot:
        """The same world with other objects of one kind."""
        return ClusterSnapshot({**self.objects, plural: tuple(objects)})
