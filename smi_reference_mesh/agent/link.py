"""The agent's link to the control plane: HTTPS, authenticated by the pod's ServiceAccount token."""

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
# A control plane that is replaced leaves connections behind that nobody answers: those being opened to the
# address it had, and those whose end was lost with its network. Keep-alive probes find the latter.
_CONNECT_S = 5.0
_KEEP_ALIVE = {
    socket.TCP_KEEPIDLE: 2,
    socket.TCP_KEEPINTVL: 1,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 5000,
}


class LinkError(Exception):
    """The control plane cannot be reached, or does not answer as agreed."""


class Delivery(NamedTuple):
    """A change of configuration since the version `base`: files to write, files no longer part of it.

    Without a base the files are the whole configuration.
    """

    version: str
    base: str
    identity: str
    files: dict[str, str]
    gone: tuple[str, ...]


class Link:
    """One connection, kept open between requests. Not for use by several threads at once.

    With a mark the connection carries it from its first packet on; it is made over IPv4 then.
    """

    def __init__(self, url: str, trust: str, token: Path, mark: int | None = None) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or 443
        self._context = ssl.create_default_context(cadata=trust)
        self._token = token
        self._mark = mark
        self._connection: http.client.HTTPSConnection | None = None

    def poll(self, version: str, identity: str) -> Delivery | None:
        """Waits for a configuration other than `version`; None when there was none for a while.

        Raises LinkError.
        """
        document = self._request("GET", "/v1/config?" + urlencode({"have": version, "identity": identity}))
        if document is None:
            return None
        try:
            return Delivery(
                version=str(document["version"]),
                base=str(document["base"]),
                identity=str(document["identity"]),
                files={str(path): str(text) for path, text in document["files"].items()},
                gone=tuple(document["gone"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise LinkError(f"not a configuration: {error!r}") from error

    def status(self, version: str, error: str) -> None:
        """Tells whether Envoy took a version (`error` is empty then). Raises LinkError."""
        self._request("POST", "/v1/status", {"version": version, "accepted": not error, "error": error})

    def metrics(self, intervals: list[dict[str, Any]]) -> None:
        """Hands over what was counted. Raises LinkError."""
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
            raise LinkError(f"{method} {path}: {error!r}") from error

    def _exchange(self, method: str, path: str, body: Any) -> Any:
        if self._connection is None:
            self._connection = self._connected()
        # The kubelet renews the token in place, so it is read each time.
        headers = {"Authorization": f"Bearer {self._token.read_text().strip()}"}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status == 204:
            return None
        if response.status != 200:
            raise http.client.HTTPException(f"{response.status} {content[:500].decode(errors='replace')}")
        return json.loads(content)
