"""A command kept running in a container, asked line by line over the API server's exec channel."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from urllib.parse import quote

import kubernetes
import urllib3
from kubernetes.stream.ws_client import ERROR_CHANNEL, STDERR_CHANNEL, STDOUT_CHANNEL, WSClient
from websocket import WebSocketException

from conformance.clusters import ExecFailed

END = "\n\n"
"""An answer's lines are JSON, none of them empty; an empty one ends it."""


class Channel:
    """One command in one container; whoever asks holds ``turn`` meanwhile."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
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
        """Start the command, unless it runs already. Raises ExecFailed."""
        if self._client is not None:
            return
        self._where = f"{namespace}/{pod}"
        query = [("container", container), ("stdin", "1"), ("stdout", "1"), ("stderr", "1")]
        query += [("command", part) for part in command]
        text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query)
        host = configuration.host.replace("http", "ws", 1)
        url = f"{host}/api/v1/namespaces/{namespace}/pods/{pod}/exec?{text}"
        token = authorization(configuration)
        headers = {"authorization": token} if token else {}
        try:
            self._client = WSClient(configuration, url, headers, capture_all=False)
        except (WebSocketException, OSError, kubernetes.client.ApiException) as error:
            raise ExecFailed(f"exec in {self._where}: {root_cause(error)}") from error

    def ask(self, line: str, timeout_s: float) -> str:
        """Pass a line on and read the answer. Raises ExecFailed."""
        client = self._client
        if client is None:
            raise ExecFailed(f"exec in {self._where}: not open")
        try:
            return self._ask(client, line, timeout_s)
        except (WebSocketException, OSError, kubernetes.client.ApiException) as error:
            raise ExecFailed(f"exec in {self._where} broke off: {root_cause(error)}") from error

    def _ask(self, client: WSClient, line: str, timeout_s: float) -> str:
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
        """End the command; the next to open the channel starts it anew."""
        if self._client is not None:
            # The client's own close leaves the socket open once the server has closed the channel.
            self._client.sock.shutdown()
            self._client = None


def _ended(out: Sequence[str]) -> bool:
    tail = "".join(out[-2:])
    return tail.endswith(END) or tail == "\n"


def _last_words(client: WSClient) -> str:
    status = json.loads(client.read_channel(ERROR_CHANNEL, timeout=0) or "{}")
    said = client.read_channel(STDERR_CHANNEL, timeout=0).strip()
    return f"{status.get('message', 'the channel closed without a status')} {said}".strip()


def authorization(configuration: kubernetes.client.Configuration) -> str | None:
    """The header that a kubeconfig's token makes; the key that it is kept under is another in each client."""
    setting = configuration.auth_settings().get("BearerToken")
    return str(setting["value"]) if setting else None


def root_cause(error: BaseException) -> str:
    """The innermost reason of an error of the network, in one line."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, urllib3.exceptions.NewConnectionError) or inner.__context__ is None:
            return " ".join(str(inner).split()) or type(inner).__name__
        inner = inner.__context__
    return str(error)
