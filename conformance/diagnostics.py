"""What is gathered at the moment of a failure, before anything is cleaned up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from conformance.clusters import Cluster, ClusterError
from conformance.drive.manifests import RUN_LABEL
from conformance.drive.podstates import containers
from conformance.report.document import Diagnostic

LINES = 20
_LONGEST = 4000


def gather(cluster: Cluster, run: str, namespaces: Iterable[str], occasion: str) -> Iterator[Diagnostic]:
    """Events and the last log lines of every container in these namespaces; what cannot be read is said."""
    for namespace in namespaces:
        try:
            events = cluster.list("v1", "Event", namespace)
            warnings = [_event(event) for event in events if event.get("type") != "Normal"]
            if warnings:
                yield Diagnostic(
                    name=f"{occasion}: warnings in {namespace}", text="\n".join(warnings)[-_LONGEST:]
                )
            for pod in cluster.list("v1", "Pod", namespace, labels=f"{RUN_LABEL}={run}"):
                name = pod["metadata"]["name"]
                for container in containers(pod):
                    log = cluster.logs(namespace, name, container["name"], tail=LINES).strip()
                    if log:
                        yield Diagnostic(
                            name=f"{occasion}: log of {namespace}/{name}, {container['name']}",
                            text=log[-_LONGEST:],
                        )
        except ClusterError as error:
            yield Diagnostic(name=f"{occasion}: {namespace}", text=f"could not be read: {error}")


def _event(event: dict[str, object]) -> str:
    involved = event.get("involvedObject")
    where = f"{involved.get('kind')}/{involved.get('name')}" if isinstance(involved, dict) else ""
    return f"{event.get('lastTimestamp')} {where} {event.get('reason')}: {event.get('message')}"
