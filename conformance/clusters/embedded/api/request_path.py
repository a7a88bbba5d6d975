"""Parses the paths of Kubernetes API requests. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.clusters.embedded.api.api_errors import StatusError
from conformance.clusters.embedded.api.api_resources import Resource
from conformance.clusters.embedded.api.auth import Attributes
from smi_reference_mesh.kube import selectors

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COLLECTION_VERBS = ("list", "watch", "deletecollection")


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """A parsed path; a discovery path if ``plural`` is empty. ``rest`` follows a subresource (proxy)."""

    group: str
    version: str
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""

    def attributes(self, method: str, query: Mapping[str, str]) -> Attributes:
        """The attributes of a request with this method, for authorization."""
        watch = watches(query)
        verb = _VERBS.get(method) or ("watch" if watch else "get" if self.name else "list")
        if verb == "delete" and not self.name:
            verb = "deletecollection"
        namespace = self.name if self.plural == "namespaces" and not self.namespace else self.namespace
        # As in Kubernetes, a list or watch of a single name needs no right to the other objects.
        named = query.get("fieldSelector", "") if verb in _COLLECTION_VERBS else ""
        by_name = named.removeprefix("metadata.name=") if named.startswith("metadata.name=") else ""
        name = self.name or by_name
        return Attributes(verb, self.group, self.plural, self.subresource, namespace, name)


def watches(query: Mapping[str, str]) -> bool:
    """Whether a request is a watch."""
    return query.get("watch", "") in ("1", "true")


def parse(path: str) -> RequestTarget | None:
    """The target of a path below /api or /apis; None for other paths and for the group lists."""
    parts = path.strip("/").split("/")
    match parts:
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return None
    if not rest:
        return RequestTarget(group, version)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource, *more = [*rest, "", ""][: max(len(rest), 3)]
    return RequestTarget(group, version, plural, namespace, name, subresource, "/".join(more))


def find(resources: Iterable[Resource], target: RequestTarget) -> Resource:
    """The resource of a target. Raises StatusError (404)."""
    for each in resources:
        if (each.group, each.version, each.plural) == (target.group, target.version, target.plural):
            return each
    raise StatusError(404, "the server could not find the requested resource")


class Filter:
    """Label and field selectors of a request. Raises StatusError (400) for invalid selectors."""

    def __init__(self, query: Mapping[str, str]) -> None:
        try:
            self._labels = selectors.parse(query.get("labelSelector", ""))
        except ValueError as error:
            raise StatusError(400, str(error)) from error
        self._fields = [_field(part) for part in query.get("fieldSelector", "").split(",") if part]

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether the selectors match an object."""
        if not selectors.matches(self._labels, obj["metadata"].get("labels") or {}):
            return False
        return all((_at(obj, path) == value) == equal for path, value, equal in self._fields)


def _field(part: str) -> tuple[str, str, bool]:
    path, operator, value = part.partition("!=") if "!=" in part else part.partition("=")
    if not operator:
        raise StatusError(400, f"invalid field selector: {part}")
    return path.strip(), value.lstrip("=").strip(), operator == "="


def _at(obj: Any, path: str) -> str:
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, Mapping) else None
    return "" if obj is None else str(obj)
