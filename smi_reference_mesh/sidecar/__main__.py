"""`python -m smi_reference_mesh.sidecar`: the agent of a sidecar, or of the ingress.

The main thread waits for Envoy's end, which ends the agent; others poll for configuration, read Envoy's
output, report request counts and answer readiness probes.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import FrameType

from smi_reference_mesh.compiler.bootstrap import bootstrap
from smi_reference_mesh.sidecar import startup_gate
from smi_reference_mesh.sidecar.config_source import SOCKET, bootstrap_from_agent
from smi_reference_mesh.sidecar.control_plane_client import ControlPlaneClient, ControlPlaneError
from smi_reference_mesh.sidecar.envoy_process import Envoy, EnvoyGone
from smi_reference_mesh.sidecar.request_counter import RequestCounter
from smi_reference_mesh.sidecar.rollout import Rollout
from smi_reference_mesh.sidecar.settings import SidecarSettings
from smi_reference_mesh.sidecar.xds_server import NEVER_SHUT_DOWN_S, XdsServer

_REPORT_EVERY_S = 0.25
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0
_LONGEST_LINE = 64 * 1024


class Agent:
    """One sidecar from start to end."""

    def __init__(self, settings: SidecarSettings) -> None:
        self._settings = settings
        self._counter = RequestCounter()
        self._ready = threading.Event()
        self._stopping = threading.Event()
        settings.directory.mkdir(parents=True, exist_ok=True)
        socket = settings.directory / SOCKET
        document = bootstrap_from_agent(
            bootstrap(settings.node, admin_port=settings.admin_port, mark=settings.mark), str(socket)
        )
        self._xds_server = XdsServer(socket)
        self._rollout = Rollout(
            self._xds_server,
            lambda: self._envoy.stats(),
            lambda moment: self._envoy.complaints_since(moment),
        )
        self._envoy = Envoy(settings.envoy, document, settings.directory, self._counter.line)

    def run(self) -> int:
        """Runs until Envoy ends or a signal arrives. Returns the exit status."""
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._on_signal)
        for work in (self._serve_readiness, self._report_metrics, self._follow):
            threading.Thread(target=work, daemon=True).start()
        status = self._wait(woken)
        if self._stopping.is_set():
            return 0
        _log(f"Envoy ended with status {status}")
        return 1

    def _wait(self, woken: int) -> int:
        """Waits for Envoy's end and returns its exit status; meanwhile handles signals to any thread."""
        ended = os.pidfd_open(self._envoy.process.pid)
        watched = select.poll()
        for descriptor in (ended, woken):
            watched.register(descriptor, select.POLLIN)
        while ended not in (descriptor for descriptor, _ in watched.poll()):
            # Handlers run in this thread only, and a signal delivered to another thread does not wake it.
            os.read(woken, 64)
        os.close(ended)
        return self._envoy.process.wait()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping.set()
        threading.Thread(target=self._envoy.stop).start()

    def _client(self) -> ControlPlaneClient:
        settings = self._settings
        return ControlPlaneClient(settings.control_plane, settings.trust, settings.token, settings.mark)

    def _follow(self) -> None:
        client = self._client()
        version = identity = ""
        pause = _FIRST_PAUSE_S
        try:
            while not self._stopping.is_set():
                try:
                    update = client.poll(version, identity)
                    if update is not None:
                        self._xds_server.await_envoy()
                        error = self._rollout.apply(update.responses, update.removed, whole=not update.base)
                        version, identity = update.version, update.identity
                        self._report_outcome(version, error)
                        client.status(version, error)
                except (ControlPlaneError, ValueError) as error:
                    _log(str(error))
                    self._stopping.wait(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE_S)
                else:
                    pause = _FIRST_PAUSE_S
        except EnvoyGone as error:
            if not self._stopping.is_set():
                _log(str(error))
                self._envoy.stop()

    def _report_outcome(self, version: str, error: str) -> None:
        if error:
            _log(f"configuration {version}: {error}")
        # A refused resource does not keep the pod from serving: all others are in force.
        if self._rollout.is_open and not self._ready.is_set():
            _log(f"configuration {version} is in force")
            self._ready.set()
            directory = str(self._settings.directory)
            threading.Thread(target=startup_gate.release, args=(directory,), daemon=True).start()

    def _report_metrics(self) -> None:
        client = self._client()
        pause = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            # Dozens of sidecars share a machine: without traffic a sidecar sleeps.
            self._counter.wait_for_requests()
            self._stopping.wait(_REPORT_EVERY_S)
            if not self._counter.close_interval():
                continue
            try:
                client.metrics(self._counter.intervals())
            except ControlPlaneError as error:
                _log(str(error))
                self._stopping.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                self._counter.discard()
                pause = _FIRST_PAUSE_S

    def _serve_readiness(self) -> None:
        ready = self._ready

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                request_line = self.rfile.readline(_LONGEST_LINE)
                # Closing a connection with unread data resets it.
                while self.rfile.readline(_LONGEST_LINE).strip():
                    pass
                ok = ready.is_set() and request_line.startswith(b"GET /ready ")
                status = b"200 OK" if ok else b"503 Service Unavailable"
                self.wfile.write(b"HTTP/1.0 %s\r\nContent-Length: 0\r\n\r\n" % status)

        with _Server(("", self._settings.readiness_port), Handler) as server:
            server.serve_forever(NEVER_SHUT_DOWN_S)


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _log(text: str) -> None:
    print(f"agent: {text}", file=sys.stderr, flush=True)


def main() -> int:
    return Agent(SidecarSettings.from_environment(os.environ)).run()


if __name__ == "__main__":
    sys.exit(main())
