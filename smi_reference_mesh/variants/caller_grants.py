"""The access granted to a caller, for variants in which clients' proxies know it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from smi_reference_mesh.compiler import access
from smi_reference_mesh.compiler.configuration import JSON
from smi_reference_mesh.compiler.mesh import Mesh, addresses_of, identity_of, mesh_of
from smi_reference_mesh.compiler.splits import outbound_name
from smi_reference_mesh.kube.objects import Object, Workload, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.membership import is_meshed


@dataclass(frozen=True, slots=True)
class Door:
    """A caller's access to the endpoints of one cluster; `free` without access control."""

    free: bool
    permissions: tuple[JSON, ...] = ()
    raw: bool = False

    @property
    def closed(self) -> bool:
        return not (self.free or self.permissions or self.raw)


@lru_cache(maxsize=64)
def _doors(snapshot: ClusterSnapshot, identity: str, ips: tuple[str, ...]) -> Mapping[str, Door]:
    mesh = mesh_of(snapshot)
    granted = _granted(snapshot)
    by_address = {ip: name for name, pod in mesh.pods.items() for ip in addresses_of(pod)}
    return {
        outbound_name(service.namespace, service.name, port.number): _door(
            mesh,
            granted,
            {
                (by_address[each.ip], each.port)
                for each in service.endpoints.get(port.name, ())
                if each.ip in by_address
            },
            (identity, *ips),
        )
        for service in mesh.services.values()
        for port in service.ports
    }


@lru_cache(maxsize=4)
def _granted(snapshot: ClusterSnapshot) -> Mapping[tuple[str, str], tuple[access.Grant, ...]]:
    mesh = mesh_of(snapshot)
    return {name: access.grants(mesh, pod) for name, pod in mesh.pods.items()}


def _door(
    mesh: Mesh,
    granted: Mapping[tuple[str, str], tuple[access.Grant, ...]],
    behind: set[tuple[tuple[str, str], int]],
    who: tuple[str, ...],
) -> Door:
    pods: list[tuple[Object, int]] = [(mesh.pods[name], port) for name, port in sorted(behind)]
    if not pods or any(not is_meshed(pod) or namespace_of(pod) in mesh.permissive for pod, _ in pods):
        return Door(free=True)
    mine = list(_mine(granted, behind, who))
    permissions = [one for grant, port in mine for one in grant.http_permissions(port)]
    return Door(False, tuple(permissions), any(port in grant.raw for grant, port in mine))


def _mine(
    granted: Mapping[tuple[str, str], tuple[access.Grant, ...]],
    behind: set[tuple[tuple[str, str], int]],
    who: tuple[str, ...],
) -> Iterator[tuple[access.Grant, int]]:
    for name, port in sorted(behind):
        for grant in granted.get(name, ()):
            if any(each.identity == who[0] and (each.ip is None or each.ip in who) for each in grant.callers):
                yield grant, port


def doors_of(snapshot: ClusterSnapshot, workload: Workload) -> Mapping[str, Door]:
    """A workload's access at the cluster of each service port; unknown clusters are absent."""
    pod = mesh_of(snapshot).pods.get((workload.namespace, workload.name))
    return {} if pod is None else _doors(snapshot, identity_of(pod), addresses_of(pod))


def clusters_of(value: object) -> Iterator[str]:
    """The clusters that a part of a configuration forwards to."""
    if isinstance(value, dict):
        if isinstance(value.get("cluster"), str):
            yield value["cluster"]
        for share in (value.get("weighted_clusters") or {}).get("clusters", ()):
            yield share["name"]
        for inner in value.values():
            yield from clusters_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from clusters_of(inner)
