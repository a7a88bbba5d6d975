"""The model of a profile; docs/profiles.md explains the fields to users."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from conformance.catalogue import PROTOCOLS, Protocol
from conformance.profiles.claims import Claims

NAME = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
ORDINARY_HOST = "{service}.{namespace}.svc.{domain}"
"""The name that Kubernetes gives a service."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Marks(_Strict):
    """Labels and annotations to put on an object."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Membership(_Strict):
    """What makes pods of a namespace part of the mesh, or keeps them out of it.

    ``objects`` are made in the namespace before its pods, for example a permission without which pods
    do not get ready; ``$namespace`` in any of their strings stands for the namespace's name. They go with the
    namespace, so none lies elsewhere.
    """

    namespace: Marks = Marks()
    pod: Marks = Marks()
    deployment: Marks = Marks()
    account: Marks = Marks()
    objects: tuple[dict[str, Any], ...] = ()


class Join(Membership):
    """How pods join. ``sidecar``: a joined pod shows more containers than its manifest names."""

    sidecar: bool = True


class Access(_Strict):
    """What holds where no TrafficTarget names a workload, and how a namespace is taken out of access control.

    ``open`` absent means that no namespace can be: then scenarios that are not about access apply
    TrafficTargets for their own calls, and what needs a namespace without access control is not asked of the
    mesh.

    ``udp``: datagrams are governed as well, by UDPRoutes; where they are not, nothing is asked about them.
    """

    default: Literal["deny", "allow"] = "deny"
    open: Membership | None = None
    udp: bool = False


class Hosts(_Strict):
    """The name that a client calls to reach a service through the mesh."""

    service: str = ORDINARY_HOST


class Converge(_Strict):
    """Seconds a change may take to show, and how long a denial must hold to count.

    ``quiet_s``: what does not show in time is looked at once more after clients sent nothing for so long, as
    some meshes take a change up only when a service is not called.
    """

    within_s: float = Field(default=30.0, gt=0, le=600)
    stable_s: float = Field(default=1.0, gt=0, le=60)
    quiet_s: float = Field(default=10.0, gt=0, le=120)


class Metrics(_Strict):
    """Seconds after which traffic shows in TrafficMetrics, and how its figures come about.

    ``sampled``: they are computed from samples taken now and then, as Prometheus' ``increase()`` is, so they
    are right under a steady load only; else they count each request.
    """

    delay_s: float = Field(default=30.0, gt=0, le=600)
    sampled: bool = False


class Inspect(_Strict):
    """For people: commands that show what the proxy of a joined pod has, and the container they run in."""

    container: str
    configuration: tuple[str, ...] = Field(min_length=1)
    statistics: tuple[str, ...] = Field(min_length=1)


class Account(_Strict):
    """A ServiceAccount."""

    namespace: str = Field(pattern=NAME)
    name: str = Field(pattern=NAME)


class Entrance(_Strict):
    """The Service by which an ingress controller is reached, and its port for plain HTTP."""

    namespace: str = Field(pattern=NAME)
    name: str = Field(pattern=NAME)
    port: int = Field(default=80, ge=1, le=65535)


class Ingress(_Strict):
    """An ingress controller that takes part in the mesh: a client of services that splits hold for.

    ``class_name`` and ``annotations`` are what an Ingress object (networking.k8s.io/v1) has to carry for the
    controller to take it up and to go through the mesh. ``account`` is what it runs as: it is granted calls
    where nothing goes through without a grant.
    """

    class_name: str = Field(pattern=NAME)
    service: Entrance
    annotations: dict[str, str] = {}
    account: Account | None = None


class Services(_Strict):
    """Marks for each Service of the run by what its ports speak; one with several protocols gets all."""

    http: Marks = Marks()
    h2c: Marks = Marks()
    grpc: Marks = Marks()
    tcp: Marks = Marks()
    udp: Marks = Marks()

    def of(self, protocols: Iterable[str]) -> list[Marks]:
        """The marks of a Service with ports of these protocols."""
        return [getattr(self, one) for one in PROTOCOLS if one in protocols]


class ControlPlane(_Strict):
    """Where the mesh's own pods are, by label selectors: their logs join the diagnostics of failures."""

    namespace: str = Field(pattern=NAME)
    selectors: tuple[str, ...] = Field(min_length=1)


class Profile(_Strict):
    """One mesh as the suite sees it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    description: str = ""
    version: str = ""
    """Of the mesh, for the report."""
    claims: Claims
    disclaims: dict[str, str] = {}
    """Requirements the mesh does not claim to meet, each with its reason."""
    join: Join = Join()
    outside: Membership = Membership()
    services: Services = Services()
    protocols: tuple[Protocol, ...] | None = Field(default=None, min_length=1)
    """What ports the mesh carries; absent: all but UDP, and UDP where it is governed."""
    mixed_ports: bool = True
    """Whether one Service may have ports of several protocols."""
    access: Access = Access()
    hosts: Hosts = Hosts()
    cluster_domain: str = Field(default="cluster.local", pattern=NAME)
    converge: Converge = Converge()
    metrics: Metrics = Metrics()
    control_plane: ControlPlane | None = None
    inspect: Inspect | None = None
    ingress: Ingress | None = None

    def host(self, service: str, namespace: str) -> str:
        """The name that a client calls to reach a service through the mesh."""
        return self.hosts.service.format(service=service, namespace=namespace, domain=self.cluster_domain)

    def ordinary_host(self, service: str, namespace: str) -> str:
        """The name that Kubernetes itself gives a service: for calls that have an end outside the mesh."""
        return ORDINARY_HOST.format(service=service, namespace=namespace, domain=self.cluster_domain)

    @property
    def carried(self) -> frozenset[str]:
        """The protocols that the mesh carries between its pods."""
        if self.protocols is not None:
            return frozenset(self.protocols)
        return frozenset(one for one in PROTOCOLS if one != "udp" or self.access.udp)

    @property
    def requires_targets(self) -> bool:
        """Whether nothing goes through without TrafficTargets, and no namespace can be taken out of that."""
        return bool(self.claims.access) and self.access.default == "deny" and self.access.open is None
