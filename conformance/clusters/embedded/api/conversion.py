"""Custom resources at the version that is asked for: renamed, or converted by their definition's webhook."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from conformance.clusters.embedded.api.admission import ask
from conformance.clusters.embedded.api.api_resources import DEFINITIONS, Resource
from conformance.clusters.embedded.api.errors import Refusal
from conformance.clusters.embedded.api.service_client import Inside
from conformance.clusters.embedded.api.store import Object, Store

_TIMEOUT_S = 10.0


class Conversion:
    """Between the version that is stored and the one that a client speaks. Raises Refusal."""

    def __init__(self, store: Store, inside: Inside) -> None:
        self._store = store
        self._inside = inside

    def stored(self, resource: Resource) -> Resource:
        """The resource at the version in which its objects are kept."""
        definition = self._store.find(DEFINITIONS, "", resource.key)
        if definition is None:
            return resource
        (version,) = [one["name"] for one in definition["spec"]["versions"] if one["storage"]]
        return Resource(resource.group, version, resource.plural, resource.kind, resource.namespaced)

    async def to(self, resource: Resource, things: Sequence[Object]) -> list[Object]:
        """The objects as this version has them."""
        wanted = resource.api_version
        odd = [thing for thing in things if thing["apiVersion"] != wanted]
        if not odd:
            return list(things)
        definition = self._store.get(DEFINITIONS, "", resource.key)
        conversion = definition["spec"].get("conversion") or {}
        if conversion.get("strategy", "None") == "None":
            return [{**thing, "apiVersion": wanted} for thing in things]
        converted = iter(await self._ask(conversion["webhook"]["clientConfig"], wanted, odd))
        return [next(converted) if thing["apiVersion"] != wanted else thing for thing in things]

    async def _ask(self, where: dict[str, Any], wanted: str, things: Sequence[Object]) -> list[Object]:
        request = {"uid": str(uuid.uuid4()), "desiredAPIVersion": wanted, "objects": list(things)}
        review = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request}
        try:
            response = (await ask(self._inside, where, review, _TIMEOUT_S))["response"]
            converted: list[Object] = response.get("convertedObjects") or []
            result = response["result"]
        except (Refusal, KeyError, TypeError, ValueError) as error:
            raise Refusal(500, f"conversion webhook failed: {error}") from error
        if result.get("status") != "Success" or len(converted) != len(things):
            raise Refusal(500, f"conversion webhook failed: {result.get('message', 'objects are missing')}")
        return converted
