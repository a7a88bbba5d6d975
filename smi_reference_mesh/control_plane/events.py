"""Kubernetes Events that the control plane publishes on objects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from smi_reference_mesh import names
from smi_reference_mesh.kube.snapshot import KINDS, Kind

_BY_NAME = {
    "TrafficSplit": "trafficsplits",
    "TrafficTarget": "traffictargets",
    "IdentityBinding": "identitybindings",
    "HTTPRouteGroup": "httproutegroups",
    "TCPRoute": "tcproutes",
    "UDPRoute": "udproutes",
    "Ingress": "ingresses",
}
_LONGEST = 1000


def kind_of(name: str) -> Kind | None:
    """The kind of a name such as `TrafficSplit`; None for kinds that have no problems."""
    return next((kind for kind in KINDS if kind.plural == _BY_NAME.get(name)), None)


def warning(about: Mapping[str, str], reason: str, message: str, now: datetime) -> dict[str, Any]:
    """A Warning Event on an object; `about` is the Event's `involvedObject`."""
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{about['name']}.", "namespace": about["namespace"]},
        "involvedObject": dict(about),
        "type": "Warning",
        "reason": reason,
        "message": message[:_LONGEST],
        "source": {"component": names.SERVICE},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
