"""Client of the control plane's API: HTTPS, authenticated by the pod's ServiceAccount token."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

# The control plane answers a poll after 25 s at the latest.
_TIMEOUT_S = 35.0
# A replaced control plane leaves dead connections: attempts to open one at its former address, and open ones
# whose end vanished with its network. Keep-alive probes find the latter.
_CONNECT_S = 5.0
_KEEP_ALIVE = {
    socket.TCP_KEEPIDLE: 2,
    socket.TCP_KEEPINTVL: 1,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 5000,
}


class ControlPlaneError(Exception):
    """The control plane is unreachable, or its response is invalid."""


class ReceivedUpdate(NamedTuple):
    """A change of configuration since version `base`: discovery responses by resource key, and removed keys.

    Without a base the responses are the whole configuration.
    """

    version: str
    base: str
    identity: str
    responses: dict[str, str]
    removed: tuple[str, ...]


class ControlPlaneClient:
    """One connection, kept open between requests. Not thread-safe.

    A `mark` is set on the socket before its first packet; such a connection uses IPv4.
    """

    def __init__(self, url: str, trust: str, token: Path, mark: int | None = None) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or 443
        self._context = ssl.create_default_context(cadata=trust)
        self._token = token
        self._mark = mark
        self._connection: http.client.HTTPSConnection | None = None

    def poll(self, version: str, identity: str) -> ReceivedUpdate | None:
        """Waits for a configuration other than `version` (long poll); None at the poll's end.

        Raises ControlPlaneError.
        """
        document = self._request("GET", "/v1/config?" + urlencode({"have": version, "identity": identity}))
        if document is None:
            return None
        try:
            return ReceivedUpdate(
                version=str(document["version"]),
                base=str(document["base"]),
                identity=str(document["identity"]),
                responses={str(path): str(text) for path, text in document["responses"].items()},
                removed=tuple(document["removed"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ControlPlaneError(f"not a configuration: {error!r}") from error

    def status(self, version: str, error: str) -> None:
        """Reports a version as acknowledged by Envoy (`error` empty) or refused. Raises ControlPlaneError."""
        self._request("POST", "/v1/status", {"version": version, "accepted": not error, "error": error})

    def metrics(self, intervals: list[dict[str, Any]]) -> None:
        """Reports request counts by interval. Raises ControlPlaneError."""
        self._request("POST", "/v1/metrics", {"intervals": intervals})

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=_CONNECT_S, context=self._context
        )
        if self._mark is None:
            connection.connect()
        else:
            connection.sock = self._marked(self._mark)
        connection.sock.settimeout(_TIMEOUT_S)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE.items():
            connection.sock.setsockopt(socket.IPPROTO_TCP, option, value)
        return connection

    def _marked(self, mark: int) -> ssl.SSLSocket:
        plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(_CONNECT_S)
            plain.connect((self._host, self._port))
            return self._context.wrap_socket(plain, server_hostname=self._host)
        except OSError:
            plain.close()
            raise

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        try:
            return self._exchange(method, path, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise ControlPlaneError(f"{method} {path}: {error!r}") from error

    def _exchange(self, method: str, path: str, body: Any) -> Any:
        if self._connection is None:
            self._connection = self._connected()
        # The kubelet renews the token in place.
        headers = {"Authorization": f"Bearer {self._token.read_text().strip()}"}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status == 204:
            return None
        if response.status != 200:
            raise http.client.HTTPException(f"{response.status} {content[:500].decode(errors='replace')}")
        return json.loads(content)
