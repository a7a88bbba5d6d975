"""Watches: the changes of a resource since a version, as lines of JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from aiohttp import web

from conformance.clusters.embedded.api.api_errors import StatusError
from conformance.clusters.embedded.api.api_resources import DEFINITIONS, Resource
from conformance.clusters.embedded.api.conversion import Converter
from conformance.clusters.embedded.api.object_store import Object, Store, WatchEvent, WatchEventType
from conformance.clusters.embedded.api.request_path import Filter, RequestTarget

_MAX_DURATION_S = 1800.0


class WatchHandler:
    """Streams the changes of a resource's objects."""

    def __init__(self, store: Store, conversion: Converter) -> None:
        self._store = store
        self._conversion = conversion

    async def stream(
        self, request: web.Request, resource: Resource, target: RequestTarget
    ) -> web.StreamResponse:
        """Answer a watch until its timeout or the client disconnects. Raises StatusError (400, 410)."""
        chosen = Filter(request.query)
        events, unsubscribe = self._subscribe(resource.key, request.query.get("resourceVersion", ""))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            await response.prepare(request)
            async with asyncio.timeout(float(request.query.get("timeoutSeconds") or _MAX_DURATION_S)):
                # None: the resource is no longer served.
                while (event := await events.get()) is not None:
                    if _is_at(event.object, target):
                        await self._write(response, resource, chosen, event)
        except (TimeoutError, ConnectionError):
            pass
        except StatusError as error:
            # The answer has begun, so errors become events.
            await response.write(_line("ERROR", error.document()))
        finally:
            unsubscribe()
        return response

    def _subscribe(
        self, key: str, version: str
    ) -> tuple[asyncio.Queue[WatchEvent | None], Callable[[], None]]:
        """The events since a version; without a version, the existing objects first, as added.

        None follows when the definition of the resource is deleted.
        """
        queue: asyncio.Queue[WatchEvent | None] = asyncio.Queue()
        if version in ("", "0"):
            for obj in self._store.list(key):
                queue.put_nowait(WatchEvent("ADDED", key, obj, self._store.version))
        elif version.isdecimal():
            for event in self._store.events_since(key, int(version)):
                queue.put_nowait(event)
        else:
            raise StatusError(400, f"invalid resource version {version!r}")

        def on_event(event: WatchEvent) -> None:
            if event.key == key:
                queue.put_nowait(event)
            elif (
                event.key == DEFINITIONS
                and event.type == "DELETED"
                and event.object["metadata"]["name"] == key
            ):
                queue.put_nowait(None)

        return queue, self._store.subscribe(on_event)

    async def _write(
        self, response: web.StreamResponse, resource: Resource, chosen: Filter, event: WatchEvent
    ) -> None:
        kind = _visible_type(event, chosen)
        if kind is not None:
            (obj,) = await self._conversion.convert(resource, [event.object])
            await response.write(_line(kind, obj))


def _line(kind: str, obj: Object) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def _is_at(obj: Object, target: RequestTarget) -> bool:
    metadata = obj["metadata"]
    namespaces, names = ("", metadata.get("namespace")), ("", metadata["name"])
    return target.namespace in namespaces and target.name in names


def _visible_type(event: WatchEvent, chosen: Filter) -> WatchEventType | None:
    """The event's type for a watch with a filter; None if the filter hides the change."""
    admitted = chosen.matches(event.object)
    if event.type != "MODIFIED" or event.before is None or chosen.matches(event.before) == admitted:
        return event.type if admitted else None
    return "ADDED" if admitted else "DELETED"
