"""The control plane of the embedded cluster: API server and controllers, served on two sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from conformance.clusters.embedded.api import defaults
from conformance.clusters.embedded.api.admission import Admission
from conformance.clusters.embedded.api.aggregation import PROXY_NAME, Aggregation, front_proxy
from conformance.clusters.embedded.api.api_resources import BUILT_IN
from conformance.clusters.embedded.api.auth import Tokens
from conformance.clusters.embedded.api.conversion import Converter
from conformance.clusters.embedded.api.deployment_controller import DeploymentController
from conformance.clusters.embedded.api.lifecycle import Lifecycle, StoreVolumeSources, bootstrap
from conformance.clusters.embedded.api.networking import API_PORT, Networking
from conformance.clusters.embedded.api.object_handlers import ObjectHandlers
from conformance.clusters.embedded.api.object_store import Object, Store
from conformance.clusters.embedded.api.request_path import RequestTarget
from conformance.clusters.embedded.api.server import ApiServer
from conformance.clusters.embedded.api.service_client import ServiceClient, load_key_pair
from conformance.clusters.embedded.api.watch_handler import WatchHandler
from conformance.clusters.embedded.interface import Node
from smi_reference_mesh.kube.certificates import CertificateAuthority

_HOSTS = ("kubernetes.default.svc", "kubernetes.default", "kubernetes", defaults.KUBERNETES_ADDRESS)
_PODS = next(each for each in BUILT_IN if each.key == "pods")


class KubernetesControlPlane:
    """API server and controllers over one node, from `start` to `close`."""

    def __init__(self, node: Node, token: str) -> None:
        self._node = node
        self._pair = CertificateAuthority.create(datetime.now(UTC))
        self.store = Store()
        self._tokens = Tokens(token, self.store)
        self._sources = StoreVolumeSources(self.store, self._tokens, self._pair.certificate)
        self._service_client = ServiceClient(self.store)
        self._lifecycle = Lifecycle(self.store, node, self._sources)
        admission = Admission(self.store, self._service_client)
        conversion = Converter(self.store, self._service_client)
        self._handlers = ObjectHandlers(self.store, admission, conversion, self._lifecycle)
        self._aggregation = Aggregation(self.store, self._service_client)
        self._networking = Networking(self.store, node)
        self._deployments = DeploymentController(self.store, self._create_pod, self._lifecycle.delete)
        self.server = ApiServer(
            self.store,
            self._tokens,
            self._handlers,
            WatchHandler(self.store, conversion),
            self._aggregation,
            self._service_client,
            node,
        )
        self._runners: list[web.AppRunner] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, listening: socket.socket) -> None:
        """Serve HTTP on a socket, and HTTPS to pods at the node's address; then run the controllers."""
        bootstrap(self.store, self._node.address, front_proxy(self._pair.certificate))
        authority = CertificateAuthority(self._pair)
        now = datetime.now(UTC)
        self._service_client.proxy = authority.client(PROXY_NAME, now)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        load_key_pair(tls, authority.serving([*_HOSTS, self._node.address], now))
        await self._serve(web.SockSite, listening)
        await self._serve(web.TCPSite, self._node.address, API_PORT, ssl_context=tls)
        for work in (self._networking.run(), self._deployments.run(), self._aggregation.run()):
            self._begin(work)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _serve(self, site: Any, *where: Any, **how: Any) -> None:
        runner = web.AppRunner(
            self.server.application(), access_log=None, shutdown_timeout=0.5, handler_cancellation=True
        )
        await runner.setup()
        self._runners.append(runner)
        await site(runner, *where, **how).start()

    async def failed(self) -> None:
        """Wait until a controller fails. Raises its error."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def close(self) -> None:
        """Stop serving; the node ends the pods."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._lifecycle.close()
        for runner in self._runners:
            await runner.cleanup()
        await self._service_client.close()

    async def _create_pod(self, pod: Object) -> Object:
        target = RequestTarget("", "v1", "pods", pod["metadata"]["namespace"])
        return await self._handlers.create(_PODS, target, pod, dry=False)
