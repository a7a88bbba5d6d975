"""The model of a profile; docs/profiles.md explains the fields to users."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from conformance.catalogue import PROTOCOLS, Protocol
from conformance.profiles.claims import Claims

NAME = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
ORDINARY_HOST = "{service}.{namespace}.svc.{domain}"
"""The Kubernetes DNS name of a service."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Metadata(_Strict):
    """Labels and annotations for an object."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Membership(_Strict):
    """Labels, annotations and objects that make pods of a namespace join the mesh, or keep them out.

    ``objects`` are created in the namespace before its pods, for example a permission without which pods do
    not become ready; ``$namespace`` in any of their strings stands for the namespace's name. They are deleted
    with the namespace, so all of them are in it.
    """

    namespace: Metadata = Metadata()
    pod: Metadata = Metadata()
    deployment: Metadata = Metadata()
    account: Metadata = Metadata()
    objects: tuple[dict[str, Any], ...] = ()


class Join(Membership):
    """How pods join. ``sidecar``: a joined pod shows more containers than its manifest names."""

    sidecar: bool = True


class Access(_Strict):
    """The default for workloads without a TrafficTarget, and how to exempt a namespace from access control.

    ``open`` absent: no namespace can be exempted. Scenarios about other APIs then apply TrafficTargets for
    their own calls, and requirements that need an open namespace are not claimed.

    ``udp``: UDPRoutes govern datagrams; otherwise requirements about governed datagrams are not claimed.
    """

    default: Literal["deny", "allow"] = "deny"
    open: Membership | None = None
    udp: bool = False


class Hosts(_Strict):
    """The host name by which a client calls a service through the mesh."""

    service: str = ORDINARY_HOST


class Converge(_Strict):
    """Seconds within which a change must show, and for which a denial must hold to count.

    ``quiet_s``: a change that does not show in time is checked again after clients sent nothing for that
    long, as some meshes apply a change only while a service is not called.
    """

    within_s: float = Field(default=30.0, gt=0, le=600)
    stable_s: float = Field(default=1.0, gt=0, le=60)
    quiet_s: float = Field(default=10.0, gt=0, le=120)


class Metrics(_Strict):
    """Seconds until traffic shows in TrafficMetrics, and how its figures are computed.

    ``sampled``: from periodic samples, as by Prometheus' ``increase()``, so they are right only under a
    steady load; otherwise they count each request.
    """

    delay_s: float = Field(default=30.0, gt=0, le=600)
    sampled: bool = False


class Inspect(_Strict):
    """For `smi-conformance shell`: commands that show a proxy's state, and the container that runs them."""

    container: str
    configuration: tuple[str, ...] = Field(min_length=1)
    statistics: tuple[str, ...] = Field(min_length=1)


class IngressAccount(_Strict):
    """A ServiceAccount."""

    namespace: str = Field(pattern=NAME)
    name: str = Field(pattern=NAME)


class IngressService(_Strict):
    """The Service of an ingress controller, and its port for plain HTTP."""

    namespace: str = Field(pattern=NAME)
    name: str = Field(pattern=NAME)
    port: int = Field(default=80, ge=1, le=65535)


class Ingress(_Strict):
    """An ingress controller in the mesh: a client that must follow splits.

    ``class_name`` and ``annotations`` are those that an Ingress (networking.k8s.io/v1) needs so that the
    controller serves it and calls through the mesh. ``account`` is the controller's ServiceAccount, which is
    granted its calls if nothing goes through without a grant.
    """

    class_name: str = Field(pattern=NAME)
    service: IngressService
    annotations: dict[str, str] = {}
    account: IngressAccount | None = None


class Services(_Strict):
    """Labels and annotations of the run's Services by the protocols of their ports; several add up."""

    http: Metadata = Metadata()
    h2c: Metadata = Metadata()
    grpc: Metadata = Metadata()
    tcp: Metadata = Metadata()
    udp: Metadata = Metadata()

    def of(self, protocols: Iterable[str]) -> list[Metadata]:
        """The labels and annotations of a Service with ports of these protocols."""
        return [getattr(self, one) for one in PROTOCOLS if one in protocols]


class ControlPlaneLocation(_Strict):
    """The mesh's own pods, by label selectors: their logs join the diagnostics of failures."""

    namespace: str = Field(pattern=NAME)
    selectors: tuple[str, ...] = Field(min_length=1)


class Profile(_Strict):
    """One mesh as the suite knows it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    description: str = ""
    version: str = ""
    """The mesh's version, for the report."""
    claims: Claims
    disclaims: dict[str, str] = {}
    """Reasons by the ids of requirements that the mesh does not claim to meet."""
    join: Join = Join()
    outside: Membership = Membership()
    services: Services = Services()
    protocols: tuple[Protocol, ...] | None = Field(default=None, min_length=1)
    """Protocols that the mesh carries; absent: all but UDP, and UDP if access control governs it."""
    mixed_ports: bool = True
    """Whether one Service may have ports of several protocols."""
    access: Access = Access()
    hosts: Hosts = Hosts()
    cluster_domain: str = Field(default="cluster.local", pattern=NAME)
    converge: Converge = Converge()
    metrics: Metrics = Metrics()
    control_plane: ControlPlaneLocation | None = None
    inspect: Inspect | None = None
    ingress: Ingress | None = None

    def host(self, service: str, namespace: str) -> str:
        """The host name by which a client calls a service through the mesh."""
        return self.hosts.service.format(service=service, namespace=namespace, domain=self.cluster_domain)

    def ordinary_host(self, service: str, namespace: str) -> str:
        """The Kubernetes name of a service: for calls with one end outside the mesh."""
        return ORDINARY_HOST.format(service=service, namespace=namespace, domain=self.cluster_domain)

    @property
    def carried(self) -> frozenset[str]:
        """The protocols that the mesh carries between its pods."""
        if self.protocols is not None:
            return frozenset(self.protocols)
        return frozenset(one for one in PROTOCOLS if one != "udp" or self.access.udp)

    @property
    def requires_targets(self) -> bool:
        """Whether nothing goes through without TrafficTargets, and no namespace can be exempted."""
        return bool(self.claims.access) and self.access.default == "deny" and self.access.open is None
