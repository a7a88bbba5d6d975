"""The handlers of the verbs on objects: create, read, update, patch, delete."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

import yaml

from conformance.clusters.embedded.api.admission import Admission
from conformance.clusters.embedded.api.api_errors import StatusError, not_implemented
from conformance.clusters.embedded.api.api_resources import Resource
from conformance.clusters.embedded.api.auth import RBAC
from conformance.clusters.embedded.api.conversion import Converter
from conformance.clusters.embedded.api.lifecycle import Lifecycle
from conformance.clusters.embedded.api.object_store import Object, Store, WatchEvent
from conformance.clusters.embedded.api.patching import POD_LISTS, apply, json_patch, merge
from conformance.clusters.embedded.api.request_path import Filter, RequestTarget
from conformance.text import yamlio

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_FREE = re.compile(r"[^/%]+")
_LONGEST_NAME = 253
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_APPLY = ("application/apply-patch+yaml", "application/apply-patch+cbor")


class ObjectHandlers:
    """One method per verb; ``dry`` returns the result without storing it. Raises StatusError."""

    def __init__(
        self, store: Store, admission: Admission, conversion: Converter, lifecycle: Lifecycle
    ) -> None:
        self._store = store
        self._admission = admission
        self._conversion = conversion
        self._lifecycle = lifecycle
        store.subscribe(self._on_event)
        self._applied: dict[tuple[str, str], Object] = {}
        """The last applied configuration, by the object's uid and its field manager."""

    def _on_event(self, event: WatchEvent) -> None:
        if event.type == "DELETED":
            uid = event.object["metadata"]["uid"]
            for place in [each for each in self._applied if each[0] == uid]:
                del self._applied[place]

    async def list(self, resource: Resource, target: RequestTarget, query: Mapping[str, str]) -> Object:
        """A list of objects."""
        chosen = Filter(query)
        version = str(self._store.version)
        found = [each for each in self._store.list(resource.key, target.namespace) if chosen.matches(each)]
        return {
            "apiVersion": resource.api_version,
            "kind": f"{resource.kind}List",
            "metadata": {"resourceVersion": version},
            "items": await self._conversion.convert(resource, found),
        }

    async def get(self, resource: Resource, target: RequestTarget) -> Object:
        """An object."""
        return await self._as(resource, self._store.get(resource.key, target.namespace, target.name))

    async def create(self, resource: Resource, target: RequestTarget, body: Any, *, dry: bool) -> Object:
        """Create an object."""
        obj = _addressed(resource, target, body)
        metadata = obj["metadata"]
        if not metadata.get("name"):
            prefix = metadata.get("generateName")
            if not prefix:
                problem = "metadata.name: Required value: name or generateName is required"
                raise StatusError(422, f"{resource.kind} is invalid: {problem}")
            name = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(5))
            obj = {**obj, "metadata": {**metadata, "name": name}}
        _check_name(resource, obj["metadata"]["name"])
        self._check_absent(resource, obj)
        admitted = await self._admission.create(resource, obj)
        (stored,) = await self._conversion.convert(self._conversion.storage_version(resource), [admitted])
        return await self._as(resource, stored if dry else self._store.create(resource.key, stored))

    def _check_absent(self, resource: Resource, obj: Object) -> None:
        metadata = obj["metadata"]
        if self._store.find(resource.key, metadata.get("namespace", ""), metadata["name"]) is not None:
            name = f'{resource.key} "{metadata["name"]}"'
            raise StatusError(409, f"{name} already exists", "AlreadyExists")

    async def update(self, resource: Resource, target: RequestTarget, body: Any, *, dry: bool) -> Object:
        """Replace an object, or only its status."""
        before = self._store.get(resource.key, target.namespace, target.name)
        obj = _addressed(resource, target, body)
        return await self._change(resource, target, before, obj, dry=dry)

    async def patch(
        self,
        resource: Resource,
        target: RequestTarget,
        content_type: str,
        text: str,
        query: Mapping[str, str],
    ) -> tuple[Object, bool]:
        """The patched object, and whether it is new (by server-side apply only)."""
        dry = query.get("dryRun") == "All"
        kind = content_type.partition(";")[0].strip()
        if kind in _APPLY:
            return await self._apply(resource, target, text, query.get("fieldManager", ""), dry=dry)
        before = self._store.get(resource.key, target.namespace, target.name)
        current = await self._as(resource, before)
        body = _decoded(text)
        match kind:
            case "application/merge-patch+json":
                after = merge(current, body)
            case "application/json-patch+json":
                after = json_patch(current, body)
            case "application/strategic-merge-patch+json":
                raise StatusError(
                    415, "the embedded cluster takes merge patches, JSON patches and applied objects"
                )
            case _:
                raise StatusError(415, f"the body of the request was in an unknown format - {kind}")
        after = _addressed(resource, target, after)
        return await self._change(resource, target, before, after, dry=dry), False

    async def _apply(
        self, resource: Resource, target: RequestTarget, text: str, manager: str, *, dry: bool
    ) -> tuple[Object, bool]:
        if not manager:
            raise StatusError(400, "PatchOptions is invalid: fieldManager: Required value: for apply patch")
        applied = _addressed(resource, target, _decoded(text))
        self._admission.check_declared(resource, applied)
        before = self._store.find(resource.key, target.namespace, target.name)
        if before is None:
            after = await self.create(resource, target, applied, dry=dry)
        else:
            current = await self._as(resource, before)
            keys = POD_LISTS if resource.key == "pods" else {}
            earlier = self._applied.get((before["metadata"]["uid"], manager))
            merged = apply(current, earlier, applied, keys)
            after = await self._change(resource, target, before, merged, dry=dry)
        if not dry:
            self._applied[after["metadata"]["uid"], manager] = applied
        return after, before is None

    async def _change(
        self, resource: Resource, target: RequestTarget, before: Object, obj: Object, *, dry: bool
    ) -> Object:
        # With a status subresource, only that writes the status.
        current = await self._as(resource, before)
        if target.subresource == "status":
            obj = {**current, "status": obj.get("status", {})}
        elif "status" in resource.subresources:
            obj = {key: value for key, value in obj.items() if key != "status"}
            obj |= {"status": current["status"]} if "status" in current else {}
        admitted = obj
        if target.subresource != "status":
            admitted = self._admission.update(resource, obj, current)
        (stored,) = await self._conversion.convert(self._conversion.storage_version(resource), [admitted])
        return await self._as(resource, stored if dry else self._store.replace(resource.key, stored))

    async def delete(
        self, resource: Resource, target: RequestTarget, body: Any, query: Mapping[str, str]
    ) -> Object:
        """Delete an object; the deletion of pods and namespaces continues in the background."""
        obj = self._store.get(resource.key, target.namespace, target.name)
        options = _options(body, query)
        _check_preconditions(resource, obj, options.get("preconditions") or {})
        if options["dryRun"]:
            return _success(resource, target.name)
        grace = options["gracePeriodSeconds"]
        left = self._lifecycle.delete(resource.key, obj, None if grace is None else float(grace))
        if "deletionTimestamp" in left["metadata"]:
            return await self._as(resource, left)
        return _success(resource, target.name)

    async def delete_all(
        self, resource: Resource, target: RequestTarget, body: Any, query: Mapping[str, str]
    ) -> Object:
        """Delete all selected objects."""
        chosen, options = Filter(query), _options(body, query)
        grace = options["gracePeriodSeconds"]
        for obj in self._store.list(resource.key, target.namespace):
            if chosen.matches(obj) and not options["dryRun"]:
                self._lifecycle.delete(resource.key, obj, None if grace is None else float(grace))
        return _success(resource, "")

    async def _as(self, resource: Resource, obj: Object) -> Object:
        (converted,) = await self._conversion.convert(resource, [obj])
        return converted


