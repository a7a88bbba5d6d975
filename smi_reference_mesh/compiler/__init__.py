"""The compiler: from a cluster snapshot and a pod to the configuration of the pod's Envoy.

A pure function. Only this package knows Envoy's API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smi_reference_mesh.compiler.bootstrap import XDS_DIRECTORY

if TYPE_CHECKING:
    from smi_reference_mesh.compiler.configuration import Configuration
    from smi_reference_mesh.kube.objects import Workload
    from smi_reference_mesh.kube.snapshot import ClusterSnapshot

__all__ = ["XDS_DIRECTORY", "compile"]


def compile(
    snapshot: ClusterSnapshot, workload: Workload, xds_directory: str = XDS_DIRECTORY
) -> Configuration:
    """The configuration by which the Envoy of a sidecar or of the ingress implements the snapshot's policies.

    Never raises for an object's content: an invalid or unsupported part becomes a `Problem` of the
    configuration and affects nothing else. A workload missing from the snapshot gets the outbound half and an
    inbound half that refuses everything. All workloads of a snapshot share the JSON of the outbound half:
    replace it, never change it in place.
    """
    # Imported late: the sidecar uses this package's bootstrap and access log, and must start quickly.
    from smi_reference_mesh.compiler.configuration import Configuration
    from smi_reference_mesh.compiler.inbound import inbound_of
    from smi_reference_mesh.compiler.ingress import ingress_of
    from smi_reference_mesh.compiler.mesh import mesh_of
    from smi_reference_mesh.compiler.outbound import outbound_of
    from smi_reference_mesh.membership import is_ingress

    mesh = mesh_of(snapshot)
    pod = mesh.pods.get((workload.namespace, workload.name))
    if pod is not None and is_ingress(pod):
        return ingress_of(snapshot, xds_directory)
    outbound = outbound_of(snapshot, xds_directory)
    inbound = inbound_of(mesh, workload, xds_directory)
    return Configuration(
        listeners=(*inbound.listeners, outbound.listener),
        clusters=(*inbound.clusters, *outbound.clusters),
        routes={**inbound.routes, **outbound.routes},
        problems=tuple(sorted({*outbound.problems, *inbound.problems})),
    )
