"""Watches: changes of a resource as lines of JSON, from a version on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from aiohttp import web

from conformance.clusters.embedded.api.api_resources import DEFINITIONS, Resource
from conformance.clusters.embedded.api.conversion import Conversion
from conformance.clusters.embedded.api.errors import Refusal
from conformance.clusters.embedded.api.request_path import Filter, Target
from conformance.clusters.embedded.api.store import Event, Happening, Object, Store

_LONGEST_S = 1800.0


class Watching:
    """Streams what happens to the objects of a resource."""

    def __init__(self, store: Store, conversion: Conversion) -> None:
        self._store = store
        self._conversion = conversion

    async def stream(self, request: web.Request, resource: Resource, target: Target) -> web.StreamResponse:
        """Answer a watch until its time is over or the client leaves. Raises Refusal (400, 410)."""
        chosen = Filter(request.query)
        events, end = self._follow(resource.key, request.query.get("resourceVersion", ""))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            await response.prepare(request)
            async with asyncio.timeout(float(request.query.get("timeoutSeconds") or _LONGEST_S)):
                # None: the resource is served no longer.
                while (event := await events.get()) is not None:
                    if _is_at(event.object, target):
                        await self._write(response, resource, chosen, event)
        except (TimeoutError, ConnectionError):
            pass
        except Refusal as refusal:
            # The answer has begun: what goes wrong from here on is an event.
            await response.write(_line("ERROR", refusal.document()))
        finally:
            end()
        return response

    def _follow(self, key: str, version: str) -> tuple[asyncio.Queue[Event | None], Callable[[], None]]:
        """The events after a version, as they come; without one, what is there first, as added.

        None where the definition of the resource is gone.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        if version in ("", "0"):
            for thing in self._store.list(key):
                queue.put_nowait(Event("ADDED", key, thing, self._store.version))
        elif version.isdecimal():
            for event in self._store.since(key, int(version)):
                queue.put_nowait(event)
        else:
            raise Refusal(400, f"invalid resource version {version!r}")

        def hear(event: Event) -> None:
            if event.key == key:
                queue.put_nowait(event)
            elif (
                event.key == DEFINITIONS
                and event.type == "DELETED"
                and event.object["metadata"]["name"] == key
            ):
                queue.put_nowait(None)

        return queue, self._store.listen(hear)

    async def _write(
        self, response: web.StreamResponse, resource: Resource, chosen: Filter, event: Event
    ) -> None:
        kind = _seen(event, chosen)
        if kind is not None:
            (thing,) = await self._conversion.to(resource, [event.object])
            await response.write(_line(kind, thing))


def _line(kind: str, thing: Object) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def _is_at(thing: Object, target: Target) -> bool:
    metadata = thing["metadata"]
    namespaces, names = ("", metadata.get("namespace")), ("", metadata["name"])
    return target.namespace in namespaces and target.name in names


def _seen(event: Event, chosen: Filter) -> Happening | None:
    """What happened for somebody who sees only what a filter admits; None for nothing."""
    admitted = chosen.admits(event.object)
    if event.type != "MODIFIED" or event.before is None or chosen.admits(event.before) == admitted:
        return event.type if admitted else None
    return "ADDED" if admitted else "DELETED"
