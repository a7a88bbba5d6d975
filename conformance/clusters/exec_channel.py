"""A long-running command in a container that answers line by line, over the API server's exec channel."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import kubernetes
import urllib3
from kubernetes.stream.ws_client import ERROR_CHANNEL, STDERR_CHANNEL, STDOUT_CHANNEL, WSClient
from websocket import WebSocketException

from conformance.clusters import Completed, ExecFailed
from conformance.text import yamlio

END = "\n\n"
"""An empty line ends an answer, whose own lines are JSON and never empty."""


class Channel:
    """A command in a container; callers hold ``lock``."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._client: WSClient | None = None
        self._where = ""

    def open(
        self,
        configuration: kubernetes.client.Configuration,
        namespace: str,
        pod: str,
        container: str,
        command: Sequence[str],
    ) -> None:
        """Start the command unless it is running. Raises ExecFailed."""
        if self._client is None:
            self._where = f"{namespace}/{pod}"
            self._client = _connect(configuration, namespace, pod, container, command, stdin=True)

    def exec_line(self, line: str, timeout_s: float) -> str:
        """Write a line and read the answer. Raises ExecFailed."""
        client = self._client
        if client is None:
            raise ExecFailed(f"exec in {self._where}: not open")
        try:
            return self._exchange(client, line, timeout_s)
        except (WebSocketException, OSError, kubernetes.client.ApiException) as error:
            raise ExecFailed(f"exec in {self._where} broke off: {root_cause(error)}") from error

    def _exchange(self, client: WSClient, line: str, timeout_s: float) -> str:
        client.write_stdin(line + "\n")
        deadline = time.monotonic() + timeout_s
        out: list[str] = []
        while not _ended(out):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise ExecFailed(f"exec in {self._where}: no answer within {timeout_s:g} s")
            client.update(timeout=min(remaining, 1.0))
            if text := client.read_channel(STDOUT_CHANNEL, timeout=0):
                out.append(text)
            elif not client.is_open():
                raise ExecFailed(f"exec in {self._where}: {_last_words(client)}")
        return "".join(out)

    def close(self) -> None:
        """End the command; the next `open` restarts it."""
        if self._client is not None:
            _close(self._client)
            self._client = None


def run(
    configuration: kubernetes.client.Configuration,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    timeout_s: float,
) -> Completed:
    """Run a command in a container to its end. Raises ExecFailed."""
    client = _connect(configuration, namespace, pod, container, command, stdin=False)
    try:
        client.run_forever(timeout=timeout_s)
        if client.is_open():
            raise ExecFailed(f"exec in {namespace}/{pod}: no end within {timeout_s:g} s")
        output = client.read_channel(STDOUT_CHANNEL, timeout=0)
        errors = client.read_channel(STDERR_CHANNEL, timeout=0)
        status = yamlio.load(client.read_channel(ERROR_CHANNEL, timeout=0)) or {}
    except (WebSocketException, OSError, kubernetes.client.ApiException) as error:
        raise ExecFailed(f"exec in {namespace}/{pod} broke off: {root_cause(error)}") from error
    finally:
        _close(client)
    return Completed(_exit_status(status, f"{namespace}/{pod}"), output, errors)


def _exit_status(status: Mapping[str, Any], where: str) -> int:
    """The exit status in a v1 Status. Raises ExecFailed if the command could not be run."""
    if status.get("status") == "Success":
        return 0
    for cause in (status.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise ExecFailed(f"exec in {where}: {status.get('message', 'the channel closed without a status')}")


def _connect(
    configuration: kubernetes.client.Configuration,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    stdin: bool,
) -> WSClient:
    query = [("container", container), ("stdout", "1"), ("stderr", "1")]
    query += [("stdin", "1")] if stdin else []
    query += [("command", part) for part in command]
    text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query)
    host = configuration.host.replace("http", "ws", 1)
    url = f"{host}/api/v1/namespaces/{namespace}/pods/{pod}/exec?{text}"
    token = authorization(configuration)
    headers = {"authorization": token} if token else {}
    try:
        return WSClient(configuration, url, headers, capture_all=False)
    except (WebSocketException, OSError, kubernetes.client.ApiException) as error:
        raise ExecFailed(f"exec in {namespace}/{pod}: {root_cause(error)}") from error


def _close(client: WSClient) -> None:
    # The client's own close leaves the socket open after the server has closed the channel.
    client.sock.shutdown()


def _ended(out: Sequence[str]) -> bool:
    tail = "".join(out[-2:])
    return tail.endswith(END) or tail == "\n"


def _last_words(client: WSClient) -> str:
    status = json.loads(client.read_channel(ERROR_CHANNEL, timeout=0) or "{}")
    stderr = client.read_channel(STDERR_CHANNEL, timeout=0).strip()
    return f"{status.get('message', 'the channel closed without a status')} {stderr}".strip()


def authorization(configuration: kubernetes.client.Configuration) -> str | None:
    """The Authorization header for a kubeconfig's token, if any."""
    setting = configuration.auth_settings().get("BearerToken")
    return str(setting["value"]) if setting else None


def root_cause(error: BaseException) -> str:
    """The innermost cause of a network error, in one line."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, urllib3.exceptions.NewConnectionError) or inner.__context__ is None:
            return " ".join(str(inner).split()) or type(inner).__name__
        inner = inner.__context__
    return str(error)
