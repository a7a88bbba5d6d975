"""The program of the reference mesh's control plane pod, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from fake_node import FakeNode

from conformance.clusters.embedded.interface import Object
from smi_reference_mesh import names
from smi_reference_mesh.control_plane.app import ControlPlane, ControlPlaneSettings
from smi_reference_mesh.control_plane.metrics_api import FrontProxy
from smi_reference_mesh.kube.certificates import CertificateAuthority, KeyPair
from smi_reference_mesh.kube.client import ClientConfig, KubeClient

AUTHENTICATION = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


def access(node: FakeNode, pod: Object, folder: Path) -> ClientConfig:
    """A pod's access to the API server: with its account's token, over verified TLS."""
    assert node.sources is not None
    token = folder / "token"
    token.write_text(node.sources.token(pod, None, 600))
    trust = ssl.create_default_context(cadata=node.sources.ca())
    return ClientConfig(f"https://{node.address}:6443", token, trust)


def files(node: FakeNode, folder: Path) -> dict[str, str]:
    assert node.sources is not None
    found = node.sources.secret(names.NAMESPACE, names.SERVICE)
    for name, content in found.items():
        (folder / name).write_bytes(content)
    return {name: str(folder / name) for name in found}


async def listen(application: web.Application, address: str, port: int, tls: ssl.SSLContext) -> web.AppRunner:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, address, port, ssl_context=tls).start()
    return runner


def control_plane(folder: Path) -> Any:
    """The program of the control plane's pod."""

    @asynccontextmanager
    async def program(node: FakeNode, pod: Object, address: str) -> AsyncIterator[None]:
        paths = files(node, folder)
        certificate, key = paths["tls.crt"], paths["tls.key"]
        pair = KeyPair(Path(paths["ca.crt"]).read_text(), Path(paths["ca.key"]).read_text())
        api = KubeClient(access(node, pod, folder))
        plane = ControlPlane(api, CertificateAuthority(pair), ControlPlaneSettings(folder, "mesh:1", 10))
        proxy = FrontProxy.from_config_map((await api.request("GET", AUTHENTICATION))["data"])
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate, key)
        runners = [
            await listen(plane.control_api(), address, names.CONTROL_PORT, tls),
            await listen(
                plane.metrics_api(proxy), address, names.METRICS_API_PORT, proxy.tls(certificate, key)
            ),
        ]
        work = asyncio.create_task(plane.run())
        try:
            yield
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            for runner in runners:
                await runner.cleanup()
            await api.close()

    return program
