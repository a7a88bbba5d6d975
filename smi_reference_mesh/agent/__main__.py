"""`python -m smi_reference_mesh.agent` is the sidecar; what it is given makes it the ingress.

Threads: this one polls for configuration; others read Envoy's output, report metrics, answer readiness,
and watch Envoy. When Envoy ends, so does the agent.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import FrameType

from smi_reference_mesh import gate
from smi_reference_mesh.agent.counting import Counter
from smi_reference_mesh.agent.envoy import Envoy, EnvoyGone
from smi_reference_mesh.agent.link import Link, LinkError
from smi_reference_mesh.agent.rollout import Rollout
from smi_reference_mesh.agent.settings import Settings
from smi_reference_mesh.agent.xds import NEVER_SHUT_DOWN_S, Board
from smi_reference_mesh.compiler.bootstrap import bootstrap
from smi_reference_mesh.delivery import SOCKET, bootstrap_from_agent

_REPORT_EVERY_S = 0.25
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0
_LONGEST_LINE = 64 * 1024


class Agent:
    """One sidecar from start to end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._counter = Counter()
        self._ready = threading.Event()
        self._stopping = threading.Event()
        settings.directory.mkdir(parents=True, exist_ok=True)
        socket = settings.directory / SOCKET
        document = bootstrap_from_agent(
            bootstrap(settings.node, admin_port=settings.admin_port, mark=settings.mark), str(socket)
        )
        self._board = Board(socket)
        self._rollout = Rollout(
            self._board,
            lambda: self._envoy.stats(),
            lambda moment: self._envoy.complaints_since(moment),
        )
        self._envoy = Envoy(settings.envoy, document, settings.directory, self._counter.line)

    def run(self) -> int:
        """Runs until Envoy ends or a signal asks to stop; the exit status."""
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
        _say(f"Envoy ended with status {status}")
        return 1

    def _wait(self, woken: int) -> int:
        """Envoy's exit status, once it has ended. Signals are handled meanwhile, whoever takes them."""
        ended = os.pidfd_open(self._envoy.process.pid)
        watched = select.poll()
        for descriptor in (ended, woken):
            watched.register(descriptor, select.POLLIN)
        while ended not in (descriptor for descriptor, _ in watched.poll()):
            # Handlers run in this thread alone, and a signal that another one takes does not wake it.
            os.read(woken, 64)
        os.close(ended)
        return self._envoy.process.wait()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping.set()
        threading.Thread(target=self._envoy.stop).start()

    def _link(self) -> Link:
        settings = self._settings
        return Link(settings.control_plane, settings.trust, settings.token, settings.mark)

    def _follow(self) -> None:
        link = self._link()
        version = identity = ""
        pause = _FIRST_PAUSE_S
        try:
            while not self._stopping.is_set():
                try:
                    delivery = link.poll(version, identity)
                    if delivery is not None:
                        self._board.await_envoy()
                        error = self._rollout.apply(delivery.files, delivery.gone, whole=not delivery.base)
                        version, identity = delivery.version, delivery.identity
                        self._tell(version, error)
                        link.status(version, error)
                except (LinkError, ValueError) as error:
                    _say(str(error))
                    self._stopping.wait(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE_S)
                else:
                    pause = _FIRST_PAUSE_S
        except EnvoyGone as error:
            if not self._stopping.is_set():
                _say(str(error))
                self._envoy.stop()

    def _tell(self, version: str, error: str) -> None:
        if error:
            _say(f"configuration {version}: {error}")
        # One odd object keeps no pod from serving: what else there is is in force.
        if self._rollout.is_open and not self._ready.is_set():
            _say(f"configuration {version} is in force")
            self._ready.set()
            directory = str(self._settings.directory)
            threading.Thread(target=gate.open_to_one, args=(directory,), daemon=True).start()

    def _report_metrics(self) -> None:
        link = self._link()
        pause = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            # Dozens of sidecars share a machine: one without traffic sleeps.
            self._counter.await_something()
            self._stopping.wait(_REPORT_EVERY_S)
            if not self._counter.close_interval():
                continue
            try:
                link.metrics(self._counter.intervals())
            except LinkError as error:
                _say(str(error))
                self._stopping.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                self._counter.handed_over()
                pause = _FIRST_PAUSE_S

    def _serve_readiness(self) -> None:
        ready = self._ready

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                asked = self.rfile.readline(_LONGEST_LINE)
                # What is left unread when a connection is closed resets it.
                while self.rfile.readline(_LONGEST_LINE).strip():
                    pass
                good = ready.is_set() and asked.startswith(b"GET /ready ")
                status = b"200 OK" if good else b"503 Service Unavailable"
                self.wfile.write(b"HTTP/1.0 %s\r\nContent-Length: 0\r\n\r\n" % status)

        with _Server(("", self._settings.readiness_port), Handler) as server:
            server.serve_forever(NEVER_SHUT_DOWN_S)


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _say(text: str) -> None:
    print(f"agent: {text}", file=sys.stderr, flush=True)


def main() -> int:
    return Agent(Settings.from_environment(os.environ)).run()


if __name__ == "__main__":
    sys.exit(main())
