"""Diagnostics of a failure, gathered before the cleanup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from conformance.clusters import Cluster, ClusterError, Object
from conformance.drive.manifests import RUN_LABEL
from conformance.drive.podstates import containers
from conformance.profiles import ControlPlaneLocation
from conformance.report.document import Diagnostic

LINES = 20
CONTROL_PLANE_LINES = 60
"""More than for a pod, so that lines about the last change are among those of a verbose control plane."""
_LONGEST = 4000


def gather(
    cluster: Cluster,
    run: str,
    namespaces: Iterable[str],
    occasion: str,
    control_plane: ControlPlaneLocation | None = None,
) -> Iterator[Diagnostic]:
    """Warning events and the last log lines of every container in these namespaces; read errors included.

    Also the last log lines of the mesh's control plane, if the profile names it.
    """
    for namespace in namespaces:
        try:
            events = cluster.list("v1", "Event", namespace)
            warnings = [_event(event) for event in events if event.get("type") != "Normal"]
            if warnings:
                yield Diagnostic(
                    name=f"{occasion}: warnings in {namespace}", text="\n".join(warnings)[-_LONGEST:]
                )
            for pod in cluster.list("v1", "Pod", namespace, labels=f"{RUN_LABEL}={run}"):
                yield from _logs(cluster, pod, occasion, LINES)
        except ClusterError as error:
            yield Diagnostic(name=f"{occasion}: {namespace}", text=f"could not be read: {error}")
    if control_plane is not None:
        yield from _control_plane(cluster, control_plane, occasion)


def _control_plane(cluster: Cluster, named: ControlPlaneLocation, occasion: str) -> Iterator[Diagnostic]:
    where = f"{occasion}: control plane in {named.namespace}"
    for selector in named.selectors:
        try:
            pods = cluster.list("v1", "Pod", named.namespace, labels=selector)
            if not pods:
                yield Diagnostic(name=where, text=f"no pod matches {selector}")
            for pod in pods:
                yield from _logs(cluster, pod, occasion, CONTROL_PLANE_LINES)
        except ClusterError as error:
            yield Diagnostic(name=where, text=f"could not be read: {error}")


def _logs(cluster: Cluster, pod: Object, occasion: str, lines: int) -> Iterator[Diagnostic]:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    for container in containers(pod):
        log = cluster.logs(namespace, name, container["name"], tail=lines).strip()
        if log:
            title = f"{occasion}: log of {namespace}/{name}, {container['name']}"
            yield Diagnostic(name=title, text=log[-_LONGEST:])


def _event(event: dict[str, object]) -> str:
    involved = event.get("involvedObject")
    where = f"{involved.get('kind')}/{involved.get('name')}" if isinstance(involved, dict) else ""
    return f"{event.get('lastTimestamp')} {where} {event.get('reason')}: {event.get('message')}"
