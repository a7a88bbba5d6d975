"""The control plane's own API: configuration for sidecars, injection and conversion for the API server."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from smi_reference_mesh.control_plane.injector import SidecarTemplate
from smi_reference_mesh.control_plane.injector import review as injection_review
from smi_reference_mesh.control_plane.subscriptions import Subscriptions
from smi_reference_mesh.control_plane.token_authentication import TokenAuthenticator
from smi_reference_mesh.kube.client import ApiError
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.metrics.request_counts import RequestCounts
from smi_reference_mesh.metrics.windowed_counts import Stream
from smi_reference_mesh.smi.conversion import ConversionHook
from smi_reference_mesh.smi.conversion import review as convert_review

_LOG = logging.getLogger(__name__)
_POLL_S = 25.0
_LARGEST_BODY = 16 * 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlApi:
    """The web application of port 8443.

    `record` stores a sidecar's request counts, `peer` finds the pod of an address, `rejected` handles a
    configuration that Envoy refused, `health` describes the control plane, `converted` edits converted
    objects.
    """

    def __init__(
        self,
        authenticator: TokenAuthenticator,
        subscriptions: Subscriptions,
        sidecar: SidecarTemplate,
        *,
        peer: Callable[[str], Workload | None],
        record: Callable[[list[tuple[Stream, RequestCounts, float]]], object],
        rejected: Callable[[Workload, str], Awaitable[object]],
        health: Callable[[], tuple[bool, dict[str, Any]]],
        converted: ConversionHook,
    ) -> None:
        self._authenticator = authenticator
        self._subscriptions = subscriptions
        self._sidecar = sidecar
        self._peer = peer
        self._record = record
        self._rejected = rejected
        self._health = health
        self._converted = converted

    def application(self) -> web.Application:
        application = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_readable_errors])
        application.add_routes(
            [
                web.get("/v1/config", self._config),
                web.post("/v1/status", self._status),
                web.post("/v1/metrics", self._metrics),
                web.get("/v1/problems", self._problems),
                web.get("/healthz", self._healthz),
                web.post("/inject", self._inject),
                web.post("/convert", self._convert),
            ]
        )
        return application

    async def _caller(self, request: web.Request) -> Workload:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        workload = await self._authenticator.workload(token) if scheme == "Bearer" and token else None
        if workload is None:
            raise web.HTTPUnauthorized(text="a token of a pod of the mesh is needed")
        return workload

    async def _config(self, request: web.Request) -> web.Response:
        workload = await self._caller(request)
        have, identity = request.query.get("have", ""), request.query.get("identity", "")
        update = await self._subscriptions.poll(workload, have, identity, _POLL_S)
        if update is None:
            return web.Response(status=204)
        return web.json_response(update.as_json())

    async def _status(self, request: web.Request) -> web.Response:
        workload = await self._caller(request)
        body = await request.json()
        version, error = str(body["version"]), str(body["error"])
        self._subscriptions.acknowledge(workload, version, error)
        if error:
            _LOG.warning("%s/%s refused %s: %s", workload.namespace, workload.name, version, error)
            await self._rejected(workload, error)
        return web.json_response({})

    async def _metrics(self, request: web.Request) -> web.Response:
        workload = await self._caller(request)
        body = await request.json()
        entries = [
            (
                Stream(
                    workload,
                    "out" if entry["direction"] == "out" else "in",
                    self._peer(str(entry["peer"])),
                    str(entry["route"]),
                    str(entry["cluster"]),
                ),
                RequestCounts.from_json(entry),
                float(interval["age_s"]),
            )
            for interval in body["intervals"]
            for entry in interval["tallies"]
        ]
        self._record(entries)
        return web.json_response({})

    async def _problems(self, _request: web.Request) -> web.Response:
        return web.json_response({"problems": self._subscriptions.problems()})

    async def _healthz(self, _request: web.Request) -> web.Response:
        healthy, document = self._health()
        return web.json_response(document, status=200 if healthy else 503)

    async def _inject(self, request: web.Request) -> web.Response:
        return web.json_response(injection_review(await request.json(), self._sidecar))

    async def _convert(self, request: web.Request) -> web.Response:
        return web.json_response(convert_review(await request.json(), self._converted))


@web.middleware
async def _readable_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return web.json_response({"error": str(error)}, status=503)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return web.json_response({"error": f"not as agreed: {error!r}"}, status=400)
