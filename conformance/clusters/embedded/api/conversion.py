"""Conversion of custom resources between versions: renamed, or converted by their definition's webhook."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from conformance.clusters.embedded.api.admission import call_webhook
from conformance.clusters.embedded.api.api_errors import StatusError
from conformance.clusters.embedded.api.api_resources import DEFINITIONS, Resource
from conformance.clusters.embedded.api.object_store import Object, Store
from conformance.clusters.embedded.api.service_client import ServiceClient

_TIMEOUT_S = 10.0


class Converter:
    """Converts between the storage version and the version of a request. Raises StatusError."""

    def __init__(self, store: Store, service_client: ServiceClient) -> None:
        self._store = store
        self._service_client = service_client

    def storage_version(self, resource: Resource) -> Resource:
        """The resource at its storage version."""
        definition = self._store.find(DEFINITIONS, "", resource.key)
        if definition is None:
            return resource
        (version,) = [each["name"] for each in definition["spec"]["versions"] if each["storage"]]
        return Resource(resource.group, version, resource.plural, resource.kind, resource.namespaced)

    async def convert(self, resource: Resource, items: Sequence[Object]) -> list[Object]:
        """The objects converted to the version of ``resource``."""
        wanted = resource.api_version
        odd = [obj for obj in items if obj["apiVersion"] != wanted]
        if not odd:
            return list(items)
        definition = self._store.get(DEFINITIONS, "", resource.key)
        conversion = definition["spec"].get("conversion") or {}
        if conversion.get("strategy", "None") == "None":
            return [{**obj, "apiVersion": wanted} for obj in items]
        converted = iter(await self._call_webhook(conversion["webhook"]["clientConfig"], wanted, odd))
        return [next(converted) if obj["apiVersion"] != wanted else obj for obj in items]

    async def _call_webhook(
        self, where: dict[str, Any], wanted: str, items: Sequence[Object]
    ) -> list[Object]:
        request = {"uid": str(uuid.uuid4()), "desiredAPIVersion": wanted, "objects": list(items)}
        review = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request}
        try:
            response = (await call_webhook(self._service_client, where, review, _TIMEOUT_S))["response"]
            converted: list[Object] = response.get("convertedObjects") or []
            result = response["result"]
        except (StatusError, KeyError, TypeError, ValueError) as error:
            raise StatusError(500, f"conversion webhook failed: {error}") from error
        if result.get("status") != "Success" or len(converted) != len(items):
            raise StatusError(
                500, f"conversion webhook failed: {result.get('message', 'objects are missing')}"
            )
        return converted