def _check_name(resource: Resource, name: Any) -> None:
    """Raises StatusError (422) for an invalid name; names of roles have fewer restrictions."""
    rules = _FREE if resource.group == RBAC else _NAME
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or not rules.fullmatch(name):
        what = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
        kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
        raise StatusError(
            422, f'{kind} "{name}" is invalid: metadata.name: Invalid value: {json.dumps(name)}: {what}'
        )


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yamlio.load(text)
    except yaml.YAMLError as error:
        raise StatusError(400, f"the body is neither JSON nor YAML: {error}") from error


def _addressed(resource: Resource, target: RequestTarget, body: Any) -> Object:
    """The body as an object with the kind, namespace and name of the path. Raises StatusError (400)."""
    if not isinstance(body, dict):
        raise StatusError(400, "the body is not an object")
    for name, wanted in (("apiVersion", resource.api_version), ("kind", resource.kind)):
        if body.get(name, wanted) != wanted:
            raise StatusError(400, f"{name} is {body[name]!r}, but the path is of {wanted}")
    metadata = dict(body.get("metadata") or {})
    for name in ("managedFields", "deletionTimestamp", *(() if resource.namespaced else ("namespace",))):
        metadata.pop(name, None)
    for name, wanted in (("namespace", target.namespace), ("name", target.name)):
        if wanted and metadata.get(name, wanted) != wanted:
            raise StatusError(400, f"metadata.{name} is {metadata[name]!r}, but the path says {wanted!r}")
        if wanted:
            metadata[name] = wanted
    if resource.namespaced and not metadata.get("namespace"):
        raise StatusError(400, "metadata.namespace is required for a namespaced object")
    return {**body, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


def _options(body: Any, query: Mapping[str, str]) -> dict[str, Any]:
    """The DeleteOptions. Raises StatusError (501) for an unsupported propagation policy."""
    given = body if isinstance(body, Mapping) else {}
    names = ("propagationPolicy", "gracePeriodSeconds", "dryRun")
    options = {**given, **{name: query.get(name, given.get(name)) for name in names}}
    if options["propagationPolicy"] == "Orphan":
        raise not_implemented("propagationPolicy Orphan")
    return options


def _check_preconditions(resource: Resource, obj: Object, wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if obj["metadata"].get(name) != value:
            what = f'{resource.key} "{obj["metadata"]["name"]}"'
            raise StatusError(409, f"Operation cannot be fulfilled on {what}: it has another {name}")


def _success(resource: Resource, name: str) -> Object:
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
