"""A Kubernetes API server in memory, as far as the control plane uses it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from smi_reference_mesh.kube.client import ClientConfig, KubeClient

Object = dict[str, Any]


class FakeApiServer:
    """Objects by collection path, such as /api/v1/pods; watches get every change."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Object]] = {}
        self.absent: set[str] = set()
        self.requests: list[tuple[str, str, Any]] = []
        self.reviews: list[Object] = []
        self.pods_by_token: dict[str, tuple[str, str]] = {}
        self.allowed: list[Object] = []
        self._version = 0
        self._watches: dict[str, list[asyncio.Queue[Object | None]]] = {}

    def put(self, collection: str, thing: Object) -> None:
        """Creates or replaces an object."""
        key = f"{thing['metadata'].get('namespace', '')}/{thing['metadata']['name']}"
        known = self.objects.setdefault(collection, {})
        self._version += 1
        thing = {**thing, "metadata": {**thing["metadata"], "resourceVersion": str(self._version)}}
        kind = "MODIFIED" if key in known else "ADDED"
        known[key] = thing
        self._tell(collection, {"type": kind, "object": thing})

    def delete(self, collection: str, namespace: str, name: str) -> None:
        self._version += 1
        thing = self.objects[collection].pop(f"{namespace}/{name}")
        thing["metadata"]["resourceVersion"] = str(self._version)
        self._tell(collection, {"type": "DELETED", "object": thing})

    def expire(self, collection: str) -> None:
        """Ends the watches of a collection like an expired resourceVersion."""
        self._tell(collection, {"type": "ERROR", "object": {"code": 410, "message": "too old"}})

    def hang_up(self, collection: str) -> None:
        """Ends the watches of a collection."""
        for queue in self._watches.get(collection, []):
            queue.put_nowait(None)

    def _tell(self, collection: str, event: Object) -> None:
        for queue in self._watches.get(collection, []):
            queue.put_nowait(event)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.requests.append((request.method, request.path, body))
        if request.method == "POST":
            return self._create(request.path, body)
        if request.method == "PATCH":
            return self._patch(request.path, body)
        if request.path in self.absent:
            return web.json_response({"kind": "Status", "code": 404}, status=404)
        if "watch" in request.query:
            return await self._watch(request)
        items = list(self.objects.get(request.path, {}).values())
        return web.json_response({"items": items, "metadata": {"resourceVersion": str(self._version)}})

    def _create(self, path: str, body: Object) -> web.Response:
        if path.endswith("/tokenreviews"):
            self.reviews.append(body)
            place = self.pods_by_token.get(body["spec"]["token"])
            if place is None:
                return web.json_response({"status": {"authenticated": False}})
            user = {
                "username": f"system:serviceaccount:{place[0]}:default",
                "extra": {"authentication.kubernetes.io/pod-name": [place[1]]},
            }
            status = {"authenticated": True, "audiences": body["spec"]["audiences"], "user": user}
            return web.json_response({"status": status})
        if path.endswith("/subjectaccessreviews"):
            self.reviews.append(body)
            return web.json_response({"status": {"allowed": body["spec"] in self.allowed}})
        return web.json_response(body, status=201)

    def _patch(self, path: str, body: Object) -> web.Response:
        collection, _, name = path.rpartition("/")
        (thing,) = [each for each in self.objects[collection].values() if each["metadata"]["name"] == name]
        metadata = {**thing["metadata"], **body["metadata"]}
        self.put(collection, {**thing, "metadata": metadata})
        return web.json_response(thing)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        queue: asyncio.Queue[Object | None] = asyncio.Queue()
        self._watches.setdefault(request.path, []).append(queue)
        since = int(request.query["resourceVersion"])
        for thing in self.objects.get(request.path, {}).values():
            if int(thing["metadata"]["resourceVersion"]) > since:
                queue.put_nowait({"type": "ADDED", "object": thing})
        response = web.StreamResponse()
        await response.prepare(request)
        while (event := await queue.get()) is not None:
            await response.write(json.dumps(event).encode() + b"\n")
        self._watches[request.path].remove(queue)
        return response

    @asynccontextmanager
    async def running(self) -> AsyncIterator[KubeClient]:
        """The server, and a client of it."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        server = TestServer(application)
        await server.start_server()
        client = KubeClient(ClientConfig(str(server.make_url("")).rstrip("/")))
        try:
            yield client
        finally:
            await client.close()
            for queues in self._watches.values():
                for queue in queues:
                    queue.put_nowait(None)
            await server.close()


async def eventually(check: Any, within_s: float = 5.0) -> Any:
    """The first true result of `check`. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not (answer := check()):
            await asyncio.sleep(0.005)
    return answer
