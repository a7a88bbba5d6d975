"""`python -m smi_reference_mesh.control_plane`: the control plane of the reference mesh.

Serves two ports: the control API for sidecars and the API server's webhooks, and the aggregated metrics API.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl

from aiohttp import web

from smi_reference_mesh import names
from smi_reference_mesh.compiler import compile as compile_configuration
from smi_reference_mesh.control_plane.app import ControlPlane, ControlPlaneSettings
from smi_reference_mesh.control_plane.metrics_api import FrontProxy
from smi_reference_mesh.kube.certificates import CertificateAuthority, KeyPair
from smi_reference_mesh.kube.client import ClientConfig, KubeClient
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot

_LOG = logging.getLogger("smi_reference_mesh.control_plane")
_AUTHENTICATION = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


async def _front_proxy(api: KubeClient) -> FrontProxy:
    """The API server's description of its front proxy. Raises ApiError, KeyError, ValueError."""
    return FrontProxy.from_config_map((await api.request("GET", _AUTHENTICATION))["data"])


async def _serve(application: web.Application, port: int, tls: ssl.SSLContext) -> web.AppRunner:
    runner = web.AppRunner(
        application, access_log=None, keepalive_timeout=3600, shutdown_timeout=1, handler_cancellation=True
    )
    await runner.setup()
    await web.TCPSite(runner, port=port, ssl_context=tls).start()
    return runner


async def main() -> None:
    """Runs until SIGTERM."""
    settings = ControlPlaneSettings.from_environment(os.environ)
    certificate, key = settings.secrets / "tls.crt", settings.secrets / "tls.key"
    authority = CertificateAuthority(
        KeyPair((settings.secrets / "ca.crt").read_text(), (settings.secrets / "ca.key").read_text())
    )
    api = KubeClient(ClientConfig.in_cluster())
    plane = ControlPlane(api, authority, settings)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    # The compiler imports lazily; a missing dependency must show now, and the first sidecar must not wait.
    compile_configuration(ClusterSnapshot(), Workload("", ""))
    proxy = await _front_proxy(api)
    runners = [
        await _serve(plane.control_api(), names.CONTROL_PORT, tls),
        await _serve(plane.metrics_api(proxy), names.METRICS_API_PORT, proxy.tls(str(certificate), str(key))),
    ]
    work = asyncio.create_task(plane.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        _LOG.info("stopping")
    finally:
        for runner in runners:
            await runner.cleanup()
        await api.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(main())
