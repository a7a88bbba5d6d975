"""The compiler of the reference mesh: from a world and one of its pods to the configuration of its Envoy.

A pure function. Nothing else in the mesh knows Envoy's API; nothing in here knows where a world comes from.
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
    """What the Envoy of a workload, a sidecar or the mesh's ingress, needs to honour the world.

    Never raises for what stands in an object: whatever cannot be understood or honoured becomes a `Problem`
    of the configuration and nothing else suffers. A workload that the world does not know gets the outbound
    half and an inbound half that refuses everything. The JSON of the outbound half is shared by all workloads
    of a world: replace it, never change it in place.
    """
    # Imported late: the sidecar uses its part of this package (bootstrap, access log) and has to start
    # quickly.
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
