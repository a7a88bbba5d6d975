"""A pod that serves HTTPS in this process, for webhooks and aggregated APIs."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from api_objects import is_ready, namespace, pod, thing
from fake_node import FakeNode, Served

from conformance.clusters.embedded.api.service_client import load_key_pair
from conformance.clusters.embedded.interface import Object
from smi_reference_mesh.kube.certificates import CertificateAuthority

NAME = "backend"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAME}/endpointslices"


@dataclass
class HttpsPod:
    """Namespace, pod and service of the same name; it answers by a replaceable handler.

    A client certificate must be signed by ``clients`` (PEM).
    """

    answer: Callable[[web.Request], Awaitable[web.Response]]
    clients: str | None = None
    authority: CertificateAuthority = field(
        default_factory=lambda: CertificateAuthority(CertificateAuthority.create(datetime.now(UTC)))
    )

    @property
    def bundle(self) -> str:
        """The caBundle of its certificate."""
        return base64.b64encode(self.authority.trust_bundle.encode()).decode()

    def reference(self, **more: Any) -> dict[str, Any]:
        """A webhook's or APIService's reference to its service."""
        return {"namespace": NAME, "name": NAME, "port": 443, **more}

    @asynccontextmanager
    async def program(self, _node: FakeNode, _pod: Object, address: str) -> AsyncIterator[None]:
        """Its program, for `serving`."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.clients)
        tls.verify_mode = ssl.CERT_OPTIONAL if self.clients else ssl.CERT_NONE
        load_key_pair(tls, self.authority.serving([f"{NAME}.{NAME}.svc"], datetime.now(UTC)))
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, address, 8080, ssl_context=tls).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        return await self.answer(request)

    def begin(self, served: Served) -> None:
        """Create it, and wait until its service has it as an endpoint."""
        way = thing("v1", "Service", NAME, spec={"selector": {"app": NAME}})
        way["spec"]["ports"] = [{"port": 443, "targetPort": "http"}]
        own = pod(NAME)
        for item in (own, way):
            item["metadata"]["namespace"] = NAME
        served.cluster.apply([namespace(NAME), own, way])
        served.has(f"/api/v1/namespaces/{NAME}/pods/{NAME}", is_ready)
        served.has(SLICES, _any_ready)


def _any_ready(body: Any) -> bool:
    return any(each["conditions"]["ready"] for one in body["items"] for each in one["endpoints"])
