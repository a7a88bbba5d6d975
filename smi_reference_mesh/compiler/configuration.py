"""A sidecar's configuration, and the files from which Envoy reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from smi_reference_mesh.smi.model import Problem

JSON = dict[str, Any]

TYPES = {
    "lds": "type.googleapis.com/envoy.config.listener.v3.Listener",
    "cds": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "rds": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
}


def file_name(service: str, resource: str) -> str:
    """The path of a resource relative to the xDS directory; Kubernetes names have no underscore."""
    return f"{service}/{resource.replace('|', '_')}.json"


@dataclass(frozen=True, slots=True)
class Configuration:
    """Envoy v3 resources, in protobuf's JSON form; `routes` by resource name."""

    listeners: tuple[JSON, ...]
    clusters: tuple[JSON, ...]
    routes: Mapping[str, JSON] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def files(self) -> dict[str, str]:
        """The content of each file (a discovery response), by path relative to the xDS directory.

        In the order in which new files must exist before Envoy reads those that refer to them: clusters,
        routes, listeners. The version of a file is a hash of its content.
        """
        return {
            "cds.json": _response("cds", self.clusters),
            **_one_each("rds", self.routes),
            "lds.json": _response("lds", self.listeners),
        }


class _ByIdentity:
    """Makes a value usable as a cache key; references it, so that its id is not reused."""

    __slots__ = ("value",)

    def __init__(self, value: JSON) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other.value is self.value


@lru_cache(maxsize=2048)
def _text(service: str, resource: _ByIdentity) -> tuple[str, bytes]:
    """A resource and its digest; most resources recur for all workloads and in successive snapshots."""
    text = json.dumps({"@type": TYPES[service], **resource.value}, sort_keys=True, separators=(",", ":"))
    return text, hashlib.sha256(text.encode()).digest()


@lru_cache(maxsize=2048)
def _alone(service: str, resource: _ByIdentity) -> str:
    return _response(service, [resource.value])


def _one_each(service: str, resources: Mapping[str, JSON]) -> dict[str, str]:
    named = sorted(resources.items())
    return {file_name(service, name): _alone(service, _ByIdentity(resource)) for name, resource in named}


def _response(service: str, resources: Iterable[JSON]) -> str:
    parts = [_text(service, _ByIdentity(resource)) for resource in resources]
    version = hashlib.sha256(b"".join(digest for _, digest in parts)).hexdigest()[:16]
    body = ",".join(text for text, _ in parts)
    return f'{{"version_info":"{version}","type_url":"{TYPES[service]}","resources":[{body}]}}\n'
