"""The client of node_host.py, and pods for its node."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conformance.clusters.embedded.node.sandbox import RunningSandbox, start

HOST = (sys.executable, "-W", "error", str(Path(__file__).with_name("node_host.py")))
IMAGE = "python:3.11-slim"
WITHIN_S = 15.0

SERVE = """
import os, signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{sys.argv[1]} was asked by {self.client_address[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("serving", flush=True)
ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""
"""A server that answers with its name and the client's address."""

SERVES = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
"""Its readiness: a container without a probe is ready before its process listens."""

Status = dict[str, Any]


class NodeRefusal(Exception):
    """The node's refusal, with its message."""


class Node:
    """A running node."""

    def __init__(self, running: RunningSandbox) -> None:
        self.running = running

    @classmethod
    def start(cls) -> Node:
        return cls(start(HOST))

    def call(self, do: str, **arguments: Any) -> Any:
        place = urlsplit(self.running.url)
        with socket.create_connection(
            (place.hostname or "", place.port or 0), timeout=WITHIN_S
        ) as connection:
            line = json.dumps({"do": do, "token": self.running.token, **arguments}) + "\n"
            connection.sendall(line.encode())
            with connection.makefile() as file:
                answer = json.loads(file.readline())
        if "error" in answer:
            raise NodeRefusal(answer["error"])
        return answer["answer"]

    def python(self, program: str) -> str:
        """The output of a Python program on the node, outside of all pods; other tools may be missing."""
        return str(self.call("run_here", command=[sys.executable, "-c", program]))

    def run(self, pod: dict[str, Any]) -> Pod:
        self.call("run", pod=pod)
        return Pod(self, f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")


class Pod:
    """A pod of the node."""

    def __init__(self, node: Node, name: str) -> None:
        self._node = node
        self.name = name

    def until(self, holds: Callable[[Status], bool]) -> Status:
        """The first status that satisfies the predicate."""
        version = 0
        while True:
            version, status = self._node.call("status", name=self.name, after=version)
            if status and holds(status):
                return dict(status)

    def ready(self) -> Pod:
        self.until(is_ready)
        return self

    @property
    def address(self) -> str:
        return str(self.until(lambda status: "podIP" in status)["podIP"])

    def execute(
        self, *command: str, stdin: str = "", container: str = "main", kill: bool = False
    ) -> tuple[int, str, str]:
        code, out, err = self._node.call(
            "execute", name=self.name, container=container, command=command, stdin=stdin, kill=kill
        )
        return code, out, err

    def says(self, *command: str, container: str = "main") -> str:
        """The output of a successful command."""
        code, out, err = self.execute(*command, container=container)
        assert code == 0, err
        return out

    def logs(self, container: str = "main", tail: int | None = None) -> str:
        return str(self._node.call("logs", name=self.name, container=container, tail=tail))

    def stop(self, grace: float = 5.0) -> float:
        return float(self._node.call("stop", name=self.name, grace=grace))


def is_ready(status: Status) -> bool:
    return condition(status, "Ready") == "True"


def condition(status: Status, kind: str) -> str:
    return next(str(each["status"]) for each in status["conditions"] if each["type"] == kind)


def state(status: Status, name: str = "main") -> Status:
    """A container's status."""
    everyone = [*status.get("initContainerStatuses", ()), *status["containerStatuses"]]
    return next(dict(each) for each in everyone if each["name"] == name)


def python(code: str, *arguments: str, name: str = "main", **more: Any) -> dict[str, Any]:
    """A container that runs a piece of Python."""
    return {"name": name, "image": IMAGE, "command": ["python3", "-I", "-S", "-c", code, *arguments], **more}


def shell(script: str, *, name: str = "main", **more: Any) -> dict[str, Any]:
    """A container that runs a script."""
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script], **more}


def pod(
    name: str, *containers: dict[str, Any], namespace: str = "here", annotations: Any = None, **spec: Any
) -> dict[str, Any]:
    """A pod's manifest; the default container serves, and is ready when it does."""
    metadata = {"namespace": namespace, "name": name, "uid": f"uid-{name}", "annotations": annotations or {}}
    return {
        "metadata": metadata,
        "spec": {"containers": list(containers or [python(SERVE, name, readinessProbe=SERVES)]), **spec},
    }


FETCH = """
import http.client, json, socket, sys, time
for host in sys.argv[1:]:
    begun = time.monotonic()
    try:
        connection = http.client.HTTPConnection(host, timeout=5)
        connection.request("GET", "/")
        said = connection.getresponse().read().decode()
    except OSError as error:
        said = type(error).__name__
    print(json.dumps([said, time.monotonic() - begun]))
"""
"""Sends a request to each of its arguments (host and port), over a new connection."""


def fetched(client: Pod, hosts: Sequence[str]) -> list[tuple[str, float]]:
    """Each host's answer or the error's name, and the seconds that it took."""
    lines = client.says("python3", "-I", "-S", "-c", FETCH, *hosts).splitlines()
    return [(str(said), float(seconds)) for said, seconds in map(json.loads, lines)]
